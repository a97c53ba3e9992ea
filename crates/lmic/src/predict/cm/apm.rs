//! Adaptive probability maps (secondary symbol estimation): what a probability turned out to be worth.
//!
//! For each context, a curve from the stretched input probability to the observed one, kept at 33
//! points and read by interpolation.

use super::logistic::{STRETCH_MAX, squash};

const POINTS: usize = 33;
/// A point moves by 2^-RATE of the error.
const RATE: u32 = 6;

/// A set of curves selected by context.
#[derive(Debug)]
pub struct Apm {
    curves: Vec<u16>, // (context, point)
    index: usize,
}

impl Apm {
    /// `contexts` identity curves.
    pub fn new(contexts: usize) -> Self {
        let point = |j: usize| squash((j as i32 - 16) * 176) as u16;
        let curves = (0..contexts * POINTS).map(|i| point(i % POINTS)).collect();
        Self { curves, index: 0 }
    }

    /// Refines a stretched probability; the result is over 2^16.
    #[inline]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        // ±2816 covers ±STRETCH_MAX but for the clamp's last 23 units.
        let x = stretched.clamp(-2815, 2815) + 2816;
        let (cell, weight) = ((x / 176) as usize, (x % 176) as u32);
        let at = context * POINTS + cell;
        self.index = if weight >= 88 { at + 1 } else { at };
        (u32::from(self.curves[at]) * (176 - weight) + u32::from(self.curves[at + 1]) * weight)
            / 176
    }

    /// Bytes of `contexts` curves.
    pub const fn memory(contexts: usize) -> u64 {
        (contexts * POINTS * 2) as u64
    }

    /// Moves the nearer point towards `bit`.
    #[inline]
    pub fn update(&mut self, bit: bool) {
        let p = &mut self.curves[self.index];
        let target = if bit { 65535 } else { 0 };
        *p = (i32::from(*p) + ((target - i32::from(*p)) >> RATE)) as u16;
    }
}

const _: () = assert!(STRETCH_MAX < 2816 + 88);
