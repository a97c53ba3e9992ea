//! Matrix product of 8-bit weights with 8-bit or 16-bit activations, exact in 32 bits.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Job`")]

use std::marker::PhantomData;

use super::{
    Level,
    aligned::Aligned,
    isa::{Dot, Isa, Kernel},
    tiles::{self, Tiles},
};

/// From one row of 8-bit activations to the next: k rounded up to a multiple of 4.
pub fn stride(k: usize) -> usize {
    k.next_multiple_of(4)
}

/// A matrix of `n` outputs by `k` inputs for 8-bit activations, packed into panels of 16 outputs. Models use
/// 16-bit ones; attention multiplies with its caches by the same kernels, and these are tested and timed here.
#[cfg(test)]
pub struct PackedI8 {
    n: usize,
    k: usize,
    data: Aligned<i8>, // (ceil(n / 16), ceil(k / 4), 16, 4), zeros past n and k
    offsets: Vec<i32>, // (ceil(n / 16) * 16): -128 * the sum of an output's weights
}

/// A matrix of `n` outputs by `k` inputs for 16-bit activations, packed into panels of 16 outputs.
pub struct PackedI16 {
    n: usize,
    k: usize,
    data: Aligned<i8>, // (ceil(n / 16), ceil(k / 2), 16, 2), zeros past n and k
}

/// Rows (n, k) as panels (ceil(n / 16), ceil(k / STEP), 16, STEP).
pub(super) fn pack<const STEP: usize>(n: usize, k: usize, rows: &[i8]) -> Aligned<i8> {
    assert_eq!(rows.len(), n * k, "matrix of {n} x {k}");
    let steps = k.div_ceil(STEP);
    let mut data = Aligned::zeros(n.div_ceil(16) * steps * 16 * STEP);
    for (j, row) in rows.chunks_exact(k.max(1)).enumerate() {
        let panel = &mut data[j / 16 * steps * 16 * STEP..][..steps * 16 * STEP];
        let outputs = panel.as_chunks_mut::<STEP>().0.iter_mut().skip(j % 16).step_by(16);
        let (whole, rest) = row.as_chunks::<STEP>();
        let mut last = [0; STEP];
        last[..rest.len()].copy_from_slice(rest);
        for (to, &from) in outputs.zip(whole.iter().chain([&last])) {
            *to = from;
        }
    }
    data
}

#[cfg(test)]
impl PackedI8 {
    /// Packs `rows`, (n, k), of weights in -127..=127.
    ///
    /// # Panics
    /// If `rows` has another length than `n * k`, holds -128, or k is above 2^16 (sums might not fit).
    pub fn new(n: usize, k: usize, rows: &[i8]) -> Self {
        assert!(k <= 1 << 16 && !rows.contains(&i8::MIN), "weights out of range");
        let data = pack::<4>(n, k, rows);
        let mut offsets = vec![0; n.next_multiple_of(16)];
        for (offset, row) in offsets.iter_mut().zip(rows.chunks_exact(k.max(1))) {
            *offset = -128 * row.iter().map(|&w| i32::from(w)).sum::<i32>();
        }
        Self { n, k, data, offsets }
    }
}

impl PackedI16 {
    /// Packs `rows`, (n, k), of weights in -127..=127.
    ///
    /// # Panics
    /// If `rows` has another length than `n * k`, or holds -128.
    pub fn new(n: usize, k: usize, rows: &[i8]) -> Self {
        assert!(!rows.contains(&i8::MIN), "weights out of range");
        Self { n, k, data: pack::<2>(n, k, rows) }
    }

    /// Outputs: the rows of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs: the columns of the matrix.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The largest magnitude of an activation: 32766, or what keeps the sum of k products with 127 below 2^31.
    pub fn limit(k: usize) -> i16 {
        ((1 << 31) / (127 * k as u64)).min(32767) as i16 - 1
    }

    /// From one row of activations to the next: k rounded up to a multiple of 2.
    pub fn stride(k: usize) -> usize {
        k.next_multiple_of(2)
    }
}

