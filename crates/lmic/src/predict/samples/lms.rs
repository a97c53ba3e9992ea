//! A long adaptive filter: normalised least mean squares in integers.
//!
//! After B. Widrow, M. E. Hoff, "Adaptive switching circuits" (1960).

use super::distribution::FRACTION;

/// Fractional bits of the weights.
const WEIGHT_BITS: u32 = 20; // frozen
const WEIGHT_MAX: i32 = 4 << WEIGHT_BITS; // frozen

/// Values of audio of up to 16 bits are clamped to this and its negative.
pub const VALUE_MAX: i32 = 1 << 18; // frozen
/// The same for wider audio.
pub const WIDE_VALUE_MAX: i32 = 1 << 26; // frozen
/// The output is clamped to so many times the most that a value may be, and its negative; it counts with the fractional bits.
const PREDICTION_MAX: i64 = 32; // frozen
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
    /// Values are clamped to this and its negative.
    value_max: i32,
}

impl Lms {
    /// A filter of `order` weights, all 0, whose steps are `2^-rate` of the normalised gradient. `value_max` is one of
    /// [`VALUE_MAX`] and [`WIDE_VALUE_MAX`], so that sums of squares and steps fit.
    pub fn new(order: usize, rate: u32, value_max: i32) -> Self {
        Self {
            order,
            rate,
            weights: vec![0; order],
            history: vec![0; order + SLIDE],
            at: 0,
            power: 0,
            value_max,
        }
    }

    /// Bytes that [`Lms::new`] allocates.
    pub fn memory(order: usize) -> u64 {
        ((2 * order + SLIDE) * size_of::<i32>()) as u64
    }

    /// The next value, with [`FRACTION`] bits.
    pub fn predict(&self) -> i64 {
        let window = &self.history[self.at..self.at + self.order];
        let sum: i64 =
            window.iter().zip(&self.weights).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
        let most = PREDICTION_MAX * i64::from(self.value_max);
        (sum >> (WEIGHT_BITS - FRACTION)).clamp(-most, most)
    }

    /// Learns `value`, from which [`Lms::predict`] was `error` away ([`FRACTION`] bits). The error, too, is clamped to the most that
    /// a value may be.
    pub fn update(&mut self, value: i64, error: i64) {
        let most = i64::from(self.value_max);
        let value = value.clamp(-most, most) as i32;
        let error = error.clamp(-most << FRACTION, most << FRACTION);
        let scale = self.power + self.order as i64 * 16 + 1;
        // error * x / power in weight units, split as (gain * x) >> 16 with gain fitting i32.
        let gain = (error << (WEIGHT_BITS - FRACTION + 16 - self.rate)) / scale;
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
