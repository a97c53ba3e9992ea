//! The mixer of `cm`: from contexts to the probability of the next bit, and back to what each learns from the bit.

use super::apm::Apm;
use super::byte::{
    Byte, DIRECT, FIRST_RATE, FIRST_RATE_START, Histories, STRONGEST, apm_memory, half_hashes,
    new_apms, prefetch_halves, table_bits,
};
use super::columns::Layout;
use super::contexts::{Context, Past, Successors};
use super::logistic::squash_within;
use super::matcher::{Expectation, Follower, Matcher, View};
use super::mixer::{Last, Layer, ONE};
use super::store::{Store, Whole};
use super::table::Slot;
use crate::coder::Coder;
use crate::predict::programs::Machine;
use crate::predict::teams::{Around, Part, Shared, Team};
use crate::quantize::BitProb;
use crate::simd::LANES;
use std::ops::Range;

/// Everything that a profile and a block's length decide.
#[derive(Debug)]
pub struct Shape {
    /// What stands in columns, if anything does.
    layout: Option<Layout>,
    /// The hashed contexts of the profile. The byte orders come first, from short to long in the weak profiles.
    contexts: &'static [Context],
    /// Whose program the block is.
    machine: Option<Machine>,
    /// What chooses the rows of the first layer's weight sets.
    selectors: &'static [Selector],
    /// The table of histories has `1 << line_bits` lines.
    line_bits: u32,
    /// Each match model has `1 << head_bits` heads.
    head_bits: u32,
    /// The shortest match that each match model follows.
    match_lens: &'static [usize],
}

/// What chooses a row of weights of a set.
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
    /// Rows of a weight set that this selector chooses from.
    fn rows(self, contexts: usize) -> usize {
        match self {
            Self::Node | Self::Last | Self::Third | Self::Column => 256,
            Self::Match => 16 * Matcher::BUCKETS,
            Self::Seen => 3 * (contexts + 1),
            Self::Kinds | Self::Second => 8 * 256,
        }
    }
}

/// The selectors of the weight sets. The most useful stand first, as fast profiles have the first ones only.
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
        &STRONGEST,
    ]
}; // frozen

/// The contexts of each profile in a program.
const CODE_CONTEXTS: [&[Context]; 5] = {
    use Context::*;
    [
        &[Order(2), Code(1)],
        &[Order(2), Order(4), Code(1)],
        &[Order(2), Order(4), Code(0), Code(2)],
        &[
            Order(2),
            Order(3),
            Order(4),
            Order(6),
            Word,
            Code(0),
            Code(1),
            Code(2),
            Code(4),
            Code(5),
        ],
        &[
            Order(2),
            Order(3),
            Order(4),
            Order(6),
            Sparse(0xffff00),
            Sparse(0xffff_0000),
            Indirect1,
            Indirect2,
            Word,
            Code(0),
            Code(1),
            Code(2),
            Code(3),
            Code(4),
            Code(5),
            Code(6),
        ],
    ]
}; // frozen

/// The contexts of tables, the most useful first: profile 4 has ten of them.
const TABLE: [Context; 16] = {
    use Context::*;
    [
        Field(6),
        Field(7),
        Field(0),
        Field(1),
        Field(2),
        Field(5),
        Field(8),
        Field(9),
        Order(2),
        Order(4),
        Field(3),
        Field(4),
        Field(10),
        Field(11),
        Order(3),
        Order(6),
    ]
}; // frozen

/// The contexts of images, in the same way.
const IMAGE: [Context; 16] = {
    use Context::*;
    [
        Field(0),
        Field(1),
        Field(2),
        Field(3),
        Field(4),
        Field(5),
        Field(6),
        Field(8),
        Field(9),
        Order(2),
        Field(7),
        Field(10),
        Field(11),
        Field(12),
        Order(4),
        Order(6),
    ]
}; // frozen

/// Binary logarithm of the most lines of 64 bytes that each profile's table has: 16, 32, 64, 128 and 256 MiB.
const MAX_LINE_BITS: [u32; 5] = [18, 19, 20, 21, 22]; // frozen

impl Shape {
    /// The shape of `profile` (1 to 5) for a block of `len` bytes, which are a program of `machine` or bytes of any kind.
    pub fn new(profile: u8, machine: Option<Machine>, len: usize) -> Self {
        let index = usize::from(profile) - 1;
        let contexts = match machine {
            None => CONTEXTS[index],
            Some(_) => CODE_CONTEXTS[index],
        };
        let (line_bits, head_bits) = table_bits(len, contexts.len(), MAX_LINE_BITS[index]);
        Self {
            layout: None,
            contexts,
            machine,
            selectors: &SELECTORS[..[2, 2, 3, 6, 8][index]],
            line_bits,
            head_bits,
            match_lens: if profile >= 4 { &[6, 16] } else { &[6] },
        }
    }

