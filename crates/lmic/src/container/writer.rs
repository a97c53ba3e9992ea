//! A stream from its coded blocks: header, blocks in order, and what stands behind several of them.

use std::io::Write;

use super::block::CodedBlock;
use super::header::{FORMAT_VERSION, StreamHeader};
use super::message::Place;
use super::planner::Planner;
use super::trailer::{ContentHash, Index};
use crate::error::{Error, ErrorKind, Result};

/// Writes the coded blocks of one stream.
#[derive(Debug)]
pub struct StreamWriter<W: Write> {
    out: W,
    header: StreamHeader,
    index: Index,
    next: Place,
    ended: bool,
}

impl<W: Write> StreamWriter<W> {
    /// A stream of the blocks of `planner`.
    pub fn new(out: W, planner: &Planner) -> Self {
        let next = Place { number: 0, ..planner.place() };
        let header = StreamHeader { version: FORMAT_VERSION, model: planner.model().clone() };
        Self { out, header, index: Index::default(), next, ended: false }
    }

    /// Whether the last block was written.
    pub fn has_ended(&self) -> bool {
        self.ended
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
        if block.place.stream != self.next.stream {
            let message = "a block of another stream";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if self.ended || block.place != self.next {
            let (found, next) = (block.place.number, self.next.number);
            let next = if self.ended { "the end".into() } else { format!("block {next}") };
            let message = format!("block {found} where {next} comes next");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let mut head = Vec::new();
        let stream = (self.next.number == 0).then_some(&self.header);
        block.header.write_checked(stream, &mut head);
        self.out.write_all(&head)?;
        self.out.write_all(&block.payload)?;
        self.out.write_all(&block.check)?;
        self.index.push(&block.header);
        self.next = self.next.next();
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
            let message = format!("a stream without its last block, after {}", self.next.number);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if self.next.number > 1 {
            self.out.write_all(&self.index.into_trailer(content_hash))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
