//! The match model: the longest earlier occurrence of what was just seen predicts the next byte.
//!
//! A hash of the last bytes finds a candidate, which is then followed byte by byte. After a miss the same occurrence is still
//! followed, because logs and records differ in a few bytes and then go on alike. How far it is trusted depends on its
//! last misses.

use super::counter::Adaptive;
use super::logistic::stretch;
use super::store::Store;

/// The length of a match is counted up to here.
const MAX_LEN: usize = 65535; // frozen
/// When a candidate is found, at most this many bytes before it are compared.
const MAX_VERIFY: usize = 32; // frozen
/// Adaptive probabilities of a match settle at about 1/256 a step.
const LIMIT: u32 = 250; // frozen

const BY_LENGTH: usize = Matcher::BUCKETS * 16 * 2; // frozen
const BY_BYTE: usize = 2 * 256 * 8; // frozen

/// Finds earlier occurrences, and learns what following them is worth.
#[derive(Debug)]
pub struct Matcher {
    /// Which of the store's match models this is.
    index: usize,
    min_len: usize,
    by_length: Box<[Adaptive]>, // (bucket, last 4 misses, expected bit)
    by_byte: Box<[Adaptive]>,   // (long or short, expected byte, position of the bit)
}

/// Follows one earlier occurrence.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    /// The head for the hash of the last bytes.
    head: usize,
    /// Position in the block of the byte that is expected next; 0 if there is nothing to follow.
    pointer: usize,
    len: usize,
    /// A bit for each of the last eight bytes, the newest lowest: 1 if it was not the expected one.
    misses: u8,
    predicted: Option<u8>,
    /// The byte that was expected at the last pointer.
    expected: u8,
    at: (usize, usize),
}

/// A block as one of its lanes sees it. All lanes but the last have the same length.
///
/// A lane may read what other lanes have coded so far, those of other teams up to the last exchange, and nothing else. What a
/// match model follows keeps to this: within a team, a head points at most to where its lane has come, and a pointer moves on by
/// one byte a step, as all lanes do. At the end of a lane, and of what is known of another team's, the pointer is dropped.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The block, of which `known` bytes of each lane may be read.
    pub block: &'a [u8],
    pub known: usize,
    /// The lanes of the own team, known in each up to the byte that it codes next, and where they start in the block.
    pub team: &'a [u8],
    pub team_start: usize,
    /// What this lane has seen.
    pub past: &'a [u8],
    /// Where this lane starts in the block.
    pub start: usize,
    /// Bytes of a lane.
    pub lane_len: usize,
}

impl<'a> View<'a> {
    /// A block of one lane, of which `past` is known.
    #[inline(always)]
    pub fn whole(past: &'a [u8]) -> Self {
        Self {
            block: &[],
            known: 0,
            team: past,
            team_start: 0,
            past,
            start: 0,
            lane_len: usize::MAX,
        }
    }

    /// The byte at `position`, if there is one that may be read and it does not begin a lane: there nothing is followed to.
    #[inline(always)]
    fn next_of(&self, position: usize) -> Option<u8> {
        let within = if self.lane_len == usize::MAX { position } else { position % self.lane_len };
        if within == 0 {
            return None;
        }
        match self.team.get(position.wrapping_sub(self.team_start)) {
            Some(&byte) => Some(byte),
            None if within < self.known => self.block.get(position).copied(),
            None => None,
        }
    }

    /// The lane that holds `position`, up to there.
    #[inline(always)]
    fn lane_before(&self, position: usize) -> &'a [u8] {
        let start = self.lane_start(position);
        match position.checked_sub(self.team_start) {
            Some(at) if at < self.team.len() => &self.team[start - self.team_start..at],
            _ => &self.block[start..position],
        }
    }

    /// Where the lane begins that holds `position`.
    #[inline(always)]
    fn lane_start(&self, position: usize) -> usize {
        if self.lane_len == usize::MAX { 0 } else { position - position % self.lane_len }
    }
}

