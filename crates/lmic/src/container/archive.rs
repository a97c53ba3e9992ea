//! Random access: what an archive holds and where (found by `scan`), and any range of its content.

mod literals;
mod reader;
mod records;

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
use crate::progress::Progress;
use literals::Known;

pub use reader::ArchiveReader;

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
    progress: Progress,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the indexes of all streams and checks them. No block is decoded. The archive begins where `reader` stands:
    /// places in it count from there.
    ///
    /// # Errors
    /// As decoding: the archive may be corrupt, truncated, of a newer version or with an unknown model,
    /// and its index may need more than the memory limit.
    pub fn open(reader: R, options: DecodeOptions) -> Result<Self> {
        Self::open_watched(reader, options, Progress::default())
    }

    /// As [`Archive::open`], which `progress` stops. It becomes the [progress](Archive::progress) of the archive.
    ///
    /// # Errors
    /// As [`Archive::open`], or [`ErrorKind::Stopped`].
    pub fn open_watched(reader: R, options: DecodeOptions, progress: Progress) -> Result<Self> {
        let (mut source, file_len) = Source::seekable(reader)?;
        let scan = Scan::new(&mut source, file_len, options.memory_limit, &progress);
        let streams = scan.streams()?;
        let records = records::RecordReader::default();
        Ok(Self { source, file_len, streams, options, records, progress })
    }

    /// Bytes of content decoded so far, also while a call decodes a long block, for progress bars; and how to stop that call
    /// from another thread. (Before the next call it is to be [resumed](Progress::resume).)
    pub fn progress(&self) -> Progress {
        self.progress.clone()
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
    /// Writes the content of `range` to `out`, decoding only the blocks that it touches, and of others
    /// the literals that these copy. Each block's check is compared; the hash of the whole stream is
    /// not, as that needs all of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the range is reversed or passes the end of the content;
    /// otherwise as decoding, and [`ErrorKind::Io`] from `out`.
    pub fn read_range(&mut self, range: Range<u64>, out: &mut impl Write) -> Result<()> {
        self.check_range(&range)?;
        let mut reading = self.reading(&range);
        while let Some((block, content)) = self.next_block(&mut reading)? {
            out.write_all(&content[clip(&block, &range)])?;
        }
        Ok(())
    }

    /// Begins to read `range`.
    fn reading(&self, range: &Range<u64>) -> Reading {
        let touched = self.touched_by(range);
        let has_copies = |&place: &Place| {
            let block = self.block(place);
            block.literals < block.raw_len
        };
        let known = Known::new(touched.iter().copied().filter(has_copies));
        Reading { touched, known, pool: self.pool(), one_by_one: false, oldest: 0, next: 0 }
    }

    fn pool<T: Send + 'static>(&self) -> Pool<T> {
        Pool::new(self.options.threads, self.options.memory_limit, self.progress.part())
    }

    /// The next block of a range, and its content; `None` behind the last. After an error, it cannot go on.
    fn next_block(&mut self, reading: &mut Reading) -> Result<Option<(BlockInfo, Vec<u8>)>> {
        let Reading { touched, known, pool, one_by_one, oldest, next } = reading;
        while *oldest < touched.len() {
            if *next < touched.len() && (pool.is_empty() || !*one_by_one) {
                let alone = touched.len() == 1;
                if self.start(touched[*next], alone, pool, known)? {
                    *next += 1;
                    continue;
                }
            }
            let (place, block) = (touched[*oldest], self.block(touched[*oldest]));
            let Some(decoded) = pool.take() else { break };
            let room = pool.memory_left(block.raw_len + block.literals + block.coded_len);
            match self.content(place, decoded??, known, room) {
                // What others in flight take may be what was missing.
                Err(error) if error.kind() == ErrorKind::MemoryLimit && !pool.is_empty() => {
                    *pool = self.pool();
                    (*next, *one_by_one) = (*oldest, true);
                }
                content => {
                    *oldest += 1;
                    return Ok(Some((block, content?)));
                }
            }
        }
        Ok(None)
    }

    /// Starts to decode a block; false if there is no room for it beside those in flight.
    fn start(
        &mut self,
        place: Place,
        alone: bool,
        pool: &mut Pool<Result<Decoded>>,
        known: &mut Known,
    ) -> Result<bool> {
        let pending = self.read_header(place)?;
        let mut way = pending.way(&self.options.models)?;
        if let Some(way) = way.as_mut().filter(|_| alone) {
            way.set_threads(pool.idle_threads());
        }
        let (threads, busy) = threads_of(&pending.header, way.as_ref(), pool);
        let cost = decode_cost(&pending.header, way.as_ref());
        let share = Share { cost, threads: busy };
        check_cost(cost, pool.memory_limit(), pending.position)?;
        if pool.is_empty() {
            known.shrink(pool.memory_limit() - cost);
        } else if !pool.has_room(share, known.memory()) {
            return Ok(false);
        }
        pool.check_available(cost)?;
        let read = ReadBlock::read(&mut self.source, pending)?;
        pool.start(share, move |progress| read.decode(way.as_ref(), threads, progress));
        Ok(true)
    }

    fn block(&self, place: Place) -> BlockInfo {
        self.streams[place.stream].blocks[place.block]
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
        let block = self.block(place);
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

/// Blocks that are being read in order. Those from `oldest` to `next` are in flight.
#[derive(Debug)]
struct Reading {
    touched: Vec<Place>,
    known: Known,
    pool: Pool<Result<Decoded>>,
    one_by_one: bool,
    oldest: usize,
    next: usize,
}

/// A block, by the number of its stream and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stream: usize,
    block: usize,
}

/// The part of a block's content that `range` asks for.
fn clip(block: &BlockInfo, range: &Range<u64>) -> Range<usize> {
    let within = |offset: u64| (offset.max(block.raw_offset) - block.raw_offset).min(block.raw_len);
    within(range.start) as usize..within(range.end) as usize
}
