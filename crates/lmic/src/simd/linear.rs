//! Products of 8-bit weights with activations rounded to 8 bits, from floats to floats: what recurrent models
//! are made of.
//!
//! Sums are exact in 32 bits, so the form in which a level keeps the rounded numbers does not matter: bytes
//! plus 128 for AVX-512, 16-bit numbers elsewhere, because `pmaddwd` beats what AVX2 has for bytes.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

use super::{
    Level,
    aligned::Aligned,
    elementwise::ROUND,
    gates,
    gemm_i8::{Job, OfRounded, Products, Scaled, pack},
    isa::{F32x16, Isa, Kernel},
    quantize::SMALLEST,
};

/// Largest magnitude of a rounded activation.
const MOST: f32 = 127.0;

impl Level {
    /// Bytes of a rounded activation.
    pub(super) fn rounded_bytes(self) -> usize {
        struct Bytes;

        impl Kernel for Bytes {
            type Output = usize;

            #[inline(always)]
            unsafe fn run<I: Isa>(self) -> usize {
                I::ROUNDED_BYTES
            }
        }

        // SAFETY: a constant asks for nothing.
        unsafe { self.dispatch(Bytes) }
    }
}

/// A matrix of `n` outputs by `k` inputs, packed for a level; `weight = integer * scale of its row`.
pub struct Linear {
    level: Level,
    n: usize,
    k: usize,
    data: Aligned<i8>, // (n / 16, k / step, 16, step): step is 4 for bytes, 2 for 16-bit activations
    offsets: Vec<i32>, // (n): -128 * the sum of an output's weights
    scales: Vec<f32>,  // (n)
}

impl Linear {
    /// Packs `rows`, (n, k), of weights in -127..=127, with their scales, (n).
    ///
    /// # Panics
    /// If n or k isn't a multiple of 16, k is above 65536 (sums might not fit), `rows` has another length than
    /// `n * k` or holds -128.
    pub fn new(level: Level, rows: &[i8], scales: Vec<f32>, k: usize) -> Self {
        let n = scales.len();
        assert!(n.is_multiple_of(16) && k.is_multiple_of(16) && k <= 1 << 16, "{n} x {k}");
        assert!(rows.len() == n * k && !rows.contains(&i8::MIN), "weights out of range");
        let sum = |row: &[i8]| row.iter().map(|&w| i32::from(w)).sum::<i32>();
        let offsets = rows.chunks_exact(k.max(1)).map(|row| -128 * sum(row)).collect();
        let data = match level.rounded_bytes() {
            1 => pack::<4>(n, k, rows),
            _ => pack::<2>(n, k, rows),
        };
        Self { level, n, k, data, offsets, scales }
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// `out = x * w^T`, or `out += x * w^T` if `added`: x is (R, k), out is (R, n). With the exact integer sum, each
    /// is `f32(sum) * (row_scale * scale)`, or `fma(f32(sum), row_scale * scale, out)`.
    ///
    /// # Panics
    /// If the lengths don't fit together, or x was rounded at a level with another form.
    pub fn apply(&self, x: &Rounded, added: bool, out: &mut [f32]) {
        let rows = x.scales.len();
        let bytes = self.level.rounded_bytes();
        assert_eq!((x.bytes, x.k, out.len()), (bytes, self.k, rows * self.n), "{rows} rows");
        let step = 4 / bytes; // inputs of a step
        let job = Job {
            x: x.data.as_ptr().cast(),
            x_stride: self.k * bytes,
            rows,
            w: self.data.as_ptr(),
            panel_stride: self.k * 16,
            step_stride: 16 * step,
            steps: self.k / step,
            offsets: self.offsets.as_ptr(),
            y: std::ptr::null_mut(),
            y_stride: 0,
            n: self.n,
            scaled: Some(Scaled {
                out: out.as_mut_ptr(),
                added,
                row_scales: x.scales.as_ptr(),
                column_scales: self.scales.as_ptr(),
            }),
        };
        // SAFETY: the lengths were asserted; n and k are whole panels and steps.
        unsafe { self.level.dispatch(Products(&job, OfRounded)) };
    }
}

/// Rows of activations rounded to -127..=127, with a scale each.
#[derive(Default)]
pub struct Rounded {
    bytes: usize, // of a number: see `Level::rounded_bytes`
    k: usize,
    data: Aligned<i8>, // (rows, k) in the form of the level
    scales: Vec<f32>,  // (rows)
}

impl Rounded {
    /// Memory for rows of k numbers.
    fn resize(&mut self, level: Level, rows: usize, k: usize) -> Out {
        assert!(k.is_multiple_of(16));
        (self.bytes, self.k) = (level.rounded_bytes(), k);
        self.data.grow(rows * k * self.bytes);
        self.scales.resize(rows, 0.0);
        Out { data: self.data.as_mut_ptr().cast(), scales: self.scales.as_mut_ptr() }
    }

