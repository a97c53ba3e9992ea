//! Finds the streams and blocks of an archive without decoding.
//!
//! Streams are found from the end by their trailers. A stream of one block has none; where the walk
//! back meets one, the rest of the archive is read from its start, from block header to block header.
//! Zeros between and behind streams are passed in both directions.

use std::io::{BufReader, Read, Seek};

use super::header::{BlockHeader, StreamHeader};
use super::info::{BlockInfo, StreamInfo};
use super::source::{Source, corrupt};
use super::trailer::{FOOTER_LEN, Footer, SeenIndex};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// What a block takes in memory here, while its index is read.
const PER_BLOCK: usize = size_of::<BlockInfo>() + size_of::<BlockHeader>();

/// A search for streams.
#[derive(Debug)]
pub(super) struct Scan<'a, R> {
    source: &'a mut Source<BufReader<R>>,
    file_len: u64,
    memory_limit: u64,
    memory: u64,
    /// Stops it.
    progress: &'a Progress,
}

impl<'a, R: Read + Seek> Scan<'a, R> {
    pub(super) fn new(
        source: &'a mut Source<BufReader<R>>,
        file_len: u64,
        memory_limit: Option<u64>,
        progress: &'a Progress,
    ) -> Self {
        let memory_limit = memory_limit.unwrap_or(u64::MAX);
        Self { source, file_len, memory_limit, memory: 0, progress }
    }

    /// All streams, in order, with the places of their blocks.
    pub(super) fn streams(mut self) -> Result<Vec<StreamInfo>> {
        if self.file_len == 0 {
            return Err(Error::new(ErrorKind::Truncated, "the archive is empty"));
        }
        let (mut from_end, mut end) = self.walk_back()?;
        let mut streams = Vec::new();
        let mut start = 0;
        while start < end {
            self.progress.check()?;
            let stream = self.stream_starting_at(start)?;
            streams.push(stream);
            // To the next stream, or to the end: neither begins with a zero.
            self.source.skip_zeros(self.progress)?;
            start = self.source.position;
            if start > end {
                // What looked like a trailer stands inside of a stream, as archives may be stored in archives.
                from_end.clear();
                end = self.file_len;
            }
        }
        streams.extend(from_end.into_iter().rev());
        set_raw_offsets(&mut streams)?;
        Ok(streams)
    }

    /// Streams of several blocks, the last first, back to the first byte that is neither of one nor a zero behind one. (What
    /// another stream ends with may be zeros of its own.)
    fn walk_back(&mut self) -> Result<(Vec<StreamInfo>, u64)> {
        let mut end = self.file_len;
        let mut streams = Vec::new();
        while end > 0 {
            let zeros = self.source.start_of_zeros(end, self.progress)?;
            let stream = match self.stream_ending_at(zeros) {
                Ok(Some(stream)) => stream,
                Err(error) if [ErrorKind::Io, ErrorKind::MemoryLimit].contains(&error.kind()) => {
                    return Err(error);
                }
                // Either a trailer is damaged, or these are other bytes that look like one: the walk from the start finds out.
                Ok(None) | Err(_) => break,
            };
            end = stream.file_offset;
            streams.push(stream);
        }
        Ok((streams, end))
    }

