//! The network: from contexts to the probability of the next bit, and back to what each learns.

use super::contexts::{CONTEXTS, Facts, ORDERS};
use super::parameters::{APM_CONTEXTS, APMS, Learn, SETS, WIDTH};
use super::table::{Line, Place, Slot, Table};
use crate::coder::Coder;
use crate::predict::cm::history;
use crate::quantize::BitProb;

/// What one record changes: histories, and what is known of the record so far.
#[derive(Debug, Clone)]
pub struct Network {
    pub table: Table,
    facts: Facts,
    places: [Place; CONTEXTS],
    slots: [Slot; CONTEXTS],
    inputs: [i16; WIDTH],
    journal: bool,
}

struct Byte {
    node: usize,
    inner: usize,
    seen: usize,
    /// Hits among the orders.
    order: usize,
}

impl Network {
    /// Over these histories.
    pub fn new(table: Table, journal: bool) -> Self {
        let mut inputs = [0; WIDTH];
        inputs[2 * CONTEXTS] = 256;
        Self {
            table,
            facts: Facts::default(),
            places: [0; CONTEXTS],
            slots: [Slot::default(); CONTEXTS],
            inputs,
            journal,
        }
    }

    /// The next byte is the first of a record.
    pub fn start(&mut self) {
        self.facts = Facts::default();
    }

    /// As [`Network::start`], with the histories as they were when the journal began: `lines`.
    pub fn restore(&mut self, lines: &[Line]) {
        self.table.restore(lines);
        self.start();
    }

    /// Codes one byte.
    #[inline]
    pub fn code<C: Coder, L: Learn>(&mut self, learn: &mut L, coder: &mut C, known: u8) -> u8 {
        let hashes = self.facts.hashes();
        self.table.prefetch(&hashes);
        let mut byte = Byte { node: 1, inner: 1, seen: 0, order: 0 };
        self.find(&mut byte, &hashes);
        self.code_half(learn, coder, &mut byte, &hashes, known);
        self.table.store(&self.places, &self.slots, self.journal);
        byte.inner = 1;
        let halves = half_hashes(&hashes, byte.node);
        self.find(&mut byte, &halves);
        self.code_half(learn, coder, &mut byte, &hashes, known);
        self.table.store(&self.places, &self.slots, self.journal);
        self.facts.push(byte.node as u8);
        byte.node as u8
    }

    fn find(&mut self, byte: &mut Byte, hashes: &[u32; CONTEXTS]) {
        let seen = self.table.find(hashes, &mut self.places, &mut self.slots);
        byte.seen = (seen >> ORDERS).count_ones() as usize;
        byte.order = (seen & ((1 << ORDERS) - 1)).count_ones() as usize;
    }

    #[inline(always)]
    fn code_half<C: Coder, L: Learn>(
        &mut self,
        learn: &mut L,
        coder: &mut C,
        byte: &mut Byte,
        hashes: &[u32; CONTEXTS],
        known: u8,
    ) {
        for i in 0..4 {
            let bit = self.code_bit(learn, coder, byte, known >> (7 - byte.node.ilog2()) & 1 == 1);
            byte.node = byte.node << 1 | usize::from(bit);
            byte.inner = byte.inner << 1 | usize::from(bit);
            // Three bits in, two lines a context are left to be next: fetch both ahead.
            if i == 2 && byte.node < 16 {
                self.table.prefetch(&half_hashes(hashes, byte.node << 1));
                self.table.prefetch(&half_hashes(hashes, byte.node << 1 | 1));
            }
        }
    }

    #[inline(always)]
    fn code_bit<C: Coder, L: Learn>(
        &mut self,
        learn: &mut L,
        coder: &mut C,
        byte: &Byte,
        known: bool,
    ) -> bool {
        let parameters = learn.get();
        let inner = byte.inner & 15;
        let pairs = self.inputs.as_chunks_mut().0;
        for ((slot, map), pair) in self.slots.iter().zip(parameters.inputs()).zip(pairs) {
            *pair = map[usize::from(slot[inner])];
        }
        let (rows, last, curves) = self.choose(byte);
        let mixed = parameters.mix(&self.inputs, rows, last, curves);
        let bit = coder.bit(BitProb::new(mixed.p), known);
        learn.learn(&mixed, &self.inputs, bit);
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let state = &mut slot[inner];
            learn.learn_history(i, *state, bit);
            *state = history::NEXT[usize::from(*state)][usize::from(bit)];
        }
        bit
    }

    /// Rows of both layers, curves of the adaptive maps.
    #[inline(always)]
    fn choose(&self, byte: &Byte) -> ([usize; SETS], [usize; 2], [usize; APMS]) {
        let facts = &self.facts;
        let position = byte.node.ilog2() as usize;
        let rows = [
            byte.node,
            facts.last(),
            byte.order * 16 + byte.inner,
            (facts.shape() & 255) * 8 + position,
            (facts.field().min(31)) * 8 + position,
            facts.second() * 8 + position,
        ];
        let order1 = facts.last() << 8 | byte.node;
        let order2 = facts.second() << 16 | order1;
        let curves = [order1, order2].map(|context| {
            ((context as u32).wrapping_mul(0x9e37_79b1) >> (32 - APM_CONTEXTS.ilog2())) as usize
        });
        (rows, [byte.node, byte.order * 16 + byte.seen], curves)
    }
}

/// Where the second half of a byte looks, after `node`.
#[inline]
fn half_hashes<const N: usize>(hashes: &[u32; N], node: usize) -> [u32; N] {
    let salt = (node as u32).wrapping_mul(0x9e37_79b1);
    hashes.map(|h| {
        let h = (h ^ salt).wrapping_mul(0x85eb_ca6b);
        h ^ h >> 15
    })
}