    /// Rounds the rows of x, (R, k).
    ///
    /// With m the largest magnitude of the row (NaN counts as 0): each integer is `fma(x, 127 / m, 1.5 * 2^23)`, which
    /// rounds to the nearest integer, ties to even; the row's scale is `m / 127`. Where m is infinite or below
    /// 2^-100, all integers and the scale are 0. A NaN becomes 127.
    ///
    /// # Panics
    /// If k isn't a multiple of 16, above 0, or x isn't whole rows.
    pub fn round(&mut self, level: Level, x: &[f32], k: usize) {
        assert!(x.len().is_multiple_of(k));
        let rows = x.len() / k;
        let round = Round { x: x.as_ptr(), rows, k, out: self.resize(level, rows, k) };
        // SAFETY: x has the rows, and there is memory for as many.
        unsafe { level.dispatch(round) };
    }

    /// Takes rows of k integers, -127 to 127, as they are, with one scale for all: `codes` is (R, k).
    ///
    /// # Panics
    /// If k isn't a multiple of 16, above 0, or `codes` isn't whole rows.
    pub fn take(&mut self, level: Level, codes: &[i8], k: usize, scale: f32) {
        assert!(codes.len().is_multiple_of(k));
        let rows = codes.len() / k;
        self.resize(level, rows, k);
        self.scales.fill(scale);
        let data = &mut self.data[..codes.len() * self.bytes];
        match self.bytes {
            1 => data.iter_mut().zip(codes).for_each(|(to, &code)| *to = code ^ i8::MIN),
            _ => {
                for (to, &code) in data.as_chunks_mut::<2>().0.iter_mut().zip(codes) {
                    *to = i16::from(code).to_ne_bytes().map(u8::cast_signed);
                }
            }
        }
    }

    /// Rounds the RMS norm of each row of x, (R, d), with weights of d.
    ///
    /// `t = x * weight` is rounded as in [`Rounded::round`]; its scale is then multiplied by
    /// `1 / sqrt(sum / d + epsilon)`, sum being that of the squares of x, each of 16 lanes a chain of fused multiply-adds:
    /// the factor of the norm changes no integer.
    ///
    /// # Panics
    /// If d isn't a multiple of 16, above 0, or x isn't whole rows.
    pub fn round_norm(&mut self, level: Level, x: &[f32], weight: &[f32], epsilon: f32) {
        let d = weight.len();
        assert!(x.len().is_multiple_of(d));
        let rows = x.len() / d;
        let round = Round { x: x.as_ptr(), rows, k: d, out: self.resize(level, rows, d) };
        // SAFETY: as above, and `weight` is as wide as a row.
        unsafe { level.dispatch(RoundNorm { round, weight: weight.as_ptr(), epsilon }) };
    }