    /// Counts memory against the limit: an archive of some gigabytes may have very many blocks.
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.memory += bytes as u64;
        if self.memory <= self.memory_limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::MemoryLimit,
            format!("the index needs more memory than the limit, {} bytes", self.memory_limit),
        ))
    }

    /// The stream whose trailer ends at `end`; `None` if no valid trailer does.
    fn stream_ending_at(&mut self, end: u64) -> Result<Option<StreamInfo>> {
        let Some(footer_at) = end.checked_sub(FOOTER_LEN as u64) else { return Ok(None) };
        self.source.seek(footer_at)?;
        let footer = Footer::read(self.source)?;
        let Some(index_at) = footer_at.checked_sub(footer.index_len()) else { return Ok(None) };
        // A bound before anything is allocated: an entry has at least 2 bytes and becomes a `BlockInfo`.
        if footer.index_len() > self.memory_limit {
            return Ok(None);
        }
        self.source.seek(index_at)?;
        let entries = self.source.bytes(footer.index_len(), "the index")?;
        if !footer.vouches_for(&entries) {
            return Ok(None);
        }
        self.stream_of_index(index_at, &entries, footer).map(Some)
    }

    fn stream_of_index(
        &mut self,
        index_at: u64,
        entries: &[u8],
        footer: Footer,
    ) -> Result<StreamInfo> {
        // The model is in the stream header, whose end is known once the lengths are added up.
        let headers = self.parse_entries(index_at, entries)?;
        let blocks_len = headers.iter().try_fold(0u64, |sum, h| sum.checked_add(h.block_len()));
        let outside = || corrupt(index_at, "the index describes more than stands before it");
        let end = blocks_len.and_then(|len| index_at.checked_sub(len)).ok_or_else(outside)?;
        self.source.seek(end.checked_sub(1).ok_or_else(outside)?)?;
        let last_byte = self.source.byte("the stream header")?;
        let start = StreamHeader::start(end, last_byte).ok_or_else(outside)?;
        self.source.seek(start)?;
        let (header, first) = self.read_stream_start()?;
        if Some(&first) != headers.first() {
            return Err(corrupt(index_at, "the index does not match the first block"));
        }
        self.charge(size_of::<StreamInfo>())?;
        let mut stream = StreamInfo::new(header, start);
        for header in &headers {
            stream.push(header).ok_or_else(|| corrupt(index_at, "lengths pass 2^64"))?;
        }
        stream.file_len += (entries.len() + FOOTER_LEN) as u64;
        stream.content_hash = Some(footer.content_hash());
        Ok(stream)
    }

    fn parse_entries(&mut self, index_at: u64, entries: &[u8]) -> Result<Vec<BlockHeader>> {
        let mut source = Source::new(entries, index_at);
        let mut headers: Vec<BlockHeader> = Vec::new();
        while !source.inner.is_empty() {
            self.charge(PER_BLOCK)?;
            if headers.last().is_some_and(|h| h.last) {
                return Err(corrupt(source.position, "the index goes on after the last block"));
            }
            headers.push(BlockHeader::read(&mut source)?);
        }
        if headers.len() < 2 || !headers.last().is_some_and(|h| h.last) {
            return Err(corrupt(
                index_at,
                "the index does not end with the last of several blocks",
            ));
        }
        Ok(headers)
    }

    /// Reads stream header and first block header at the current position.
    fn read_stream_start(&mut self) -> Result<(StreamHeader, BlockHeader)> {
        let first = self.source.byte("the magic number")?;
        let header = StreamHeader::read(self.source, first)?;
        let block = BlockHeader::read_checked(self.source, Some(&header))?;
        Ok((header, block))
    }

    /// The stream that starts at `start`, read from header to header. The source is left behind it.
    fn stream_starting_at(&mut self, start: u64) -> Result<StreamInfo> {
        self.source.seek(start)?;
        let (header, mut block) = self.read_stream_start()?;
        self.charge(size_of::<StreamInfo>())?;
        let mut stream = StreamInfo::new(header, start);
        let mut seen = SeenIndex::default();
        loop {
            self.charge(PER_BLOCK)?;
            seen.push(&block);
            stream.push(&block).ok_or_else(|| corrupt(start, "lengths pass 2^64"))?;
            let next = start + stream.file_len;
            if next > self.file_len {
                self.source.position = self.file_len;
                return Err(self.source.truncated("a block"));
            }
            self.source.seek(next)?;
            if block.last {
                break;
            }
            block = BlockHeader::read_checked(self.source, None)?;
        }
        if stream.blocks.len() > 1 {
            stream.content_hash = Some(seen.read_trailer(self.source)?);
            stream.file_len = self.source.position - start;
        }
        Ok(stream)
    }
}

/// Turns offsets within streams into offsets within the archive.
fn set_raw_offsets(streams: &mut [StreamInfo]) -> Result<()> {
    let mut offset = 0u64;
    for stream in streams {
        let end = offset
            .checked_add(stream.raw_len)
            .ok_or_else(|| corrupt(stream.file_offset, "the content's length passes 2^64"))?;
        stream.blocks.iter_mut().for_each(|block| block.raw_offset += offset);
        offset = end;
    }
    Ok(())
}