/// What the match model says about the next bit. The default says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expectation {
    /// Inputs for the mixer.
    pub inputs: [i16; 3],
    /// 0 if nothing is expected, 1 for a zero, 2 for a one.
    pub side: usize,
    /// The length of the match in steps: 0 (none) to `BUCKETS - 1`.
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
    /// How many values [`Expectation::bucket`] can take.
    pub const BUCKETS: usize = 16; // frozen

    /// How many adaptive probabilities a match model has.
    pub const PROBABILITIES: usize = BY_LENGTH + BY_BYTE; // frozen

    /// The adaptive probabilities over 2^16, by length, then by byte.
    pub fn probabilities(&self) -> impl Iterator<Item = u16> {
        self.by_length.iter().chain(&self.by_byte).map(|p| p.p() as u16)
    }

    /// Sets the adaptive probabilities, as if each had been observed `count` times.
    pub fn start(&mut self, probabilities: &[u16], count: u32) {
        let own = self.by_length.iter_mut().chain(&mut self.by_byte);
        own.zip(probabilities).for_each(|(own, &p)| *own = Adaptive::new(p.into(), count));
    }

    /// Match model `index` of a store, for repeats of at least `min_len` bytes.
    pub fn new(index: usize, min_len: usize) -> Self {
        let fresh = |n| vec![Adaptive::new(32768, 0); n].into_boxed_slice();
        Self { index, min_len, by_length: fresh(BY_LENGTH), by_byte: fresh(BY_BYTE) }
    }

    /// Bytes that a match model allocates.
    pub fn memory() -> u64 {
        4 * (BY_BYTE + BY_LENGTH) as u64
    }

    /// Fetches what [`Matcher::advance`] will look at, which is rarely in the CPU's cache.
    #[inline]
    pub fn prepare(&self, store: &impl Store, follower: &mut Follower, past: &[u8]) {
        if past.len() >= self.min_len {
            let shift = 64 - store.head_bits();
            follower.head = (tail_hash(past, self.min_len) >> shift) as usize;
            store.prefetch_head(self.index, follower.head);
        }
    }

    /// Learns the byte that came last and finds what to follow next, after [`Matcher::prepare`].
    pub fn advance(&self, store: &mut impl Store, follower: &mut Follower, view: View<'_>) {
        follower.follow(view);
        if view.past.len() >= self.min_len {
            self.find(store, follower, view);
        }
        follower.expected = follower.predicted.unwrap_or(0);
    }

    fn find(&self, store: &mut impl Store, follower: &mut Follower, view: View<'_>) {
        let position = view.start + view.past.len();
        let candidate = store.exchange_head(self.index, follower.head, position as u32) as usize;
        // A long match without misses is not given up for a newer one.
        if (follower.len == 0 || follower.len < 16 && follower.misses != 0) && candidate > 0 {
            let Some(next) = view.next_of(candidate) else { return };
            let len = common_suffix(view.past, view.lane_before(candidate));
            if len >= self.min_len && len > follower.len {
                (follower.pointer, follower.len, follower.misses) = (candidate, len, 0);
                follower.predicted = Some(next);
            }
        }
    }

    /// What is expected of the bit after `node`.
    #[inline]
    pub fn expect(&self, follower: &mut Follower, node: usize) -> Expectation {
        let Some(byte) = follower.predicted else { return Expectation::default() };
        let byte = usize::from(byte);
        let done = node.ilog2();
        if (byte | 256) >> (8 - done) != node {
            follower.predicted = None;
            return Expectation::default();
        }
        let bit = byte >> (7 - done) & 1;
        let bucket = bucket(follower.len);
        follower.at.0 = (bucket * 16 + usize::from(follower.misses & 15)) * 2 + bit;
        follower.at.1 = (usize::from(bucket > 8) << 8 | byte) << 3 | done as usize;
        let p = self.by_length[follower.at.0].p();
        let q = self.by_byte[follower.at.1].p();
        let inputs = [stretch(p) as i16, ((p as i32 - 32768) >> 4) as i16, stretch(q) as i16];
        Expectation { inputs, side: 1 + bit, bucket, byte }
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, follower: &Follower, bit: bool) {
        if follower.predicted.is_some() {
            self.by_length[follower.at.0].update(bit, LIMIT);
            self.by_byte[follower.at.1].update(bit, LIMIT);
        }
    }
}

impl Follower {
    /// Moves on by the byte that came last, without a look for another place.
    pub fn pass(&mut self, view: View<'_>) {
        self.follow(view);
        self.expected = self.predicted.unwrap_or(0);
    }

    /// Moves on by a byte.
    fn follow(&mut self, view: View<'_>) {
        self.predicted = None;
        if self.pointer == 0 {
            return;
        }
        let hit = view.past.last() == Some(&self.expected);
        self.len = if hit { (self.len + 1).min(MAX_LEN) } else { 0 };
        self.misses = self.misses << 1 | u8::from(!hit);
        self.pointer = if self.misses == 0xff { 0 } else { self.pointer + 1 };
        if self.pointer > 0 {
            self.predicted = view.next_of(self.pointer);
            if self.predicted.is_none() {
                (self.pointer, self.len) = (0, 0); // the end of its lane, or of what is known
            }
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

/// Length of the common suffix of `past` and `earlier`, up to [`MAX_VERIFY`].
fn common_suffix(past: &[u8], earlier: &[u8]) -> usize {
    let mut len = 0;
    while len < MAX_VERIFY {
        let a = past[..past.len() - len].last_chunk::<8>();
        let b = earlier[..earlier.len() - len].last_chunk::<8>();
        let (Some(a), Some(b)) = (a, b) else {
            let own = past[..past.len() - len].iter().rev();
            let pairs = own.zip(earlier[..earlier.len() - len].iter().rev());
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
    use super::super::store::Whole;
    use super::*;

    #[test]
    fn a_repeat_is_found_and_followed_past_a_miss() {
        let data = b"the first line, 1 of 2\nthe first line, 2 of 2\n";
        let (matcher, mut follower) = (Matcher::new(0, 6), Follower::default());
        let mut store = Whole::new(0, 10, 1);
        let mut right = 0;
        for at in 0..data.len() {
            matcher.prepare(&store, &mut follower, &data[..at]);
            matcher.advance(&mut store, &mut follower, View::whole(&data[..at]));
            right += usize::from(follower.predicted == Some(data[at]));
        }
        // Of the second line's 23 bytes, all but the first six and the changed digit.
        assert!(right >= 16, "{right}");
    }

    #[test]
    fn common_suffixes_are_counted_at_any_length() {
        let data = [b"xabcabcabcabcabcabc".as_slice(), b"yabcabcabcabcabcabc"].concat();
        assert_eq!(common_suffix(&data, &data[..19]), 18);
        assert_eq!(common_suffix(&data, &data[..18]), 0);
        assert_eq!(common_suffix(&data, &data[..35]), 15);
        assert_eq!(common_suffix(b"aaaa", b"aa"), 2);
    }
}
