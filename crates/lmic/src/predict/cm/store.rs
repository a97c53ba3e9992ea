//! What a model looks up by hash: lines of histories, and where the match models have last seen something.
//!
//! A block of one team has it for itself ([`Whole`]). Teams share it and have views of it (`teams`).

use super::table::{HistoryTable, Line, Slot, Slots};
use crate::simd;

/// Histories and the heads of match models.
pub trait Store: Slots {
    /// Binary logarithm of the heads that each match model has.
    fn head_bits(&self) -> u32;

    /// Fetches a head of match model `model` ahead of [`Store::exchange_head`].
    fn prefetch_head(&self, model: usize, head: usize);

    /// Sets a head to `position` and returns what it was before; 0 if nothing.
    fn exchange_head(&mut self, model: usize, head: usize, position: u32) -> u32;
}

/// The store of one block.
#[derive(Debug)]
pub struct Whole {
    table: HistoryTable,
    head_bits: u32,
    heads: Vec<Box<[u32]>>, // (match model, hash): position in the block after the last occurrence
}

impl Whole {
    /// An empty store with `1 << line_bits` lines, and `1 << head_bits` heads for each of `models` match models.
    pub fn new(line_bits: u32, head_bits: u32, models: usize) -> Self {
        let heads = (0..models).map(|_| vec![0; 1 << head_bits].into_boxed_slice()).collect();
        Self { table: HistoryTable::new(line_bits), head_bits, heads }
    }

    /// Bytes that [`Whole::new`] allocates.
    pub fn memory(line_bits: u32, head_bits: u32, models: usize) -> u64 {
        (64u64 << line_bits) + models as u64 * (4 << head_bits)
    }

    /// The lines, and the heads of each match model.
    pub fn parts(&mut self) -> (&mut [Line], &mut [Box<[u32]>]) {
        (self.table.lines(), &mut self.heads)
    }
}

impl Slots for Whole {
    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        self.table.bytes()
    }

    #[inline]
    fn prefetch<const N: usize>(&mut self, hashes: &[u32; N]) {
        self.table.prefetch(hashes);
    }

    #[inline]
    fn find<const N: usize>(&mut self, hashes: &[u32; N], slots: &mut [Slot; N]) -> usize {
        self.table.find(hashes, slots)
    }
}

impl Store for Whole {
    #[inline]
    fn head_bits(&self) -> u32 {
        self.head_bits
    }

    #[inline]
    fn prefetch_head(&self, model: usize, head: usize) {
        simd::prefetch(&self.heads[model], head);
    }

    #[inline]
    fn exchange_head(&mut self, model: usize, head: usize, position: u32) -> u32 {
        std::mem::replace(&mut self.heads[model][head], position)
    }
}
