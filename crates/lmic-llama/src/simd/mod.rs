//! Kernels for what the CPU has: the only `unsafe` beside the mapping of files.
//!
//! Every kernel has the same bits at every level. A sum along k runs in 16 virtual lanes, element i in lane `i % 16`, product and
//! sum rounded one after the other (no fused multiply-add: scalar CPUs would have to imitate it, and where weights come from memory
//! it is no faster); then the lanes add up as a tree, the upper half onto the lower. So rows of a matrix are read as they lie in
//! the file, and neither level, number of rows nor threads can change a bit.

#![allow(unsafe_code, reason = "this module is where vector instructions are called")]
#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and pointers to 16 numbers"
)]

use lmic::{
    exact::{F32x16, Isa, Kernel, Level},
    vectorize,
};

mod activation;
mod format;

pub use activation::{gelu_mul, soft_cap};
pub use format::Format;

mod stream;

pub use stream::add_streamed;

/// Lanes of a sum.
pub const LANES: usize = 16;

/// Rows of the matrix that are multiplied together.
pub const TILE: usize = 4;

/// Products to add: x is (rows, stride) of which k columns count, w is (TILE, k), sums (rows, TILE, LANES). k is a multiple of LANES.
struct Job<'a> {
    x: &'a [f32],
    stride: usize,
    w: &'a [f32],
    k: usize,
    sums: &'a mut [f32],
}

/// Adds the products of x, rows of `stride` numbers of which those of `w`'s columns count, with the [`TILE`] rows of `w` to `sums`,
/// (rows of x, TILE, LANES).
///
/// # Panics
/// If lengths do not fit together, or the columns are no multiple of [`LANES`].
pub fn add_products(level: Level, x: &[f32], stride: usize, w: &[f32], sums: &mut [f32]) {
    let (k, rows) = (w.len() / TILE, sums.len() / (TILE * LANES));
    assert!(k.is_multiple_of(LANES) && w.len() == k * TILE && sums.len() == rows * TILE * LANES);
    assert!(rows == 0 || (rows - 1) * stride + k <= x.len());
    // SAFETY: lengths were asserted.
    unsafe { level.dispatch(Job { x, stride, w, k, sums }) };
}

impl Kernel for Job<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(mut self) {
        let rows = self.sums.len() / (TILE * LANES);
        let at_once = rows_at_once::<I>();
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                4.. if at_once == 4 => tile::<I::F32, 4>(&mut self, row),
                _ => tile::<I::F32, 1>(&mut self, row),
            };
        }
    }
}

/// How many rows of x have their sums with [`TILE`] rows of a matrix in registers, beside operands.
#[inline(always)]
fn rows_at_once<I: Isa>() -> usize {
    if I::F32::REGISTERS > 4 * TILE { 4 } else { 1 }
}

/// R rows of x from `row` on; returns R.
#[inline(always)]
unsafe fn tile<V: F32x16, const R: usize>(job: &mut Job<'_>, row: usize) -> usize {
    let x = job.x.as_ptr().add(row * job.stride);
    let w = job.w.as_ptr();
    let out = job.sums.as_mut_ptr().add(row * TILE * LANES);
    let mut sums = [[V::load(out); TILE]; R];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (p, sum) in sums.iter_mut().enumerate() {
            *sum = V::load(out.add((r * TILE + p) * LANES));
        }
    }
    for i in (0..job.k).step_by(LANES) {
        let mut weights = [V::load(w.add(i)); TILE];
        for (p, weights) in weights.iter_mut().enumerate() {
            *weights = V::load(w.add(p * job.k + i));
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = V::load(x.add(r * job.stride + i));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = sum.add(x.mul(weights));
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (p, sum) in sums.into_iter().enumerate() {
            sum.store(out.add((r * TILE + p) * LANES));
        }
    }
    R
}

/// Sixteen lanes to one number: the upper half onto the lower, 8, 4, 2, 1.
pub fn fold(lanes: &[f32; LANES]) -> f32 {
    // SAFETY: plain Rust.
    unsafe { F32x16::sum(*lanes) }
}

/// `out += weights[p] * values[p]` for ascending p, of values (positions, out).
///
/// # Panics
/// If lengths do not fit together.
pub fn add_weighted(level: Level, weights: &[f32], values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), weights.len() * out.len());
    #[inline(always)]
    fn body(weights: &[f32], values: &[f32], out: &mut [f32]) {
        for (weight, value) in weights.iter().zip(values.chunks_exact(out.len())) {
            for (out, value) in out.iter_mut().zip(value) {
                *out += weight * value;
            }
        }
    }
    vectorize!(level, body, (weights: &[f32], values: &[f32], out: &mut [f32]));
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 40) as f32 / 8388608.0 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_level_and_number_of_rows_gives_the_bits_of_the_formula() {
        for (rows, k, stride) in [(1, 16, 16), (3, 48, 50), (4, 32, 32), (9, 64, 70)] {
            let (x, w) = (random(rows * stride, 1), random(TILE * k, 2));
            let mut expected = random(rows * TILE * LANES, 3);
            for r in 0..rows {
                for p in 0..TILE {
                    for i in 0..k {
                        expected[(r * TILE + p) * LANES + i % LANES] +=
                            x[r * stride + i] * w[p * k + i];
                    }
                }
            }
            for level in Level::available() {
                let mut sums = random(rows * TILE * LANES, 3);
                add_products(level, &x, stride, &w, &mut sums);
                assert_eq!(sums, expected, "{level:?}");
            }
        }
    }

    #[test]
    fn every_level_adds_weighted_values_in_order() {
        let (weights, values) = (random(7, 1), random(7 * 20, 2));
        let mut expected = vec![0.0; 20];
        for p in 0..7 {
            for d in 0..20 {
                expected[d] += weights[p] * values[p * 20 + d];
            }
        }
        for level in Level::available() {
            let mut out = vec![0.0; 20];
            add_weighted(level, &weights, &values, &mut out);
            assert_eq!(out, expected);
        }
    }
}
