//! The network of `mix`: that of `cm` with a byte distribution from outside as one more opinion, and lanes.
//!
//! What is learned is shared by all lanes of a block; each lane has its own past.

use super::guide::Guide;
use super::start::{DIRECT, GUIDE_CURVES, HASHED as N, LEVELS, SETS, Start, WIDTH};
use crate::coder::Coder;
use crate::predict::cm::apm::Apm;
use crate::predict::cm::contexts::{Context, Past, Successors};
use crate::predict::cm::counter::HistoryMap;
use crate::predict::cm::logistic::squash_within;
use crate::predict::cm::matcher::{Expectation, Follower, Matcher, View};
use crate::predict::cm::mixer::{Last, Layer, ONE};
use crate::predict::cm::network::{half_hashes, history_inputs};
use crate::predict::cm::table::{HistoryTable, Slot};
use crate::quantize::BitProb;

/// Hashed contexts.
const CONTEXTS: [Context; N] = {
    use Context::*;
    [
        Order(2),
        Order(3),
        Order(4),
        Order(5),
        Kinds,
        Order(7),
        Word,
        Bigram,
        SkipBigram,
        Sparse(0xffff00),
        Sparse(0xffff_0000),
        Above,
        Indirect1,
        Indirect2,
        Shape,
        ShapeBefore,
    ]
}; // frozen
/// Least lengths of the match models.
const MATCH_LENS: [usize; 2] = [6, 16]; // frozen
/// Where inputs stand: two for each history, three for each match model, two of the guide, a constant, two of a second opinion.
const MATCHES: usize = 2 * (N + DIRECT); // frozen
const GUIDE: usize = MATCHES + 3 * MATCH_LENS.len(); // frozen
const CONSTANT: usize = GUIDE + 2; // frozen
const SECOND: usize = CONSTANT + 1; // frozen

const APMS: usize = 4; // frozen
const APM_CONTEXTS: usize = 4096; // frozen
/// Weights of the mixers' word and of the maps in the final average, of 10.
const TRUST: [u32; 1 + APMS] = [1, 3, 2, 2, 2]; // frozen

/// First weights: the guide is believed from the start (1.0), what has learned nothing yet hardly.
const HISTORY_WEIGHT: i16 = 100; // frozen
const MATCH_WEIGHT: i16 = 500; // frozen

/// Where there is a second opinion, its weight and what is left of the guide's, of 8.
const SECOND_WEIGHT: i16 = (ONE / 2) as i16; // frozen
const BESIDE_SECOND: i32 = 5; // frozen

/// Learning rate of the first layer: it falls from `START` to the end by 1 / `RATE_UNIT` every `RATE_STEP` bytes of the block.
const FIRST_RATE_START: i32 = 36; // frozen
const FIRST_RATE: i32 = 14; // frozen
const RATE_UNIT: i32 = 16; // frozen
const RATE_STEP: usize = 256; // frozen

/// As if each probability of a match that was learned before had been seen so often.
const MATCH_COUNT: u32 = 30; // frozen

/// Largest table as bits of 64-byte lines.
const MAX_LINE_BITS: u32 = 22; // frozen

/// Rows of each weight set.
const ROWS: [usize; SETS] =
    [16 * Matcher::BUCKETS, 256, 2048, 256, 3 * (N + 1), 2048, 256, 256, LEVELS * 8]; // frozen

/// Bits of the history table's lines and of the match models' heads for a block of `len` bytes.
fn table_bits(len: usize) -> (u32, u32) {
    let len = (len as u64).clamp(64, 1 << 40);
    let wanted = (len * N as u64).div_ceil(16);
    let line_bits = wanted.next_power_of_two().ilog2().min(MAX_LINE_BITS);
    (line_bits, len.next_power_of_two().ilog2().min(MAX_LINE_BITS))
}

/// What all lanes share.
pub struct Network {
    table: HistoryTable,
    order0: [u8; 256],
    order1: Box<[u8; 65536]>,
    successors: Successors,
    maps: [HistoryMap; N],
    direct_maps: [HistoryMap; DIRECT],
    matchers: [Matcher; 2],
    first: Layer<SETS, WIDTH>,
    last: Last<SETS>,
    apms: [Apm; APMS],
    rate: i32,
    seen: usize,
    /// Set in training.
    pub recorder: Option<Box<Recorder>>,
}