impl Level {
    /// `y = x * w^T` in integers: x is (R, k) in -127..=127 with rows [`stride`] apart, y is (R, n). What
    /// stands between the rows of x does not matter.
    ///
    /// # Panics
    /// If x or y have other lengths than the same R asks for.
    #[cfg(test)]
    pub fn gemm_i8(self, w: &PackedI8, x: &[i8], y: &mut [i32]) {
        debug_assert!(!x.contains(&i8::MIN), "activations out of range");
        let rows = y.len().checked_div(w.n).unwrap_or(0);
        let stride = stride(w.k);
        assert_eq!((x.len(), y.len()), (rows * stride, rows * w.n), "{rows} rows");
        let job = Job {
            x: x.as_ptr().cast(),
            x_stride: stride,
            rows,
            w: w.data.as_ptr(),
            panel_stride: stride * 16,
            step_stride: 64,
            steps: stride / 4,
            offsets: w.offsets.as_ptr(),
            y: y.as_mut_ptr(),
            y_stride: w.n,
            n: w.n,
        };
        // SAFETY: the lengths were asserted, and a packed matrix has whole panels.
        unsafe { self.dispatch(Products(&job, OfI8)) };
    }

    /// The same with 16-bit activations, rows `PackedI16::stride` apart, whose magnitude times 127 k is below
    /// 2^31, so that no sum overflows. Where it is not, sums wrap or the debug build panics.
    ///
    /// # Panics
    /// If x or y have other lengths than the same R asks for.
    pub fn gemm_i16(self, w: &PackedI16, x: &[i16], y: &mut [i32]) {
        let rows = y.len().checked_div(w.n).unwrap_or(0);
        let stride = PackedI16::stride(w.k);
        assert_eq!((x.len(), y.len()), (rows * stride, rows * w.n), "{rows} rows");
        let job = Job {
            x: x.as_ptr().cast(),
            x_stride: stride * 2,
            rows,
            w: w.data.as_ptr(),
            panel_stride: stride * 16,
            step_stride: 32,
            steps: stride / 2,
            offsets: std::ptr::null(),
            y: y.as_mut_ptr(),
            y_stride: w.n,
            n: w.n,
        };
        // SAFETY: the lengths were asserted, and a packed matrix has whole panels.
        unsafe { self.dispatch(Products(&job, OfI16)) };
    }
}

/// A form of activations, at each level.
pub(super) trait Form {
    type Dot<I: Isa>: Dot;
}

pub(super) struct OfI8;
pub(super) struct OfU8;
pub(super) struct OfI16;

impl Form for OfI8 {
    type Dot<I: Isa> = I::DotI8;
}

impl Form for OfU8 {
    type Dot<I: Isa> = I::DotU8;
}

impl Form for OfI16 {
    type Dot<I: Isa> = I::DotI16;
}

/// A product with strides in bytes (`y`: in numbers), so that key and value caches are matrices too.
///
/// Contract: `x` has `rows` rows of `steps` times 4 bytes, `x_stride` apart; `y` has `rows` rows of `n` numbers,
/// `y_stride` apart; behind `w` stand the weights of 16 outputs for every panel (the last one in full) and
/// every step; `offsets` has 16 numbers per panel, or is not read (see [`Dot::start`]).
pub(super) struct Job {
    pub x: *const u8,
    pub x_stride: usize,
    pub rows: usize,
    pub w: *const i8,
    pub panel_stride: usize,
    pub step_stride: usize,
    pub steps: usize,
    pub offsets: *const i32,
    pub y: *mut i32,
    pub y_stride: usize,
    pub n: usize,
}

/// A job in registers of D.
struct Product<'a, D> {
    job: &'a Job,
    registers: PhantomData<D>,
}

/// A job with activations of one form. All forms in one function, by an enum, are 4 % slower.
pub(super) struct Products<'a, F>(pub &'a Job, pub F);

impl<F: Form> Kernel for Products<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        tiles::run(&Product::<F::Dot<I>> { job: self.0, registers: PhantomData });
    }
}

