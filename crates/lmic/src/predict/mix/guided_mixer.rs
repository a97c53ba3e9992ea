//! The mixer of `mix`: that of `cm` at its strongest, with the opinion of a guide on each bit as one more input.
//!
//! Each lane has one. What lanes share is the store: the histories of contexts, and where matches begin. Sharing all that is
//! learned would take less memory, but more bits: what is best differs from place to place (docs/measurements/mix.md, Lanes).

use super::guide::Guide;
use super::start::{DIRECT, GUIDE_CURVES, HASHED as N, OPINION_STEPS, SETS, Start, WIDTH};
use crate::coder::Coder;
use crate::predict::cm::apm::Apm;
use crate::predict::cm::byte::{
    Byte, FIRST_RATE, FIRST_RATE_START, Histories, STRONGEST, apm_memory, half_hashes, new_apms,
    prefetch_halves, table_bits,
};
use crate::predict::cm::contexts::{Past, Successors};
use crate::predict::cm::counter::HistoryMap;
use crate::predict::cm::logistic::squash_within;
use crate::predict::cm::matcher::{Expectation, Follower, Matcher, View};
use crate::predict::cm::mixer::{Last, Layer, ONE};
use crate::predict::cm::store::{Store, Whole};
use crate::predict::cm::table::Slot;
use crate::predict::teams::Part;
use crate::quantize::BitProb;

/// Least lengths of the match models.
const MATCH_LENS: [usize; 2] = [6, 16]; // frozen
/// Where inputs stand: two for each history, three for each match model, two of the guide, a constant, two of a second opinion.
const MATCHES: usize = 2 * (N + DIRECT); // frozen
const GUIDE: usize = MATCHES + 3 * MATCH_LENS.len(); // frozen
const CONSTANT: usize = GUIDE + 2; // frozen
const SECOND: usize = CONSTANT + 1; // frozen

const APMS: usize = 4; // frozen
/// Shares, in tenths, of the mixer's output and of each adaptive map in the final probability.
const TRUST: [u32; 1 + APMS] = [1, 3, 2, 2, 2]; // frozen

/// First weights, of which [`ONE`] is 1.0. The guide begins with 1.0, histories and matches near 0, as they have learned nothing
/// yet.
const HISTORY_WEIGHT: i16 = 100; // frozen
const MATCH_WEIGHT: i16 = 500; // frozen

/// With a second opinion: its first weight, and how many eighths of its own first weight the guide keeps.
const SECOND_WEIGHT: i16 = (ONE / 2) as i16; // frozen
const BESIDE_SECOND: i32 = 5; // frozen

/// The learning rate of the first layer falls by 1 / `RATE_UNIT` every `RATE_STEP` bytes of the block.
const RATE_UNIT: i32 = 16; // frozen
const RATE_STEP: usize = 256; // frozen

/// The probabilities of matches that a start brings count as if each had been observed this many times.
const MATCH_COUNT: u32 = 30; // frozen

/// Binary logarithm of the lines of 64 bytes in the largest table.
const MAX_LINE_BITS: u32 = 22; // frozen

/// Rows of each weight set.
const ROWS: [usize; SETS] =
    [16 * Matcher::BUCKETS, 256, 2048, 256, 3 * (N + 1), 2048, 256, 256, OPINION_STEPS * 8]; // frozen

/// Context mixing with a guide, of one lane.
pub struct GuidedMixer {
    past: Past,
    followers: [Follower; 2],
    hashes: [u32; N],
    slots: [Slot; N],
    histories: Histories<N>,
    successors: Successors,
    matchers: [Matcher; 2],
    first: Layer<SETS, WIDTH>,
    last: Last<SETS>,
    apms: [Apm; APMS],
    rate: i32,
    seen: usize,
    /// Set while a start is trained.
    pub sums: Option<Box<WeightSums>>,
}

/// Sums of the weights that were used for each bit, while a start is trained: the start has their means.
pub struct WeightSums {
    bits: i64,
    first: Vec<i64>,
    last: Vec<i64>,
}

impl Default for WeightSums {
    fn default() -> Self {
        Self { bits: 0, first: vec![0; SETS * WIDTH], last: vec![0; 2 * SETS] }
    }
}

impl GuidedMixer {
    /// An empty store for the mixer of a block of `len` bytes.
    pub fn store(len: usize) -> Whole {
        let (line_bits, head_bits) = table_bits(len, N, MAX_LINE_BITS);
        Whole::new(line_bits, head_bits, MATCH_LENS.len())
    }

    /// A mixer that has learned nothing.
    pub fn new() -> Self {
        let mut initial = [HISTORY_WEIGHT; WIDTH];
        initial[MATCHES..GUIDE].fill(MATCH_WEIGHT);
        initial[GUIDE] = ONE as i16;
        initial[GUIDE + 1..].fill(0);
        Self {
            past: Past::new(),
            followers: Default::default(),
            hashes: [0; N],
            slots: [0; N],
            histories: Histories::new(),
            successors: Successors::new(),
            matchers: [0, 1].map(|i| Matcher::new(i, MATCH_LENS[i])),
            first: Layer::with_row(&ROWS, &initial),
            last: Last::new(),
            apms: new_apms(),
            rate: FIRST_RATE_START * RATE_UNIT,
            seen: 0,
            sums: None,
        }
    }