/// Sums of the weights that were used, in training.
pub struct Recorder {
    bits: i64,
    first: Vec<i64>,
    last: Vec<i64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { bits: 0, first: vec![0; SETS * WIDTH], last: vec![0; 2 * SETS] }
    }
}

/// What a lane keeps of its past.
#[derive(Clone)]
pub struct Lane {
    past: Past,
    followers: [Follower; 2],
    hashes: [u32; N],
    slots: [Slot; N],
}

impl Lane {
    pub fn new() -> Self {
        Self { past: Past::new(), followers: Default::default(), hashes: [0; N], slots: [0; N] }
    }
}

/// What is known of the byte being coded.
struct Byte {
    last: usize,
    second: usize,
    node: usize,
    inner: usize,
    seen: usize,
    column: usize,
}

impl Network {
    /// Fresh, for a block of `len` bytes.
    pub fn new(len: usize) -> Self {
        let (line_bits, head_bits) = table_bits(len);
        let mut initial = [HISTORY_WEIGHT; WIDTH];
        initial[MATCHES..GUIDE].fill(MATCH_WEIGHT);
        initial[GUIDE] = ONE as i16;
        initial[GUIDE + 1..].fill(0);
        Self {
            table: HistoryTable::new(line_bits),
            order0: [0; 256],
            order1: vec![0; 65536].try_into().expect("65536 values"),
            successors: Successors::new(),
            maps: std::array::from_fn(|_| HistoryMap::new()),
            direct_maps: std::array::from_fn(|_| HistoryMap::new()),
            matchers: MATCH_LENS.map(|len| Matcher::new(head_bits, len)),
            first: Layer::with_row(&ROWS, &initial),
            last: Last::new(),
            apms: std::array::from_fn(|_| Apm::new(APM_CONTEXTS)),
            rate: FIRST_RATE_START * RATE_UNIT,
            seen: 0,
            recorder: None,
        }
    }

    /// Fresh but for the small learned state.
    pub fn starting(len: usize, start: &Start) -> Self {
        let mut network = Self::new(len);
        network.start(start);
        network
    }

    fn start(&mut self, start: &Start) {
        self.first.start(&start.first);
        self.last.start(&start.last);
        let maps = self.maps.iter_mut().chain(&mut self.direct_maps);
        maps.zip(start.maps.chunks_exact(256)).for_each(|(map, start)| map.start(start));
        let matches = start.matches.chunks_exact(Matcher::PROBABILITIES);
        for (matcher, start) in self.matchers.iter_mut().zip(matches) {
            matcher.start(start, MATCH_COUNT);
        }
        for (context, curve) in start.curves.as_chunks().0.iter().enumerate() {
            *self.apms[APMS - 1].curve_mut(context) = *curve;
        }
    }

    /// Expects a second opinion beside the guide's, which has some of its weight.
    pub fn expect_second(&mut self) {
        self.first.for_each_row(|row| {
            row[GUIDE] = ((i32::from(row[GUIDE]) * BESIDE_SECOND) >> 3) as i16;
            row[SECOND..SECOND + 2].copy_from_slice(&[SECOND_WEIGHT, 0]);
        });
    }

    /// Forgets all but the small learned state: what a new block would begin with, for training.
    pub fn forget(&mut self, len: usize) {
        let fresh = Self::new(len);
        self.table = fresh.table;
        self.order0 = fresh.order0;
        self.order1 = fresh.order1;
        self.successors = fresh.successors;
        for (own, fresh) in self.matchers.iter_mut().zip(fresh.matchers) {
            let learned: Vec<u16> = own.probabilities().collect();
            *own = fresh;
            own.start(&learned, 200);
        }
    }

    /// What is learned, as a start for others, with the rows used since `recorder` was set.
    pub fn export(&mut self) -> Start {
        let recorder = self.recorder.take().unwrap_or_default();
        let bits = recorder.bits.max(1);
        let maps = self.maps.iter().chain(&self.direct_maps);
        Start {
            first: recorder.first.iter().map(|sum| (sum / bits) as i16).collect(),
            last: recorder.last.iter().map(|sum| (sum / bits) as i32).collect(),
            maps: maps.flat_map(HistoryMap::probabilities).collect(),
            matches: self.matchers.iter().flat_map(Matcher::probabilities).collect(),
            curves: (0..GUIDE_CURVES)
                .flat_map(|context| *self.apms[APMS - 1].curve_mut(context))
                .collect(),
        }
    }