    /// `y = (gate * sigmoid(gate)) * up` of each row of x, (R, 2, k): gates, then what they gate. y is (R, k), and rounded.
    ///
    /// # Panics
    /// If k isn't a multiple of 16, above 0, or the lengths don't fit together.
    pub fn round_gated(&mut self, level: Level, x: &[f32], k: usize, y: &mut [f32]) {
        assert!(y.len().is_multiple_of(k) && x.len() == 2 * y.len());
        let rows = y.len() / k;
        let round = Round { x: x.as_ptr(), rows, k, out: self.resize(level, rows, k) };
        // SAFETY: as above; x has two rows for each of y.
        unsafe { level.dispatch(RoundGated { round, y: y.as_mut_ptr() }) };
    }
}

/// Where rounded rows go.
#[derive(Clone, Copy)]
struct Out {
    data: *mut u8,
    scales: *mut f32,
}

impl Out {
    /// Rounds row r, whose largest magnitude is m: element vector i is `x(i)`.
    #[inline(always)]
    unsafe fn put<I: Isa>(
        self,
        r: usize,
        k: usize,
        m: f32,
        norm: f32,
        x: impl Fn(usize) -> I::F32,
    ) {
        let to = self.data.add(r * k * I::ROUNDED_BYTES);
        let valid = (SMALLEST..=f32::MAX).contains(&m);
        let factor = I::F32::splat(if valid { MOST / m } else { 0.0 });
        let (round, most) = (I::F32::splat(ROUND), I::F32::splat(ROUND + MOST));
        for i in (0..k).step_by(16) {
            // No product passes the limit but NaN (of infinity by 0 too), which the comparison replaces.
            let rounded = if valid { most.smaller(round.add_product(x(i), factor)) } else { round };
            I::store_rounded(rounded, to.add(i * I::ROUNDED_BYTES));
        }
        *self.scales.add(r) = if valid { m / MOST * norm } else { 0.0 };
    }
}

/// [`Rounded::round`], by pointers: rows of x, k numbers each, go to `out`.
struct Round {
    x: *const f32,
    rows: usize,
    k: usize,
    out: Out,
}

impl Kernel for Round {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        let Self { rows, k, out, .. } = self;
        for r in 0..rows {
            let x = self.x.add(r * k);
            let mut m = I::F32::splat(0.0);
            for i in (0..k).step_by(16) {
                m = m.larger(I::F32::load(x.add(i)).abs());
            }
            out.put::<I>(r, k, m.largest(), 1.0, |i| I::F32::load(x.add(i)));
        }
    }
}

/// [`Rounded::round_norm`], by pointers.
struct RoundNorm {
    round: Round,
    weight: *const f32,
    epsilon: f32,
}

impl Kernel for RoundNorm {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        let Self { round: Round { x, rows, k, out }, weight, epsilon } = self;
        for r in 0..rows {
            let x = x.add(r * k);
            let (mut m, mut squares) = (I::F32::splat(0.0), I::F32::splat(0.0));
            for i in (0..k).step_by(16) {
                let x = I::F32::load(x.add(i));
                squares = squares.add_product(x, x);
                m = m.larger(x.mul(I::F32::load(weight.add(i))).abs());
            }
            let norm = 1.0 / (squares.sum() / k as f32 + epsilon).sqrt();
            let product = |i| I::F32::load(x.add(i)).mul(I::F32::load(weight.add(i)));
            out.put::<I>(r, k, m.largest(), norm, product);
        }
    }
}

/// [`Rounded::round_gated`], by pointers: a row of x has 2 k numbers.
struct RoundGated {
    round: Round,
    y: *mut f32,
}

