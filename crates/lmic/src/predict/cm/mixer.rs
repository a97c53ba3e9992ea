//! Gated logistic mixing: a weighted sum in the stretch domain, with weights chosen by context.
//!
//! Several weight sets see the same inputs; in each, another small context chooses the row of weights. A second, smaller
//! layer combines their outputs. All weights move so that the code would have been shorter: `w += rate * input * error`.
//! After M. Mahoney (2005) and, for the choice of rows, J. Veness et al., "Gated linear networks" (2019).
//!
//! Weights are `i16`, of which 16384 means 1.0: finer weights were no better when measured.

use super::logistic::{STRETCH_MAX, squash_within};
use crate::simd::{self, LANES, Level};

/// Learning rate of the second layer, in units of 2^-7.
const LAST_RATE: i32 = 7; // frozen

/// A weight of 1.0.
pub const ONE: i32 = 1 << 14; // frozen

/// The first layer: `SETS` weight sets over the same inputs.
#[derive(Debug)]
pub struct Layer<const SETS: usize, const WIDTH: usize> {
    level: Level,
    weights: Vec<i16>, // (context over all sets, inputs)
    starts: [usize; SETS],
    selected: [usize; SETS],
    outputs: [i32; SETS],
}

impl<const SETS: usize, const WIDTH: usize> Layer<SETS, WIDTH> {
    const WHOLE_VECTORS: () = assert!(WIDTH.is_multiple_of(LANES)); // tunable

    /// A layer whose weights are all `initial`; set `i` has `contexts[i]` rows.
    pub fn new(contexts: &[usize; SETS], initial: i32) -> Self {
        Self::with_row(contexts, &[initial as i16; WIDTH])
    }

    /// A layer whose rows are all `initial`; set `i` has `contexts[i]` rows.
    pub fn with_row(contexts: &[usize; SETS], initial: &[i16; WIDTH]) -> Self {
        let () = Self::WHOLE_VECTORS;
        let mut rows = 0;
        let starts = contexts.map(|n| {
            rows += n;
            (rows - n) * WIDTH
        });
        Self {
            level: Level::detect(),
            weights: initial.repeat(rows),
            starts,
            selected: starts,
            outputs: [0; SETS],
        }
    }

    /// Sets all rows of each set to the one that `rows`, (set, input), has for it.
    pub fn start(&mut self, rows: &[i16]) {
        for (set, row) in rows.chunks_exact(WIDTH).enumerate() {
            let end = self.starts.get(set + 1).copied().unwrap_or(self.weights.len());
            let weights = &mut self.weights[self.starts[set]..end];
            weights.chunks_exact_mut(WIDTH).for_each(|own| own.copy_from_slice(row));
        }
    }

    /// Changes every row of each set.
    pub fn for_each_row(&mut self, change: impl Fn(&mut [i16])) {
        self.weights.chunks_exact_mut(WIDTH).for_each(change);
    }

    /// All weights, for teams that exchange them.
    pub fn weights(&mut self) -> &mut [i16] {
        &mut self.weights
    }

    /// The rows chosen last.
    pub fn chosen(&self) -> impl Iterator<Item = &[i16]> {
        self.selected.iter().map(|&at| &self.weights[at..at + WIDTH])
    }

    /// Chooses the row of each set, and fetches it ahead of [`Layer::mix`].
    #[inline(always)]
    pub fn select(&mut self, contexts: [usize; SETS]) {
        for ((row, start), context) in self.selected.iter_mut().zip(self.starts).zip(contexts) {
            *row = start + context * WIDTH;
            simd::prefetch(&self.weights, *row);
            simd::prefetch(&self.weights, *row + WIDTH - 1);
        }
    }

    /// Stretched output of each set.
    #[inline(always)]
    pub fn mix(&mut self, inputs: &[i16; WIDTH]) -> &[i32; SETS] {
        let dots = self.level.dot_rows(&self.weights, &self.selected, inputs);
        self.outputs = dots.map(|dot| (dot >> 14).clamp(-STRETCH_MAX, STRETCH_MAX));
        &self.outputs
    }

    /// Learns that the bit was `bit`. `rate` is in units of 2^-7.
    #[inline(always)]
    pub fn update(&mut self, inputs: &[i16; WIDTH], bit: bool, rate: i32) {
        let target = i32::from(bit) << 16;
        let steps =
            self.outputs.map(|out| (((target - squash_within(out) as i32) * rate) >> 7) as i16);
        self.level.train_rows(&mut self.weights, &self.selected, inputs, &steps);
    }
}

/// The second layer. It has so few inputs that plain integers are quicker than vectors.
#[derive(Debug)]
pub struct Last<const INPUTS: usize> {
    sets: [Vec<[i32; INPUTS]>; 2], // (set, context): weights, 65536 = 1.0
    selected: [usize; 2],
    outputs: [i32; 2],
}

impl<const INPUTS: usize> Last<INPUTS> {
    /// Two sets with 256 rows each.
    pub fn new() -> Self {
        let rows = vec![[65536 / INPUTS as i32; INPUTS]; 256];
        Self { sets: [rows.clone(), rows], selected: [0; 2], outputs: [0; 2] }
    }

    /// Sets all rows of each set to the one that `rows`, (set, input), has for it.
    pub fn start(&mut self, rows: &[i32]) {
        for (set, row) in self.sets.iter_mut().zip(rows.chunks_exact(INPUTS)) {
            set.iter_mut().for_each(|own| own.copy_from_slice(row));
        }
    }

    /// All weights of each set, for teams that exchange them.
    pub fn weights(&mut self) -> [&mut [i32]; 2] {
        self.sets.each_mut().map(|set| set.as_flattened_mut())
    }

    /// The rows chosen last.
    pub fn chosen(&self) -> impl Iterator<Item = &[i32; INPUTS]> {
        self.sets.iter().zip(self.selected).map(|(set, row)| &set[row])
    }

    /// The mean of both sets' outputs, stretched.
    #[inline(always)]
    pub fn mix(&mut self, inputs: &[i32; INPUTS], contexts: [u8; 2]) -> i32 {
        self.selected = contexts.map(usize::from);
        for i in 0..2 {
            let weights = &self.sets[i][self.selected[i]];
            let dot = weights
                .iter()
                .zip(inputs)
                .fold(0i32, |sum, (w, x)| sum.wrapping_add(w.wrapping_mul(*x) >> 4));
            self.outputs[i] = (dot >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        }
        (self.outputs[0] + self.outputs[1]) >> 1
    }

    /// Learns that the bit was `bit`.
    #[inline(always)]
    pub fn update(&mut self, inputs: &[i32; INPUTS], bit: bool) {
        for i in 0..2 {
            let error = (i32::from(bit) << 16) - squash_within(self.outputs[i]) as i32;
            let step = (error * LAST_RATE) >> 7;
            for (w, &x) in self.sets[i][self.selected[i]].iter_mut().zip(inputs) {
                // Weights stay within 8.0, so that a product with an input fits in 31 bits.
                *w = (*w + ((x * step + (1 << 12)) >> 13)).clamp(-(8 << 16), 8 << 16);
            }
        }
    }
}
