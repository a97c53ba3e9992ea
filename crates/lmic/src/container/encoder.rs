//! The writer: cuts input into blocks, codes them on worker threads, writes them in order.
//!
//! It never seeks and never needs the input's length: a full block is held back until either more
//! input or the end comes, so that the last block can say that it is the last.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::block::{CodedBlock, encode_cost};
use super::check::prefix;
use super::cut::Cutter;
use super::header::{FORMAT_VERSION, StreamHeader};
use super::options::EncodeOptions;
use super::pool::{Pool, Share};
use super::trailer::Index;
use crate::block::{Content, Finder, HEAD_LEN, Models, StreamModel};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::out_of_memory;
use crate::progress::Progress;

/// Compresses what is written to it into one stream. End with [`Encoder::finish`]: an encoder that is
/// dropped leaves a truncated archive.
///
/// ```
/// use std::io::Write;
/// let mut encoder = lmic::Encoder::new(Vec::new(), 1)?;
/// encoder.write_all(b"to be or not to be")?;
/// let archive = encoder.finish()?;
/// assert_eq!(lmic::decompress(&archive)?, b"to be or not to be");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encoder<W: Write> {
    out: W,
    options: EncodeOptions,
    model: StreamModel,
    models: Models,
    block_size: usize,
    /// `None` until enough input is there to recognise its content.
    cutter: Option<Cutter>,
    buffer: Vec<u8>,
    pool: Pool<CodedBlock>,
    hasher: blake3::Hasher,
    /// Finds what later blocks copy; `None` where blocks have no copies.
    finder: Option<Finder>,
    index: Index,
    written: u64,
    /// Set while output is incomplete because of an error: nothing sensible can follow it.
    failed: bool,
}

impl<W: Write> Encoder<W> {
    /// An encoder at `level` with default options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the level is not 1 to [`MAX_LEVEL`](crate::MAX_LEVEL).
    pub fn new(out: W, level: u8) -> Result<Self> {
        Self::with_options(out, EncodeOptions { level, ..EncodeOptions::default() })
    }

    /// An encoder with `options`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if an option is outside its documented range.
    pub fn with_options(out: W, options: EncodeOptions) -> Result<Self> {
        let (model, block_size) = options.validate()?;
        // Lines are bytes throughout, whatever they begin with.
        let content = options.content.or(options.records.then_some(Content::Bytes));
        let options = EncodeOptions { content, ..options };
        Ok(Self {
            out,
            model,
            models: options.models(),
            block_size,
            cutter: content.map(|_| Cutter::new(block_size, content, &[])),
            buffer: Vec::new(),
            pool: Pool::new(options.threads, options.memory_limit),
            hasher: blake3::Hasher::new(),
            finder: options.finder(block_size),
            index: Index::default(),
            written: 0,
            failed: false,
            options,
        })
    }