    /// A mixer that has learned what `start` says.
    pub fn starting(start: &Start) -> Self {
        let mut mixer = Self::new();
        mixer.start(start);
        mixer
    }

    fn start(&mut self, start: &Start) {
        self.first.start(&start.first);
        self.last.start(&start.last);
        let maps = self.histories.maps.iter_mut().chain(&mut self.histories.direct_maps);
        maps.zip(start.maps.chunks_exact(256)).for_each(|(map, start)| map.start(start));
        let matches = start.matches.chunks_exact(Matcher::PROBABILITIES);
        for (matcher, start) in self.matchers.iter_mut().zip(matches) {
            matcher.start(start, MATCH_COUNT);
        }
        for (context, curve) in start.curves.as_chunks().0.iter().enumerate() {
            *self.apms[APMS - 1].curve_mut(context) = *curve;
        }
    }

    /// Prepares for a second opinion, which takes over some of the weight of the guide's own.
    pub fn expect_second(&mut self) {
        self.first.for_each_row(|row| {
            row[GUIDE] = ((i32::from(row[GUIDE]) * BESIDE_SECOND) >> 3) as i16;
            row[SECOND..SECOND + 2].copy_from_slice(&[SECOND_WEIGHT, 0]);
        });
    }

    /// Forgets all but what a [`Start`] holds, as at the beginning of a new block: for training.
    pub fn forget(&mut self) {
        let fresh = Self::new();
        (self.past, self.followers) = (fresh.past, fresh.followers);
        self.histories.forget();
        self.successors = fresh.successors;
        for (own, fresh) in self.matchers.iter_mut().zip(fresh.matchers) {
            let learned: Vec<u16> = own.probabilities().collect();
            *own = fresh;
            own.start(&learned, 200);
        }
    }

    /// What was learned, as a start for other blocks. Its weights are the means over the bits since `sums` was set.
    pub fn export(&mut self) -> Start {
        let sums = self.sums.take().unwrap_or_default();
        let bits = sums.bits.max(1);
        let maps = self.histories.maps.iter().chain(&self.histories.direct_maps);
        Start {
            first: sums.first.iter().map(|sum| (sum / bits) as i16).collect(),
            last: sums.last.iter().map(|sum| (sum / bits) as i32).collect(),
            maps: maps.flat_map(HistoryMap::probabilities).collect(),
            matches: self.matchers.iter().flat_map(Matcher::probabilities).collect(),
            curves: (0..GUIDE_CURVES)
                .flat_map(|context| *self.apms[APMS - 1].curve_mut(context))
                .collect(),
        }
    }

    /// Adds the rows of weights that were chosen for the last bit to the sums.
    #[cold]
    fn add_chosen(&mut self) {
        let Some(sums) = &mut self.sums else { return };
        sums.bits += 1;
        let first = self.first.chosen().flatten();
        sums.first.iter_mut().zip(first).for_each(|(sum, &w)| *sum += i64::from(w));
        let last = self.last.chosen().flatten();
        sums.last.iter_mut().zip(last).for_each(|(sum, &w)| *sum += i64::from(w));
    }

    /// How many match models there are.
    pub const MATCH_MODELS: usize = MATCH_LENS.len(); // frozen

