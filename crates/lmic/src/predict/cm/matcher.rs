//! The match model: the longest earlier occurrence of what was just seen predicts the next byte.

use super::counter::Adaptive;

/// Bytes that the hash of the finder covers, and least length of a match that is followed.
/// Lengths are counted up to here.
const MAX_LEN: usize = 65535;
/// How the length is told to the rest of the network: 0 = no match.
pub const BUCKETS: usize = 16;

/// Follows one earlier occurrence.
#[derive(Debug)]
pub struct Matcher {
    heads: Vec<u32>, // (hash,): position after the last occurrence
    pointer: usize,
    min_len: usize,
    len: usize,
    /// Bytes the followed occurrence got wrong lately: a shift register of misses.
    misses: u8,
    predicted: Option<u8>,
    counters: Vec<Adaptive>, // (bucket * 16 + misses) * 2 + expected bit
    counter: usize,
}

fn bucket(len: usize) -> usize {
    match len {
        0 => 0,
        1..=15 => 1 + len / 4,
        16..=31 => 5 + (len - 16) / 8,
        32..=63 => 7 + (len - 32) / 16,
        64..=511 => 9 + (len.ilog2() as usize - 6) * 2 + (len >> (len.ilog2() - 1) & 1),
        _ => 15,
    }
}

impl Matcher {
    /// A finder with `1 << bits` heads.
    pub fn new(bits: u32, min_len: usize) -> Self {
        Self {
            min_len,
            heads: vec![0; 1 << bits],
            pointer: 0,
            len: 0,
            misses: 0,
            predicted: None,
            counters: vec![Adaptive::new(32768, 0); BUCKETS * 16 * 2],
            counter: 0,
        }
    }

    /// Bytes of a finder.
    pub fn memory(bits: u32) -> u64 {
        4 << bits
    }

    /// Learns the byte that came last and finds what to follow next.
    pub fn advance(&mut self, past: &[u8]) {
        let Some((&last, before)) = past.split_last() else { return };
        if self.pointer > 0 {
            let hit = past[self.pointer] == last && self.pointer < before.len();
            self.misses = self.misses << 1 | u8::from(!hit);
            self.len = if hit { (self.len + 1).min(MAX_LEN) } else { 0 };
            self.pointer += 1;
            if self.misses & 0xff == 0xff { self.pointer = 0; }
        }
        if past.len() < self.min_len { return }
        let tail = &past[past.len() - self.min_len..];
        let hash = tail.iter().fold(0u32, |h, &b| (h.wrapping_add(u32::from(b) + 1)).wrapping_mul(0x2f0b_4c47));
        let shift = 32 - self.heads.len().trailing_zeros();
        let head = &mut self.heads[(hash >> shift) as usize];
        if self.len < 16 && (self.len == 0 || self.misses != 0) {
            let candidate = *head as usize;
            let len = common_suffix(past, candidate);
            if len >= self.min_len && len > self.len {
                self.pointer = candidate;
                self.len = len;
                self.misses = 0;
            }
        }
        *head = past.len() as u32;
        self.predicted = (self.pointer > 0).then(|| past[self.pointer]);
    }

    /// The byte the match says comes next.
    pub fn predicted(&self) -> Option<u8> {
        self.predicted
    }

    /// The bit expected after the `node`'s bits, while the match has not failed in this byte.
    #[inline]
    pub fn expected(&mut self, node: usize) -> Option<(bool, u32)> {
        let byte = usize::from(self.predicted?) | 256;
        let done = node.ilog2();
        if byte >> (8 - done) != node {
            self.predicted = None;
            return None;
        }
        let bit = byte >> (7 - done) & 1;
        self.counter = (bucket(self.len) * 16 + usize::from(self.misses & 15)) * 2 + bit;
        Some((bit == 1, self.counters[self.counter].p()))
    }

    /// dev
    pub fn peek(&self, node: usize) -> usize { let Some(b) = self.predicted else { return 0 }; let byte = usize::from(b) | 256; let done = node.ilog2(); if byte >> (8 - done) != node { 0 } else { 1 + (byte >> (7 - done) & 1) } }

    /// Learns the bit after [`Matcher::expected`] gave one.
    #[inline]
    pub fn update(&mut self, bit: bool) {
        self.counters[self.counter].update(bit, 250);
    }

    /// Length bucket of the match that still holds, 0 to `BUCKETS - 1`.
    #[inline]
    pub fn bucket(&self) -> usize {
        if self.predicted.is_some() { bucket(self.len).max(1) } else { 0 }
    }
}

/// Length of the common suffix of `past` and `past[..end]`, up to 32.
fn common_suffix(past: &[u8], end: usize) -> usize {
    let a = past.iter().rev();
    let b = past[..end].iter().rev();
    a.zip(b).take(32).take_while(|(x, y)| x == y).count()
}
