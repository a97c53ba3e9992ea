//! Where the encoder cuts its input into blocks: at the borders of recognised segments, and inside a segment of samples
//! between two rows or frames, so that each block begins with a whole row or frame. Files inside of the input, as archives have
//! them, are recognised as well.

use crate::block::{Content, PIECE_HEAD, Segment, piece, segments};

/// A file inside of the input is looked for where an archiver may have put it: at multiples of this.
const ALIGNED: usize = 512; // tunable

/// Hands out the length and content of one block after the other.
#[derive(Debug)]
pub(super) struct Cutter {
    block_size: usize,
    segments: std::vec::IntoIter<Segment>,
    content: Content,
    /// Bytes left of the current segment; `None` if it goes on to the end of the input.
    left: Option<u64>,
    /// Whether segments are recognised.
    recognises: bool,
    /// In the next block, bytes in which no header begins.
    looked: usize,
}

impl Cutter {
    /// A cutter for input that starts with `head`; all of it is `content` if that is given.
    pub(super) fn new(block_size: usize, content: Option<Content>, head: &[u8]) -> Self {
        let recognises = content.is_none();
        let segments = match content {
            Some(content) => vec![Segment { len: None, content }],
            None => segments(head),
        };
        let segments = segments.into_iter();
        let mut cutter = Self {
            block_size,
            segments,
            content: Content::Bytes,
            left: Some(0),
            recognises,
            looked: 0,
        };
        cutter.skip_empty();
        cutter
    }

    fn skip_empty(&mut self) {
        while self.left == Some(0) {
            let rest = Segment { len: None, content: Content::Bytes };
            let next = self.segments.next().unwrap_or(rest);
            (self.content, self.left) = (next.content, next.len);
        }
    }

    /// Looks for a file inside of what nothing is known of; `buffer` is what is known of the next block and stands at `position` of
    /// the input. What is found depends on the input alone, and not on how much of it came at once.
    pub(super) fn look(&mut self, buffer: &[u8], position: u64) {
        if !self.recognises || self.left.is_some() {
            return;
        }
        let buffer = &buffer[..buffer.len().min(self.block_len())];
        let misaligned = (position + self.looked as u64) % ALIGNED as u64;
        let mut at = self.looked + (ALIGNED - misaligned as usize) % ALIGNED;
        while let Some(head) = buffer.get(at..at + PIECE_HEAD) {
            if let Some(mut found) = piece(head) {
                found[0].len = found[0].len.map(|len| len.saturating_add(at as u64));
                self.segments = found.into_iter();
                self.left = Some(0);
                self.skip_empty();
                return;
            }
            at += ALIGNED;
            self.looked = at;
        }
    }

    /// Content of the next block.
    pub(super) fn content(&self) -> Content {
        self.content
    }

    /// Length of the next block, unless the input ends before; at least 1.
    pub(super) fn block_len(&self) -> usize {
        let unit = self.content.unit().min(self.block_size);
        let full = self.block_size - self.block_size % unit;
        self.left.map_or(full, |left| left.min(full as u64) as usize)
    }

    /// Goes on after a block of [`Cutter::block_len`] bytes.
    pub(super) fn advance(&mut self) {
        let len = self.block_len() as u64;
        self.left = self.left.map(|left| left - len);
        self.looked = 0;
        self.skip_empty();
    }
}
