//! For an encoder: finds long repeats, within a block and of earlier blocks of its stream, which become [copies](super::copies).
//!
//! A rolling hash of the last 64 bytes decides which places are *anchors*, one of 64, and where the same one was before is looked
//! up. So both ends of a repeat have the same anchors, wherever they stand, and a byte costs little more than its hash.
//!
//! What of a block repeats is looked for once; which of it becomes copies depends on what models its literals.

use super::copies::{Copy, MAX_REACH};
use crate::predict::samples::SampleFormat;

/// Places whose hash has these bits all zero are anchors.
const ANCHOR: u64 = 63 << 58; // tunable

/// Bytes that the rolling hash is of.
const HASHED: usize = 64;

/// The shortest repeat that becomes a copy.
const LEAST: usize = 512; // tunable

/// The shortest repeat of an earlier block that becomes a copy in any block. The models know nothing of that one.
const LEAST_OLDER: usize = 1024; // tunable

/// The shortest repeat that becomes a copy in samples, whose models know what stands above or before and lose by a gap.
const LEAST_IN_SAMPLES: usize = 4096; // tunable

/// The same of runs (what stands just before, not further off than a row), which models of images know as well.
const LEAST_RUN_IN_IMAGES: usize = 65_536; // tunable

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

/// What of a block repeats: all that could be copies, and the anchors that are not in any of them.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    copies: Vec<Copy>,
    anchors: Vec<(usize, u64)>,
    /// How far before they occurred, of anchors that have.
    known: Vec<u64>,
}

impl Repeats {
    /// Bytes of a block of `len` that have occurred before, further off than `near`, in repeats of 64 bytes or more. An estimate.
    pub(crate) fn bytes(&self, len: usize, near: u64) -> usize {
        let far = self.copies.iter().filter(|copy| copy.distance > near);
        let far: u64 = far.map(|copy| copy.len).sum();
        let known = self.known.iter().filter(|&&distance| distance > near).count();
        let share = known as f64 / self.anchors.len().max(1) as f64;
        far as usize + ((len - self.copied()) as f64 * share) as usize
    }

    fn copied(&self) -> usize {
        self.copies.iter().map(|copy| copy.len as usize).sum()
    }

