//! Functions of one number in plain arithmetic, which the compiler turns into vector code.

/// `e^x` for x up to 88, within 3e-7 of it.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts; n times the first is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    // Taylor's series to the 7th power; |r| <= ln 2 / 2.
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    p * f32::from_bits(exponent << 23)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    // What the bound changes is below 1e-37.
    1.0 / (1.0 + exp(if x < -85.0 { 85.0 } else { -x }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_libraries() {
        for i in -8_700..=8_700 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 3e-7, "exp({x}): {error:e}");
        }
    }

    #[test]
    fn sigmoid_is_close_at_all_sizes() {
        for i in -8_500..=20_000 {
            let x = i as f32 / 100.0;
            let expected = 1.0 / (1.0 + (-f64::from(x)).exp());
            let error = (f64::from(sigmoid(x)) - expected).abs() / expected;
            assert!(error < 5e-7, "sigmoid({x}): {error:e}");
        }
        assert!((0.0..1e-36).contains(&sigmoid(f32::MIN)) && sigmoid(f32::MAX) == 1.0);
    }
}