    /// The shape for what stands in columns, `len` bytes: that of profile 4 or 5 with other contexts.
    pub fn in_columns(profile: u8, layout: Layout, len: usize) -> Self {
        let profile = profile.clamp(4, 5);
        let contexts: &[Context] = match layout {
            Layout::Table(_) => &TABLE,
            Layout::Image(_) => &IMAGE,
        };
        let contexts = if profile == 4 { &contexts[..10] } else { contexts };
        Self { layout: Some(layout), contexts, ..Self::new(profile, None, len) }
    }

    /// The number of inputs of the first layer: two for each history, three for each match model, and a constant.
    fn inputs(&self) -> usize {
        2 * (self.contexts.len() + DIRECT) + 3 * self.match_lens.len() + 1
    }

    /// An empty store for mixers of this shape.
    pub fn store(&self) -> Whole {
        Whole::new(self.line_bits, self.head_bits, self.match_lens.len())
    }

    /// How many contexts are looked up.
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// How many match models there are.
    pub fn match_models(&self) -> usize {
        self.match_lens.len()
    }

    /// Bytes that a store allocates.
    pub fn store_memory(&self) -> u64 {
        Whole::memory(self.line_bits, self.head_bits, self.match_lens.len())
    }

    /// Bytes that a mixer of this shape allocates; the last 4096 are for what is small.
    pub fn memory(&self) -> u64 {
        let models = self.match_lens.len();
        let rows: usize = self.selectors.iter().map(|s| s.rows(self.contexts.len())).sum();
        let weights = 2 * rows * self.inputs().next_multiple_of(LANES);
        let last = 2 * 256 * 4 * self.selectors.len();
        let maps = 1024 * (self.contexts.len() + DIRECT);
        models as u64 * Matcher::memory()
            + Successors::MEMORY
            + apm_memory() * 3
            + (weights + last + maps + 65536 + 4096) as u64
    }
}

/// Context mixing over `N` hashed contexts with `SETS` weight sets; `WIDTH` is the number of inputs with padding.
#[derive(Debug)]
pub struct ContextMixer<const N: usize, const SETS: usize, const WIDTH: usize> {
    past: Past,
    /// Until the first byte, whose program the block is.
    machine: Option<Machine>,
    successors: Successors,
    contexts: [Context; N],
    histories: Histories<N>,
    hashes: [u32; N],
    slots: [Slot; N],
    matchers: Vec<(Matcher, Follower)>,
    inputs: [i16; WIDTH],
    first: Layer<SETS, WIDTH>,
    last: Last<SETS>,
    apms: [Apm; 3],
    rate: i32,
}

impl<const N: usize, const SETS: usize, const WIDTH: usize> ContextMixer<N, SETS, WIDTH> {
    /// How many adaptive maps are used: fast profiles have one.
    const APMS: usize = if SETS > 3 { 3 } else { 1 }; // frozen

    /// A mixer that has seen nothing.
    pub fn new(shape: &Shape) -> Self {
        assert_eq!(WIDTH, shape.inputs().next_multiple_of(LANES));
        Self {
            past: shape.layout.map_or_else(Past::new, Past::in_columns),
            machine: shape.machine,
            successors: Successors::new(),
            contexts: shape.contexts.try_into().expect("a history a context"),
            histories: Histories::new(),
            hashes: [0; N],
            slots: [0; N],
            matchers: shape
                .match_lens
                .iter()
                .enumerate()
                .map(|(i, &len)| (Matcher::new(i, len), Follower::default()))
                .collect(),
            inputs: constant_input(shape),
            first: Layer::new(
                &std::array::from_fn(|i| SELECTORS[i].rows(N)),
                ONE * 5 / (4 * (N as i32 + 2)),
            ),
            last: Last::new(),
            apms: new_apms(),
            rate: FIRST_RATE_START,
        }
    }

    /// Codes one byte of a block, of which `view` shows what is known so far.
    #[inline]
    pub fn code<C: Coder, S: Store>(
        &mut self,
        store: &mut S,
        coder: &mut C,
        view: View<'_>,
        known: u8,
    ) -> u8 {
        let past = view.past;
        if let Some(machine) = self.machine.take() {
            self.past = Past::of_program(machine, view.start);
        }
        for (matcher, follower) in &mut self.matchers {
            matcher.prepare(store, follower, past);
        }
        self.past.push(past, &mut self.successors);
        for (i, hash) in self.hashes.iter_mut().enumerate() {
            *hash = self.past.hash(i, self.contexts[i], past, &self.successors);
        }
        store.prefetch(&self.hashes);
        for (matcher, follower) in &mut self.matchers {
            matcher.advance(store, follower, view);
        }
        let mut byte = Byte::new(&self.past, past);
        byte.seen = store.find(&self.hashes, &mut self.slots);
        self.code_half(store, coder, &mut byte, known);
        byte.inner = 1;
        let hashes = half_hashes(&self.hashes, byte.node);
        byte.seen = store.find(&hashes, &mut self.slots);
        self.code_half(store, coder, &mut byte, known);
        if self.rate > FIRST_RATE && past.len() % 4096 == 4095 {
            self.rate -= 1;
        }
        byte.node as u8
    }

