//! Rows of weights of a mixer in integers: what context mixing multiplies and trains for every bit.
//!
//! Not [`Kernel`](super::isa::Kernel)s but functions of the CPU's folder, whose arguments come in registers: a kernel of more than two words goes
//! through memory, which made `cm` one percent slower. All levels of an architecture above `Scalar` share them.

#![allow(
    unused_unsafe,
    reason = "an architecture without a folder has the safe scalar twins again"
)]

use super::{Level, arch, scalar};

/// Vectors are padded to a multiple of this many `i16`.
pub const LANES: usize = 16;

impl Level {
    /// Dot products of `x` with the rows of `weights` that start at `rows`: sums of `i16` products that
    /// wrap in 32 bits. `W` is a multiple of `LANES`.
    ///
    /// # Panics
    /// If a row reaches past the end of `weights`.
    #[inline(always)]
    pub fn dot_rows<const S: usize, const W: usize>(
        self,
        weights: &[i16],
        rows: &[usize; S],
        x: &[i16; W],
    ) -> [i32; S] {
        match self {
            Self::Scalar => scalar::rows::dot_rows(weights, rows, x),
            // SAFETY: a level exists only where the CPU has it.
            _ => unsafe { arch::rows::dot_rows(weights, rows, x) },
        }
    }

    /// Adds `x * steps[s] / 2^15`, rounded, to each row, saturating. `W` is a multiple of `LANES`.
    ///
    /// # Panics
    /// If a row reaches past the end of `weights`.
    #[inline(always)]
    pub fn train_rows<const S: usize, const W: usize>(
        self,
        weights: &mut [i16],
        rows: &[usize; S],
        x: &[i16; W],
        steps: &[i16; S],
    ) {
        match self {
            Self::Scalar => scalar::rows::train_rows(weights, rows, x, steps),
            // SAFETY: a level exists only where the CPU has it.
            _ => unsafe { arch::rows::train_rows(weights, rows, x, steps) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random;

    fn compare<const W: usize>(seed: u64) {
        let mut weights = random(W * 5 + 3, seed);
        weights[0] = i16::MIN;
        let mut x: [i16; W] = random(W, seed + 1000).try_into().unwrap();
        let mut steps: [i16; 3] = random(3, seed + 7).try_into().unwrap();
        (x[0], steps[1]) = (i16::MIN, i16::MIN); // whose product wraps
        let rows = [0, W, 3 * W + 3];
        for level in Level::available() {
            let sums = level.dot_rows(&weights, &rows, &x);
            assert_eq!(sums, Level::Scalar.dot_rows(&weights, &rows, &x));
            let (mut ours, mut other) = (weights.clone(), weights.clone());
            level.train_rows(&mut ours, &rows, &x, &steps);
            Level::Scalar.train_rows(&mut other, &rows, &x, &steps);
            assert_eq!(ours, other);
        }
    }

    #[test]
    fn every_level_gives_the_bits_of_the_scalar_twin() {
        for seed in 0..50 {
            compare::<16>(seed);
            compare::<32>(seed);
            compare::<48>(seed);
        }
    }
}
