//! A long adaptive filter: normalised least mean squares in integers.
//!
//! After B. Widrow, M. E. Hoff, "Adaptive switching circuits" (1960).

use super::distribution::FRACTION;

/// Fractional bits of the weights.
const WEIGHT_BITS: u32 = 20; // frozen
const WEIGHT_MAX: i32 = 4 << WEIGHT_BITS; // frozen

/// The output is clamped to this and its negative; it counts with the fractional bits.
const PREDICTION_MAX: i64 = 1 << 23; // frozen
/// After this many values the window has met the end of the history and moves back to its beginning.
const SLIDE: usize = 2048; // frozen

/// Predicts a signal from its last `order` values.
#[derive(Debug)]
pub struct Lms {
    order: usize,
    rate: u32,
    weights: Vec<i32>,
    /// The last values, oldest first, in a longer vector: the window of `order` values slides on and moves back when it
    /// meets the end, so that values are rarely moved.
    history: Vec<i32>,
    at: usize,
    power: i64,
}

impl Lms {
    /// A filter of `order` weights, all 0, whose steps are `2^-rate` of the normalised gradient.
    pub fn new(order: usize, rate: u32) -> Self {
        Self {
            order,
            rate,
            weights: vec![0; order],
            history: vec![0; order + SLIDE],
            at: 0,
            power: 0,
        }
    }

    /// Bytes that [`Lms::new`] allocates.
    pub fn memory(order: usize) -> u64 {
        ((2 * order + SLIDE) * size_of::<i32>()) as u64
    }

    /// The next value, with [`FRACTION`] bits.
    pub fn predict(&self) -> i32 {
        let window = &self.history[self.at..self.at + self.order];
        let sum: i64 =
            window.iter().zip(&self.weights).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
        (sum >> (WEIGHT_BITS - FRACTION)).clamp(-PREDICTION_MAX, PREDICTION_MAX) as i32
    }

    /// Learns `value`, from which [`Lms::predict`] was `error` away ([`FRACTION`] bits). Values are clamped to
    /// 18 bits and steps to 2^14 times that, so that sums of squares and steps fit.
    pub fn update(&mut self, value: i32, error: i32) {
        let value = value.clamp(-(1 << 18), 1 << 18);
        let scale = self.power + self.order as i64 * 16 + 1;
        // error * x / power in weight units, split as (gain * x) >> 16 with gain fitting i32.
        let gain = (i64::from(error) << (WEIGHT_BITS - FRACTION + 16 - self.rate)) / scale;
        let gain = gain.clamp(-(1 << 30), 1 << 30);
        let window = &self.history[self.at..self.at + self.order];
        for (w, &x) in self.weights.iter_mut().zip(window) {
            let step = (gain * i64::from(x) + (1 << 15)) >> 16;
            *w = (i64::from(*w) + step).clamp(-i64::from(WEIGHT_MAX), i64::from(WEIGHT_MAX)) as i32;
        }
        self.push(value);
    }

    fn push(&mut self, value: i32) {
        if self.at + self.order == self.history.len() {
            self.history.copy_within(self.at.., 0);
            self.at = 0;
        }
        let oldest = i64::from(self.history[self.at]);
        self.power += i64::from(value) * i64::from(value) - oldest * oldest;
        self.history[self.at + self.order] = value;
        self.at += 1;
    }
}
