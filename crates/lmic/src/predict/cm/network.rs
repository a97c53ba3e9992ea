//! The network of `cm`: from contexts to the probability of the next bit, and back to what each learns.

use super::apm::Apm;
use super::contexts::{Context, Past, Successors};
use super::counter::HistoryMap;
use super::logistic::{squash_within, stretch};
use super::matcher::{Expectation, Follower, Matcher, View};
use super::mixer::{Last, Layer, ONE};
use super::table::{HistoryTable, Slot};
use crate::coder::Coder;
use crate::quantize::BitProb;
use crate::simd::LANES;

/// Everything that a profile and a block's length decide.
#[derive(Debug)]
pub struct Shape {
    /// What the hashed histories are of, in rising order first.
    contexts: &'static [Context],
    /// What chooses the rows of the first layer's weight sets.
    selectors: &'static [Selector],
    /// Lines of the table of histories: `1 << line_bits`.
    line_bits: u32,
    /// Heads of each match model: `1 << head_bits`.
    head_bits: u32,
    /// Least length that each match model follows.
    match_lens: &'static [usize],
}

/// What chooses a row of weights. The strongest come first: fast profiles have fewer.
#[derive(Debug, Clone, Copy)]
enum Selector {
    /// Bits of this byte so far.
    Node,
    /// Length of the match, and the bits of this half byte so far.
    Match,
    /// The last byte.
    Last,
    /// How many contexts have been seen, and the bit that the match expects.
    Seen,
    /// Kinds of the last two characters, and the position of the bit.
    Kinds,
    /// The byte before the last, and the position of the bit.
    Second,
    /// The third last byte.
    Third,
    /// The column.
    Column,
}

impl Selector {
    /// Rows of a set chosen by this.
    fn rows(self, contexts: usize) -> usize {
        match self {
            Self::Node | Self::Last | Self::Third | Self::Column => 256,
            Self::Match => 16 * Matcher::BUCKETS,
            Self::Seen => 3 * (contexts + 1),
            Self::Kinds | Self::Second => 8 * 256,
        }
    }
}

const SELECTORS: [Selector; 8] = [
    Selector::Match,
    Selector::Node,
    Selector::Kinds,
    Selector::Last,
    Selector::Seen,
    Selector::Second,
    Selector::Third,
    Selector::Column,
]; // frozen

/// The contexts of each profile, measured by leaving each out in turn (docs/design.md).
const CONTEXTS: [&[Context]; 5] = {
    use Context::*;
    [
        &[Order(2), Order(4)],
        &[Order(2), Order(3), Order(5)],
        &[Order(2), Order(3), Order(5), Word],
        &[
            Order(2),
            Order(3),
            Order(4),
            Order(6),
            Word,
            Shape,
            Kinds,
            Sparse(0xffff00),
            Above,
            Bigram,
        ],
        &[
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
        ],
    ]
}; // frozen

/// Largest table of each profile, as bits of 64-byte lines: 16, 32, 64, 128 and 256 MiB.
const MAX_LINE_BITS: [u32; 5] = [18, 19, 20, 21, 22]; // frozen

impl Shape {
    /// The shape of `profile` (1 to 5) for a block of `len` bytes.
    pub fn new(profile: u8, len: usize) -> Self {
        let index = usize::from(profile) - 1;
        let contexts = CONTEXTS[index];
        // A byte claims about two slots of 16 bytes in each context that is new: what a long block
        // needs is capped by the profile, what a short one needs by its length.
        // No block is that long; it keeps any `len` from overflowing.
        let len = (len as u64).clamp(64, 1 << 40);
        let wanted = (len * contexts.len() as u64).div_ceil(16);
        let line_bits = wanted.next_power_of_two().ilog2();
        let len_bits = len.next_power_of_two().ilog2();
        Self {
            contexts,
            selectors: &SELECTORS[..[2, 2, 3, 6, 8][index]],
            line_bits: line_bits.min(MAX_LINE_BITS[index]),
            head_bits: len_bits.min(MAX_LINE_BITS[index]),
            match_lens: if profile >= 4 { &[6, 16] } else { &[6] },
        }
    }

