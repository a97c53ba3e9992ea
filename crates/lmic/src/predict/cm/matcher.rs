//! The match model: the longest earlier occurrence of what was just seen predicts the next byte.
//!
//! A hash of the last bytes finds a candidate, which is then followed byte by byte. After a miss the same
//! occurrence is followed on (logs and records differ in a few bytes and go on alike), but what it
//! says is trusted by its own record of misses.

use super::counter::Adaptive;
use super::logistic::stretch;
use crate::simd;

/// Lengths are counted up to here.
const MAX_LEN: usize = 65535;
/// Longest suffix that is verified when a candidate is found.
const MAX_VERIFY: usize = 32;
/// Adaptive probabilities of a match settle at about 1/256 a step.
const LIMIT: u32 = 250;

const BY_LENGTH: usize = Matcher::BUCKETS * 16 * 2;
const BY_BYTE: usize = 2 * 256 * 8;

/// Follows one earlier occurrence.
#[derive(Debug)]
pub struct Matcher {
    min_len: usize,
    heads: Box<[u32]>, // (hash,): position after the last occurrence
    /// The head of the last bytes.
    head: usize,
    /// Position of the byte that is expected next; 0 = nothing to follow.
    pointer: usize,
    len: usize,
    /// Shift register of the last eight bytes' misses.
    misses: u8,
    predicted: Option<u8>,
    by_length: Box<[Adaptive]>, // (bucket, last 4 misses, expected bit)
    by_byte: Box<[Adaptive]>,   // (long or short, expected byte, position of the bit)
    at: (usize, usize),
}

/// What the match model says about the next bit. The default says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expectation {
    /// Inputs for the mixer.
    pub inputs: [i16; 3],
    /// 0 = none, 1 = a zero is expected, 2 = a one.
    pub side: usize,
    /// Length, 0 (none) to `BUCKETS - 1`.
    pub bucket: usize,
    /// The expected byte, 0 if none.
    pub byte: usize,
}

fn bucket(len: usize) -> usize {
    match len {
        0..=15 => 1 + len / 4,
        16..=31 => 5 + (len - 16) / 8,
        32..=63 => 7 + (len - 32) / 16,
        64..=511 => 9 + (len.ilog2() as usize - 6) * 2 + (len >> (len.ilog2() - 1) & 1),
        _ => 15,
    }
}

impl Matcher {
    /// Values of [`Expectation::bucket`].
    pub const BUCKETS: usize = 16;

    /// A finder with `1 << head_bits` heads for repeats of at least `min_len` bytes.
    pub fn new(head_bits: u32, min_len: usize) -> Self {
        let fresh = |n| vec![Adaptive::new(32768, 0); n].into_boxed_slice();
        Self {
            min_len,
            heads: vec![0; 1 << head_bits].into_boxed_slice(),
            head: 0,
            pointer: 0,
            len: 0,
            misses: 0,
            predicted: None,
            by_length: fresh(BY_LENGTH),
            by_byte: fresh(BY_BYTE),
            at: (0, 0),
        }
    }

    /// Bytes that a finder allocates.
    pub fn memory(head_bits: u32) -> u64 {
        (4 << head_bits) + 4 * (BY_BYTE + BY_LENGTH) as u64
    }

    /// Asks for what [`Matcher::advance`] will look at, which is rarely in the cache.
    #[inline]
    pub fn prepare(&mut self, past: &[u8]) {
        if past.len() >= self.min_len {
            let shift = 64 - self.heads.len().trailing_zeros();
            self.head = (tail_hash(past, self.min_len) >> shift) as usize;
            simd::prefetch(&self.heads, self.head);
        }
    }

    /// Learns the byte that came last and finds what to follow next, after [`Matcher::prepare`].
    pub fn advance(&mut self, past: &[u8]) {
        self.follow(past);
        if past.len() >= self.min_len {
            self.find(past);
        }
        self.predicted = (self.pointer > 0).then(|| past[self.pointer]);
    }

