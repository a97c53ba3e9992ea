//! What a transformer does besides products: norm, activation, softmax, rotation.
//!
//! Each kernel is one portable body that the compiler vectorises per level. Rust neither fuses nor reorders
//! float operations, so all levels give the same bits: the operations are those written here, each rounded
//! once (no fused multiply-add). Sums run over 16 virtual lanes, element i in lane `i % 16`, in ascending
//! order from 0; then the lanes add up as a tree, [`fold_lanes`].

use super::{Level, scalar::fold_lanes};

/// Added to a number of magnitude below 2^22 and subtracted again, rounds it to the nearest integer, ties to
/// even; after the addition the low bits hold that integer in two's complement.
pub(super) const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// e^x. Below -87: 0. Above 88: as for 88. Otherwise within 1 unit in the last place (see the tests).
///
/// `x = n ln 2 + r`: n is x * (1 / ln 2) rounded to nearest even; r subtracts `n * 355/512` (exact: 9 bits times
/// 8) and `n * (ln 2 - 355/512)`; e^r is its Taylor polynomial of degree 7 by Horner's rule (|r| < 0.347, so
/// the rest is below r^8 / 8! < 2^-27), the 1 added last; 2^n goes in through the exponent.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let inside = if x > 88.0 { 88.0 } else { x };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (inside - n * (355.0 / 512.0)) - n * -2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    // e^r = 1 + (r + r^2 p): the small terms first.
    let power = 1.0 + (r + (r * r) * p);
    // The low bits of `shifted` are n: moved to the exponent they are the bits of 2^n, less those of 1.
    let two_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let result = power * two_n;
    if x < -87.0 { 0.0 } else { result }
}

/// Folds all elements with f, element i in lane `i % 16` in ascending order from `start`; then the lanes.
#[inline(always)]
fn fold(x: &[f32], start: f32, f: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; 16];
    let (blocks, tail) = x.as_chunks::<16>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = f(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane = f(*lane, x);
    }
    fold_lanes(lanes, join)
}

/// The larger one, by comparison only; `f32::max` leaves the sign of zero open. The first if one is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The largest element, negative infinity for none. NaN never is.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    fold(x, f32::NEG_INFINITY, larger, larger)
}

/// The largest magnitude, 0 for none. NaN never is.
#[inline(always)]
pub(super) fn max_abs(x: &[f32]) -> f32 {
    fold(x, 0.0, |m, x| larger(m, x.abs()), larger)
}

/// The sum of all elements.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    fold(x, 0.0, |sum, x| sum + x, |a, b| a + b)
}

/// The sum of all squares.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f32 {
    fold(x, 0.0, |sum, x| sum + x * x, |a, b| a + b)
}

#[inline(always)]
fn exp_all(x: &mut [f32]) {
    for x in x {
        *x = exp(*x);
    }
}

#[inline(always)]
fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
}

#[inline(always)]
fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let d = weight.len();
    for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
        let mean = sum_of_squares(x) / d as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        for ((out, &x), &weight) in out.iter_mut().zip(x).zip(weight) {
            *out = (x * scale) * weight;
        }
    }
}