    /// Inputs of the first layer: two for each history, three for each match model, one constant.
    fn inputs(&self) -> usize {
        2 * (self.contexts.len() + DIRECT) + 3 * self.match_lens.len() + 1
    }

    /// Bytes that a network of this shape allocates; the last 4096 are for what is small.
    pub fn memory(&self) -> u64 {
        let histories = 64u64 << self.line_bits;
        let heads = self.match_lens.len() as u64 * Matcher::memory(self.head_bits);
        let rows: usize = self.selectors.iter().map(|s| s.rows(self.contexts.len())).sum();
        let weights = 2 * rows * self.inputs().next_multiple_of(LANES);
        let last = 2 * 256 * 4 * self.selectors.len();
        let maps = 1024 * (self.contexts.len() + DIRECT);
        histories
            + heads
            + Successors::MEMORY
            + Apm::memory(APM_CONTEXTS) * 3
            + (weights + last + maps + 65536 + 4096) as u64
    }
}

/// Contexts that need no hash: order 0 and order 1.
const DIRECT: usize = 2; // frozen
/// Curves of an adaptive map: few enough to stay in the second cache.
const APM_CONTEXTS: usize = 4096; // frozen
/// Learning rate of the first layer: it falls from `START` by 1 every 4096 bytes.
const FIRST_RATE_START: i32 = 36; // frozen
const FIRST_RATE: i32 = 14; // frozen

/// A network over `N` hashed contexts and `SETS` weight sets.
#[derive(Debug)]
pub struct Network<const N: usize, const SETS: usize, const WIDTH: usize> {
    past: Past,
    successors: Successors,
    contexts: [Context; N],
    table: HistoryTable,
    hashes: [u32; N],
    slots: [Slot; N],
    order0: [u8; 256],
    order1: Box<[u8; 65536]>,
    maps: [HistoryMap; N],
    direct_maps: [HistoryMap; DIRECT],
    matchers: Vec<(Matcher, Follower)>,
    inputs: [i16; WIDTH],
    first: Layer<SETS, WIDTH>,
    last: Last<SETS>,
    apms: [Apm; 3],
    rate: i32,
}

/// What is known of the byte being coded.
struct Byte {
    /// The last byte, and the byte before.
    last: usize,
    second: usize,
    /// Bits so far behind a leading 1.
    node: usize,
    /// Bits of this half so far behind a leading 1.
    inner: usize,
    /// Contexts that have been seen before.
    seen: usize,
    column: usize,
}

impl<const N: usize, const SETS: usize, const WIDTH: usize> Network<N, SETS, WIDTH> {
    /// Adaptive maps in use: fast profiles have one.
    const APMS: usize = if SETS > 3 { 3 } else { 1 }; // frozen

    /// A network that has seen nothing.
    pub fn new(shape: &Shape) -> Self {
        assert_eq!(WIDTH, shape.inputs().next_multiple_of(LANES));
        Self {
            past: Past::new(),
            successors: Successors::new(),
            contexts: shape.contexts.try_into().expect("a history a context"),
            table: HistoryTable::new(shape.line_bits),
            hashes: [0; N],
            slots: [0; N],
            order0: [0; 256],
            order1: vec![0; 65536].try_into().expect("65536 values"),
            maps: std::array::from_fn(|_| HistoryMap::new()),
            direct_maps: std::array::from_fn(|_| HistoryMap::new()),
            matchers: shape
                .match_lens
                .iter()
                .map(|&len| (Matcher::new(shape.head_bits, len), Follower::default()))
                .collect(),
            inputs: constant_input(shape),
            first: Layer::new(
                &std::array::from_fn(|i| SELECTORS[i].rows(N)),
                ONE * 5 / (4 * (N as i32 + 2)),
            ),
            last: Last::new(),
            apms: std::array::from_fn(|_| Apm::new(APM_CONTEXTS)),
            rate: FIRST_RATE_START,
        }
    }

