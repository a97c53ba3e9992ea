//! What priming learns besides histories: what each history is worth, how to weigh what they say, and how to correct the
//! result.
//!
//! While records are coded the parameters do not change, so that any number of threads share them. In priming and in
//! blocks of files they belong to a [`Learner`], which moves them.

use super::contexts::CONTEXTS;
use crate::predict::cm::counter::{Adaptive, HistoryMap};
use crate::predict::cm::logistic::{STRETCH_MAX, squash, squash_within, stretch};
use crate::simd::Level;

/// Inputs of the first layer with padding.
pub const WIDTH: usize = 32; // frozen
/// Weight sets of the first layer.
pub const SETS: usize = 6; // frozen
/// Rows of each weight set.
pub const ROWS: [usize; SETS] = [256, 256, 9 * 16, 2048, 256, 2048]; // frozen
/// Adaptive maps.
pub const APMS: usize = 2; // frozen
pub const APM_CONTEXTS: usize = 2048; // frozen
pub const POINTS: usize = 24; // frozen
/// Stretched units from one point of a curve to the next.
const GAP: i32 = 248; // frozen
const HALF_SPAN: i32 = GAP * (POINTS as i32 - 1) / 2; // frozen
const _: () = assert!(STRETCH_MAX < HALF_SPAN);
const ONE: i32 = 1 << 14; // frozen

pub type Rows = [usize; SETS];

/// All that is learned besides histories.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub level: Level,
    /// (context, history): both inputs for the mixer.
    inputs: Box<[[[i16; 2]; 256]; CONTEXTS]>,
    /// (context, history): the probability behind the inputs, over 2^16.
    maps: Box<[[u16; 256]; CONTEXTS]>,
    pub weights: Vec<i16>, // (row over all sets, input)
    pub last: [Vec<[i32; SETS]>; 2],
    pub apms: Vec<[u16; POINTS]>, // (map, context)
}

/// One bit on its way through: what learning needs to know of the prediction.
#[derive(Debug, Clone, Copy)]
pub struct Mixed {
    pub rows: Rows,
    pub hidden: [i32; SETS],
    pub last: [usize; 2],
    pub outputs: [i32; 2],
    pub points: [usize; APMS],
    pub p: u32,
}

/// First weight of each set.
pub const STARTS: [usize; SETS] = {
    let mut starts = [0; SETS];
    let mut i = 1;
    while i < SETS {
        starts[i] = starts[i - 1] + ROWS[i - 1] * WIDTH;
        i += 1;
    }
    starts
}; // frozen
pub const WEIGHTS: usize = STARTS[SETS - 1] + ROWS[SETS - 1] * WIDTH; // frozen

/// Point `j` of a curve that changes nothing.
pub fn fresh_curve(j: usize) -> u16 {
    squash(j as i32 * GAP - HALF_SPAN) as u16
}

/// The first weights of the first layer. Those of all contexts sum to a little more than 1.
pub fn fresh_weight() -> i16 {
    (ONE * 5 / (4 * CONTEXTS as i32)) as i16
}

impl Parameters {
    /// Bytes on the heap.
    pub const MEMORY: usize =
        CONTEXTS * 256 * 6 + WEIGHTS * 2 + 2 * 256 * 4 * SETS + APMS * APM_CONTEXTS * 2 * POINTS; // frozen

    pub fn new() -> Self {
        let last = vec![[65536 / SETS as i32; SETS]; 256];
        Self {
            level: Level::detect(),
            inputs: Box::new([[[0; 2]; 256]; CONTEXTS]),
            maps: Box::new([[32768; 256]; CONTEXTS]),
            weights: vec![fresh_weight(); WEIGHTS],
            last: [last.clone(), last],
            apms: vec![std::array::from_fn(fresh_curve); APMS * APM_CONTEXTS],
        }
    }

    /// What a history of a context is worth: the probability of a 1 over 2^16.
    pub fn map(&self, context: usize, state: usize) -> u32 {
        self.maps[context][state].into()
    }

    /// Sets what a history of a context is worth. (History 0 is never set: it says nothing.)
    #[inline(always)]
    pub fn set_map(&mut self, context: usize, state: usize, p: u32) {
        self.maps[context][state] = p as u16;
        self.inputs[context][state] = [stretch(p) as i16, ((p as i32 - 32768) >> 5) as i16];
    }

    /// The inputs that each history of each context gives.
    #[inline(always)]
    pub fn inputs(&self) -> &[[[i16; 2]; 256]; CONTEXTS] {
        &self.inputs
    }

