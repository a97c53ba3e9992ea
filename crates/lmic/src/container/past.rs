//! The literals of a stream's earlier blocks, for the copies of later ones.

use std::collections::VecDeque;

use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// The last literals of a stream that is decoded from its start, as far as copies reach or memory lasts.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// All are full but the last, so that a place is found by division, and what is gone is never moved.
    chunks: VecDeque<Vec<u8>>,
    /// Where the first of them stands among all literals of the stream.
    start: u64,
    len: u64,
}

/// Bytes that are kept and given up together.
const CHUNK: usize = 1 << 16; // tunable

impl Past {
    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        (self.chunks.len() * CHUNK) as u64
    }

    /// Takes in a block's literals, and gives up what no later copy reaches.
    pub(super) fn push(&mut self, mut literals: &[u8]) {
        while !literals.is_empty() {
            let room = match self.chunks.back() {
                Some(last) if last.len() < CHUNK => CHUNK - last.len(),
                _ => {
                    self.keep(MAX_REACH);
                    self.chunks.push_back(Vec::with_capacity(CHUNK));
                    CHUNK
                }
            };
            let (now, later) = literals.split_at(room.min(literals.len()));
            self.chunks.back_mut().expect("pushed above").extend_from_slice(now);
            self.len += now.len() as u64;
            literals = later;
        }
    }

    /// Gives up the oldest literals until only `most` bytes and a part of a chunk are left.
    fn keep(&mut self, most: u64) {
        while let Some(first) = self.chunks.front()
            && self.len - first.len() as u64 >= most
        {
            self.give_up();
        }
    }

    /// Gives up the oldest literals until the others fit into `memory` bytes.
    pub(super) fn shrink(&mut self, memory: u64) {
        while self.memory() > memory {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        if let Some(gone) = self.chunks.pop_front() {
            self.len -= gone.len() as u64;
            self.start += gone.len() as u64;
        }
    }

    /// Literals from `place` of the stream on, at least one.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] if they are not kept any more.
    pub(super) fn from(&self, place: u64) -> Result<&[u8]> {
        let at = place.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let kept = at.and_then(|at| self.chunks.get(at / CHUNK)?.get(at % CHUNK..));
        kept.filter(|kept| !kept.is_empty()).ok_or_else(|| {
            let message = "a block copies from further back than the memory limit lets it keep";
            Error::new(ErrorKind::MemoryLimit, message)
        })
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(place: u64) -> u8 {
        (place % 251) as u8
    }

    fn check(past: &Past, from: u64, to: u64) {
        let mut place = from;
        while place < to {
            let bytes = past.from(place).unwrap();
            assert!(bytes.iter().zip(place..).all(|(&b, at)| b == byte(at)), "from {place}");
            place += bytes.len() as u64;
        }
        assert_eq!(place, to);
        assert_eq!(past.from(to).unwrap_err().kind(), ErrorKind::MemoryLimit);
    }

    #[test]
    fn what_was_pushed_is_found_at_its_place() {
        let mut past = Past::default();
        let mut end = 0;
        for len in [0, 1, 99, CHUNK - 100, 1, CHUNK, 3 * CHUNK + 7, 5] {
            past.push(&(end..end + len as u64).map(byte).collect::<Vec<_>>());
            end += len as u64;
            check(&past, 0, end);
        }
        past.clear();
        assert_eq!((past.memory(), past.from(0).is_err()), (0, true));
    }

    #[test]
    fn the_oldest_are_given_up_and_known_to_be() {
        let mut past = Past::default();
        let len = 5 * CHUNK as u64 + 10;
        past.push(&(0..len).map(byte).collect::<Vec<_>>());
        past.shrink(3 * CHUNK as u64 + 1);
        assert_eq!(past.memory(), 3 * CHUNK as u64);
        let kept = 3 * CHUNK as u64;
        for place in [0, 1, kept - 1] {
            assert_eq!(past.from(place).unwrap_err().kind(), ErrorKind::MemoryLimit);
        }
        check(&past, kept, len);
        past.push(&(len..len + 100_000).map(byte).collect::<Vec<_>>());
        check(&past, kept, len + 100_000);
        // All of it, with a last chunk that is not full: places of what follows still count from the start.
        past.shrink(0);
        past.push(&(len + 100_000..len + 300_000).map(byte).collect::<Vec<_>>());
        check(&past, len + 100_000, len + 300_000);
    }

    #[test]
    fn as_much_is_kept_as_copies_reach() {
        let mut past = Past::default();
        let piece = vec![0; 10 << 20];
        (0..30).for_each(|_| past.push(&piece));
        let (end, reach) = (30 * (10 << 20), MAX_REACH);
        assert!(past.from(end - reach).is_ok());
        assert!(past.memory() <= reach + 2 * CHUNK as u64);
        assert!(past.from(end - reach - 2 * CHUNK as u64).is_err());
    }
}
