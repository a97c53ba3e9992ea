//! What the mixers of `cm` and of `mix` have in common: where they are in the byte that is coded, and the histories of its
//! contexts.

use super::apm::Apm;
use super::contexts::{Context, Past};
use super::counter::HistoryMap;
use super::logistic::stretch;
use super::matcher::Expectation;
use super::table::{Slot, Slots};

/// The contexts of the strongest profile, also where a network is mixed in; measured by leaving each out in turn
/// (docs/measurements/cm.md).
pub const STRONGEST: [Context; 16] = {
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

/// The number of contexts that need no hash: order 0 and order 1.
pub const DIRECT: usize = 2; // frozen
/// Curves of an adaptive map: few enough to stay in the CPU's second cache.
const APM_CONTEXTS: usize = 4096; // frozen
/// Learning rate of the first layer: it falls from the first of these to the second. The mixer that uses it says how fast.
pub const FIRST_RATE_START: i32 = 36; // frozen
pub const FIRST_RATE: i32 = 14; // frozen

/// Binary logarithms of two sizes for a block of `len` bytes under `contexts` contexts: the lines of the history table, and the
/// heads of each match model.
///
/// A byte claims about two slots of 16 bytes in each context that is new. So a short block gets a table by its length, and
/// `most` limits that of a long one.
pub fn table_bits(len: usize, contexts: usize, most: u32) -> (u32, u32) {
    // No block is that long. The limit is there so that nothing overflows for any `len`.
    let len = (len as u64).clamp(64, 1 << 40);
    let wanted = (len * contexts as u64).div_ceil(16);
    let bits = |count: u64| count.next_power_of_two().ilog2().min(most);
    (bits(wanted), bits(len))
}

/// What is known of the byte being coded.
pub struct Byte {
    /// The last byte, and the byte before.
    pub last: usize,
    pub second: usize,
    /// The bits of this byte so far, behind a leading 1.
    pub node: usize,
    /// The bits of this half byte so far, behind a leading 1.
    pub inner: usize,
    /// How many contexts have been seen before.
    pub seen: usize,
    /// Bytes since the line began, at most 255.
    pub column: usize,
}

impl Byte {
    /// The byte that follows `bytes`, of which `past` has the facts. None of its bits is known.
    #[inline(always)]
    pub fn new(past: &Past, bytes: &[u8]) -> Self {
        Self {
            last: past.bytes as usize & 255,
            second: past.bytes as usize >> 8 & 255,
            node: 1,
            inner: 1,
            seen: 0,
            column: past.column(bytes).min(255),
        }
    }

    /// How many bits of the byte have come.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.node.ilog2() as usize
    }

    /// The next bit of `known`, which an encoder knows to be the byte.
    #[inline(always)]
    pub fn next_of(&self, known: u8) -> bool {
        known >> (7 - self.node.ilog2()) & 1 == 1
    }

    /// Takes in a bit.
    #[inline(always)]
    pub fn push(&mut self, bit: bool) {
        self.node = self.node << 1 | usize::from(bit);
        self.inner = self.inner << 1 | usize::from(bit);
    }

    /// The curve that each adaptive map uses. They are chosen by the last byte, the last two bytes, and the byte that the match
    /// model expects, each with the bits of this byte so far.
    #[inline(always)]
    pub fn curves(&self, expectation: Expectation) -> [usize; 3] {
        let order1 = self.last << 8 | self.node;
        let order2 = self.second << 16 | order1;
        let matched = (expectation.byte | 0x100) << 8 | self.node;
        [order1, order2, matched].map(|context| curve(context, APM_CONTEXTS))
    }
}

/// The curve that a context gets among `curves`, which is a power of two: contexts share curves.
#[inline(always)]
pub fn curve(context: usize, curves: usize) -> usize {
    ((context as u32).wrapping_mul(0x9e37_79b1) >> (32 - curves.ilog2())) as usize
}

