//! Gated logistic mixing: a weighted sum in the stretch domain, with weights chosen by context.
//!
//! Several weight sets, each selected by another small context, see the same inputs; a second, smaller
//! mixer combines their outputs. All of them descend on coding cost: `w += rate * input * error`.
//! After M. Mahoney (2005) and, for gating, J. Veness et al., "Gated linear networks" (2019).
//!
//! Weights are `i16`, 16384 = 1.0: finer weights measured no better.

use super::logistic::{STRETCH_MAX, squash};
use crate::simd::{LANES, Level};

/// Weight of 1.0.
pub const ONE: i32 = 1 << 14;

/// `SETS` mixers over the same inputs.
#[derive(Debug)]
pub struct Layer<const SETS: usize> {
    level: Level,
    weights: Vec<i16>, // (context over all sets, inputs)
    inputs: usize,
    starts: [usize; SETS],
    selected: [usize; SETS],
    outputs: [i32; SETS],
}

impl<const SETS: usize> Layer<SETS> {
    /// `contexts[i]` is the number of rows of set `i`; `inputs` is rounded up to whole vectors.
    pub fn new(inputs: usize, contexts: &[usize; SETS], initial: i32) -> Self {
        let inputs = inputs.next_multiple_of(LANES);
        let mut rows = 0;
        let starts = contexts.map(|n| {
            rows += n;
            (rows - n) * inputs
        });
        Self {
            level: Level::detect(),
            weights: vec![initial as i16; rows * inputs],
            inputs,
            starts,
            selected: starts,
            outputs: [0; SETS],
        }
    }

    /// Chooses the row of each set.
    #[inline]
    pub fn select(&mut self, contexts: &[usize; SETS]) {
        for i in 0..SETS {
            self.selected[i] = self.starts[i] + contexts[i] * self.inputs;
        }
    }

    /// Stretched output of each set. `inputs` as long as [`Layer::new`] rounded it.
    #[inline]
    pub fn mix(&mut self, inputs: &[i16]) -> &[i32; SETS] {
        let dots = self.level.dot_rows(&self.weights, &self.selected, inputs);
        self.outputs = dots.map(|dot| (dot >> 14).clamp(-STRETCH_MAX, STRETCH_MAX));
        &self.outputs
    }

    /// Learns `bit`: `rate` in units of 2^-7.
    #[inline]
    pub fn update(&mut self, inputs: &[i16], bit: bool, rate: i32) {
        let target = i32::from(bit) << 16;
        let steps = self.outputs.map(|out| (((target - squash(out) as i32) * rate) >> 7) as i16);
        self.level.train_rows(&mut self.weights, &self.selected, inputs, &steps);
    }
}