    /// Codes one byte.
    #[inline]
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], known: u8) -> u8 {
        for (matcher, follower) in &mut self.matchers {
            matcher.prepare(follower, past);
        }
        self.past.push(past, &mut self.successors);
        for (i, hash) in self.hashes.iter_mut().enumerate() {
            *hash = self.past.hash(i, self.contexts[i], past, &self.successors);
        }
        self.table.prefetch(&self.hashes);
        for (matcher, follower) in &mut self.matchers {
            matcher.advance(follower, View::whole(past));
        }
        let mut byte = Byte {
            last: self.past.bytes as usize & 255,
            second: self.past.bytes as usize >> 8 & 255,
            node: 1,
            inner: 1,
            seen: 0,
            column: self.past.column(past).min(255),
        };
        self.find(&mut byte, self.hashes);
        self.code_half(coder, &mut byte, known);
        byte.inner = 1;
        let hashes = half_hashes(&self.hashes, byte.node);
        self.find(&mut byte, hashes);
        self.code_half(coder, &mut byte, known);
        if self.rate > FIRST_RATE && past.len() % 4096 == 4095 {
            self.rate -= 1;
        }
        byte.node as u8
    }

    fn find(&mut self, byte: &mut Byte, hashes: [u32; N]) {
        byte.seen = self.table.find(&hashes, &mut self.slots);
    }

    fn code_half<C: Coder>(&mut self, coder: &mut C, byte: &mut Byte, known: u8) {
        for i in 0..4 {
            let bit = self.code_bit(coder, byte, known >> (7 - byte.node.ilog2()) & 1 == 1);
            byte.node = byte.node << 1 | usize::from(bit);
            byte.inner = byte.inner << 1 | usize::from(bit);
            // Three bits in, two lines a context are left to be next: fetch both ahead.
            if i == 2 && byte.node < 16 {
                self.table.prefetch(&half_hashes(&self.hashes, byte.node << 1));
                self.table.prefetch(&half_hashes(&self.hashes, byte.node << 1 | 1));
            }
        }
    }

    #[inline(always)]
    fn code_bit<C: Coder>(&mut self, coder: &mut C, byte: &Byte, known: bool) -> bool {
        let expectation = self.expect(byte);
        let curves = curves(byte, expectation);
        for (apm, &curve) in self.apms.iter().zip(&curves).take(Self::APMS) {
            apm.prefetch(curve);
        }
        let rows = std::array::from_fn(|i| self.row(SELECTORS[i], byte, expectation));
        self.first.select(rows);
        self.gather(byte);
        let hidden = *self.first.mix(&self.inputs);
        let stretched = self.last.mix(&hidden, [byte.node as u8, self.past.shape as u8]);
        let p = self.refine(stretched, &curves);
        let bit = coder.bit(BitProb::new(p), known);
        self.learn(byte, &hidden, bit);
        bit
    }

    /// Asks the match models; returns what the first expects.
    #[inline(always)]
    fn expect(&mut self, byte: &Byte) -> Expectation {
        let mut first = Expectation::default();
        let inputs = &mut self.inputs[2 * (N + DIRECT)..];
        for (i, (matcher, follower)) in self.matchers.iter_mut().enumerate() {
            let expectation = matcher.expect(follower, byte.node);
            inputs[3 * i..3 * i + 3].copy_from_slice(&expectation.inputs);
            if i == 0 {
                first = expectation;
            }
        }
        first
    }

    /// Collects what the histories say.
    #[inline(always)]
    fn gather(&mut self, byte: &Byte) {
        let table = self.table.bytes();
        let (inputs, rest) = self.inputs.as_chunks_mut().0.split_at_mut(N);
        for ((&slot, map), inputs) in self.slots.iter().zip(&self.maps).zip(inputs) {
            *inputs = history_inputs(map, table[slot as usize + byte.inner]);
        }
        rest[0] = history_inputs(&self.direct_maps[0], self.order0[byte.node]);
        rest[1] = history_inputs(&self.direct_maps[1], self.order1[byte.last << 8 | byte.node]);
    }

    #[inline(always)]
    fn row(&self, selector: Selector, byte: &Byte, expectation: Expectation) -> usize {
        let position = byte.node.ilog2() as usize;
        match selector {
            Selector::Node => byte.node,
            Selector::Match => expectation.bucket * 16 + byte.inner,
            Selector::Last => byte.last,
            Selector::Seen => expectation.side * (N + 1) + byte.seen,
            Selector::Kinds => (self.past.shape as usize & 255) * 8 + position,
            Selector::Second => byte.second * 8 + position,
            Selector::Third => self.past.bytes as usize >> 16 & 255,
            Selector::Column => byte.column,
        }
    }

    /// The final probability over 2^16: the mixers' and three adaptive maps' word on it, averaged.
    #[inline(always)]
    fn refine(&mut self, stretched: i32, curves: &[usize; 3]) -> u32 {
        let [a, b, c] = &mut self.apms;
        if Self::APMS == 1 {
            return (squash_within(stretched) + a.refine(stretched, curves[0])) / 2;
        }
        let p1 = a.refine(stretched, curves[0]);
        let p2 = b.refine(stretched, curves[1]);
        let p3 = c.refine(stretched, curves[2]);
        (squash_within(stretched) + 3 * p1 + 2 * p2 + 2 * p3) / 8
    }

    #[inline(always)]
    fn learn(&mut self, byte: &Byte, hidden: &[i32; SETS], bit: bool) {
        self.first.update(&self.inputs, bit, self.rate);
        self.last.update(hidden, bit);
        for apm in &mut self.apms[..Self::APMS] {
            apm.update(bit);
        }
        for (matcher, follower) in &mut self.matchers {
            matcher.update(follower, bit);
        }
        let table = self.table.bytes();
        for (&slot, map) in self.slots.iter().zip(&mut self.maps) {
            map.learn(&mut table[slot as usize + byte.inner], bit);
        }
        self.direct_maps[0].learn(&mut self.order0[byte.node], bit);
        self.direct_maps[1].learn(&mut self.order1[byte.last << 8 | byte.node], bit);
    }
}