    /// `content` with the copies, in whole units, that have at least `least` bytes, which depends on the distance and on whether they
    /// are of earlier blocks.
    fn found(
        &self,
        content: &[u8],
        unit: usize,
        least: impl Fn(u64, bool) -> usize,
    ) -> Option<Found> {
        let (mut literals, mut at, mut copies) = (0, 0, Vec::new());
        for copy in &self.copies {
            literals += copy.literals;
            at += copy.literals;
            let least = least(copy.distance, copy.distance > at);
            at += copy.len;
            let len = copy.len - copy.len % unit as u64;
            if len >= least as u64 {
                copies.push(Copy { literals, len, distance: copy.distance });
                literals = copy.len - len;
            } else {
                literals += copy.len;
            }
        }
        Found::new(content, copies)
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

    /// What of the block `content` repeats.
    pub(crate) fn look(&self, content: &[u8]) -> Repeats {
        let mut repeats = Repeats::default();
        let anchors = &mut repeats.anchors;
        let known = &mut repeats.known;
        repeats.copies = self.copies(content, |place, hash, distance| {
            anchors.push((place, hash));
            known.extend(distance);
        });
        repeats
    }

    /// The block `content` as literals and copies, `None` if nothing repeats that is worth it. Copies are a multiple of `unit` long,
    /// of which [`LEAST`] is one, so that what is a literal keeps its place in its unit.
    pub(crate) fn found(&self, content: &[u8], repeats: &Repeats, unit: usize) -> Option<Found> {
        let is_half = repeats.copied() >= content.len() / 2;
        repeats.found(content, unit, |_, is_older| match (is_half, is_older) {
            (true, _) => LEAST,
            (false, true) => self.sure.min(LEAST_OLDER),
            (false, false) => self.sure,
        })
    }

    /// As [`Finder::found`], of samples.
    pub(crate) fn found_in_samples(
        content: &[u8],
        repeats: &Repeats,
        format: SampleFormat,
    ) -> Option<Found> {
        let unit = format.unit();
        let run = if format.is_image() { LEAST_RUN_IN_IMAGES } else { LEAST_IN_SAMPLES };
        let least = |distance, _| if distance <= unit as u64 { run } else { LEAST_IN_SAMPLES };
        repeats.found(content, unit, least)
    }

    /// Keeps the literals of a block that is not the last of its stream: later ones may repeat them.
    pub(crate) fn keep(&mut self, content: &[u8], repeats: &Repeats, found: Option<&Found>) {
        self.remember(content, found, &repeats.anchors);
    }

    fn copies(&self, content: &[u8], mut anchor: impl FnMut(usize, u64, Option<u64>)) -> Vec<Copy> {
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
                let here = own.exchange(key, at as u64).map(|place| place as usize);
                let here = here.map(|place| extend_within(content, done, at, place));
                let older = self.extend_older(content, done, at, key);
                let nearest = here.as_ref().or(older.as_ref());
                anchor(at, key, nearest.map(|repeat| repeat.distance as u64));
                here.into_iter().chain(older).max_by_key(|repeat| repeat.len)
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

    fn find(finder: &mut Finder, block: &[u8], last: bool) -> Option<Found> {
        let repeats = finder.look(block);
        let found = finder.found(block, &repeats, 1);
        if !last {
            finder.keep(block, &repeats, found.as_ref());
        }
        found
    }

    /// Finds in blocks, puts them together again, and returns the number of literals of each.
    fn check(finder: &mut Finder, blocks: &[&[u8]]) -> Vec<usize> {
        let mut past = Vec::new();
        let mut counts = Vec::new();
        for (i, &block) in blocks.iter().enumerate() {
            let found = find(finder, block, i + 1 == blocks.len());
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
    fn copies_in_samples_are_whole_units_and_long() {
        let (a, b) = (noise(1, 20_000), noise(2, 3000));
        let content = [&a[..], &b, &a[..4999], &b, &a[9000..13_000]].concat();
        let repeats = Finder::new(128, 0).look(&content);
        let lens = |unit| -> Vec<u64> {
            let found =
                Finder::found_in_samples(&content, &repeats, SampleFormat::Gray { row: unit });
            found.map_or(Vec::new(), |found| found.copies.iter().map(|copy| copy.len).collect())
        };
        assert_eq!(lens(1), [4999]);
        assert_eq!(lens(1000), [] as [u64; 0]);
        assert_eq!(lens(700), [4900]);
        assert_eq!(lens(5000), [] as [u64; 0]);
        let gray = SampleFormat::Gray { row: 700 };
        let found = Finder::found_in_samples(&content, &repeats, gray).unwrap();
        let literals = [&content[..23_000], &content[27_900..]].concat();
        assert_eq!((found.copies[0].literals, found.literals), (23_000, literals));
    }

    #[test]
    fn runs_are_copies_in_audio_and_long_ones_in_images() {
        let copied = |len, format| {
            let content = [noise(1, 5000), vec![0; len], noise(2, 5000)].concat();
            let found =
                Finder::found_in_samples(&content, &Finder::new(128, 0).look(&content), format);
            content.len() - found.map_or(content.len(), |found| found.literals.len())
        };
        let (gray, audio) = (SampleFormat::Gray { row: 100 }, SampleFormat::Pcm8 { channels: 1 });
        assert!((9000..=10_000).contains(&copied(10_000, audio)));
        assert_eq!(copied(10_000, gray), 0);
        assert!((98_000..=100_000).contains(&copied(100_000, gray)));
    }

    #[test]
    fn short_repeats_are_estimated() {
        let (a, mut content) = (noise(1, 500), Vec::new());
        for i in 0..100 {
            content.extend_from_slice(&a);
            content.extend(noise(2 + i, 500));
        }
        let repeats = Finder::new(128, 0).look(&content);
        assert_eq!(repeats.copied(), 0);
        assert_eq!(repeats.bytes(content.len(), 1 << 20), 0);
        let bytes = repeats.bytes(content.len(), 0);
        assert!((35_000..=50_000).contains(&bytes), "436 of 1000: {bytes}");
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
        find(&mut finder, &a, false);
        let found = find(&mut finder, &[&b[..], &a].concat(), true).unwrap();
        assert_eq!(found.copies, [Copy { literals: 700, len: 2000, distance: 2700 }]);
    }
}