    /// Adds the rows used for the last bit.
    #[cold]
    fn record(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.bits += 1;
        let first = self.first.chosen().flatten();
        recorder.first.iter_mut().zip(first).for_each(|(sum, &w)| *sum += i64::from(w));
        let last = self.last.chosen().flatten();
        recorder.last.iter_mut().zip(last).for_each(|(sum, &w)| *sum += i64::from(w));
    }

    /// Bytes that a network for a block of `len` bytes allocates; the last 4096 are for what is small.
    pub fn memory(len: usize) -> u64 {
        let (line_bits, head_bits) = table_bits(len);
        let rows: usize = ROWS.iter().sum();
        let weights = 2 * rows * WIDTH + 2 * 256 * 4 * SETS + 1024 * (N + DIRECT) + 65536;
        (64u64 << line_bits)
            + MATCH_LENS.len() as u64 * Matcher::memory(head_bits)
            + Successors::MEMORY
            + Apm::memory(APM_CONTEXTS) * APMS as u64
            + (weights + 4096) as u64
    }

    /// Codes one byte of a lane.
    #[inline]
    pub fn code<C: Coder, G: Guide>(
        &mut self,
        coder: &mut C,
        lane: &mut Lane,
        view: View<'_>,
        guide: &mut G,
        known: u8,
    ) -> u8 {
        guide.begin();
        let past = view.past;
        for (matcher, follower) in self.matchers.iter().zip(&mut lane.followers) {
            matcher.prepare(follower, past);
        }
        lane.past.push(past, &mut self.successors);
        for (i, hash) in lane.hashes.iter_mut().enumerate() {
            *hash = lane.past.hash(i, CONTEXTS[i], past, &self.successors);
        }
        self.table.prefetch(&lane.hashes);
        for (matcher, follower) in self.matchers.iter_mut().zip(&mut lane.followers) {
            matcher.advance(follower, view);
        }
        let mut byte = Byte {
            last: lane.past.bytes as usize & 255,
            second: lane.past.bytes as usize >> 8 & 255,
            node: 1,
            inner: 1,
            seen: 0,
            column: lane.past.column(past).min(255),
        };
        byte.seen = self.table.find(&lane.hashes, &mut lane.slots);
        self.code_half(coder, lane, &mut byte, guide, known);
        byte.inner = 1;
        let hashes = half_hashes(&lane.hashes, byte.node);
        byte.seen = self.table.find(&hashes, &mut lane.slots);
        self.code_half(coder, lane, &mut byte, guide, known);
        self.seen += 1;
        if self.rate > FIRST_RATE * RATE_UNIT && self.seen.is_multiple_of(RATE_STEP) {
            self.rate -= 1;
        }
        byte.node as u8
    }

    fn code_half<C: Coder, G: Guide>(
        &mut self,
        coder: &mut C,
        lane: &mut Lane,
        byte: &mut Byte,
        guide: &mut G,
        known: u8,
    ) {
        for i in 0..4 {
            let known = known >> (7 - byte.node.ilog2()) & 1 == 1;
            let bit = self.code_bit(coder, lane, byte, guide, known);
            byte.node = byte.node << 1 | usize::from(bit);
            byte.inner = byte.inner << 1 | usize::from(bit);
            // Three bits in, two lines a context are left to be next: fetch both ahead.
            if i == 2 && byte.node < 16 {
                self.table.prefetch(&half_hashes(&lane.hashes, byte.node << 1));
                self.table.prefetch(&half_hashes(&lane.hashes, byte.node << 1 | 1));
            }
        }
    }