    /// What is averaged over the lanes of all teams.
    pub fn parts(&mut self) -> Vec<Part<'_>> {
        let mut parts = vec![Part::Weights(self.first.weights())];
        parts.extend(self.last.weights().map(Part::Last));
        parts.extend(self.apms.iter_mut().map(|apm| Part::Curves(apm.curves())));
        parts
    }

    /// Bytes that the store for a block of `len` bytes allocates.
    pub fn store_memory(len: usize) -> u64 {
        let (line_bits, head_bits) = table_bits(len, N, MAX_LINE_BITS);
        Whole::memory(line_bits, head_bits, MATCH_LENS.len())
    }

    /// Bytes that a mixer allocates; the last 4096 are for what is small.
    pub fn memory() -> u64 {
        let rows: usize = ROWS.iter().sum();
        let weights = 2 * rows * WIDTH + 2 * 256 * 4 * SETS;
        Histories::<N>::memory()
            + MATCH_LENS.len() as u64 * Matcher::memory()
            + Successors::MEMORY
            + apm_memory() * APMS as u64
            + (weights + 4096) as u64
    }

    /// Codes the next byte of the lane, of which `view` shows what is known so far.
    #[inline]
    pub fn code<C: Coder, G: Guide, S: Store>(
        &mut self,
        store: &mut S,
        coder: &mut C,
        view: View<'_>,
        guide: &mut G,
        known: u8,
    ) -> u8 {
        guide.begin();
        let past = view.past;
        for (matcher, follower) in self.matchers.iter().zip(&mut self.followers) {
            matcher.prepare(store, follower, past);
        }
        self.past.push(past, &mut self.successors);
        for (i, hash) in self.hashes.iter_mut().enumerate() {
            *hash = self.past.hash(i, STRONGEST[i], past, &self.successors);
        }
        store.prefetch(&self.hashes);
        for (matcher, follower) in self.matchers.iter().zip(&mut self.followers) {
            matcher.advance(store, follower, view);
        }
        let mut byte = Byte::new(&self.past, past);
        byte.seen = store.find(&self.hashes, &mut self.slots);
        self.code_half(store, coder, &mut byte, guide, known);
        byte.inner = 1;
        let hashes = half_hashes(&self.hashes, byte.node);
        byte.seen = store.find(&hashes, &mut self.slots);
        self.code_half(store, coder, &mut byte, guide, known);
        self.seen += 1;
        if self.rate > FIRST_RATE * RATE_UNIT && self.seen.is_multiple_of(RATE_STEP) {
            self.rate -= 1;
        }
        byte.node as u8
    }

    fn code_half<C: Coder, G: Guide, S: Store>(
        &mut self,
        store: &mut S,
        coder: &mut C,
        byte: &mut Byte,
        guide: &mut G,
        known: u8,
    ) {
        for i in 0..4 {
            let bit = self.code_bit(store.bytes(), coder, byte, guide, byte.next_of(known));
            byte.push(bit);
            if i == 2 && byte.node < 16 {
                prefetch_halves(store, &self.hashes, byte.node);
            }
        }
    }

    #[inline(always)]
    fn code_bit<C: Coder, G: Guide>(
        &mut self,
        table: &mut [u8],
        coder: &mut C,
        byte: &Byte,
        guide: &mut G,
        known: bool,
    ) -> bool {
        let opinion = guide.stretched(byte.node);
        let mut inputs = [0i16; WIDTH];
        let expectation = self.expect(byte, &mut inputs);
        let [order1, order2, matched] = byte.curves(expectation);
        let (step, position) = (opinion_step(opinion), byte.position());
        let curves = [order1, order2, matched, step * 8 + position];
        for (apm, &curve) in self.apms.iter().zip(&curves) {
            apm.prefetch(curve);
        }
        self.first.select([
            expectation.bucket * 16 + byte.inner,
            byte.node,
            (self.past.text.shape as usize & 255) * 8 + position,
            byte.last,
            expectation.side * (N + 1) + byte.seen,
            byte.second * 8 + position,
            self.past.bytes as usize >> 16 & 255,
            byte.column,
            step * 8 + position,
        ]);
        self.histories.gather(table, &self.slots, byte, &mut inputs);
        inputs[GUIDE..GUIDE + 2].copy_from_slice(&guide_inputs(opinion));
        if let Some(second) = guide.second() {
            inputs[SECOND..SECOND + 2].copy_from_slice(&guide_inputs(second));
        }
        inputs[CONSTANT] = 256;
        let hidden = *self.first.mix(&inputs);
        let stretched = self.last.mix(&hidden, [byte.node as u8, self.past.text.shape as u8]);
        let p = self.refine(stretched, &curves);
        let bit = coder.bit(BitProb::new(p), known);
        guide.update(bit);
        if self.sums.is_some() {
            self.add_chosen();
        }
        self.first.update(&inputs, bit, self.rate / RATE_UNIT);
        self.last.update(&hidden, bit);
        self.learn(table, byte, bit);
        bit
    }

    #[inline(always)]
    fn expect(&mut self, byte: &Byte, inputs: &mut [i16; WIDTH]) -> Expectation {
        let mut first = Expectation::default();
        for (i, (matcher, follower)) in self.matchers.iter().zip(&mut self.followers).enumerate() {
            let expectation = matcher.expect(follower, byte.node);
            inputs[MATCHES + 3 * i..][..3].copy_from_slice(&expectation.inputs);
            if i == 0 {
                first = expectation;
            }
        }
        first
    }

    #[inline(always)]
    fn refine(&mut self, stretched: i32, curves: &[usize; APMS]) -> u32 {
        let mut sum = squash_within(stretched) * TRUST[0];
        for ((apm, &curve), trust) in self.apms.iter_mut().zip(curves).zip(&TRUST[1..]) {
            sum += apm.refine(stretched, curve) * trust;
        }
        sum / 10
    }

    #[inline(always)]
    fn learn(&mut self, table: &mut [u8], byte: &Byte, bit: bool) {
        for apm in &mut self.apms {
            apm.update(bit);
        }
        for (matcher, follower) in self.matchers.iter_mut().zip(&self.followers) {
            matcher.update(follower, bit);
        }
        self.histories.learn(table, &self.slots, byte, bit);
    }
}

/// An opinion in the stretch domain, and as a difference from even odds.
#[inline(always)]
fn guide_inputs(opinion: i32) -> [i16; 2] {
    [opinion as i16, ((squash_within(opinion) as i32 - 32768) >> 4) as i16]
}

/// An opinion as a context: rounded to a step, 0 to `OPINION_STEPS - 1`.
#[inline(always)]
fn opinion_step(opinion: i32) -> usize {
    ((opinion + 12 * 200) / 200).clamp(0, OPINION_STEPS as i32 - 1) as usize
}