impl Kernel for RoundGated {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        let Self { round: Round { x, rows, k, out }, y } = self;
        for r in 0..rows {
            let (x, y) = (x.add(r * 2 * k), y.add(r * k));
            let mut m = I::F32::splat(0.0);
            for i in (0..k).step_by(16) {
                let gated = gates::silu(I::F32::load(x.add(i))).mul(I::F32::load(x.add(k + i)));
                gated.store(y.add(i));
                m = m.larger(gated.abs());
            }
            out.put::<I>(r, k, m.largest(), 1.0, |i| I::F32::load(y.add(i)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::{random, random_f32};

    /// Integers and scales, in the form of any level.
    fn integers(x: &Rounded) -> (Vec<i32>, &[f32]) {
        let len = x.scales.len() * x.k;
        let integers = match x.bytes {
            1 => x.data[..len].iter().map(|&a| i32::from(a.cast_unsigned()) - 128).collect(),
            _ => {
                let pairs = x.data[..2 * len].as_chunks::<2>().0;
                pairs.iter().map(|a| i16::from_ne_bytes(a.map(i8::cast_unsigned)).into()).collect()
            }
        };
        (integers, &x.scales)
    }

    #[test]
    fn every_level_rounds_as_the_definition_says() {
        for k in [16, 48, 208] {
            let mut x = random_f32(7 * k, k as u64);
            x[k..2 * k].fill(-0.0);
            x[2 * k] = f32::NAN;
            x[3 * k] = f32::NEG_INFINITY;
            x[4 * k..5 * k].iter_mut().for_each(|x| *x *= 1e-31);
            x[5 * k..6 * k].iter_mut().for_each(|x| *x *= 1e38 / 3.0);
            x[6 * k..].iter_mut().for_each(|x| *x = (*x * 30.0).round() / 2.0);
            x[6 * k] = 127.0; // ties
            for level in Level::available() {
                let mut rounded = Rounded::default();
                rounded.round(level, &x, k);
                let (ours, scales) = integers(&rounded);
                for (r, row) in x.chunks_exact(k).enumerate() {
                    let m = row.iter().fold(0.0f32, |m, x| if x.abs() > m { x.abs() } else { m });
                    let live = m.is_finite() && m >= SMALLEST;
                    assert_eq!(scales[r], if live { m / 127.0 } else { 0.0 });
                    for (&x, &ours) in row.iter().zip(&ours[r * k..]) {
                        // An exact product: one rounding.
                        let product = f64::from(x) * f64::from(127.0 / m);
                        let expected = if x.is_nan() { 127.0 } else { product.round_ties_even() };
                        assert_eq!(f64::from(ours), if live { expected } else { 0.0 }, "{level:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn integers_are_taken_as_they_are() {
        let codes: Vec<i8> =
            random(3 * 48, 7).into_iter().map(|x| ((x >> 8) as i8).max(-127)).collect();
        for level in Level::available() {
            let mut rounded = Rounded::default();
            rounded.take(level, &codes, 48, 0.25);
            let (ours, scales) = integers(&rounded);
            assert!(ours.iter().zip(&codes).all(|(&a, &b)| a == i32::from(b)), "{level:?}");
            assert_eq!(scales, [0.25; 3]);
        }
    }

    #[test]
    fn norms_and_gates_have_the_same_bits_at_every_level_and_the_size_of_the_formulas() {
        for k in [16, 80, 208] {
            let (x, weight) = (random_f32(3 * 2 * k, 1), random_f32(k, 2));
            let mut all = Vec::new();
            for level in Level::available() {
                let (mut norm, mut gated) = (Rounded::default(), Rounded::default());
                let mut y = vec![0.0; 3 * k];
                norm.round_norm(level, &x, &weight, 1e-5);
                gated.round_gated(level, &x, k, &mut y);
                let (integers, scales) = integers(&norm);
                for (r, x) in x.chunks_exact(k).enumerate() {
                    let mean = x.iter().map(|x| x * x).sum::<f32>() / k as f32;
                    for (i, (x, w)) in x.iter().zip(&weight).enumerate() {
                        let exact = x / (mean + 1e-5).sqrt() * w;
                        let ours = integers[r * k + i] as f32 * scales[r];
                        assert!((ours - exact).abs() < 0.51 * scales[r], "{ours} {exact}");
                    }
                }
                for (r, x) in x.chunks_exact(2 * k).enumerate() {
                    for i in 0..k {
                        let exact = x[i] / (1.0 + (-x[i]).exp()) * x[k + i];
                        assert!((y[r * k + i] - exact).abs() < 1e-5, "{} {exact}", y[r * k + i]);
                    }
                }
                let form = |rounded: &Rounded| {
                    let (integers, scales) = self::integers(rounded);
                    (integers, scales.to_vec())
                };
                all.push((form(&norm), form(&gated), y));
            }
            assert!(all.iter().all(|one| *one == all[0]));
        }
    }

    #[test]
    fn products_are_exact_sums_times_both_scales() {
        for (n, k) in [(16, 16), (48, 32), (80, 208), (208, 528)] {
            let clamp = |x: i16| ((x >> 8) as i8).max(-127);
            let w: Vec<i8> = random(n * k, 3).into_iter().map(clamp).collect();
            let scales: Vec<f32> = random_f32(n, 4);
            for rows in [0, 1, 2, 5, 8, 16, 23] {
                let (x, before) = (random_f32(rows * k, 5), random_f32(rows * n, 6));
                for level in Level::available() {
                    let linear = Linear::new(level, &w, scales.clone(), k);
                    let mut rounded = Rounded::default();
                    rounded.round(level, &x, k);
                    let (mut set, mut added) = (before.clone(), before.clone());
                    linear.apply(&rounded, false, &mut set);
                    linear.apply(&rounded, true, &mut added);
                    let (x, row_scales) = integers(&rounded);
                    for i in 0..rows * n {
                        let (r, j) = (i / n, i % n);
                        let products = x[r * k..][..k].iter().zip(&w[j * k..][..k]);
                        let sum: i32 = products.map(|(&x, &w)| x * i32::from(w)).sum();
                        let scale = row_scales[r] * scales[j];
                        assert_eq!(set[i], sum as f32 * scale, "{level:?}");
                        assert_eq!(added[i], (sum as f32).mul_add(scale, before[i]), "{level:?}");
                    }
                }
            }
        }
    }
}
