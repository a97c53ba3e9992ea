//! Random access: what an archive holds and where, and any range of its content.
//!
//! Streams are found from the end by their trailers. A stream of one block has none; where the walk
//! back meets one, the rest of the archive is read from its start, from block header to block header.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::block::{ReadBlock, decode_cost};
use super::decoder::check_cost;
use super::header::{BlockHeader, StreamHeader};
use super::options::DecodeOptions;
use super::pool::Pool;
use super::reader::PendingBlock;
use super::source::{Source, corrupt};
use super::trailer::{FOOTER_LEN, Footer, SeenIndex};
use crate::codec::BlockModel;
use crate::error::{Error, ErrorKind, Result};

/// One block of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockInfo {
    /// Where its content starts in the content of the whole archive.
    pub raw_offset: u64,
    /// Bytes of content.
    pub raw_len: u64,
    /// Where its header starts in the file.
    pub file_offset: u64,
    /// Bytes of payload: the code, or the content itself if stored. Headers and checks come on top.
    pub coded_len: u64,
    /// The model that decodes it; `None` if stored.
    pub model: Option<BlockModel>,
}

/// One stream of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Format version.
    pub version: u8,
    /// Model profile, 1 to 5.
    pub profile: u8,
    /// Where the stream starts in the file.
    pub file_offset: u64,
    /// Bytes of the stream in the file, from magic number to end.
    pub file_len: u64,
    /// Bytes of content.
    pub raw_len: u64,
    /// Its blocks, in order.
    pub blocks: Vec<BlockInfo>,
    /// First 16 bytes of the BLAKE3 hash of the content; `None` in a stream of one block, which has
    /// its block check only.
    pub content_hash: Option<[u8; 16]>,
}

impl StreamInfo {
    fn new(header: StreamHeader, file_offset: u64) -> Self {
        Self {
            version: header.version,
            profile: header.profile,
            file_offset,
            file_len: StreamHeader::LEN as u64,
            raw_len: 0,
            blocks: Vec::new(),
            content_hash: None,
        }
    }

    fn header(&self) -> StreamHeader {
        StreamHeader { version: self.version, profile: self.profile }
    }

    /// Appends the block that comes next, as its header says. `raw_offset` counts from the stream's start.
    fn push(&mut self, header: &BlockHeader) -> Option<()> {
        self.blocks.push(BlockInfo {
            raw_offset: self.raw_len,
            raw_len: header.raw_len,
            file_offset: self.file_offset.checked_add(self.file_len)?,
            coded_len: header.coded_len,
            model: header.model(self.profile),
        });
        self.raw_len = self.raw_len.checked_add(header.raw_len)?;
        self.file_len = self.file_len.checked_add(header.block_len())?;
        Some(())
    }
}

/// An archive in a file, or anything that seeks.
///
/// ```
/// use std::io::Cursor;
/// let file = Cursor::new(lmic::compress(b"to be or not to be", 1)?);
/// let mut archive = lmic::Archive::open(file, lmic::DecodeOptions::default())?;
/// assert_eq!(archive.raw_len(), 18);
/// let mut part = Vec::new();
/// archive.read_range(3..5, &mut part)?;
/// assert_eq!(part, b"be");
/// # Ok::<(), lmic::Error>(())
/// ```
#[derive(Debug)]
pub struct Archive<R: Read + Seek> {
    source: Source<BufReader<R>>,
    file_len: u64,
    streams: Vec<StreamInfo>,
    options: DecodeOptions,
    /// Blocks found so far: what the index takes in memory.
    block_count: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the indexes of all streams and checks them. No block is decoded.
    ///
    /// # Errors
    /// As decoding: the archive may be corrupt, truncated, of a newer version or with an unknown model,
    /// and its index may need more than the memory limit.
    pub fn open(reader: R, options: DecodeOptions) -> Result<Self> {
        let mut reader = BufReader::new(reader);
        let file_len = reader.seek(SeekFrom::End(0))?;
        let source = Source::new(reader, file_len);
        let mut archive = Self { source, file_len, streams: Vec::new(), options, block_count: 0 };
        if file_len == 0 {
            return Err(Error::new(ErrorKind::Truncated, "the archive is empty"));
        }
        archive.find_streams()?;
        Ok(archive)
    }

