//! For an encoder: finds long repeats, within a block and of earlier blocks of its stream, which become [copies](super::copies).
//!
//! A rolling hash of the last 64 bytes decides which places are *anchors*, one of 64, and where the same one was before is looked
//! up. So both ends of a repeat have the same anchors, wherever they stand, and a byte costs little more than its hash.

use super::copies::{Copy, MAX_REACH};

/// Places whose hash has these bits all zero are anchors.
const ANCHOR: u64 = 63 << 58; // tunable

/// Bytes that the rolling hash is of.
const HASHED: usize = 64;

/// The shortest repeat that becomes a copy.
const LEAST: usize = 512; // tunable

/// The shortest repeat of an earlier block that becomes a copy in any block. The models know nothing of that one.
const LEAST_OLDER: usize = 1024; // tunable

/// Where there was no anchor for so long, which in content that doesn't repeat itself is rare, a short period is looked for.
const NO_ANCHOR: usize = 512; // tunable
/// The longest period that is looked for, and how many bytes must be equal.
const PERIOD: usize = 512; // tunable
const EQUAL: usize = 32; // tunable

/// What the rolling hash adds for each byte.
static GEAR: [u64; 256] = {
    let (mut table, mut i) = ([0; 256], 0);
    while i < 256 {
        table[i] = mixed((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        i += 1;
    }
    table
};

const fn mixed(x: u64) -> u64 {
    let x = (x ^ x >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (x ^ x >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// A block cut into literals and copies.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) copies: Vec<Copy>,
    pub(crate) literals: Vec<u8>,
}

impl Found {
    /// `content` without what `copies`, which lie within it, copy; `None` if there are none, or one that is too short to pay.
    pub(crate) fn new(content: &[u8], copies: Vec<Copy>) -> Option<Self> {
        if copies.is_empty() || copies.iter().any(|copy| copy.len < LEAST as u64) {
            return None;
        }
        let mut literals = Vec::new();
        let mut rest = content;
        for copy in &copies {
            let (now, later) = rest.split_at(copy.literals as usize);
            literals.extend_from_slice(now);
            rest = &later[copy.len as usize..];
        }
        literals.extend_from_slice(rest);
        Some(Self { copies, literals })
    }
}

/// Finds repeats in the blocks of a stream, in order.
#[derive(Debug)]
pub(crate) struct Finder {
    /// The shortest repeat of the same block that becomes a copy in any block.
    sure: usize,
    /// How far copies reach into the literals of earlier blocks.
    reach: usize,
    /// The last literals of earlier blocks.
    past: Vec<u8>,
    /// Where the past's first byte stands among all literals of the stream.
    past_start: u64,
    older: Anchors,
}

/// The last place of each anchor.
#[derive(Debug, Default)]
struct Anchors {
    bits: u32,
    /// Of each hash a check, and the lower bits of 1 + its place; (0, 0) where there is none.
    slots: Vec<(u32, u32)>,
}

impl Anchors {
    /// For the anchors of `len` bytes.
    fn new(len: usize) -> Self {
        let bits = (len / 64).max(16).next_power_of_two().ilog2();
        Self { bits, slots: vec![(0, 0); 1 << bits] }
    }

    /// Sets the place of an anchor and returns the one before.
    fn exchange(&mut self, hash: u64, place: u64) -> Option<u32> {
        let slot = &mut self.slots[(hash >> (64 - self.bits)) as usize];
        let before = std::mem::replace(slot, (hash as u32, (place as u32).wrapping_add(1)));
        Self::place(before, hash)
    }

    fn get(&self, hash: u64) -> Option<u32> {
        // There are no slots before the first block is remembered.
        let slot = hash.checked_shr(64 - self.bits).and_then(|slot| self.slots.get(slot as usize));
        slot.and_then(|&slot| Self::place(slot, hash))
    }

    fn place((check, place): (u32, u32), hash: u64) -> Option<u32> {
        (check == hash as u32 && place != 0).then(|| place.wrapping_sub(1))
    }
}

/// A repeat: where it begins in the block, its length, and its distance in the past.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    at: usize,
    len: usize,
    distance: usize,
}

impl Finder {
    /// A finder of repeats of at least `sure` bytes within a block, that reach `reach` bytes back into earlier blocks. In a block
    /// that is half of repeats, time counts more: there all of [`LEAST`] bytes become copies.
    pub(crate) fn new(sure: usize, reach: usize) -> Self {
        let reach = reach.min(MAX_REACH as usize);
        Self { sure, reach, past: Vec::new(), past_start: 0, older: Anchors::default() }
    }

    /// Bytes of memory that it takes between blocks.
    pub(crate) fn memory(&self) -> u64 {
        (self.past.capacity() + size_of_val(&*self.older.slots)) as u64
    }

    /// Bytes of memory that it takes between blocks once it has seen many.
    pub(crate) fn most_memory(&self) -> u64 {
        (self.reach + self.reach / 4 + 8 * (self.reach / 64).next_power_of_two()) as u64
    }

    /// Passes a block that has no copies.
    pub(crate) fn pass(&mut self, content: &[u8], last: bool) -> Option<Found> {
        if !last {
            self.remember(content, None, &[]);
        }
        None
    }

    /// The block `content` as literals and copies, `None` if nothing repeats. If it is not the `last` of its stream, its literals
    /// may be repeated by later ones. Copies are a multiple of `unit` long, of which [`LEAST`] is one, so that what is a literal keeps its place in its unit.
    pub(crate) fn find(&mut self, content: &[u8], unit: usize, last: bool) -> Option<Found> {
        let mut anchors = Vec::new();
        let mut copies = self.copies(content, |place, hash| anchors.push((place, hash)));
        if copies.iter().map(|copy| copy.len).sum::<u64>() < content.len() as u64 / 2 {
            let (mut literals, mut at) = (0, 0);
            copies.retain_mut(|copy| {
                literals += copy.literals;
                at += copy.literals;
                let sure = if copy.distance > at { self.sure.min(LEAST_OLDER) } else { self.sure };
                at += copy.len;
                if copy.len < sure as u64 {
                    literals += copy.len;
                    return false;
                }
                copy.literals = std::mem::take(&mut literals);
                true
            });
        }
        let mut cut = 0;
        for copy in &mut copies {
            copy.literals += cut;
            cut = copy.len % unit as u64;
            copy.len -= cut;
        }
        let found = Found::new(content, copies);
        if !last {
            self.remember(content, found.as_ref(), &anchors);
        }
        found
    }

    fn copies(&mut self, content: &[u8], mut anchor: impl FnMut(usize, u64)) -> Vec<Copy> {
        let mut own = Anchors::new(content.len());
        let mut copies = Vec::new();
        // What comes before `done` is literals and copies already; `seen` is where the hash was begun, or the last anchor.
        let (mut hash, mut at, mut done, mut seen) = (0u64, 0, 0, 0);
        while at < content.len() {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(content[at])]);
            at += 1;
            let repeat = if hash & ANCHOR == 0 {
                seen = at;
                if at - done < HASHED && copies.is_empty() {
                    continue;
                }
                let key = mixed(hash);
                anchor(at, key);
                let here = own.exchange(key, at as u64).map(|place| place as usize);
                let here = here.map(|place| extend_within(content, done, at, place));
                here.into_iter()
                    .chain(self.extend_older(content, done, at, key))
                    .max_by_key(|repeat| repeat.len)
            } else if at - seen >= NO_ANCHOR {
                seen = at;
                period(&content[..at]).map(|period| extend_within(content, done, at, at - period))
            } else {
                continue;
            };
            let Some(repeat) = repeat.filter(|repeat| repeat.len >= LEAST) else { continue };
            copies.push(Copy {
                literals: (repeat.at - done) as u64,
                len: repeat.len as u64,
                distance: repeat.distance as u64,
            });
            done = repeat.at + repeat.len;
            (at, seen) = (done, done);
            hash = content[at.saturating_sub(HASHED)..at]
                .iter()
                .fold(0, |hash, &byte| (hash << 1).wrapping_add(GEAR[usize::from(byte)]));
        }
        copies
    }

    /// The repeat around `at` of what stands around an anchor of the same hash in the literals of earlier blocks.
    fn extend_older(&self, content: &[u8], done: usize, at: usize, key: u64) -> Option<Repeat> {
        let place = self.older.get(key)?;
        // Only the lower bits of the place are known.
        let end = self.past_start + self.past.len() as u64;
        let back = (end as u32).wrapping_sub(place) as usize;
        let place = self.past.len().checked_sub(back)?;
        let farthest = self.reach.checked_sub(back)?;
        let before = common_suffix(&content[done..at], &self.past[..place]).min(farthest);
        let len = before + common_prefix(&content[at..], &self.past[place..]);
        let distance = back + at;
        Some(Repeat { at: at - before, len, distance })
    }

    /// Keeps a block's literals and their anchors for later blocks.
    fn remember(&mut self, content: &[u8], found: Option<&Found>, anchors: &[(usize, u64)]) {
        if self.older.slots.is_empty() {
            self.older = Anchors::new(self.reach);
        }
        let first = self.past_start + self.past.len() as u64;
        let mut copies = found.map_or(&[][..], |found| &found.copies).iter();
        // The literals from `from` to `to` of the content stand `skipped` bytes further left among the literals.
        let (mut from, mut skipped) = (0, 0);
        let mut copy = copies.next();
        for &(place, hash) in anchors {
            while let Some(Copy { literals, len, .. }) = copy
                && place > from + *literals as usize
            {
                from += (literals + len) as usize;
                skipped += len;
                copy = copies.next();
            }
            // Anchors within a copy stand in what it copies, too.
            if place > from {
                self.older.exchange(hash, first + place as u64 - skipped);
            }
        }
        let literals = found.map_or(content, |found| &found.literals[..]);
        let (len, most) = (self.past.len() + literals.len(), self.reach + self.reach / 4);
        if len > most {
            let gone = (len - self.reach).min(self.past.len());
            self.past.drain(..gone);
            self.past_start += gone as u64;
        } else if len > self.past.capacity() {
            let more = len.max(most.min(2 * self.past.capacity())) - self.past.len();
            self.past.reserve_exact(more);
        }
        self.past.extend_from_slice(literals);
    }
}

/// The share of anchors in `data` whose 64 bytes have occurred before, 0 to 1. It takes about a nanosecond a byte.
pub(crate) fn repeated_share(data: &[u8]) -> f64 {
    let mut anchors = Anchors::new(data.len());
    let (mut hash, mut looked, mut repeated) = (0u64, 0u32, 0u32);
    for (at, &byte) in data.iter().enumerate() {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
        if hash & ANCHOR == 0 && at >= HASHED {
            looked += 1;
            repeated += u32::from(anchors.exchange(mixed(hash), at as u64).is_some());
        }
    }
    f64::from(repeated) / f64::from(looked.max(1))
}

/// The repeat around `at` of what stands around `place` before it, not from before `done` on.
fn extend_within(content: &[u8], done: usize, at: usize, place: usize) -> Repeat {
    let before = common_suffix(&content[done..at], &content[..place]);
    let len = before + common_prefix(&content[at..], &content[place..]);
    Repeat { at: at - before, len, distance: at - place }
}

/// The least distance at which the last bytes of `past` stand once more.
fn period(past: &[u8]) -> Option<usize> {
    let tail = past.last_chunk::<EQUAL>()?;
    (1..=PERIOD.min(past.len() - EQUAL)).find(|&period| past[..past.len() - period].ends_with(tail))
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut len = 0;
    let (mut a8, mut b8) = (a.chunks_exact(8), b.chunks_exact(8));
    while let (Some(x), Some(y)) = (a8.next(), b8.next()) {
        if x != y {
            break;
        }
        len += 8;
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(x, y)| x == y).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::super::copies::{Copies, assemble, write};
    use super::*;
    use crate::random::SplitMix64;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut random = SplitMix64::new(seed);
        (0..len).map(|_| random.next_u64() as u8).collect()
    }

    /// Finds in blocks, puts them together again, and returns the number of literals of each.
    fn check(finder: &mut Finder, blocks: &[&[u8]]) -> Vec<usize> {
        let mut past = Vec::new();
        let mut counts = Vec::new();
        for (i, &block) in blocks.iter().enumerate() {
            let found = finder.find(block, 1, i + 1 == blocks.len());
            let literals = match &found {
                None => block,
                Some(Found { copies, literals }) => {
                    assert!(copies.iter().all(|copy| copy.len >= LEAST as u64));
                    let payload = write(copies);
                    assert!(payload.len() + literals.len() < block.len(), "it pays");
                    let before = past.len() as u64;
                    let (list, _) =
                        Copies::read(&payload, block.len() as u64, literals.len() as u64, before)
                            .unwrap();
                    let reach = finder.reach;
                    let older = |back: usize| {
                        assert!(back <= reach, "{back}");
                        Ok(&past[past.len() - back..])
                    };
                    assert!(assemble(list, block.len(), literals, older).unwrap() == block);
                    literals
                }
            };
            counts.push(literals.len());
            past.extend_from_slice(literals);
        }
        counts
    }

    #[test]
    fn repeats_are_found_from_end_to_end() {
        let (a, b) = (noise(1, 5000), noise(2, 3000));
        let content = [&a[..], &b, &a[1000..4000], &b].concat();
        assert_eq!(check(&mut Finder::new(128, 1 << 20), &[&content]), [8000]);
        let blocks: [&[u8]; 5] = [&a, &b, &a[1000..4000], &[&b[..], &a].concat(), b""];
        assert_eq!(check(&mut Finder::new(128, 1 << 20), &blocks), [5000, 3000, 0, 0, 0]);
    }

    #[test]
    fn what_is_shorter_than_the_least_stays() {
        let (a, b) = (noise(1, 600), noise(2, 600));
        let content = [&a[..], &b, &a[..511], &b].concat();
        assert_eq!(check(&mut Finder::new(512, 1 << 20), &[&content]), [1711]);
        assert_eq!(check(&mut Finder::new(601, 1 << 20), &[&content]), [2311]);
    }

    #[test]
    fn no_copy_reaches_further_back_than_it_may() {
        let (a, b) = (noise(1, 2000), noise(2, 3000));
        for (reach, literals) in [(5000, 0), (4999, 1), (4000, 1000), (2999, 2000)] {
            let counts = check(&mut Finder::new(128, reach), &[&a, &b, &a]);
            assert_eq!(counts, [2000, 3000, literals], "a reach of {reach}");
        }
        // What is given up is not found, and what is kept has its place.
        let mut finder = Finder::new(128, 4000);
        let blocks: Vec<Vec<u8>> = (0..40).map(|i| noise(i, 900)).collect();
        let all = blocks.iter().chain(&blocks[36..]).chain(&blocks[..1]);
        let all: Vec<&[u8]> = all.map(Vec::as_slice).collect();
        let counts = check(&mut finder, &all);
        assert_eq!(counts, [vec![900; 40], vec![0; 4], vec![900]].concat());
        assert!(finder.past.len() <= 5000);
    }

    #[test]
    fn blocks_that_are_passed_are_not_found_but_counted() {
        let (a, b, c) = (noise(1, 2000), noise(2, 3000), noise(3, 1000));
        let mut finder = Finder::new(128, 1 << 20);
        assert!(finder.find(&a, 1, false).is_none());
        assert!(finder.pass(&b, false).is_none());
        assert!(finder.find(&c, 1, false).is_none());
        assert!(finder.find(&b, 1, false).is_none());
        let found = finder.find(&a, 1, true).unwrap();
        assert_eq!(found.copies, [Copy { literals: 0, len: 2000, distance: 9000 }]);
    }

    #[test]
    fn runs_and_periods_are_found() {
        for period in [1, 2, 3, 5, 63, 64, 65, 100, 400, 512, 600, 5000] {
            let content = [noise(9, 500), noise(1, period).repeat(20_000 / period)].concat();
            let counts = check(&mut Finder::new(128, 1 << 20), &[&content, &content]);
            assert!(counts[0] <= 500 + period + 600, "period {period}: {counts:?}");
            assert!(counts[1] <= 600, "period {period}: {counts:?}");
        }
    }

    #[test]
    fn a_slot_that_was_never_set_has_no_place() {
        let mut anchors = Anchors::new(0);
        assert_eq!(anchors.get(0), None);
        assert_eq!(anchors.exchange(0, 5), None);
        assert_eq!(anchors.exchange(0, 6), Some(5));
        // Of a place only the lower bits are kept. The last one before they start again counts as none.
        assert_eq!(anchors.exchange(0, u64::from(u32::MAX)), Some(6));
        assert_eq!(anchors.exchange(0, 1 << 32), None);
        assert_eq!(anchors.exchange(0, 9), Some(0));
        assert_eq!(Anchors::default().get(u64::MAX), None);
    }

    #[test]
    fn places_are_found_beyond_four_gigabytes_of_literals() {
        let mut finder = Finder::new(128, 1 << 20);
        finder.past_start = (1 << 32) - 1500;
        let (a, b) = (noise(1, 2000), noise(2, 700));
        finder.find(&a, 1, false);
        let found = finder.find(&[&b[..], &a].concat(), 1, true).unwrap();
        assert_eq!(found.copies, [Copy { literals: 700, len: 2000, distance: 2700 }]);
    }
}
