//! The encoder of one machine: blocks of a planner, coded on worker threads, written in order.

use std::io::{self, Write};

use super::block::{CodedBlock, check_cost};
use super::options::EncodeOptions;
use super::planner::Planner;
use super::pool::Pool;
use super::task::Task;
use super::writer::StreamWriter;
use crate::block::Models;
use crate::error::{Error, ErrorKind, Result};
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
    planner: Planner,
    models: Models,
    pool: Pool<CodedBlock>,
    writer: StreamWriter<W>,
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
        let models = options.models();
        let pool = Pool::new(options.threads, options.memory_limit, Progress::default());
        let planner = Planner::new(options)?;
        let writer = StreamWriter::new(out, &planner);
        Ok(Self { planner, models, pool, writer, failed: false })
    }

    /// Bytes of content coded so far, also while a call codes a long block, for progress bars; and how to stop that call from
    /// another thread.
    pub fn progress(&self) -> Progress {
        self.pool.progress().clone()
    }

    /// What it writes to: of a `Vec`, what was written so far can be taken out.
    pub fn get_mut(&mut self) -> &mut W {
        self.writer.get_mut()
    }

    /// Codes what is left, ends the stream, flushes and returns the writer.
    ///
    /// # Errors
    /// As writing: [`ErrorKind::Io`], [`ErrorKind::MemoryLimit`].
    pub fn finish(mut self) -> Result<W> {
        self.check_state()?;
        for task in self.planner.finish()? {
            self.start(task)?;
        }
        while !self.pool.is_empty() {
            self.write_oldest()?;
        }
        self.writer.finish(self.planner.content_hash())
    }

    fn check_state(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(ErrorKind::Io, "the encoder failed before and cannot go on"));
        }
        Ok(())
    }

    fn push(&mut self, mut data: &[u8]) -> Result<()> {
        while let Some(task) = self.planner.take(&mut data)? {
            self.start(task)?;
        }
        Ok(())
    }

    /// Starts coding a block.
    fn start(&mut self, mut task: Task) -> Result<()> {
        let last = task.is_last();
        let mut choice = task.choice(&self.models)?;
        // If this is the last block, no later one needs the idle threads.
        let idle = if last { self.pool.idle_threads() } else { 1 };
        let kept = self.planner.most_kept();
        let left = self.pool.memory_limit().saturating_sub(kept);
        let share = task.fitted(&mut choice, self.pool.threads(), idle, left);
        let most = share.cost.saturating_add(kept);
        check_cost(most, self.pool.memory_limit())?;
        // While workers run, the next block gathers in the planner.
        let beside = self.planner.memory();
        while !self.pool.is_empty() && !self.pool.has_room(share, beside) {
            self.write_oldest()?;
        }
        self.pool.check_available(share.cost - task.raw_len() as u64)?;
        let alone = self.pool.is_empty() && (last || !self.pool.has_room(share, beside));
        let work = move |progress: &Progress| CodedBlock::encode(task, &choice, progress);
        if alone {
            self.pool.run_here(share, work);
            return self.write_oldest();
        }
        self.pool.start(share, work);
        Ok(())
    }

    /// Waits for the oldest block in flight and writes it.
    fn write_oldest(&mut self) -> Result<()> {
        self.pool.take().map_or(Ok(()), |block| self.writer.write(&block?))
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
        self.writer.get_mut().flush()
    }
}
