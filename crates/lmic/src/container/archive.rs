//! Random access: what an archive holds and where (found by `scan`), and any range of its content.

mod records;

use std::collections::VecDeque;
use std::io::{BufReader, Read, Seek, Write};
use std::ops::Range;

use super::block::{ReadBlock, decode_cost};
use super::decoder::check_cost;
use super::header::{BlockHeader, StreamHeader};
use super::options::DecodeOptions;
use super::pool::Pool;
use super::reader::PendingBlock;
use super::scan::Scan;
use super::source::{Source, corrupt};
use crate::codec::{Content, StreamModel};
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
    /// What it holds, coded by the stream's model; `None` if stored as it is.
    pub content: Option<Content>,
}

/// One stream of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Format version.
    pub version: u8,
    /// The model that coded its blocks.
    pub model: StreamModel,
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
    pub(super) fn new(header: StreamHeader, file_offset: u64) -> Self {
        let file_len = header.bytes().len() as u64;
        Self {
            version: header.version,
            model: header.model,
            file_offset,
            file_len,
            raw_len: 0,
            blocks: Vec::new(),
            content_hash: None,
        }
    }

    fn header(&self) -> StreamHeader {
        StreamHeader { version: self.version, model: self.model.clone() }
    }

    /// Appends the block that comes next, as its header says; its `raw_offset` counts from the stream's
    /// start. `None` if lengths pass 2^64.
    pub(super) fn push(&mut self, header: &BlockHeader) -> Option<()> {
        self.blocks.push(BlockInfo {
            raw_offset: self.raw_len,
            raw_len: header.raw_len,
            file_offset: self.file_offset.checked_add(self.file_len)?,
            coded_len: header.coded_len,
            content: header.content,
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
    records: records::Records,
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
        let records = records::Records::default();
        Ok(Self { source, file_len, streams, options, records })
    }

    /// Bytes of content.
    pub fn raw_len(&self) -> u64 {
        self.streams.iter().map(|s| s.raw_len).sum()
    }

    /// Bytes of the whole archive, with zeros between and behind streams.
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
        let touched = self.touched_by(&range);
        let alone = touched.len() == 1;
        for (stream, block) in touched {
            let pending = self.read_header(stream, &block)?;
            let mut coder = pending.coder(&self.options.models)?;
            if let Some(coder) = coder.as_mut().filter(|_| alone) {
                coder.set_threads(pool.idle_threads());
            }
            let cost = decode_cost(&pending.header, coder.as_ref());
            check_cost(cost, pool.memory_limit(), pending.position)?;
            while !pool.is_empty() && !pool.has_room(cost, 0) {
                write_oldest(&mut pool, &mut clips, out)?;
            }
            pool.check_available(cost)?;
            let read = ReadBlock::read(&mut self.source, pending)?;
            pool.start(cost, move |progress| read.decode(coder.as_ref(), progress));
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
        self.source.seek(block.file_offset)?;
        let position = block.file_offset;
        let stream = touched.first.then_some(&touched.stream);
        let header = BlockHeader::read_checked(&mut self.source, stream)?;
        let found = (header.raw_len, header.coded_len, header.content);
        if found != (block.raw_len, block.coded_len, block.content) {
            return Err(corrupt(position, "the block's header does not match the index"));
        }
        Ok(PendingBlock { header, model: touched.stream.model, position })
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
#[derive(Debug, Clone)]
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
