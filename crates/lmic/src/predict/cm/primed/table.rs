//! The hash table of bit histories with a journal: what a record changes is put back after it.
//!
//! A slot is a check of one byte and 15 histories, one for each inner node of a half byte; four slots fill a cache line. The slots
//! of a half byte are copied out ([`Table::find`]), worked on in the CPU's first cache, and written back ([`Table::store`]). The
//! journal keeps what stood there before, and undoing it from its end restores the table, however often a slot was
//! written. After a record so long that the journal would outgrow the table, the whole table is copied anew.

use crate::predict::cm::history;
use crate::simd;

/// Slots of a line.
pub const WAYS: usize = 4; // frozen
/// Inner nodes of a half byte.
pub const NODES: usize = 15; // frozen

/// Check and 15 histories: that of `inner` (1 to 15) is byte number `inner`.
pub type Slot = [u8; 1 + NODES];

/// Four slots on a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(64))]
pub struct Line(pub [u128; WAYS]);

/// The history of a slot's first bit, which rises with what was seen; 0 is empty.
#[inline(always)]
pub fn first_history(slot: u128) -> u8 {
    (slot >> 8) as u8
}

/// Where a slot lies: line and way.
pub type Place = u32;

/// A table of `1 << bits` lines.
#[derive(Debug, Clone)]
pub struct Table {
    lines: Vec<Line>,
    journal: Vec<(Place, u128)>,
    /// Whether the journal has not kept everything.
    overflowed: bool,
    /// How often each slot was stored since it was claimed, if that is counted.
    counts: Vec<[u32; WAYS]>,
    /// Which samples each slot was stored by since it was claimed, if that is counted.
    samples: Vec<[Samples; WAYS]>,
    /// The number of the sample that is being learned from; `None` if what it stores does not count.
    sample: Option<u32>,
}

/// How many different samples came to each inner node of a slot's half byte, and to each half byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Samples {
    /// The sample that came last, plus 1, and a bit for each node that it has come to.
    latest: u32,
    came: u32,
    counts: [u8; 2 * (1 + NODES)],
}

impl Samples {
    /// Counts a sample on its way to the half byte that `inner` is with a leading 1.
    fn count(&mut self, sample: u32, inner: usize) {
        if self.latest != sample + 1 {
            (self.latest, self.came) = (sample + 1, 0);
        }
        for node in (0..=4).map(|bits| (inner >> bits) & 31) {
            if self.came >> node & 1 == 0 {
                self.came |= 1 << node;
                self.counts[node] = self.counts[node].saturating_add(1);
            }
        }
    }

    /// The slot as if nothing had come of a bit but what at least `least` samples have. Where this is one side only, it counts as
    /// often as there are samples: how often and when others came, the history would tell.
    pub fn common(&self, slot: u128, least: u8) -> u128 {
        let mut bytes: Slot = slot.to_le_bytes();
        let (sides, _) = self.counts.as_chunks::<2>();
        for (history, &[zeros, ones]) in bytes.iter_mut().zip(sides).skip(1) {
            *history = match (zeros >= least, ones >= least) {
                (true, true) => *history,
                (true, false) => history::run(zeros, false),
                (false, true) => history::run(ones, true),
                (false, false) => 0,
            };
        }
        u128::from_le_bytes(bytes)
    }
}

impl Table {
    /// A table of these lines, a power of two of them.
    pub fn of(lines: Vec<Line>) -> Self {
        assert!(lines.len().is_power_of_two());
        Self {
            lines,
            journal: Vec::new(),
            overflowed: false,
            counts: Vec::new(),
            samples: Vec::new(),
            sample: None,
        }
    }

    /// An empty table of `1 << line_bits` lines.
    pub fn new(line_bits: u32) -> Self {
        Self::of(vec![Line::default(); 1 << line_bits])
    }

    /// From now on counts how often slots are stored.
    pub fn start_counting(&mut self) {
        self.counts = vec![[0; WAYS]; self.lines.len()];
    }

    /// How often each slot was stored since it was claimed; nothing if that is not counted.
    pub fn counts(&self) -> &[[u32; WAYS]] {
        &self.counts
    }

    /// From now on counts as well which samples slots are stored by.
    pub fn start_counting_samples(&mut self) {
        self.samples = vec![[Samples::default(); WAYS]; self.lines.len()];
    }