    /// Probability of a 1 over 2^16.
    #[inline(always)]
    pub fn mix(
        &self,
        inputs: &[i16; WIDTH],
        rows: [usize; SETS],
        last: [usize; 2],
        curves: [usize; APMS],
    ) -> Mixed {
        let rows: Rows = std::array::from_fn(|i| STARTS[i] + rows[i] * WIDTH);
        let dots = self.level.dot_rows(&self.weights, &rows, inputs);
        let hidden = dots.map(|dot| (dot >> 14).clamp(-STRETCH_MAX, STRETCH_MAX));
        let mut outputs = [0; 2];
        for i in 0..2 {
            let weights = &self.last[i][last[i]];
            let dot = weights
                .iter()
                .zip(&hidden)
                .fold(0i32, |sum, (w, x)| sum.wrapping_add(w.wrapping_mul(*x) >> 4));
            outputs[i] = (dot >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        }
        let stretched = (outputs[0] + outputs[1]) >> 1;
        let mut p = 2 * squash_within(stretched);
        let x = (stretched + HALF_SPAN) as u32;
        let (cell, weight) = (x / GAP as u32, x % GAP as u32);
        let mut points = [0; APMS];
        for i in 0..APMS {
            let context = i * APM_CONTEXTS + curves[i];
            let curve = &self.apms[context];
            let cell = (cell as usize).min(POINTS - 2);
            points[i] = context * POINTS + cell + usize::from(weight >= GAP as u32 / 2);
            p += (u32::from(curve[cell]) * (GAP as u32 - weight)
                + u32::from(curve[cell + 1]) * weight)
                / GAP as u32;
        }
        Mixed { rows, hidden, last, outputs, points, p: p / (2 + APMS as u32) }
    }
}

/// How a mixer gets its parameters, and whether they learn.
pub trait Learn {
    fn get(&self) -> &Parameters;
    fn learn(&mut self, mixed: &Mixed, inputs: &[i16; WIDTH], bit: bool);
    fn learn_history(&mut self, context: usize, state: u8, bit: bool);
}

impl Learn for &Parameters {
    #[inline(always)]
    fn get(&self) -> &Parameters {
        self
    }

    #[inline(always)]
    fn learn(&mut self, _: &Mixed, _: &[i16; WIDTH], _: bool) {}

    #[inline(always)]
    fn learn_history(&mut self, _: usize, _: u8, _: bool) {}
}

/// Parameters that learn.
#[derive(Debug, Clone)]
pub struct Learner {
    pub parameters: Parameters,
    maps: Vec<[Adaptive; 256]>,
    /// Learning rate of the first layer, in units of 2^-7 / 16.
    pub rate: i32,
    /// The count at which the steps of the maps get no smaller.
    pub limit: u32,
    /// Points of the adaptive maps move by `2^-apm_rate` of the error.
    pub apm_rate: u32,
    /// Learning rate of the second layer, in units of 2^-7.
    pub last_rate: i32,
}

impl Learner {
    pub fn new() -> Self {
        let start = HistoryMap::new();
        let map: [Adaptive; 256] =
            std::array::from_fn(|s| Adaptive::new(start.p(s as u8).max(1), 0));
        let mut learner = Self {
            parameters: Parameters::new(),
            maps: vec![map; CONTEXTS],
            rate: 14 * 16,
            limit: 255,
            apm_rate: 6,
            last_rate: 7,
        };
        for context in 0..CONTEXTS {
            for state in 1..=255 {
                learner.refresh(context, state);
            }
        }
        learner
    }

    /// A learner that goes on from what was learned: each history counts as if observed a hundred times.
    pub fn primed(parameters: Parameters) -> Self {
        let entry = |context, state| Adaptive::new(parameters.map(context, state), 100);
        let maps = (0..CONTEXTS).map(|c| std::array::from_fn(|state| entry(c, state))).collect();
        Self { parameters, maps, rate: 6 * 16, limit: 255, apm_rate: 6, last_rate: 7 }
    }

    /// Bytes on the heap.
    pub const MEMORY: usize = Parameters::MEMORY + CONTEXTS * 256 * 4; // tunable

    /// Sets the steps for the passes over the held-out examples: `rate` for the first layer, and steps of the maps that become so
    /// small that they come near the mean over all that was seen.
    pub fn settle(&mut self, rate: i32) {
        self.rate = rate;
        self.limit = 1023;
        self.apm_rate = 7;
    }

