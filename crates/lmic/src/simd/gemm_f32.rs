//! Matrix product in strict `f32`: every output is one chain of fused multiply-adds in ascending k, so that
//! neither the level nor the number of rows can change a bit. Vectors run across outputs, never along k.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Job`")]

use std::marker::PhantomData;

use super::{
    Level,
    aligned::Aligned,
    isa::{F32x16, Isa, Kernel},
    tiles::{self, Tiles},
};

/// A matrix of `n` outputs by `k` inputs, packed into panels of 16 outputs.
pub struct PackedF32 {
    n: usize,
    k: usize,
    data: Aligned<f32>, // (ceil(n / 16), k, 16), zeros past n
}

impl PackedF32 {
    /// Packs `rows`, (n, k).
    ///
    /// # Panics
    /// If `rows` has another length than `n * k`.
    pub fn new(n: usize, k: usize, rows: &[f32]) -> Self {
        assert_eq!(rows.len(), n * k, "matrix of {n} x {k}");
        let mut data = Aligned::zeros(n.div_ceil(16) * k * 16);
        for j in 0..n {
            for i in 0..k {
                data[(j / 16 * k + i) * 16 + j % 16] = rows[j * k + i];
            }
        }
        Self { n, k, data }
    }

    /// Outputs: the rows of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs: the columns of the matrix.
    pub fn k(&self) -> usize {
        self.k
    }
}

impl Level {
    /// `y = x * w^T`: x is (R, k), y is (R, n). Each output is a chain of fused multiply-adds in ascending
    /// k that starts from 0.
    ///
    /// # Panics
    /// If x or y have other lengths than the same R asks for.
    pub fn gemm_f32(self, w: &PackedF32, x: &[f32], y: &mut [f32]) {
        let rows = y.len().checked_div(w.n).unwrap_or(0);
        assert_eq!(
            (x.len(), y.len()),
            (rows * w.k, rows * w.n),
            "{rows} rows of {} x {}",
            w.n,
            w.k
        );
        let job = Job {
            x: x.as_ptr(),
            x_stride: w.k,
            rows,
            w: w.data.as_ptr(),
            panel_stride: w.k * 16,
            step_stride: 16,
            steps: w.k,
            y: y.as_mut_ptr(),
            y_stride: w.n,
            n: w.n,
        };
        // SAFETY: the lengths were asserted, and a packed matrix has whole panels.
        unsafe { self.run_f32(&job) };
    }

    /// Runs a job. A function of its own: inlined into each caller, `Scalar` is a third slower.
    ///
    /// # Safety
    /// The contract of [`Job`].
    #[inline(never)]
    pub(super) unsafe fn run_f32(self, job: &Job) {
        self.dispatch(job);
    }
}

/// A product with strides in floats, so that key and value caches are matrices too.
///
/// Contract: `x` has `rows` rows of `steps` floats, `x_stride` apart; `y` has `rows` rows of `n`, `y_stride`
/// apart; behind `w` stand 16 floats for every panel of 16 outputs (the last one in full) and every step.
pub(super) struct Job {
    pub x: *const f32,
    pub x_stride: usize,
    pub rows: usize,
    pub w: *const f32,
    pub panel_stride: usize,
    pub step_stride: usize,
    pub steps: usize,
    pub y: *mut f32,
    pub y_stride: usize,
    pub n: usize,
}

/// A job in registers of V.
struct Product<'a, V> {
    job: &'a Job,
    registers: PhantomData<V>,
}

impl Kernel for &Job {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        tiles::run(&Product::<I::F32> { job: self, registers: PhantomData });
    }
}

impl<V: F32x16> Tiles for Product<'_, V> {
    const REGISTERS: usize = V::REGISTERS;

    #[inline(always)]
    fn rows(&self) -> usize {
        self.job.rows
    }

    #[inline(always)]
    fn panels(&self) -> usize {
        self.job.n.div_ceil(16)
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const P: usize>(&self, panel: usize, row: usize) {
        let job = self.job;
        let x = job.x.add(row * job.x_stride);
        let mut w = job.w.add(panel * job.panel_stride);
        let mut sums = [[V::splat(0.0); P]; R];
        for step in 0..job.steps {
            let mut weights = [V::splat(0.0); P];
            for (p, weights) in weights.iter_mut().enumerate() {
                *weights = V::load(w.add(p * job.panel_stride));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = V::splat(*x.add(r * job.x_stride + step));
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = sum.add_product(x, weights);
                }
            }
            w = w.wrapping_add(job.step_stride);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                let column = (panel + p) * 16;
                let y = job.y.add((row + r) * job.y_stride + column);
                if column + 16 <= job.n {
                    sum.store(y);
                } else {
                    let mut last = [0.0; 16];
                    sum.store(last.as_mut_ptr());
                    y.copy_from_nonoverlapping(last.as_ptr(), job.n - column);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random_f32;

    #[test]
    fn every_level_and_shape_gives_the_chain_of_each_output() {
        for (n, k) in [(1, 1), (16, 3), (17, 20), (48, 33), (150, 40), (0, 4), (5, 0)] {
            for rows in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 23] {
                let w = random_f32(n * k, 1);
                let x = random_f32(rows * k, 2);
                let packed = PackedF32::new(n, k, &w);
                let mut expected = vec![0.0f32; rows * n];
                for r in 0..rows {
                    for j in 0..n {
                        expected[r * n + j] =
                            (0..k).fold(0.0, |sum, i| x[r * k + i].mul_add(w[j * k + i], sum));
                    }
                }
                for level in Level::available() {
                    let mut y = vec![f32::NAN; rows * n];
                    level.gemm_f32(&packed, &x[..if n == 0 { 0 } else { x.len() }], &mut y);
                    assert_eq!(y, expected, "{level:?}: {rows} rows, {n} x {k}");
                }
            }
        }
    }
}
