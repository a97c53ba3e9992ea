//! Adaptive maps (in the papers: adaptive probability maps, secondary symbol estimation): they correct a probability by what
//! came of it before.
//!
//! Each context has a curve from the stretched probability that goes in to the one that was observed. It is kept at 32
//! points, which fill a cache line, and read by interpolation.

use super::logistic::{STRETCH_MAX, squash};
use crate::simd;

/// Points of a curve.
pub const POINTS: usize = 32; // frozen
/// Stretched units from one point to the next: 31 gaps span the whole range.
const GAP: i32 = 184; // frozen
const HALF_SPAN: i32 = GAP * (POINTS as i32 - 1) / 2; // frozen
const _: () = assert!(STRETCH_MAX < HALF_SPAN);
/// A point moves by `2^-RATE` of the error.
const RATE: u32 = 6; // frozen

/// One curve, on a cache line of its own.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub struct Curve(pub [u16; POINTS]);

/// A set of curves, of which the context chooses one.
#[derive(Debug)]
pub struct Apm {
    curves: Box<[Curve]>,
    at: (usize, usize),
}

impl Apm {
    /// `contexts` curves that change nothing yet.
    pub fn new(contexts: usize) -> Self {
        let identity = std::array::from_fn(|j| squash(j as i32 * GAP - HALF_SPAN) as u16);
        Self { curves: vec![Curve(identity); contexts].into_boxed_slice(), at: (0, 0) }
    }

    /// The points of the curve of `context`, over 2^16.
    pub fn curve_mut(&mut self, context: usize) -> &mut [u16; POINTS] {
        &mut self.curves[context].0
    }

    /// All curves, for teams that exchange them.
    pub fn curves(&mut self) -> &mut [Curve] {
        &mut self.curves
    }

    /// Bytes of `contexts` curves.
    pub const fn memory(contexts: usize) -> u64 {
        (contexts * size_of::<Curve>()) as u64
    }

    /// Fetches a curve ahead of [`Apm::refine`].
    #[inline(always)]
    pub fn prefetch(&self, context: usize) {
        simd::prefetch(&self.curves, context);
    }

    /// Refines a stretched probability; the result is over 2^16.
    #[inline(always)]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        let x = (stretched + HALF_SPAN) as u32;
        let (cell, weight) = ((x / GAP as u32) as usize & (POINTS - 1), x % GAP as u32);
        let curve = &self.curves[context].0;
        let above = (cell + 1) & (POINTS - 1);
        // The nearer point learns.
        self.at = (context, if weight >= GAP as u32 / 2 { above } else { cell });
        (u32::from(curve[cell]) * (GAP as u32 - weight) + u32::from(curve[above]) * weight)
            / GAP as u32
    }

    /// Moves the nearer point towards `bit`.
    #[inline(always)]
    pub fn update(&mut self, bit: bool) {
        let p = &mut self.curves[self.at.0].0[self.at.1];
        let target = if bit { 65535 } else { 0 };
        *p = (i32::from(*p) + ((target - i32::from(*p)) >> RATE)) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_curve_changes_little_and_then_learns() {
        let mut apm = Apm::new(2);
        for x in (-STRETCH_MAX..=STRETCH_MAX).step_by(13) {
            // Straight lines between points 184 apart: within 1 % of the curve.
            assert!(apm.refine(x, 1).abs_diff(squash(x)) < 655, "{x}");
        }
        for _ in 0..500 {
            apm.refine(GAP / 2, 1); // a point of the curve
            apm.update(true);
        }
        assert!(apm.refine(GAP / 2, 1) > 60000);
        assert!(apm.refine(0, 0).abs_diff(32768) < 100);
    }
}