/// Adaptive maps for [`Byte::curves`].
pub fn new_apms<const APMS: usize>() -> [Apm; APMS] {
    std::array::from_fn(|_| Apm::new(APM_CONTEXTS))
}

/// Bytes of one such map.
pub fn apm_memory() -> u64 {
    Apm::memory(APM_CONTEXTS)
}

/// The hashes under which the histories of the second half byte are found, after the first half is known as `node`.
#[inline]
pub fn half_hashes<const N: usize>(hashes: &[u32; N], node: usize) -> [u32; N] {
    let salt = (node as u32).wrapping_mul(0x9e37_79b1);
    hashes.map(|h| {
        let h = (h ^ salt).wrapping_mul(0x85eb_ca6b);
        h ^ h >> 15
    })
}

/// Maps of what each history of `N` hashed contexts was worth, and of two contexts that need no hash. The histories of the former
/// stand in a table.
#[derive(Debug)]
pub struct Histories<const N: usize> {
    pub maps: [HistoryMap; N],
    pub direct_maps: [HistoryMap; DIRECT],
    order0: [u8; 256],
    order1: Box<[u8; 65536]>,
}

impl<const N: usize> Histories<N> {
    /// Histories of nothing.
    pub fn new() -> Self {
        Self {
            maps: std::array::from_fn(|_| HistoryMap::new()),
            direct_maps: std::array::from_fn(|_| HistoryMap::new()),
            order0: [0; 256],
            order1: vec![0; 65536].try_into().expect("65536 values"),
        }
    }

    /// Bytes that this allocates or holds.
    pub fn memory() -> u64 {
        1024 * (N + DIRECT) as u64 + 65536
    }

    /// Forgets the histories, but not what they were worth.
    pub fn forget(&mut self) {
        let Self { order0, order1, .. } = Self::new();
        (self.order0, self.order1) = (order0, order1);
    }

    /// Writes what the histories say of the next bit into `inputs`, two for each.
    #[inline(always)]
    pub fn gather(&self, table: &[u8], slots: &[Slot; N], byte: &Byte, inputs: &mut [i16]) {
        let (inputs, rest) = inputs.as_chunks_mut().0.split_at_mut(N);
        for ((&slot, map), inputs) in slots.iter().zip(&self.maps).zip(inputs) {
            *inputs = history_inputs(map, table[slot as usize + byte.inner]);
        }
        rest[0] = history_inputs(&self.direct_maps[0], self.order0[byte.node]);
        rest[1] = history_inputs(&self.direct_maps[1], self.order1[byte.last << 8 | byte.node]);
    }

    /// Learns the bit that came.
    #[inline(always)]
    pub fn learn(&mut self, table: &mut [u8], slots: &[Slot; N], byte: &Byte, bit: bool) {
        for (&slot, map) in slots.iter().zip(&mut self.maps) {
            map.learn(&mut table[slot as usize + byte.inner], bit);
        }
        self.direct_maps[0].learn(&mut self.order0[byte.node], bit);
        self.direct_maps[1].learn(&mut self.order1[byte.last << 8 | byte.node], bit);
    }
}

/// Fetches lines ahead after three bits of the first half byte, when only two lines a context can be needed next.
#[inline(always)]
pub fn prefetch_halves<const N: usize>(table: &mut impl Slots, hashes: &[u32; N], node: usize) {
    table.prefetch(&half_hashes(hashes, node << 1));
    table.prefetch(&half_hashes(hashes, node << 1 | 1));
}

/// What a history says, as two inputs: in the stretch domain, and as a difference from even odds, in which confident histories
/// weigh less. A history of nothing says nothing: both are 0.
#[inline(always)]
fn history_inputs(map: &HistoryMap, state: u8) -> [i16; 2] {
    let p = map.p(state);
    let seen = if state == 0 { 0 } else { -1 };
    [stretch(p) as i16 & seen, ((p as i32 - 32768) >> 5) as i16 & seen]
}