    #[inline(always)]
    fn refresh(&mut self, context: usize, state: u8) {
        let p = self.maps[context][usize::from(state)].p();
        self.parameters.set_map(context, state.into(), p);
    }
}

/// How many different samples moved each number of a learner.
#[derive(Debug)]
pub struct Moved {
    maps: Vec<Mark>,   // (context, history)
    rows: Vec<Mark>,   // over all sets of the first layer
    last: Vec<Mark>,   // (set, row) of the second
    points: Vec<Mark>, // (map, context, point)
}

/// The sample that came last, plus 1, and how many have come.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    latest: u32,
    count: u8,
}

impl Mark {
    #[inline(always)]
    fn count(&mut self, sample: u32) {
        if self.latest != sample + 1 {
            *self = Self { latest: sample + 1, count: self.count.saturating_add(1) };
        }
    }
}

impl Moved {
    pub fn new() -> Self {
        let marks = |len| vec![Mark::default(); len];
        Self {
            maps: marks(CONTEXTS * 256),
            rows: marks(WEIGHTS / WIDTH),
            last: marks(2 * 256),
            points: marks(APMS * APM_CONTEXTS * POINTS),
        }
    }

    /// Makes those numbers fresh again that fewer than `least` samples have moved.
    pub fn forget_rare(&self, parameters: &mut Parameters, least: u8) {
        let rare = |marks: &[Mark]| -> Vec<usize> {
            let numbered = marks.iter().enumerate();
            numbered.filter(|(_, mark)| mark.count < least).map(|(i, _)| i).collect()
        };
        let fresh = Learner::new().parameters;
        for i in rare(&self.maps).into_iter().filter(|i| i % 256 > 0) {
            parameters.set_map(i / 256, i % 256, fresh.map(i / 256, i % 256));
        }
        for i in rare(&self.rows) {
            parameters.weights[i * WIDTH..(i + 1) * WIDTH].fill(fresh_weight());
        }
        for i in rare(&self.last) {
            parameters.last[i / 256][i % 256] = fresh.last[i / 256][i % 256];
        }
        for i in rare(&self.points) {
            parameters.apms.as_flattened_mut()[i] = fresh_curve(i % POINTS);
        }
    }
}

/// A learner, and what a sample moves of it.
#[derive(Debug)]
pub struct Counted<'a> {
    pub learner: &'a mut Learner,
    pub moved: &'a mut Moved,
    pub sample: u32,
}

impl Learn for Counted<'_> {
    #[inline(always)]
    fn get(&self) -> &Parameters {
        &self.learner.parameters
    }

    fn learn(&mut self, mixed: &Mixed, inputs: &[i16; WIDTH], bit: bool) {
        self.learner.learn(mixed, inputs, bit);
        mixed.rows.iter().for_each(|&row| self.moved.rows[row / WIDTH].count(self.sample));
        for (set, &row) in mixed.last.iter().enumerate() {
            self.moved.last[set * 256 + row].count(self.sample);
        }
        mixed.points.iter().for_each(|&point| self.moved.points[point].count(self.sample));
    }

    fn learn_history(&mut self, context: usize, state: u8, bit: bool) {
        self.learner.learn_history(context, state, bit);
        self.moved.maps[context * 256 + usize::from(state)].count(self.sample);
    }
}

impl Learn for Learner {
    #[inline(always)]
    fn get(&self) -> &Parameters {
        &self.parameters
    }

    #[inline(always)]
    fn learn(&mut self, mixed: &Mixed, inputs: &[i16; WIDTH], bit: bool) {
        let parameters = &mut self.parameters;
        let target = i32::from(bit) << 16;
        let steps = mixed
            .hidden
            .map(|out| (((target - squash_within(out) as i32) * self.rate) >> 11) as i16);
        parameters.level.train_rows(&mut parameters.weights, &mixed.rows, inputs, &steps);
        for i in 0..2 {
            let error = target - squash_within(mixed.outputs[i]) as i32;
            let step = (error * self.last_rate) >> 7;
            for (w, &x) in parameters.last[i][mixed.last[i]].iter_mut().zip(&mixed.hidden) {
                *w = (*w + ((x * step + (1 << 12)) >> 13)).clamp(-(8 << 16), 8 << 16);
            }
        }
        let target = if bit { 65535 } else { 0 };
        for point in mixed.points {
            let p = &mut parameters.apms.as_flattened_mut()[point];
            *p = (i32::from(*p) + ((target - i32::from(*p)) >> self.apm_rate)) as u16;
        }
    }

    #[inline(always)]
    fn learn_history(&mut self, context: usize, state: u8, bit: bool) {
        if state != 0 {
            self.maps[context][usize::from(state)].update(bit, self.limit);
            self.refresh(context, state);
        }
    }
}