/// Inputs that hold nothing but the last, a constant, so that a weight set can lean to one side.
fn constant_input<const WIDTH: usize>(shape: &Shape) -> [i16; WIDTH] {
    let mut inputs = [0; WIDTH];
    inputs[shape.inputs() - 1] = 256;
    inputs
}

/// Which curves the adaptive maps use: by order 1, order 2, and the byte that the match expects.
#[inline(always)]
fn curves(byte: &Byte, expectation: Expectation) -> [usize; 3] {
    let order1 = byte.last << 8 | byte.node;
    let order2 = byte.second << 16 | order1;
    let matched = (expectation.byte | 0x100) << 8 | byte.node;
    [order1, order2, matched].map(|context| {
        ((context as u32).wrapping_mul(0x9e37_79b1) >> (32 - APM_CONTEXTS.ilog2())) as usize
    })
}

/// Where the second half of a byte looks, after `node`.
#[inline]
pub fn half_hashes<const N: usize>(hashes: &[u32; N], node: usize) -> [u32; N] {
    let salt = (node as u32).wrapping_mul(0x9e37_79b1);
    hashes.map(|h| {
        let h = (h ^ salt).wrapping_mul(0x85eb_ca6b);
        h ^ h >> 15
    })
}

/// What a history says: in the stretch domain, and as a difference from even odds, which weighs
/// confident histories less. A history never seen says nothing.
#[inline(always)]
pub fn history_inputs(map: &HistoryMap, state: u8) -> [i16; 2] {
    let p = map.p(state);
    let seen = if state == 0 { 0 } else { -1 };
    [stretch(p) as i16 & seen, ((p as i32 - 32768) >> 5) as i16 & seen]
}