    /// Says which sample comes next. Each number may come once; `None` counts nothing.
    pub fn set_sample(&mut self, sample: Option<u32>) {
        self.sample = sample;
    }

    /// Which samples each slot was stored by; nothing if that is not counted.
    pub fn samples(&self) -> &[[Samples; WAYS]] {
        &self.samples
    }

    #[cold]
    fn count<const N: usize>(&mut self, places: &[Place; N], slots: &[Slot; N], inner: usize) {
        for (&place, slot) in places.iter().zip(slots) {
            let (line, way) = (place as usize / WAYS, place as usize % WAYS);
            let goes_on = self.lines[line].0[way] as u8 == slot[0];
            let count = &mut self.counts[line][way];
            *count = if goes_on { *count + 1 } else { 1 };
            if let Some(samples) = self.samples.get_mut(line).map(|line| &mut line[way]) {
                if !goes_on {
                    *samples = Samples::default();
                }
                if let Some(sample) = self.sample {
                    samples.count(sample, inner);
                }
            }
        }
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Fetches the lines ahead of [`Table::find`].
    #[inline]
    pub fn prefetch<const N: usize>(&self, hashes: &[u32; N]) {
        let mask = self.lines.len() - 1;
        for &hash in hashes {
            simd::prefetch(&self.lines, hash as usize & mask);
        }
    }

    /// Copies the slots of all contexts out, empty where there is none, and says where they are to be stored;
    /// a bit is set for each that was there. The upper 8 bits of a hash are the check.
    #[inline]
    pub fn find<const N: usize>(
        &self,
        hashes: &[u32; N],
        places: &mut [Place; N],
        slots: &mut [Slot; N],
    ) -> u32 {
        let mask = self.lines.len() - 1;
        let mut seen = 0;
        for (i, ((place, slot), &hash)) in places.iter_mut().zip(slots).zip(hashes).enumerate() {
            let at = hash as usize & mask;
            let (way, found) = find_way(&self.lines[at], (hash >> 24) as u8);
            *place = (at * WAYS + way) as Place;
            *slot = found.to_le_bytes();
            seen |= u32::from(first_history(found) != 0) << i;
        }
        seen
    }

    /// Writes slots back. `inner` is the half byte that they have learned, with a leading 1.
    #[inline]
    pub fn store<const N: usize>(
        &mut self,
        places: &[Place; N],
        slots: &[Slot; N],
        inner: usize,
        journal: bool,
    ) {
        if !self.counts.is_empty() {
            self.count(places, slots, inner);
        }
        // Entries of 32 bytes: at most as many bytes as the table has. To undo more takes longer than a copy.
        let room = (2 * self.lines.len()).saturating_sub(self.journal.len());
        self.overflowed |= journal && room < N;
        let journal = journal && !self.overflowed;
        if journal {
            self.journal.reserve(N);
        }
        for (&place, slot) in places.iter().zip(slots) {
            let home = &mut self.lines[place as usize / WAYS].0[place as usize % WAYS];
            if journal {
                self.journal.push((place, *home));
            }
            *home = u128::from_le_bytes(*slot);
        }
    }

    /// Puts back what was changed since the last time; `lines` are what the table was then.
    pub fn restore(&mut self, lines: &[Line]) {
        if self.overflowed {
            self.journal.clear();
            self.lines.copy_from_slice(lines);
            self.overflowed = false;
        }
        for (place, slot) in self.journal.drain(..).rev() {
            self.lines[place as usize / WAYS].0[place as usize % WAYS] = slot;
        }
    }
}

/// The way with this check, or an empty slot in the place of the least seen one.
#[inline(always)]
fn find_way(line: &Line, check: u8) -> (usize, u128) {
    let [a, b, c, d] = line.0.map(|slot| slot as u8 == check);
    let hits = u32::from(a) | u32::from(b) << 1 | u32::from(c) << 2 | u32::from(d) << 3;
    if hits != 0 {
        let way = hits.trailing_zeros() as usize & 3;
        return (way, line.0[way]);
    }
    // Minimum of (first history, way) without branches.
    let key = |way: usize| u32::from(first_history(line.0[way])) << 2 | way as u32;
    let way = (key(0).min(key(1)).min(key(2).min(key(3))) & 3) as usize;
    (way, u128::from(check))
}
