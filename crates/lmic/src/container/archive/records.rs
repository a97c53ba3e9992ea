//! Random access to records: finds the blocks that hold them, and decodes these records only.
//!
//! Block headers, and so the index, say how many records a block holds. Blocks that are stored, because coding would not have
//! made them shorter, do not say it: these must be read to count their records.

use std::io::{Read, Seek, Write};
use std::ops::Range;

use super::super::block::{Decoded, ReadBlock, decode_cost};
use super::super::decoder::check_cost;
use super::super::source::corrupt;
use super::{Archive, BlockInfo, Place};
use crate::block::{Codes, Kind, Lines, Way, kind_of, line};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::primed::Scratch;
use crate::progress::Progress;

/// The records of one block.
#[derive(Debug, Clone, Copy)]
struct Part {
    stream: usize,
    block: usize,
    /// The number of its first record in the archive. This record may have begun in the block before.
    first: u64,
    count: u64,
    /// Whether the last record goes on in the next block.
    open: bool,
}

impl Part {
    fn end(&self) -> u64 {
        self.first + self.count
    }
}

/// Reads records, and keeps from one access to the next what took time to find.
#[derive(Debug, Default)]
pub(super) struct RecordReader {
    /// The records of all blocks but the empty ones, in order; `None` until somebody asks.
    parts: Option<Vec<Part>>,
    /// The block read last: where it stands in the file, and its payload.
    payload: Option<(u64, Vec<u8>)>,
    /// What decodes records, and the identity of the primed state that it is for.
    scratch: Option<([u8; 32], Scratch)>,
}

impl<R: Read + Seek> Archive<R> {
    /// Number of records of an archive of [`EncodeOptions::records`](crate::EncodeOptions::records): lines, and at the end
    /// maybe one without line feed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if blocks are coded in another way; as decoding if stored blocks, which have
    /// to be looked at, are damaged.
    pub fn records(&mut self) -> Result<u64> {
        Ok(self.parts()?.last().map_or(0, Part::end))
    }

    /// Record `number`, counted from 0, without its line feed. Only that record is decoded; of the rest of its block, the payload
    /// is read and checked.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is none of that number; otherwise as [`Archive::records`] and decoding.
    pub fn record(&mut self, number: u64) -> Result<Vec<u8>> {
        let end = number.saturating_add(1);
        // A record that goes through many blocks may be longer than memory.
        let most: u64 = self.parts_of(&(number..end))?.iter().map(|p| self.info(p).raw_len).sum();
        if self.options.memory_limit.is_some_and(|limit| most > limit) {
            let message = format!("record {number} may have {most} bytes, above the memory limit");
            return Err(Error::new(ErrorKind::MemoryLimit, message));
        }
        let mut record = Vec::new();
        self.read_records(number..end, &mut record)?;
        if record.last() == Some(&b'\n') {
            record.pop();
        }
        Ok(record)
    }

    /// Writes records, counted from 0, to `out` as they stand in the content: with their line feeds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the range is reversed or passes the last record; otherwise as
    /// [`Archive::records`] and decoding, and [`ErrorKind::Io`] from `out`.
    pub fn read_records(&mut self, range: Range<u64>, out: &mut impl Write) -> Result<()> {
        // Blocks of which all records are wanted and that follow each other are decoded together, on several threads.
        let mut whole: Option<Range<u64>> = None;
        for part in self.parts_of(&range)? {
            let info = self.info(&part);
            if range.start <= part.first && part.end() <= range.end {
                let start = whole.map_or(info.raw_offset, |before| before.start);
                whole = Some(start..info.raw_offset + info.raw_len);
                continue;
            }
            if let Some(bytes) = whole.take() {
                self.read_range(bytes, out)?;
            }
            self.read_part(&part, &range, out)?;
        }
        whole.map_or(Ok(()), |bytes| self.read_range(bytes, out))
    }

