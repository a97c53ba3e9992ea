//! The literals of a stream's earlier blocks, for the copies of later ones.

use std::collections::VecDeque;

use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// The last literals of a stream that is decoded from its start, as far as copies reach or memory lasts.
///
/// They are one ring: in pieces, which the threads of many calls allocate, they took up to three times as much memory, because
/// allocators keep what each thread gave back.
#[derive(Debug, Default)]
pub(super) struct Past {
    literals: VecDeque<u8>,
    /// Where the first of them stands among all literals of the stream.
    start: u64,
}

impl Past {
    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        self.literals.capacity() as u64
    }

    /// Takes in a block's literals, and gives up what no later copy reaches, or for what the system has no memory.
    pub(super) fn push(&mut self, literals: &[u8]) {
        const REACH: usize = MAX_REACH as usize;
        let gone = (self.literals.len() + literals.len()).saturating_sub(REACH);
        self.give_up(gone.min(self.literals.len()));
        let kept = &literals[literals.len().saturating_sub(REACH)..];
        let (len, capacity) = (self.literals.len() + kept.len(), self.literals.capacity());
        if len > capacity {
            let wanted = len.max((2 * capacity).min(REACH));
            if self.literals.try_reserve_exact(wanted - self.literals.len()).is_err() {
                self.start += (self.literals.len() + literals.len()) as u64;
                self.literals = VecDeque::new();
                return;
            }
        }
        self.start += (literals.len() - kept.len()) as u64;
        self.literals.extend(kept);
    }

    /// Gives up the oldest literals until the others fit into `memory` bytes.
    pub(super) fn shrink(&mut self, memory: u64) {
        if self.memory() > memory {
            let memory = memory as usize; // less than what there is
            self.give_up(self.literals.len().saturating_sub(memory));
            self.literals.shrink_to(memory);
        }
    }

    /// Gives up the oldest `count` literals.
    fn give_up(&mut self, count: usize) {
        self.literals.drain(..count);
        self.start += count as u64;
    }

    /// Literals from `place` of the stream on, at least one.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] if they are not kept any more.
    pub(super) fn from(&self, place: u64) -> Result<&[u8]> {
        let (older, newer) = self.literals.as_slices();
        let at = place.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let kept = at.and_then(|at| match at.checked_sub(older.len()) {
            None => older.get(at..),
            Some(at) => newer.get(at..),
        });
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
        for len in [0, 1, 99, 65_436, 1, 65_536, 200_000, 5] {
            past.push(&(end..end + len).map(byte).collect::<Vec<_>>());
            end += len;
            check(&past, 0, end);
        }
        past.clear();
        assert_eq!((past.memory(), past.from(0).is_err()), (0, true));
    }

    #[test]
    fn the_oldest_are_given_up_and_known_to_be() {
        let mut past = Past::default();
        let (len, kept) = (300_000, 200_000);
        past.push(&(0..len).map(byte).collect::<Vec<_>>());
        past.shrink(kept);
        assert_eq!(past.memory(), kept);
        for place in [0, 1, len - kept - 1] {
            assert_eq!(past.from(place).unwrap_err().kind(), ErrorKind::MemoryLimit);
        }
        check(&past, len - kept, len);
        past.push(&(len..len + 100_000).map(byte).collect::<Vec<_>>());
        check(&past, len - kept, len + 100_000);
        // All of it: places of what follows still count from the start.
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
        assert_eq!(past.memory(), reach);
        assert!(past.from(end - reach - 1).is_err());
        // A block that is longer than that leaves its end.
        past.push(&vec![1; reach as usize + 7]);
        assert!(past.from(end + 6).is_err());
        assert_eq!(past.from(end + 7).unwrap()[0], 1);
        assert_eq!(past.memory(), reach);
    }
}