    fn follow(&mut self, past: &[u8]) {
        if self.pointer == 0 {
            return;
        }
        let hit = past.last() == Some(&past[self.pointer]);
        self.len = if hit { (self.len + 1).min(MAX_LEN) } else { 0 };
        self.misses = self.misses << 1 | u8::from(!hit);
        self.pointer = if self.misses == 0xff { 0 } else { self.pointer + 1 };
    }

    fn find(&mut self, past: &[u8]) {
        let head = &mut self.heads[self.head];
        let candidate = *head as usize;
        *head = past.len() as u32;
        // A long match without misses is not given up for a newer one.
        if (self.len == 0 || self.len < 16 && self.misses != 0) && candidate > 0 {
            let len = common_suffix(past, candidate);
            if len >= self.min_len && len > self.len {
                (self.pointer, self.len, self.misses) = (candidate, len, 0);
            }
        }
    }

    /// What is expected of the bit after `node`.
    #[inline]
    pub fn expect(&mut self, node: usize) -> Expectation {
        let Some(byte) = self.predicted else { return Expectation::default() };
        let byte = usize::from(byte);
        let done = node.ilog2();
        if (byte | 256) >> (8 - done) != node {
            self.predicted = None;
            return Expectation::default();
        }
        let bit = byte >> (7 - done) & 1;
        let bucket = bucket(self.len);
        self.at.0 = (bucket * 16 + usize::from(self.misses & 15)) * 2 + bit;
        self.at.1 = (usize::from(bucket > 8) << 8 | byte) << 3 | done as usize;
        let p = self.by_length[self.at.0].p();
        let q = self.by_byte[self.at.1].p();
        let inputs = [stretch(p) as i16, ((p as i32 - 32768) >> 4) as i16, stretch(q) as i16];
        Expectation { inputs, side: 1 + bit, bucket, byte }
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: bool) {
        if self.predicted.is_some() {
            self.by_length[self.at.0].update(bit, LIMIT);
            self.by_byte[self.at.1].update(bit, LIMIT);
        }
    }
}

/// Hash of the last `len` bytes, in the upper bits.
#[inline]
fn tail_hash(past: &[u8], len: usize) -> u64 {
    let mut hash = 0u64;
    let mut rest = &past[past.len() - len..];
    while let Some((more, chunk)) = rest.split_last_chunk::<8>() {
        hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        rest = more;
    }
    let partial = rest.iter().fold(0u64, |h, &b| h << 8 | u64::from(b));
    (hash ^ partial).wrapping_mul(0xd6e8_feb8_6659_fd93_u64)
}

/// Length of the common suffix of `past` and `past[..end]`, up to [`MAX_VERIFY`].
fn common_suffix(past: &[u8], end: usize) -> usize {
    let mut len = 0;
    while len < MAX_VERIFY {
        let a = past[..past.len() - len].last_chunk::<8>();
        let b = past[..end - len.min(end)].last_chunk::<8>();
        let (Some(a), Some(b)) = (a, b) else {
            let pairs = past[..past.len() - len].iter().rev().zip(past[..end - len].iter().rev());
            return len + pairs.take_while(|(x, y)| x == y).count();
        };
        let different = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if different != 0 {
            return len + different.leading_zeros() as usize / 8;
        }
        len += 8;
    }
    MAX_VERIFY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_found_and_followed_past_a_miss() {
        let data = b"the first line, 1 of 2\nthe first line, 2 of 2\n";
        let mut matcher = Matcher::new(10, 6);
        let mut right = 0;
        for at in 0..data.len() {
            matcher.prepare(&data[..at]);
            matcher.advance(&data[..at]);
            right += usize::from(matcher.predicted == Some(data[at]));
        }
        // Of the second line's 23 bytes, all but the first six and the changed digit.
        assert!(right >= 16, "{right}");
    }

    #[test]
    fn common_suffixes_are_counted_at_any_length() {
        let data = [b"xabcabcabcabcabcabc".as_slice(), b"yabcabcabcabcabcabc"].concat();
        assert_eq!(common_suffix(&data, 19), 18);
        assert_eq!(common_suffix(&data, 18), 0);
        assert_eq!(common_suffix(&data, 35), 15);
        assert_eq!(common_suffix(b"aaaa", 2), 2);
    }
}
