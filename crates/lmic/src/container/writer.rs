//! A stream from its coded blocks: header, blocks in order, and what stands behind several of them.

use std::io::Write;

use super::block::CodedBlock;
use super::header::{FORMAT_VERSION, StreamHeader};
use super::trailer::{ContentHash, Index};
use crate::block::StreamModel;
use crate::error::{Error, ErrorKind, Result};

/// Writes the coded blocks of one stream.
#[derive(Debug)]
pub struct StreamWriter<W: Write> {
    out: W,
    header: StreamHeader,
    index: Index,
    written: u64,
    ended: bool,
}

impl<W: Write> StreamWriter<W> {
    /// A stream of blocks that `model` codes: [`Planner::model`](super::Planner::model).
    pub fn new(out: W, model: StreamModel) -> Self {
        let header = StreamHeader { version: FORMAT_VERSION, model };
        Self { out, header, index: Index::default(), written: 0, ended: false }
    }

    /// The writer beneath.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes the block that comes next.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if another one comes next, or none; [`ErrorKind::Io`].
    pub fn write(&mut self, block: &CodedBlock) -> Result<()> {
        if self.ended || block.number != self.written {
            let (found, next) = (block.number, self.written);
            let next = if self.ended { "the end".into() } else { format!("block {next}") };
            let message = format!("block {found} where {next} comes next");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let mut head = Vec::new();
        let stream = (self.written == 0).then_some(&self.header);
        block.header.write_checked(stream, &mut head);
        self.out.write_all(&head)?;
        self.out.write_all(&block.payload)?;
        self.out.write_all(&block.check)?;
        self.index.push(&block.header);
        self.written += 1;
        self.ended = block.header.last;
        Ok(())
    }

    /// Ends the stream, flushes and returns the writer. `content_hash` is of all content:
    /// [`Planner::content_hash`](super::Planner::content_hash).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the last block was not written; [`ErrorKind::Io`].
    pub fn finish(mut self, content_hash: ContentHash) -> Result<W> {
        if !self.ended {
            let message = format!("a stream without its last block, after {}", self.written);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if self.written > 1 {
            self.out.write_all(&self.index.into_trailer(content_hash))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