#[inline(always)]
fn add(x: &mut [f32], y: &[f32]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

#[inline(always)]
fn scale_row(h: &mut [f32], sums: &[i32], row_scale: f32, col_scales: &[f32]) {
    for ((h, &sum), &scale) in h.iter_mut().zip(sums).zip(col_scales) {
        *h = sum as f32 * (row_scale * scale);
    }
}

/// `e^(x - max)` for all, and their sum.
#[inline(always)]
pub(super) fn softmax(x: &mut [f32]) -> f32 {
    let max = max(x);
    for x in &mut *x {
        *x = exp(*x - max);
    }
    sum(x)
}

#[inline(always)]
fn rope(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in x.chunks_exact_mut(2 * half) {
        let (low, high) = head.split_at_mut(half);
        for (((low, high), &cos), &sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
            let (a, b) = (*low, *high);
            *low = a * cos - b * sin;
            *high = b * cos + a * sin;
        }
    }
}

#[inline(always)]
fn sum_rows(rows: &[&[f32]], out: &mut [f32]) {
    out.copy_from_slice(rows[0]);
    for row in &rows[1..] {
        for (out, &x) in out.iter_mut().zip(*row) {
            *out += x;
        }
    }
}

impl Level {
    /// The sum of rows, in their order.
    ///
    /// # Panics
    /// If there is none, or the first has another length than `out`.
    pub fn sum_rows(self, rows: &[&[f32]], out: &mut [f32]) {
        vectorize!(self, sum_rows, (rows: &[&[f32]], out: &mut [f32]));
    }

    /// e^x of each element, in place, within one unit in the last place. Below -87: 0. Above 88: as for 88.
    pub fn exp(self, x: &mut [f32]) {
        vectorize!(self, exp_all, (x: &mut [f32]));
    }

    /// `out = gate / (1 + e^-gate) * up`, from left to right.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn silu_mul(self, gate: &[f32], up: &[f32], out: &mut [f32]) {
        assert_eq!((gate.len(), up.len()), (out.len(), out.len()));
        vectorize!(self, silu_mul, (gate: &[f32], up: &[f32], out: &mut [f32]));
    }

    /// `out = (x * scale) * weight` for each row of x, (R, d), with `scale = 1 / sqrt(mean + epsilon)` and mean
    /// the 16-lane sum of squares, divided by d.
    ///
    /// # Panics
    /// If the lengths aren't multiples of that of `weight`, which isn't 0, or differ.
    pub fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        assert!(x.len() == out.len() && x.len().is_multiple_of(weight.len()));
        vectorize!(self, rms_norm, (x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]));
    }

    /// `x += y`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len());
        vectorize!(self, add, (x: &mut [f32], y: &[f32]));
    }

    /// `h = sum * (row_scale * col_scale)`, the sum converted to the nearest f32: one row of an integer product.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn scale_row(self, h: &mut [f32], sums: &[i32], row_scale: f32, col_scales: &[f32]) {
        assert_eq!((sums.len(), col_scales.len()), (h.len(), h.len()));
        vectorize!(
            self,
            scale_row,
            (h: &mut [f32], sums: &[i32], row_scale: f32, col_scales: &[f32])
        );
    }

    /// `x = e^(x - max x)`, in place; returns the 16-lane sum. Not divided by it.
    pub fn softmax(self, x: &mut [f32]) -> f32 {
        vectorize!(self, softmax, (x: &mut [f32]) -> f32)
    }

    /// Rotates each head of x, (heads, 2 * half), by the angles of one position: element i with element `i + half`, as
    /// `(a cos - b sin, b cos + a sin)`. `cos` and `sin` are one row, (half), of a
    /// `RopeTable`.
    ///
    /// # Panics
    /// If cos and sin differ in length or are empty, or x isn't whole heads.
    pub fn rope(self, x: &mut [f32], cos: &[f32], sin: &[f32]) {
        assert!(cos.len() == sin.len() && x.len().is_multiple_of(2 * cos.len()) && !cos.is_empty());
        vectorize!(self, rope, (x: &mut [f32], cos: &[f32], sin: &[f32]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random_f32;

    #[test]
    fn exp_is_within_one_unit_in_the_last_place() {
        let mut worst = 0.0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 / 10_000.0;
            let (ours, theirs) = (exp(x), f64::from(x).exp());
            let unit = f64::from(f32::from_bits((theirs as f32).to_bits() + 1) - theirs as f32);
            worst = worst.max((f64::from(ours) - theirs).abs() / unit);
        }
        assert!(worst < 1.0, "{worst}");
        assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
        assert_eq!((exp(-87.1), exp(f32::NEG_INFINITY), exp(f32::MIN)), (0.0, 0.0, 0.0));
        assert_eq!((exp(1e30), exp(f32::INFINITY)), (exp(88.0), exp(88.0)));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn every_level_has_the_same_exp_of_any_finite_number() {
        let mut x: Vec<f32> = (0..200_000).map(|i| (i - 100_000) as f32 / 1000.0).collect();
        x.extend((0..100_000).map(|i| f32::from_bits(i * 42_949)).filter(|x| x.is_finite()));
        let expected: Vec<f32> = x.iter().map(|&x| exp(x)).collect();
        for level in Level::available() {
            let mut ours = x.clone();
            level.exp(&mut ours);
            assert_eq!(ours, expected);
        }
    }

    /// 16-lane sum, written the long way.
    fn naive_sum(x: &[f32]) -> f32 {
        let mut s = [0.0f32; 16];
        x.iter().enumerate().for_each(|(i, x)| s[i % 16] += x);
        let four = |l: usize| (s[l] + s[l + 8]) + (s[l + 4] + s[l + 12]);
        (four(0) + four(2)) + (four(1) + four(3))
    }

    #[test]
    fn every_level_gives_the_bits_of_the_formulas() {
        for n in [1, 2, 15, 16, 17, 32, 40, 256, 333] {
            let x = random_f32(2 * n, 1);
            let (gate, up) = (&random_f32(n, 2), &random_f32(n, 3));
            let silu: Vec<f32> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + exp(-g)) * u).collect();
            let norm: Vec<f32> = x
                .chunks(n)
                .flat_map(|x| {
                    let squares: Vec<f32> = x.iter().map(|x| x * x).collect();
                    let scale = 1.0 / (naive_sum(&squares) / n as f32 + 1e-5).sqrt();
                    x.iter().zip(up).map(move |(x, w)| x * scale * w).collect::<Vec<_>>()
                })
                .collect();
            let largest = up.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let soft: Vec<f32> = up.iter().map(|x| exp(x - largest)).collect();
            let sums: Vec<i32> = gate.iter().map(|x| (x * 1e8) as i32).collect();
            let scaled: Vec<f32> =
                sums.iter().zip(up).map(|(&s, u)| s as f32 * (0.37 * u)).collect();
            let rotated: Vec<f32> = (0..2 * n)
                .map(|i| {
                    let (a, b) = (x[i % n], x[i % n + n]);
                    let (c, s) = (gate[i % n], up[i % n]);
                    if i < n { a * c - b * s } else { b * c + a * s }
                })
                .collect();
            for level in Level::available() {
                let mut out = vec![0.0; n];
                level.silu_mul(gate, up, &mut out);
                assert_eq!(out, silu);
                level.scale_row(&mut out, &sums, 0.37, up);
                assert_eq!(out, scaled);
                level.add(&mut out, &scaled);
                assert_eq!(out, scaled.iter().map(|x| x + x).collect::<Vec<_>>());
                out.copy_from_slice(up);
                assert_eq!(level.softmax(&mut out), naive_sum(&soft), "{level:?} {n}");
                assert_eq!(out, soft);
                out.copy_from_slice(gate);
                level.exp(&mut out);
                assert_eq!(out, gate.iter().map(|&x| exp(x)).collect::<Vec<_>>());
                let mut out = vec![0.0; 2 * n];
                level.rms_norm(&x, up, 1e-5, &mut out);
                assert_eq!(out, norm, "{level:?} {n}");
                out.copy_from_slice(&x);
                level.rope(&mut out, gate, up);
                assert_eq!(out, rotated);
            }
        }
    }
}
