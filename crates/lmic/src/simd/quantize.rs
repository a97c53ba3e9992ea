//! Activations to integers, one scale per row.

use super::{
    Level,
    elementwise::{ROUND, max_abs},
    gemm_i8::{PackedI16, stride},
};

/// Rows whose largest magnitude is below this count as 0: `limit / largest` would not be finite for all.
pub(super) const SMALLEST: f32 = 7.888_609e-31; // 2^-100

/// One row, as [`Level::quantize_i8`] says. `out` may be longer: zeros.
///
/// No clamp is needed: `x * (limit / m)` is at most `limit * (1 + 2^-22)`, which rounds to `limit`.
#[inline(always)]
fn row<T: Copy + Default>(
    x: &[f32],
    limit: f32,
    out: &mut [T],
    low_bits: impl Fn(u32) -> T,
) -> f32 {
    let m = max_abs(x);
    if !(SMALLEST..=f32::MAX).contains(&m) {
        out.fill(T::default());
        return 0.0;
    }
    let factor = limit / m;
    let (numbers, rest) = out.split_at_mut(x.len());
    for (number, &x) in numbers.iter_mut().zip(x) {
        let x = if x.is_nan() { 0.0 } else { x };
        *number = low_bits((x * factor + ROUND).to_bits());
    }
    rest.fill(T::default());
    m / limit
}

#[inline(always)]
fn rows_i8(x: &[f32], k: usize, out: &mut [i8], scales: &mut [f32]) {
    let rows = x.chunks_exact(k).zip(out.chunks_exact_mut(stride(k)));
    for (scale, (x, out)) in scales.iter_mut().zip(rows) {
        *scale = row(x, 127.0, out, |bits| bits as i8);
    }
}

#[inline(always)]
fn rows_i16(x: &[f32], k: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
    let rows = x.chunks_exact(k).zip(out.chunks_exact_mut(PackedI16::stride(k)));
    for (scale, (x, out)) in scales.iter_mut().zip(rows) {
        *scale = row(x, f32::from(limit), out, |bits| bits as i16);
    }
}

impl Level {
    /// Rounds each row of x, (R, k), to integers in -127..=127.
    ///
    /// With m the largest magnitude of the row (NaN counts as 0): `factor = 127 / m`; each number is `x * factor`,
    /// rounded to f32 and then to the nearest integer, ties to even; the row's scale is `m / 127`. Where m
    /// is infinite or below 2^-100, all numbers and the scale are 0. Rows of `out` are `stride` apart,
    /// filled up with zeros.
    ///
    /// # Panics
    /// If k is 0, or the lengths aren't those of R = `scales.len()` rows.
    pub fn quantize_i8(self, x: &[f32], k: usize, out: &mut [i8], scales: &mut [f32]) {
        let rows = scales.len();
        assert_eq!((x.len(), out.len()), (rows * k, rows * stride(k)), "{rows} rows");
        vectorize!(self, rows_i8, (x: &[f32], k: usize, out: &mut [i8], scales: &mut [f32]));
    }

    /// As [`Level::quantize_i8`] with `limit` in place of 127, and rows of `out` `PackedI16::stride` apart.
    ///
    /// # Panics
    /// If k is 0, `limit` is below 1, or the lengths aren't those of R = `scales.len()` rows.
    pub fn quantize_i16(
        self,
        x: &[f32],
        k: usize,
        limit: i16,
        out: &mut [i16],
        scales: &mut [f32],
    ) {
        let rows = scales.len();
        assert!(limit > 0);
        assert_eq!((x.len(), out.len()), (rows * k, rows * PackedI16::stride(k)), "{rows} rows");
        vectorize!(
            self,
            rows_i16,
            (x: &[f32], k: usize, limit: i16, out: &mut [i16], scales: &mut [f32])
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random_f32;

    /// The definition, the long way.
    fn naive(x: &[f32], limit: f32) -> (Vec<f32>, f32) {
        let m = x.iter().fold(0.0f32, |m, x| if x.abs() > m { x.abs() } else { m });
        if m.is_infinite() || m < 2f32.powi(-100) {
            return (vec![0.0; x.len()], 0.0);
        }
        let round = |x: &f32| if x.is_nan() { 0.0 } else { (x * (limit / m)).round_ties_even() };
        (x.iter().map(round).collect(), m / limit)
    }

    #[test]
    fn every_level_gives_the_numbers_of_the_definition() {
        for k in [1, 2, 3, 4, 15, 16, 17, 31, 64, 333] {
            let mut x = random_f32(8 * k, k as u64);
            x[k..2 * k].fill(-0.0);
            x[2 * k] = f32::NAN;
            x[3 * k] = f32::INFINITY;
            x[4 * k..5 * k].iter_mut().for_each(|x| *x *= 1e-31);
            x[5 * k..6 * k].iter_mut().for_each(|x| *x *= 1e38 / 3.0);
            x[6 * k..7 * k].iter_mut().for_each(|x| *x = (*x * 300.0).round() / 2.0);
            x[6 * k] = 127.0; // ties
            for level in Level::available() {
                let mut out = vec![1; 8 * stride(k)];
                let mut scales = [1.0; 8];
                level.quantize_i8(&x, k, &mut out, &mut scales);
                for (r, out) in out.chunks(stride(k)).enumerate() {
                    let (expected, scale) = naive(&x[r * k..][..k], 127.0);
                    let out: Vec<f32> = out.iter().map(|&x| f32::from(x)).collect();
                    assert_eq!((&out[..k], scales[r]), (&expected[..], scale), "{level:?} {r} {k}");
                    assert!(out[k..].iter().all(|&x| x == 0.0));
                }
                for limit in [1, 1000, 32767] {
                    let mut out = vec![1; 8 * PackedI16::stride(k)];
                    level.quantize_i16(&x, k, limit, &mut out, &mut scales);
                    for (r, out) in out.chunks(PackedI16::stride(k)).enumerate() {
                        let (expected, scale) = naive(&x[r * k..][..k], f32::from(limit));
                        let out: Vec<f32> = out.iter().map(|&x| f32::from(x)).collect();
                        assert_eq!((&out[..k], scales[r]), (&expected[..], scale), "{level:?} {r}");
                        assert!(out[k..].iter().all(|&x| x == 0.0));
                    }
                }
            }
        }
    }
}