    /// Leaves a byte alone: another model codes it. What matches follow goes on, but nothing is learned, and there nothing is looked for.
    pub fn pass(&mut self, view: View<'_>) {
        for (_, follower) in &mut self.matchers {
            follower.pass(view);
        }
    }

    fn code_half<C: Coder, S: Store>(
        &mut self,
        store: &mut S,
        coder: &mut C,
        byte: &mut Byte,
        known: u8,
    ) {
        for i in 0..4 {
            let bit = self.code_bit(store.bytes(), coder, byte, byte.next_of(known));
            byte.push(bit);
            if i == 2 && byte.node < 16 {
                prefetch_halves(store, &self.hashes, byte.node);
            }
        }
    }

    #[inline(always)]
    fn code_bit<C: Coder>(
        &mut self,
        table: &mut [u8],
        coder: &mut C,
        byte: &Byte,
        known: bool,
    ) -> bool {
        let expectation = self.expect(byte);
        let curves = byte.curves(expectation);
        for (apm, &curve) in self.apms.iter().zip(&curves).take(Self::APMS) {
            apm.prefetch(curve);
        }
        let rows = std::array::from_fn(|i| self.row(SELECTORS[i], byte, expectation));
        self.first.select(rows);
        self.histories.gather(table, &self.slots, byte, &mut self.inputs);
        let hidden = *self.first.mix(&self.inputs);
        let stretched = self.last.mix(&hidden, [byte.node as u8, self.past.text.shape as u8]);
        let p = self.refine(stretched, &curves);
        let bit = coder.bit(BitProb::new(p), known);
        self.learn(table, byte, &hidden, bit);
        bit
    }

    /// Asks the match models and writes their inputs; returns what the first of them expects.
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

    #[inline(always)]
    fn row(&self, selector: Selector, byte: &Byte, expectation: Expectation) -> usize {
        let position = byte.position();
        match selector {
            Selector::Node => byte.node,
            Selector::Match => expectation.bucket * 16 + byte.inner,
            Selector::Last => byte.last,
            Selector::Seen => expectation.side * (N + 1) + byte.seen,
            Selector::Kinds => (self.past.text.shape as usize & 255) * 8 + position,
            Selector::Second => byte.second * 8 + position,
            Selector::Third => self.past.bytes as usize >> 16 & 255,
            Selector::Column => byte.column,
        }
    }

    /// The final probability over 2^16: a weighted mean of what the mixer says and of what the adaptive maps make of it. Fast
    /// profiles have one map, the others three.
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
    fn learn(&mut self, table: &mut [u8], byte: &Byte, hidden: &[i32; SETS], bit: bool) {
        self.first.update(&self.inputs, bit, self.rate);
        self.last.update(hidden, bit);
        for apm in &mut self.apms[..Self::APMS] {
            apm.update(bit);
        }
        for (matcher, follower) in &mut self.matchers {
            matcher.update(follower, bit);
        }
        self.histories.learn(table, &self.slots, byte, bit);
    }
}

impl<const N: usize, const SETS: usize, const WIDTH: usize> Team for ContextMixer<N, SETS, WIDTH> {
    fn code<C: Coder>(
        &mut self,
        store: &mut Shared<'_>,
        around: Around<'_>,
        part: &mut [u8],
        [steps, _]: [Range<usize>; 2],
        coder: &mut C,
    ) {
        for step in steps.start..steps.end.min(part.len()) {
            coder.begin(around.start + step);
            let view = around.view(part, 0, step);
            part[step] = ContextMixer::code(self, store, coder, view, part[step]);
        }
    }

    fn lanes(&mut self) -> Vec<Vec<Part<'_>>> {
        let mut parts = vec![Part::Weights(self.first.weights())];
        parts.extend(self.last.weights().map(Part::Last));
        parts.extend(self.apms[..Self::APMS].iter_mut().map(|apm| Part::Curves(apm.curves())));
        vec![parts]
    }
}

/// Inputs of which all are 0 but the last, a constant, by which a weight set can lean to one side.
fn constant_input<const WIDTH: usize>(shape: &Shape) -> [i16; WIDTH] {
    let mut inputs = [0; WIDTH];
    inputs[shape.inputs() - 1] = 256;
    inputs
}