    /// Bytes of content coded so far, also while a call codes a long block: for progress bars.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.pool.progress().done()
    }

    /// Codes what is left, ends the stream, flushes and returns the writer.
    ///
    /// # Errors
    /// As writing: [`ErrorKind::Io`], [`ErrorKind::MemoryLimit`].
    pub fn finish(mut self) -> Result<W> {
        self.check_state()?;
        self.cut_full_blocks()?;
        self.start_block(true)?;
        while !self.pool.is_empty() {
            self.write_oldest()?;
        }
        if self.written > 1 {
            let trailer = self.index.into_trailer(prefix(&self.hasher.finalize()));
            self.out.write_all(&trailer)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn check_state(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(ErrorKind::Io, "the encoder failed before and cannot go on"));
        }
        Ok(())
    }

    fn push(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let room = self.room()?;
            let (now, later) = data.split_at(room.min(data.len()));
            self.grow(now.len())?;
            self.buffer.extend_from_slice(now);
            data = later;
        }
        Ok(())
    }

    /// Bytes that fit into the buffer; starts full blocks first. Only called when there is more input,
    /// so none of these is the last.
    fn room(&mut self) -> Result<usize> {
        if self.cutter.is_none() && self.buffer.len() < HEAD_LEN {
            return Ok(HEAD_LEN - self.buffer.len());
        }
        self.cut_full_blocks()?;
        let block_len = self.cutter().block_len();
        if self.buffer.len() == block_len {
            self.start_block(false)?;
        }
        Ok(self.cutter().block_len() - self.buffer.len())
    }

    /// Starts blocks until no more than one block is in the buffer.
    fn cut_full_blocks(&mut self) -> Result<()> {
        while self.buffer.len() > self.cutter().block_len() {
            self.start_block(false)?;
        }
        Ok(())
    }

    fn cutter(&mut self) -> &mut Cutter {
        self.cutter
            .get_or_insert_with(|| Cutter::new(self.block_size, self.options.content, &self.buffer))
    }

    /// Makes space for `more` bytes: doubling, but never beyond a block, and within the limit.
    fn grow(&mut self, more: usize) -> Result<()> {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            // What the block will need without its model, which is known when it is complete. (The
            // head may be longer than a block of the smallest sizes.)
            self.check_cost(2 * needed.min(self.block_size) as u64)?;
            let most = self.block_size.max(HEAD_LEN);
            let target = needed.max((2 * self.buffer.capacity()).min(most));
            let more = target - self.buffer.len();
            self.buffer.try_reserve_exact(more).map_err(|_| out_of_memory(more as u64))?;
        }
        Ok(())
    }

    /// Starts coding the next block of the buffer.
    fn start_block(&mut self, last: bool) -> Result<()> {
        let (mut block_len, content) = (self.cutter().block_len(), self.cutter().content());
        if self.options.records && !last {
            block_len = whole_lines(&self.buffer[..block_len]).unwrap_or(block_len);
        }
        let mut choice = self.options.choice(content, &self.model, &self.models)?;
        let raw = if block_len < self.buffer.len() {
            self.buffer.drain(..block_len).collect()
        } else {
            std::mem::take(&mut self.buffer)
        };
        self.cutter().advance();
        self.hasher.update(&raw);
        let found = match (&mut self.finder, content) {
            (None, _) => None,
            (Some(finder), Content::Bytes | Content::Binary) => finder.find(&raw, last),
            (Some(finder), Content::Samples(_)) => finder.pass(&raw, last),
        };
        let literals = found.as_ref().map_or(raw.len(), |found| found.literals.len());

        // If this is the last block, no later one needs the idle threads.
        let idle = if last { self.pool.idle_threads() } else { 1 };
        let threads = choice.take_threads(literals, self.pool.threads(), idle);
        let cost = encode_cost(&choice, raw.len(), literals);
        let share = Share { cost, threads };
        let kept = self.finder.as_ref().filter(|_| !last).map_or(0, Finder::most_memory);
        self.check_cost(cost.saturating_add(kept))?;
        // While workers run, the next block gathers in the buffer.
        let beside = if last { 0 } else { self.block_size.max(self.buffer.len()) as u64 };
        let beside = beside + self.finder.as_ref().map_or(0, Finder::memory);
        while !self.pool.is_empty() && !self.pool.has_room(share, beside) {
            self.write_oldest()?;
        }
        self.pool.check_available(cost - raw.len() as u64)?;
        let alone = self.pool.is_empty() && (last || !self.pool.has_room(share, beside));
        let work =
            move |progress: &Progress| CodedBlock::encode(&choice, raw, found, last, progress);
        if alone {
            self.pool.run_here(share, work);
            return self.write_oldest();
        }
        self.pool.start(share, work);
        Ok(())
    }

    fn check_cost(&self, cost: u64) -> Result<()> {
        let limit = self.pool.memory_limit();
        if cost <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::MemoryLimit,
            format!("coding a block needs {cost} bytes of memory, the limit is {limit}"),
        ))
    }

    /// Waits for the oldest block in flight and writes it.
    fn write_oldest(&mut self) -> Result<()> {
        let Some(block) = self.pool.take() else { return Ok(()) };
        let block = block?;
        let stream = StreamHeader { version: FORMAT_VERSION, model: self.model.clone() };
        let mut head = Vec::new();
        block.header.write_checked((self.written == 0).then_some(&stream), &mut head);
        self.out.write_all(&head)?;
        self.out.write_all(&block.payload)?;
        self.out.write_all(&block.check)?;
        self.index.push(&block.header);
        self.written += 1;
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check_state()?;
        self.failed = true;
        self.push(data)?;
        self.failed = false;
        Ok(data.len())
    }

    /// Flushes the writer beneath. Input that does not fill a block yet stays in the encoder.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes up to the end of the last line that ends in `data`.
fn whole_lines(data: &[u8]) -> Option<usize> {
    data.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
}
