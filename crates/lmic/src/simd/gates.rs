//! The functions of gates on sixteen numbers at a time.
//!
//! Products and sums are rounded one after the other, as WebAssembly has no fused multiply-add. A division costs less than what
//! replaces it would in such operations.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use super::{elementwise::ROUND, isa::F32x16};

/// Beyond this magnitude the logistic function is as at it: below 2e-35 from 0 or 1.
pub(super) const LIMIT: f32 = 80.0;

/// `2^f` for f of -0.5 to 0.5 is `1 + f c_0 + f^2 c_1 + ..`: of all such polynomials the one whose largest relative error
/// is least, 2.8e-6 with these roundings. What a network says is rounded to 8 bits behind this, many times.
const POWER: [f32; 4] = [0.693_124_2, 0.240_240_99, 0.055_906_434, 0.009_582_855];

/// e^-x for x of -80 to 80, within 8e-6 of it.
///
/// Of `-x / ln 2` the nearest integer goes in through the exponent, and the rest, which is exact, through the polynomial.
#[inline(always)]
pub(super) unsafe fn exp_of_minus<V: F32x16>(x: V) -> V {
    let round = V::splat(ROUND);
    let power = x.mul(V::splat(-std::f32::consts::LOG2_E));
    let shifted = power.add(round);
    let f = power.sub(shifted.sub(round));
    let [rest @ .., last] = POWER;
    let mut p = V::splat(last);
    for c in rest.into_iter().rev() {
        p = p.mul(f).add(V::splat(c));
    }
    p.mul(f).add(V::splat(1.0)).times_two_to(shifted)
}

/// `a * sigmoid(x)`, which is `a / (1 + e^-x)`, x clamped to ±80; NaN counts as 80.
#[inline(always)]
pub(super) unsafe fn gated<V: F32x16>(a: V, x: V) -> V {
    let x = V::splat(-LIMIT).larger(V::splat(LIMIT).smaller(x));
    a.div(V::splat(1.0).add(exp_of_minus(x)))
}

/// `x * sigmoid(x)`.
#[inline(always)]
pub(super) unsafe fn silu<V: F32x16>(x: V) -> V {
    gated(x, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_right_to_a_hundred_thousandth() {
        let mut worst = 0.0f64;
        for i in -80_000..=80_000 {
            let x = i as f32 / 1000.0;
            // SAFETY: plain Rust.
            let ours = f64::from(unsafe { gated([1.0; 16], [x; 16]) }[3]);
            let exact = 1.0 / (1.0 + f64::from(-x).exp());
            worst = worst.max((ours / exact - 1.0).abs());
        }
        println!("{worst:e}");
        assert!(worst < 8e-6, "{worst:e}");
        // SAFETY: plain Rust.
        let at = |x: f32| unsafe { gated([1.0; 16], [x; 16]) }[0];
        assert_eq!((at(0.0), at(100.0), at(f32::NAN), at(f32::INFINITY)), (0.5, 1.0, 1.0, 1.0));
        assert!(at(f32::NEG_INFINITY) == at(-80.0) && at(-80.0) > 0.0);
    }
}