    #[inline(always)]
    fn code_bit<C: Coder, G: Guide>(
        &mut self,
        coder: &mut C,
        lane: &mut Lane,
        byte: &Byte,
        guide: &mut G,
        known: bool,
    ) -> bool {
        let opinion = guide.stretched(byte.node);
        let mut inputs = [0i16; WIDTH];
        let expectation = self.expect(lane, byte, &mut inputs);
        let curves = curves(byte, expectation, opinion);
        for (apm, &curve) in self.apms.iter().zip(&curves) {
            apm.prefetch(curve);
        }
        let level = level(opinion);
        let position = byte.node.ilog2() as usize;
        self.first.select([
            expectation.bucket * 16 + byte.inner,
            byte.node,
            (lane.past.shape as usize & 255) * 8 + position,
            byte.last,
            expectation.side * (N + 1) + byte.seen,
            byte.second * 8 + position,
            lane.past.bytes as usize >> 16 & 255,
            byte.column,
            level * 8 + position,
        ]);
        self.gather(lane, byte, &mut inputs);
        inputs[GUIDE..GUIDE + 2].copy_from_slice(&guide_inputs(opinion));
        if let Some(second) = guide.second() {
            inputs[SECOND..SECOND + 2].copy_from_slice(&guide_inputs(second));
        }
        inputs[CONSTANT] = 256;
        let hidden = *self.first.mix(&inputs);
        let stretched = self.last.mix(&hidden, [byte.node as u8, lane.past.shape as u8]);
        let p = self.refine(stretched, &curves);
        let bit = coder.bit(BitProb::new(p), known);
        guide.update(bit);
        if self.recorder.is_some() {
            self.record();
        }
        self.first.update(&inputs, bit, self.rate / RATE_UNIT);
        self.last.update(&hidden, bit);
        self.learn(lane, byte, bit);
        bit
    }

    #[inline(always)]
    fn expect(&mut self, lane: &mut Lane, byte: &Byte, inputs: &mut [i16; WIDTH]) -> Expectation {
        let mut first = Expectation::default();
        for (i, (matcher, follower)) in self.matchers.iter().zip(&mut lane.followers).enumerate() {
            let expectation = matcher.expect(follower, byte.node);
            inputs[MATCHES + 3 * i..][..3].copy_from_slice(&expectation.inputs);
            if i == 0 {
                first = expectation;
            }
        }
        first
    }

    #[inline(always)]
    fn gather(&mut self, lane: &Lane, byte: &Byte, inputs: &mut [i16; WIDTH]) {
        let table = self.table.bytes();
        let (inputs, rest) = inputs.as_chunks_mut().0.split_at_mut(N);
        for ((&slot, map), inputs) in lane.slots.iter().zip(&self.maps).zip(inputs) {
            *inputs = history_inputs(map, table[slot as usize + byte.inner]);
        }
        rest[0] = history_inputs(&self.direct_maps[0], self.order0[byte.node]);
        rest[1] = history_inputs(&self.direct_maps[1], self.order1[byte.last << 8 | byte.node]);
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
    fn learn(&mut self, lane: &Lane, byte: &Byte, bit: bool) {
        for apm in &mut self.apms {
            apm.update(bit);
        }
        for (matcher, follower) in self.matchers.iter_mut().zip(&lane.followers) {
            matcher.update(follower, bit);
        }
        let table = self.table.bytes();
        for (&slot, map) in lane.slots.iter().zip(&mut self.maps) {
            map.learn(&mut table[slot as usize + byte.inner], bit);
        }
        self.direct_maps[0].learn(&mut self.order0[byte.node], bit);
        self.direct_maps[1].learn(&mut self.order1[byte.last << 8 | byte.node], bit);
    }
}

/// An opinion in the stretch domain, and as a difference from even odds.
#[inline(always)]
fn guide_inputs(opinion: i32) -> [i16; 2] {
    [opinion as i16, ((squash_within(opinion) as i32 - 32768) >> 4) as i16]
}

/// What the guide says, coarsely: 0 to `LEVELS - 1`.
#[inline(always)]
fn level(opinion: i32) -> usize {
    ((opinion + 12 * 200) / 200).clamp(0, LEVELS as i32 - 1) as usize
}

/// Which curves the adaptive maps use: by order 1, order 2, the byte that the match expects, what the guide says.
#[inline(always)]
fn curves(byte: &Byte, expectation: Expectation, opinion: i32) -> [usize; APMS] {
    let order1 = byte.last << 8 | byte.node;
    let order2 = byte.second << 16 | order1;
    let matched = (expectation.byte | 0x100) << 8 | byte.node;
    let [order1, order2, matched] = [order1, order2, matched].map(|context| {
        ((context as u32).wrapping_mul(0x9e37_79b1) >> (32 - APM_CONTEXTS.ilog2())) as usize
    });
    [order1, order2, matched, level(opinion) * 8 + byte.node.ilog2() as usize]
}