impl<D: Dot> Tiles for Product<'_, D> {
    const REGISTERS: usize = D::REGISTERS;

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
        let w = job.w.add(panel * job.panel_stride);
        // Few sums would wait for each other: then each 4 or 2 steps have their own.
        let split =
            if D::REGISTERS < 16 || R * P > 4 { 1 } else { 8 / (R * P).next_power_of_two() }.min(4);
        let mut parts = [[[D::zero(); P]; R]; 4];
        for sums in &mut parts[0] {
            for (p, sum) in sums.iter_mut().enumerate() {
                *sum = D::start(job.offsets.wrapping_add((panel + p) * 16));
            }
        }
        let whole = job.steps / split * split;
        for step in (0..whole).step_by(split) {
            for (s, sums) in parts.iter_mut().enumerate().take(split) {
                add_step::<D, R, P>(job, x, w, step + s, sums);
            }
        }
        for step in whole..job.steps {
            add_step::<D, R, P>(job, x, w, step, &mut parts[0]);
        }
        let [mut sums, rest @ ..] = parts;
        for part in rest.iter().take(split - 1) {
            for (sum, &part) in sums.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
                *sum = D::add(*sum, part);
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                let column = (panel + p) * 16;
                let y = job.y.add((row + r) * job.y_stride + column);
                if column + 16 <= job.n {
                    D::store(sum, y);
                } else {
                    let mut last = [0; 16];
                    D::store(sum, last.as_mut_ptr());
                    y.copy_from_nonoverlapping(last.as_ptr(), job.n - column);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn add_step<D: Dot, const R: usize, const P: usize>(
    job: &Job,
    x: *const u8,
    w: *const i8,
    step: usize,
    sums: &mut [[D::Sum; P]; R],
) {
    let w = w.add(step * job.step_stride);
    let mut weights = [D::weights(w); P];
    for (p, weights) in weights.iter_mut().enumerate().skip(1) {
        *weights = D::weights(w.add(p * job.panel_stride));
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        let a = D::activation(x.add(r * job.x_stride + step * 4));
        for (sum, &weights) in sums.iter_mut().zip(&weights) {
            *sum = D::dot(*sum, a, weights);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random;

    const SHAPES: [(usize, usize); 8] =
        [(1, 1), (16, 4), (17, 20), (48, 33), (150, 42), (400, 3), (0, 4), (5, 0)];
    const ROWS: [usize; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 23];

    fn naive(w: &[i32], x: &[i32], n: usize, k: usize) -> Vec<i32> {
        let rows = x.len().checked_div(k).unwrap_or(0);
        let dot = |r: usize, j: usize| (0..k).map(|i| x[r * k + i] * w[j * k + i]).sum();
        (0..rows * n).map(|at| dot(at / n, at % n)).collect()
    }

    /// Numbers of -limit..=limit, the ends among them.
    fn numbers(n: usize, limit: i32, seed: u64) -> Vec<i32> {
        let clamp = |x: i16| ((i32::from(x) * (limit + limit / 8 + 1)) >> 15).clamp(-limit, limit);
        random(n, seed).into_iter().map(clamp).collect()
    }

    /// Rows of k numbers, `stride` apart, with something in between.
    fn padded<T: Copy>(x: &[T], k: usize, stride: usize, between: T) -> Vec<T> {
        let rows = x.chunks(k.max(1));
        rows.flat_map(|row| row.iter().copied().chain(vec![between; stride - k])).collect()
    }

    #[test]
    fn every_level_and_shape_gives_the_exact_sums() {
        for (n, k) in SHAPES {
            for rows in ROWS {
                let w = numbers(n * k, 127, 1);
                let packed_w: Vec<i8> = w.iter().map(|&w| w as i8).collect();
                let (p8, p16) = (PackedI8::new(n, k, &packed_w), PackedI16::new(n, k, &packed_w));
                let live = if n == 0 || k == 0 { 0 } else { rows };
                for limit in [127, 32767] {
                    let x = numbers(live * k, limit, 2);
                    let expected = naive(&w, &x, n, k);
                    let x8: Vec<i8> = x.iter().map(|&x| x as i8).collect();
                    let x8 = padded(&x8, k, stride(k), 55);
                    let x16: Vec<i16> = x.iter().map(|&x| x as i16).collect();
                    let x16 = padded(&x16, k, PackedI16::stride(k), -77);
                    for level in Level::available() {
                        let mut y = vec![1; live * n];
                        level.gemm_i16(&p16, &x16, &mut y);
                        assert_eq!(y, expected, "i16, {level:?}: {rows} rows, {n} x {k}");
                        if limit == 127 {
                            y.fill(1);
                            level.gemm_i8(&p8, &x8, &mut y);
                            assert_eq!(y, expected, "i8, {level:?}: {rows} rows, {n} x {k}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_sums_are_exact() {
        let k = 520;
        for (a, b) in [(127i8, 127i8), (127, -127), (-127, 127), (-127, -127)] {
            let packed = PackedI8::new(17, k, &vec![a; 17 * k]);
            for level in Level::available() {
                let mut y = vec![0; 3 * 17];
                level.gemm_i8(&packed, &vec![b; 3 * k], &mut y);
                assert_eq!(y, vec![i32::from(a) * i32::from(b) * k as i32; 3 * 17]);
            }
        }
    }
}
