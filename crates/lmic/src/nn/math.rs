//! Sine, cosine, exponential and logarithm from `+ - * /` alone, so that the tables of the rotary position
//! embedding are the same on every machine (a system's math library is not).
//!
//! All in f64 and within 1e-12 of the true value; the series are Taylor's, whose coefficients need no table.

use std::f64::consts::{LN_2, LOG2_E, SQRT_2};

/// To add this to a number and subtract it again rounds the number to the nearest integer, ties to even, if its magnitude is below
/// 2^51.
const ROUND: f64 = 6_755_399_441_055_744.0; // frozen: 1.5 * 2^52

/// e^x for |x| up to 700.
pub fn exp(x: f64) -> f64 {
    let n = (x * LOG2_E + ROUND) - ROUND;
    // The upper 33 bits of ln 2 times n is exact, the rest of ln 2 is small.
    let high = f64::from_bits(LN_2.to_bits() & !0xf_ffff);
    let r = (x - n * high) - n * (LN_2 - high);
    // |r| < 0.35: r^15 / 15! < 2^-60.
    let mut sum = 1.0;
    for i in (1..=14).rev() {
        sum = 1.0 + sum * r / f64::from(i);
    }
    sum * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

/// The natural logarithm of a positive, normal x.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits(bits & (u64::MAX >> 12) | 1.0f64.to_bits());
    if m > SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    // ln m = 2 (s + s^3 / 3 + s^5 / 5 ...) with |s| < 0.172: s^25 / 25 < 2^-66.
    let s = (m - 1.0) / (m + 1.0);
    let mut sum = 0.0;
    for i in (1..=23).rev().step_by(2) {
        sum = sum * (s * s) + 1.0 / f64::from(i);
    }
    2.0 * s * sum + exponent as f64 * LN_2
}

/// Cosine and sine of an angle in radians, of magnitude up to 2^20.
pub fn cos_sin(x: f64) -> (f64, f64) {
    // A quarter turn in three parts: 33 bits, the next 33, the next 53. n has at most 20 bits, so the first
    // two products are exact.
    const QUARTER: [f64; 3] =
        [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21]; // frozen
    let n = (x * std::f64::consts::FRAC_2_PI + ROUND) - ROUND;
    let r = ((x - n * QUARTER[0]) - n * QUARTER[1]) - n * QUARTER[2];
    // |r| < 0.79: r^19 / 19! < 2^-63.
    let square = r * r;
    let (mut cos, mut sin) = (1.0, 1.0);
    for i in (1..=9).rev() {
        let i = f64::from(2 * i);
        cos = 1.0 - cos * square / (i * (i - 1.0));
        sin = 1.0 - sin * square / (i * (i + 1.0));
    }
    sin *= r;
    match n as i64 & 3 {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// Cosines and sines of the rotary position embedding (Su et al., *RoFormer*, 2021).
pub(crate) struct RopeTable {
    half: usize,
    cos: Vec<f32>, // (positions, head_dim / 2)
    sin: Vec<f32>, // (positions, head_dim / 2)
}

impl RopeTable {
    /// The angle of pair i at a position is `position * theta^(-2 i / head_dim)`, in f64, with the power as
    /// `exp(ln(theta) * (-2 i / head_dim))`; cosine and sine are then rounded to f32. `theta` is positive, `head_dim`
    /// even, `positions` at most 2^20.
    pub(crate) fn new(head_dim: usize, theta: f64, positions: usize) -> Self {
        let half = head_dim / 2;
        let ln_theta = ln(theta);
        let power = |i: usize| exp(ln_theta * (-2.0 * i as f64 / head_dim as f64));
        let frequencies: Vec<f64> = (0..half).map(power).collect();
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let (cos, sin) = angles.map(cos_sin).map(|(c, s)| (c as f32, s as f32)).unzip();
        Self { half, cos, sin }
    }

    /// Cosines and sines of a position, (head_dim / 2) each.
    pub(crate) fn row(&self, position: usize) -> (&[f32], &[f32]) {
        let row = position * self.half..(position + 1) * self.half;
        (&self.cos[row.clone()], &self.sin[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_within_1e_12_of_the_library() {
        for i in 0..200_000 {
            let x = f64::from(i) * 0.003 + 1e-9;
            let (cos, sin) = cos_sin(x * 10.0);
            assert!((cos - (x * 10.0).cos()).abs() < 1e-12, "cos {x}");
            assert!((sin - (x * 10.0).sin()).abs() < 1e-12, "sin {x}");
            assert!((ln(x) - x.ln()).abs() < 1e-12 * x.ln().abs().max(1e-3), "ln {x}");
            let y = (x - 300.0) / 10.0;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-12, "exp {y}");
        }
        let (cos, sin) = cos_sin(-1.0);
        assert!((cos - 1f64.cos()).abs() < 1e-15 && (sin + 1f64.sin()).abs() < 1e-15);
        assert_eq!((exp(0.0), ln(1.0), cos_sin(0.0)), (1.0, 0.0, (1.0, 0.0)));
    }

    #[test]
    fn a_rope_table_turns_pair_i_by_theta_to_the_minus_2_i_of_head_dim() {
        let table = RopeTable::new(32, 10_000.0, 2048);
        for (position, i) in [(0, 0), (1, 0), (2047, 0), (2047, 15), (777, 7)] {
            let angle = position as f64 * 10_000f64.powf(-2.0 * i as f64 / 32.0);
            let (cos, sin) = table.row(position);
            assert!((f64::from(cos[i]) - angle.cos()).abs() < 1e-7);
            assert!((f64::from(sin[i]) - angle.sin()).abs() < 1e-7);
        }
    }
}
