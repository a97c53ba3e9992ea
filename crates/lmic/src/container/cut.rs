//! Where the encoder cuts its input into blocks: at the borders of recognised segments, and inside a segment of samples
//! between two rows or frames, so that each block begins with a whole row or frame.

use crate::block::{Content, Segment, segments};

/// Hands out the length and content of one block after the other.
#[derive(Debug)]
pub(super) struct Cutter {
    block_size: usize,
    segments: std::vec::IntoIter<Segment>,
    content: Content,
    /// Bytes left of the current segment; `None` if it goes on to the end of the input.
    left: Option<u64>,
}

impl Cutter {
    /// A cutter for input that starts with `head`; all of it is `content` if that is given.
    pub(super) fn new(block_size: usize, content: Option<Content>, head: &[u8]) -> Self {
        let segments = match content {
            Some(content) => vec![Segment { len: None, content }],
            None => segments(head),
        };
        let segments = segments.into_iter();
        let mut cutter = Self { block_size, segments, content: Content::Bytes, left: Some(0) };
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
        self.skip_empty();
    }
}
