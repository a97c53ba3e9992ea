//! The gated logistic mixer of the sample models: several weight sets, chosen by small contexts, whose
//! outputs a last set of weights joins.
//!
//! Inputs are stretched probabilities with 8 fractional bits within ±[`INPUT_MAX`], weights have 16 and stay
//! within ±[`WEIGHT_MAX`]: a product stays below 2^30, so nothing overflows. After M. Mahoney, "Adaptive
//! weighing of context models for lossless data compression" (2005).

use crate::predict::cm::logistic::squash;

/// Most inputs of a mixer.
pub const MAX_INPUTS: usize = 32; // frozen
/// Weight sets that look at the inputs.
pub const GATES: usize = 3; // frozen

const INPUT_MAX: i32 = 2047; // frozen
const WEIGHT_MAX: i32 = 1 << 19; // frozen

/// Two layers of weights.
#[derive(Debug)]
pub struct Mixer {
    weights: [Vec<[i32; MAX_INPUTS]>; GATES],
    last: Vec<[i32; GATES]>,
    inputs: [i32; MAX_INPUTS],
    len: usize,
    gates: [usize; GATES],
    last_gate: usize,
    outputs: [i32; GATES],
    mixed: i32,
    /// Counts down from 2^13 with the updates. Until it has reached 0, weights move faster than later: see `update`.
    hurry: u32,
    /// Factor on the steps once `hurry` is 0.
    pace: i32,
}

impl Mixer {
    /// A mixer whose weights begin as `initial`. `sizes` says how many values each gate can take, `last` how many the gate of the
    /// last layer can.
    pub fn new(sizes: [usize; GATES], last: usize, initial: [i32; MAX_INPUTS]) -> Self {
        Self {
            weights: sizes.map(|n| vec![initial; n]),
            last: vec![[65536 / GATES as i32; GATES]; last],
            inputs: [0; MAX_INPUTS],
            len: 0,
            gates: [0; GATES],
            last_gate: 0,
            outputs: [0; GATES],
            mixed: 0,
            hurry: 1 << 13,
            pace: 4,
        }
    }

    /// For a mixer whose first weights are good already: they move half as fast, and no faster at first.
    pub fn take_time(&mut self) {
        self.hurry = 0;
        self.pace = 2;
    }

    /// Adds an input.
    #[inline]
    pub fn add(&mut self, stretched: i32) {
        self.inputs[self.len] = stretched.clamp(-INPUT_MAX, INPUT_MAX);
        self.len += 1;
    }

    /// The stretched mixture of the inputs added since the last [`Mixer::update`].
    #[inline]
    pub fn mix(&mut self, gates: [usize; GATES], last_gate: usize) -> i32 {
        self.gates = gates;
        self.last_gate = last_gate;
        let mut sum = 0;
        let last = &self.last[last_gate];
        for (((output, sets), &gate), share) in
            self.outputs.iter_mut().zip(&self.weights).zip(&gates).zip(last)
        {
            let mut dot = 0;
            for (x, w) in self.inputs[..self.len].iter().zip(&sets[gate]) {
                dot += (x * w) >> 8;
            }
            *output = (dot >> 8).clamp(-INPUT_MAX, INPUT_MAX);
            sum += (*output * share) >> 8;
        }
        self.mixed = (sum >> 8).clamp(-INPUT_MAX, INPUT_MAX);
        self.mixed
    }

    /// Moves the weights towards the bit that came, and forgets the inputs.
    #[inline]
    pub fn update(&mut self, bit: bool) {
        let target = i32::from(bit) << 16;
        self.hurry = self.hurry.saturating_sub(1);
        let rate = self.pace + (self.hurry >> 10) as i32; // falls from 11 to 4; 2 after `take_time`
        for ((output, sets), &gate) in self.outputs.iter().zip(&mut self.weights).zip(&self.gates) {
            let error = ((target - squash(*output) as i32) * rate) >> 3;
            for (x, w) in self.inputs[..self.len].iter().zip(&mut sets[gate]) {
                let step = (x * (error >> 3) + (1 << 12)) >> 13;
                *w = (*w + step).clamp(-WEIGHT_MAX, WEIGHT_MAX);
            }
        }
        let error = target - squash(self.mixed) as i32;
        for (x, w) in self.outputs.iter().zip(&mut self.last[self.last_gate]) {
            *w = (*w + ((x * (error >> 3) + (1 << 13)) >> 14)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
        }
        self.len = 0;
    }
}