    /// The parts that records of `range` are in.
    fn parts_of(&mut self, range: &Range<u64>) -> Result<Vec<Part>> {
        let count = self.records()?;
        if range.start > range.end || range.end > count {
            let message = format!("records {}..{} of {count}", range.start, range.end);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let parts = self.parts()?;
        let from = parts.partition_point(|part| part.end() <= range.start);
        let to = parts.partition_point(|part| part.first < range.end);
        Ok(parts.get(from..to).unwrap_or_default().to_vec())
    }

    fn info(&self, part: &Part) -> BlockInfo {
        self.block(Place { stream: part.stream, block: part.block })
    }

    fn parts(&mut self) -> Result<&[Part]> {
        if self.records.parts.is_none() {
            self.records.parts = Some(self.find_parts()?);
        }
        Ok(self.records.parts.as_deref().unwrap_or_default())
    }

    fn find_parts(&mut self) -> Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        for stream in 0..self.streams.len() {
            for block in 0..self.streams[stream].blocks.len() {
                let first = parts.last().map_or(0, |part| part.end() - u64::from(part.open));
                let mut part = Part { stream, block, first, count: 0, open: false };
                let kind = match self.info(&part) {
                    BlockInfo { raw_len: 0, .. } => continue,
                    BlockInfo { raw_len, literals, .. } if literals < raw_len => Kind::Bytes,
                    // What only a newer lmic decodes cannot be loaded: that is the error.
                    BlockInfo { kind: Kind::Stored | Kind::Unknown { .. }, .. } => {
                        self.load(&part)?;
                        self.records.payload.as_ref().map_or(Kind::Stored, |(_, raw)| kind_of(raw))
                    }
                    BlockInfo { kind, .. } => kind,
                };
                let Kind::Records { count, open } = kind else {
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        "the archive was not written in records",
                    ));
                };
                (part.count, part.open) = (count.into(), open);
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// Makes sure that the payload of a block is at hand, and for coded records a scratch. A stored block is compared with
    /// its check.
    fn load(&mut self, part: &Part) -> Result<()> {
        let info = self.info(part);
        if self.records.payload.as_ref().is_some_and(|(at, _)| *at == info.file_offset) {
            return Ok(());
        }
        let pending = self.read_header(Place { stream: part.stream, block: part.block })?;
        let way = pending.way(&self.options.models)?;
        let cost = decode_cost(&pending.header, way.as_ref());
        check_cost(cost, self.options.memory_limit.unwrap_or(u64::MAX), pending.position)?;
        let read = ReadBlock::read(&mut self.source, pending)?;
        let payload = match way {
            None => match read.decode(None, 1, &Progress::default())? {
                Decoded::Content(content) => content,
                Decoded::Literals(_) => unreachable!("an archive of records has no copies"),
            },
            Some(_) => read.payload(),
        };
        if let Some(Way::Lines(Lines { primed, .. })) = way
            && self.records.scratch.as_ref().is_none_or(|(of, _)| *of != primed.identity())
        {
            self.records.scratch = Some((primed.identity(), Scratch::new(primed)));
        }
        self.records.payload = Some((info.file_offset, payload));
        Ok(())
    }

    /// Writes those records of a block that are in `range`.
    fn read_part(&mut self, part: &Part, range: &Range<u64>, out: &mut impl Write) -> Result<()> {
        self.load(part)?;
        let info = self.info(part);
        let wrong = |error: Error| corrupt(info.file_offset, error);
        let RecordReader { payload: Some((_, payload)), scratch, .. } = &mut self.records else {
            unreachable!("loaded above");
        };
        let wanted = |number: u64| range.contains(&(part.first + number));
        let Kind::Records { count, open } = info.kind else {
            let lines = payload.split_inclusive(|&byte| byte == b'\n').zip(0..);
            for (line, _) in lines.filter(|&(_, number)| wanted(number)) {
                out.write_all(line)?;
            }
            return Ok(());
        };
        let (_, scratch) = scratch.as_mut().expect("loaded above");
        let mut codes = Codes::open(payload, count).map_err(wrong)?;
        for number in 0..u64::from(count) {
            if part.first + number >= range.end {
                break;
            }
            let Some(code) = codes.next_code().map_err(wrong)? else { break };
            if wanted(number) {
                let open = open && number + 1 == u64::from(count);
                let most = info.raw_len as usize;
                let line = line(scratch, code, open, most, &self.progress);
                out.write_all(&line.map_err(wrong)?)?;
            }
        }
        Ok(())
    }
}
