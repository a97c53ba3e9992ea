//! Random access: what an archive holds and where (found by `scan`), and any range of its content.

mod literals;
mod records;

use std::collections::VecDeque;
use std::io::{BufReader, Read, Seek, Write};
use std::ops::Range;

use super::block::{Decoded, PendingBlock, ReadBlock, decode_cost};
use super::decoder::{check_cost, threads_of};
use super::header::BlockHeader;
use super::info::{BlockInfo, StreamInfo};
use super::options::DecodeOptions;
use super::pool::{Pool, Share};
use super::scan::Scan;
use super::source::{Source, corrupt};
use crate::error::{Error, ErrorKind, Result};
use literals::Known;

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
    records: records::RecordReader,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the indexes of all streams and checks them. No block is decoded. The archive begins where `reader` stands:
    /// places in it count from there.
    ///
    /// # Errors
    /// As decoding: the archive may be corrupt, truncated, of a newer version or with an unknown model,
    /// and its index may need more than the memory limit.
    pub fn open(reader: R, options: DecodeOptions) -> Result<Self> {
        let (mut source, file_len) = Source::seekable(reader)?;
        let streams = Scan::new(&mut source, file_len, options.memory_limit).streams()?;
        let records = records::RecordReader::default();
        Ok(Self { source, file_len, streams, options, records })
    }

    /// Bytes of content.
    pub fn raw_len(&self) -> u64 {
        self.streams.iter().map(|s| s.raw_len).sum()
    }

    /// Bytes of the whole archive, including zeros between streams and behind the last one.
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
        let mut known = Known::default();
        let touched = self.touched_by(&range);
        let alone = touched.len() == 1;
        for place in touched {
            let block = self.streams[place.stream].blocks[place.block];
            let pending = self.read_header(place)?;
            let mut way = pending.way(&self.options.models)?;
            if let Some(way) = way.as_mut().filter(|_| alone) {
                way.set_threads(pool.idle_threads());
            }
            let threads = threads_of(&pending.header, way.as_ref(), &pool);
            let cost = decode_cost(&pending.header, way.as_ref());
            let share = Share { cost, threads };
            check_cost(cost, pool.memory_limit(), pending.position)?;
            while !pool.is_empty() && !pool.has_room(share, 0) {
                self.write_oldest(&mut pool, &mut clips, &mut known, out)?;
            }
            pool.check_available(cost)?;
            let read = ReadBlock::read(&mut self.source, pending)?;
            pool.start(share, move |progress| read.decode(way.as_ref(), threads, progress));
            clips.push_back((place, clip(&block, &range)));
        }
        while !pool.is_empty() {
            self.write_oldest(&mut pool, &mut clips, &mut known, out)?;
        }
        Ok(())
    }

    fn write_oldest(
        &mut self,
        pool: &mut Pool<Result<Decoded>>,
        clips: &mut VecDeque<(Place, Range<usize>)>,
        known: &mut Known,
        out: &mut impl Write,
    ) -> Result<()> {
        if let (Some(block), Some((place, clip))) = (pool.take(), clips.pop_front()) {
            let content = self.content(place, block??, known)?;
            out.write_all(&content[clip])?;
        }
        Ok(())
    }

    /// The blocks that `range` asks for.
    fn touched_by(&self, range: &Range<u64>) -> Vec<Place> {
        let touches =
            |b: &BlockInfo| b.raw_offset < range.end && b.raw_offset + b.raw_len > range.start;
        let mut touched = Vec::new();
        for (stream, info) in self.streams.iter().enumerate() {
            let blocks = info.blocks.iter().enumerate().filter(|(_, b)| touches(b));
            touched.extend(blocks.map(|(block, _)| Place { stream, block }));
        }
        touched
    }

    /// Goes to a block, reads its header and compares it with what the index said.
    fn read_header(&mut self, place: Place) -> Result<PendingBlock> {
        let stream = self.streams[place.stream].header();
        let block = self.streams[place.stream].blocks[place.block];
        self.source.seek(block.file_offset)?;
        let position = block.file_offset;
        let first = (place.block == 0).then_some(&stream);
        let header = BlockHeader::read_checked(&mut self.source, first)?;
        let found = (header.raw_len, header.literal_len(), header.coded_len, header.kind);
        if found != (block.raw_len, block.literals, block.coded_len, block.kind) {
            return Err(corrupt(position, "the block's header does not match the index"));
        }
        Ok(PendingBlock { header, model: stream.model, position, before: block.literal_offset })
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

/// A block, by the number of its stream and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    stream: usize,
    block: usize,
}

/// The part of a block's content that `range` asks for.
fn clip(block: &BlockInfo, range: &Range<u64>) -> Range<usize> {
    let within = |offset: u64| (offset.max(block.raw_offset) - block.raw_offset).min(block.raw_len);
    within(range.start) as usize..within(range.end) as usize
}