    /// Bytes of content.
    pub fn raw_len(&self) -> u64 {
        self.streams.iter().map(|s| s.raw_len).sum()
    }

    /// Bytes of the whole archive.
    pub fn coded_len(&self) -> u64 {
        self.file_len
    }

    /// The streams, in order.
    pub fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    /// The blocks of all streams, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockInfo> {
        self.streams.iter().flat_map(|s| &s.blocks)
    }

    fn seek(&mut self, position: u64) -> Result<()> {
        self.source.inner.seek(SeekFrom::Start(position))?;
        self.source.position = position;
        Ok(())
    }

    fn find_streams(&mut self) -> Result<()> {
        let mut end = self.file_len;
        let mut from_end = Vec::new();
        while end > 0 {
            let Some(stream) = self.stream_ending_at(end)? else { break };
            end = stream.file_offset;
            from_end.push(stream);
        }
        let mut start = 0;
        while start < end {
            let stream = self.stream_starting_at(start)?;
            start += stream.file_len;
            self.streams.push(stream);
        }
        if start > end {
            return Err(corrupt(end, "a stream of several blocks starts inside another stream"));
        }
        self.streams.extend(from_end.into_iter().rev());
        self.set_raw_offsets()
    }

    fn set_raw_offsets(&mut self) -> Result<()> {
        let mut offset = 0u64;
        for stream in &mut self.streams {
            for block in &mut stream.blocks {
                block.raw_offset += offset;
            }
            offset = offset
                .checked_add(stream.raw_len)
                .ok_or_else(|| corrupt(stream.file_offset, "the content's length passes 2^64"))?;
        }
        Ok(())
    }

    /// Counts one more block against the memory limit: an index may claim very many.
    fn count_block(&mut self) -> Result<()> {
        self.block_count += 1;
        let entry = size_of::<BlockInfo>() + size_of::<BlockHeader>();
        let needed = self.block_count * entry as u64;
        match self.options.memory_limit {
            Some(limit) if needed > limit => Err(Error::new(
                ErrorKind::MemoryLimit,
                format!("the index needs more than the memory limit of {limit} bytes"),
            )),
            _ => Ok(()),
        }
    }

    /// The stream whose trailer ends at `end`; `None` if no valid trailer does. (A damaged trailer
    /// is found again, and named, by the walk from the start.)
    fn stream_ending_at(&mut self, end: u64) -> Result<Option<StreamInfo>> {
        let Some(footer_at) = end.checked_sub(FOOTER_LEN as u64) else { return Ok(None) };
        self.seek(footer_at)?;
        let footer = match Footer::read(&mut self.source) {
            Ok(footer) => footer,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(index_at) = footer_at.checked_sub(footer.index_len()) else { return Ok(None) };
        // A bound before anything is allocated: an entry has at least 2 bytes and becomes a `BlockInfo`.
        if self.options.memory_limit.is_some_and(|limit| footer.index_len() > limit) {
            return Ok(None);
        }
        self.seek(index_at)?;
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
        // The profile is in the stream header, whose place is known once the lengths are added up.
        let headers = self.parse_entries(index_at, entries)?;
        let blocks_len = headers.iter().try_fold(0u64, |sum, h| sum.checked_add(h.block_len()));
        let start = blocks_len
            .and_then(|len| len.checked_add(StreamHeader::LEN as u64))
            .and_then(|len| index_at.checked_sub(len))
            .ok_or_else(|| corrupt(index_at, "the index describes more than stands before it"))?;
        self.seek(start)?;
        let (header, first) = self.read_stream_start()?;
        if Some(&first) != headers.first() {
            return Err(corrupt(index_at, "the index does not match the first block"));
        }
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
            self.count_block()?;
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
        let header = StreamHeader::read(&mut self.source, first)?;
        let block = BlockHeader::read_checked(&mut self.source, Some(header))?;
        Ok((header, block))
    }

    /// The stream that starts at `start`, read from header to header.
    fn stream_starting_at(&mut self, start: u64) -> Result<StreamInfo> {
        self.seek(start)?;
        let (header, mut block) = self.read_stream_start()?;
        let mut stream = StreamInfo::new(header, start);
        let mut seen = SeenIndex::default();
        loop {
            self.count_block()?;
            seen.push(&block);
            stream.push(&block).ok_or_else(|| corrupt(start, "lengths pass 2^64"))?;
            let next = start + stream.file_len;
            if next > self.file_len {
                self.source.position = self.file_len;
                return Err(self.source.truncated("a block"));
            }
            self.seek(next)?;
            if block.last {
                break;
            }
            block = BlockHeader::read_checked(&mut self.source, None)?;
        }
        if stream.blocks.len() > 1 {
            stream.content_hash = Some(seen.read_trailer(&mut self.source)?);
            stream.file_len = self.source.position - start;
        }
        Ok(stream)
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Writes the content of `range` to `out`, decoding only the blocks that it touches. Each block's
    /// check is compared; the hash of the whole stream is not, as that needs all of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the range is reversed or passes the end of the content;
    /// otherwise as decoding, and [`ErrorKind::Io`] from `out`.
    pub fn read_range(&mut self, range: Range<u64>, out: &mut impl Write) -> Result<()> {
        self.check_range(&range)?;
        let mut pool = Pool::new(self.options.threads, self.options.memory_limit);
        let mut clips = VecDeque::new();
        for (stream, block) in self.touched_by(&range) {
            let pending = self.read_header(stream, &block)?;
            let cost = decode_cost(&pending);
            check_cost(cost, pool.memory_limit(), &pending)?;
            while !pool.is_empty() && !pool.has_room(cost, 0) {
                write_oldest(&mut pool, &mut clips, out)?;
            }
            let read = ReadBlock::read(&mut self.source, pending)?;
            pool.start(cost, || read.decode());
            clips.push_back(clip(&block, &range));
        }
        while !pool.is_empty() {
            write_oldest(&mut pool, &mut clips, out)?;
        }
        Ok(())
    }

    /// The blocks that `range` needs, each with the stream header if it is its stream's first.
    fn touched_by(&self, range: &Range<u64>) -> Vec<(Touched, BlockInfo)> {
        let touches =
            |b: &BlockInfo| b.raw_offset < range.end && b.raw_offset + b.raw_len > range.start;
        let mut touched = Vec::new();
        for stream in &self.streams {
            for (i, block) in stream.blocks.iter().enumerate().filter(|(_, b)| touches(b)) {
                touched.push((Touched { stream: stream.header(), first: i == 0 }, *block));
            }
        }
        touched
    }

    /// Goes to a block, reads its header and compares it with what the index said.
    fn read_header(&mut self, touched: Touched, block: &BlockInfo) -> Result<PendingBlock> {
        self.seek(block.file_offset)?;
        let (position, profile) = (block.file_offset, touched.stream.profile);
        let stream = touched.first.then_some(touched.stream);
        let header = BlockHeader::read_checked(&mut self.source, stream)?;
        let found = (header.raw_len, header.coded_len, header.model(profile));
        if found != (block.raw_len, block.coded_len, block.model) {
            return Err(corrupt(position, "the block's header does not match the index"));
        }
        Ok(PendingBlock { header, profile, position })
    }

    fn check_range(&self, range: &Range<u64>) -> Result<()> {
        let len = self.raw_len();
        if range.start <= range.end && range.end <= len {
            return Ok(());
        }
        let message = format!("range {}..{} of {len} bytes of content", range.start, range.end);
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

/// Where a block stands in its stream.
#[derive(Debug, Clone, Copy)]
struct Touched {
    stream: StreamHeader,
    first: bool,
}

/// The part of a block's content that `range` asks for.
fn clip(block: &BlockInfo, range: &Range<u64>) -> Range<usize> {
    let within = |offset: u64| (offset.max(block.raw_offset) - block.raw_offset).min(block.raw_len);
    within(range.start) as usize..within(range.end) as usize
}

fn write_oldest(
    pool: &mut Pool<Result<Vec<u8>>>,
    clips: &mut VecDeque<Range<usize>>,
    out: &mut impl Write,
) -> Result<()> {
    if let (Some(raw), Some(clip)) = (pool.take(), clips.pop_front()) {
        out.write_all(&raw??[clip])?;
    }
    Ok(())
}
