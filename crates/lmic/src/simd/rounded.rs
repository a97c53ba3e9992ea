//! Activations of recurrent models, rounded to 8 bits for the products of [`super::linear`]: as they are, normed, or gated.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

use super::{
    Level,
    aligned::Aligned,
    elementwise::ROUND,
    gates,
    isa::{F32x16, Isa, Kernel},
    quantize::SMALLEST,
};

/// Largest magnitude of a rounded activation.
const MOST: f32 = 127.0;

/// Rows of activations rounded to -127..=127, with a scale each.
#[derive(Default)]
pub struct Rounded {
    pub(super) k: usize,
    pub(super) data: Aligned<u8>, // (rows, k): each integer plus 128
    pub(super) scales: Vec<f32>,  // (rows)
}

impl Rounded {
    /// Memory for rows of k numbers.
    fn resize(&mut self, rows: usize, k: usize) -> Out {
        assert!(k.is_multiple_of(16));
        self.k = k;
        self.data.grow(rows * k);
        self.scales.resize(rows, 0.0);
        Out { data: self.data.as_mut_ptr(), scales: self.scales.as_mut_ptr() }
    }

    /// Rounds the rows of x, (R, k).
    ///
    /// With m the largest magnitude of the row (NaN counts as 0): each integer is `x * (127 / m) + 1.5 * 2^23`, whose sum
    /// rounds to the nearest integer, ties to even; the row's scale is `m / 127`. Where m is infinite or below
    /// 2^-100, all integers and the scale are 0. A NaN becomes 127.
    ///
    /// # Panics
    /// If k isn't a multiple of 16, above 0, or x isn't whole rows.
    pub fn round(&mut self, level: Level, x: &[f32], k: usize) {
        assert!(x.len().is_multiple_of(k));
        let rows = x.len() / k;
        let round = Round { x: x.as_ptr(), rows, k, out: self.resize(rows, k) };
        // SAFETY: x has the rows, and there is memory for as many.
        unsafe { level.dispatch(round) };
    }

    /// Memory for rows of k integers, (rows, k), with one scale for all: the caller writes each integer plus 128.
    ///
    /// # Panics
    /// If k isn't a multiple of 16.
    pub fn integers(&mut self, rows: usize, k: usize, scale: f32) -> &mut [u8] {
        self.resize(rows, k);
        self.scales.fill(scale);
        &mut self.data[..rows * k]
    }

    /// Rounds the RMS norm of each row of x, (R, d), with weights of d.
    ///
    /// `t = x * weight` is rounded as in [`Rounded::round`]; its scale is then multiplied by
    /// `1 / sqrt(sum / d + epsilon)`, sum being that of the squares of x, each of 16 lanes a chain:
    /// the factor of the norm changes no integer.
    ///
    /// # Panics
    /// If d isn't a multiple of 16, above 0, or x isn't whole rows.
    pub fn round_norm(&mut self, level: Level, x: &[f32], weight: &[f32], epsilon: f32) {
        let d = weight.len();
        assert!(x.len().is_multiple_of(d));
        let rows = x.len() / d;
        let round = Round { x: x.as_ptr(), rows, k: d, out: self.resize(rows, d) };
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
        let round = Round { x: x.as_ptr(), rows, k, out: self.resize(rows, k) };
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
        let to = self.data.add(r * k);
        let valid = (SMALLEST..=f32::MAX).contains(&m);
        let factor = I::F32::splat(if valid { MOST / m } else { 0.0 });
        let (round, most) = (I::F32::splat(ROUND), I::F32::splat(ROUND + MOST));
        for i in (0..k).step_by(16) {
            // A product is at most 127 * (1 + 2^-22), whose sum is within the limit. Only NaN (of infinity by 0 too) is not, which
            // the comparison replaces.
            let rounded = if valid { most.smaller(x(i).mul(factor).add(round)) } else { round };
            I::store_rounded(rounded, to.add(i));
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
                squares = squares.add(x.mul(x));
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
pub mod tests {
    use super::*;
    use crate::simd::tests::random_f32;

    /// Integers and scales.
    pub fn integers(x: &Rounded) -> (Vec<i32>, &[f32]) {
        let len = x.scales.len() * x.k;
        let integers = x.data[..len].iter().map(|&a| i32::from(a) - 128).collect();
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
                        let product = x * (127.0 / m);
                        let expected = if x.is_nan() { 127.0 } else { product.round_ties_even() };
                        assert_eq!(ours as f32, if live { expected } else { 0.0 }, "{level:?}");
                    }
                }
            }
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
}
