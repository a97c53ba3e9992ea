//! The mixer of a primed state: from contexts to the probability of the next bit, and back to what each learns from the bit.

use super::contexts::{CONTEXTS, Facts, ORDERS};
use super::parameters::{APM_CONTEXTS, APMS, Learn, Mixed, Parameters, SETS, WIDTH};
use super::table::{Line, Place, Slot, Table};
use crate::coder::Coder;
use crate::predict::cm::byte::{curve, half_hashes};
use crate::predict::cm::history;
use crate::quantize::BitProb;

/// Context mixing of records. It holds what a record changes (histories, and what is known of the record so far); what
/// histories are worth and how they are weighed are [`Parameters`], which many mixers share.
#[derive(Debug, Clone)]
pub struct RecordMixer {
    pub table: Table,
    facts: Facts,
    places: [Place; CONTEXTS],
    slots: [Slot; CONTEXTS],
    inputs: [i16; WIDTH],
    journal: bool,
}

/// What is known of the byte being coded.
#[derive(Debug)]
pub struct Byte {
    hashes: [u32; CONTEXTS],
    node: usize,
    inner: usize,
    /// How many of the other contexts have been seen before.
    seen: usize,
    /// How many of the orders have been seen before.
    order: usize,
}

impl Byte {
    /// The bits so far behind a leading 1.
    #[inline(always)]
    pub fn node(&self) -> usize {
        self.node
    }
}

impl RecordMixer {
    /// A mixer over these histories. With `journal`, the table keeps what [`RecordMixer::restore`] needs.
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

    /// Begins a record: forgets what is known of the one before.
    pub fn start(&mut self) {
        self.facts = Facts::default();
    }

    /// Begins a record, and puts the histories back to what they were when the journal began: `lines`.
    pub fn restore(&mut self, lines: &[Line]) {
        self.table.restore(lines);
        self.start();
    }

    /// Codes one byte.
    #[inline]
    pub fn code<C: Coder, L: Learn>(&mut self, learn: &mut L, coder: &mut C, known: u8) -> u8 {
        let mut byte = self.begin();
        self.first_half(&mut byte);
        self.code_half(learn, coder, &mut byte, known);
        self.second_half(&mut byte);
        self.code_half(learn, coder, &mut byte, known);
        self.end(&byte);
        byte.node as u8
    }

    /// Begins the next byte, and fetches the histories of its first half.
    #[inline(always)]
    pub fn begin(&self) -> Byte {
        let hashes = self.facts.hashes();
        self.table.prefetch(&hashes);
        Byte { hashes, node: 1, inner: 1, seen: 0, order: 0 }
    }

    /// Finds the histories of the first half: to be called before the first bit.
    #[inline(always)]
    pub fn first_half(&mut self, byte: &mut Byte) {
        self.find(byte, byte.hashes);
    }

    /// Stores the histories of the first half and finds those of the second: to be called before the fifth bit.
    #[inline(always)]
    pub fn second_half(&mut self, byte: &mut Byte) {
        self.table.store(&self.places, &self.slots, byte.inner, self.journal);
        byte.inner = 1;
        self.find(byte, half_hashes(&byte.hashes, byte.node));
    }

    /// Stores the histories of the second half and takes in the byte: to be called after the last bit.
    #[inline(always)]
    pub fn end(&mut self, byte: &Byte) {
        self.table.store(&self.places, &self.slots, byte.inner, self.journal);
        self.facts.push(byte.node as u8);
    }

    /// Exchanges what is known of the past for `facts`: for lanes, each of which has a past of its own.
    pub fn exchange(&mut self, facts: &mut Facts) {
        std::mem::swap(&mut self.facts, facts);
    }

    fn find(&mut self, byte: &mut Byte, hashes: [u32; CONTEXTS]) {
        let seen = self.table.find(&hashes, &mut self.places, &mut self.slots);
        byte.seen = (seen >> ORDERS).count_ones() as usize;
        byte.order = (seen & ((1 << ORDERS) - 1)).count_ones() as usize;
    }

    #[inline(always)]
    fn code_half<C: Coder, L: Learn>(
        &mut self,
        learn: &mut L,
        coder: &mut C,
        byte: &mut Byte,
        known: u8,
    ) {
        for _ in 0..4 {
            let mixed = self.predict(learn.get(), byte);
            let bit = coder.bit(BitProb::new(mixed.p), known >> (7 - byte.node.ilog2()) & 1 == 1);
            self.update(learn, byte, &mixed, bit);
        }
    }

    /// Predicts the next bit.
    #[inline(always)]
    pub fn predict(&mut self, parameters: &Parameters, byte: &Byte) -> Mixed {
        let inner = byte.inner & 15;
        let pairs = self.inputs.as_chunks_mut().0;
        for ((slot, map), pair) in self.slots.iter().zip(parameters.inputs()).zip(pairs) {
            *pair = map[usize::from(slot[inner])];
        }
        let (rows, last, curves) = self.choose(byte);
        parameters.mix(&self.inputs, rows, last, curves)
    }

    /// Learns that the bit was `bit`.
    #[inline(always)]
    pub fn update<L: Learn>(&mut self, learn: &mut L, byte: &mut Byte, mixed: &Mixed, bit: bool) {
        let inner = byte.inner & 15;
        learn.learn(mixed, &self.inputs, bit);
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let state = &mut slot[inner];
            learn.learn_history(i, *state, bit);
            *state = history::NEXT[usize::from(*state)][usize::from(bit)];
        }
        byte.node = byte.node << 1 | usize::from(bit);
        byte.inner = byte.inner << 1 | usize::from(bit);
        // After three bits of the first half only two lines a context can be needed next, so both are fetched ahead.
        if byte.node >> 3 == 1 {
            self.table.prefetch(&half_hashes(&byte.hashes, byte.node << 1));
            self.table.prefetch(&half_hashes(&byte.hashes, byte.node << 1 | 1));
        }
    }

    /// Chooses the rows of both layers and the curves of the adaptive maps.
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
        let curves = [order1, order2].map(|context| curve(context, APM_CONTEXTS));
        (rows, [byte.node, byte.order * 16 + byte.seen], curves)
    }
}
