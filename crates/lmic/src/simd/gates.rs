//! The functions of gates on sixteen numbers at a time.
//!
//! Fewer operations than in [`super::elementwise`], whose bits are older: fused multiply-adds, no division.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use super::{elementwise::ROUND, isa::F32x16};

/// Beyond this magnitude the logistic function is as at it: below 2e-35 from 0 or 1.
pub(super) const LIMIT: f32 = 80.0;

/// `e^-r` for |r| below 0.3468 is `1 + r c_0 + r^2 c_1 + ..`: of all such polynomials the one whose largest relative error
/// is least, 9.4e-8 with these roundings.
const POWER: [f32; 5] = [-0.999_999_7, 0.499_991_48, -0.166_676_39, 0.041_898_165, -0.008_290_265];

/// `1 / x` for x of 1 to 2^120, within 1 unit in the last place.
///
/// The guess by bits is off by at most 5.1 %; a cubic step leaves 1.3e-4, Newton's less than what rounding adds.
#[inline(always)]
unsafe fn reciprocal<V: F32x16>(x: V) -> V {
    let one = V::splat(1.0);
    let guess = x.reciprocal_guess();
    let error = one.sub_product(x, guess);
    let r = guess.add_product(guess, error.add_product(error, error));
    r.add_product(r, one.sub_product(x, r))
}

/// e^-x for x of -80 to 80, within 3e-7 of it.
///
/// `x + n ln 2 = r`: n is -x * (1 / ln 2) rounded to the nearest; e^-r is a polynomial; 2^n goes in through the exponent.
/// What f32 lacks of ln 2 would change the last bits only of powers that are far from 1.
#[inline(always)]
pub(super) unsafe fn exp_of_minus<V: F32x16>(x: V) -> V {
    let round = V::splat(ROUND);
    let shifted = round.sub_product(x, V::splat(std::f32::consts::LOG2_E));
    let n = shifted.sub(round);
    let r = x.add_product(n, V::splat(std::f32::consts::LN_2));
    let [first, middle @ .., last] = POWER;
    let mut p = V::splat(last);
    for c in middle.into_iter().rev() {
        p = V::splat(c).add_product(p, r);
    }
    p = V::splat(first).add_product(p, r);
    V::splat(1.0).add_product(p, r).times_two_to(shifted)
}

/// `1 / (1 + e^-x)`, x clamped to ±80; NaN counts as 80.
#[inline(always)]
pub(super) unsafe fn sigmoid<V: F32x16>(x: V) -> V {
    let x = V::splat(-LIMIT).larger(V::splat(LIMIT).smaller(x));
    reciprocal(V::splat(1.0).add(exp_of_minus(x)))
}

/// `x * sigmoid(x)`.
#[inline(always)]
pub(super) unsafe fn silu<V: F32x16>(x: V) -> V {
    x.mul(sigmoid(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_right_to_half_a_millionth() {
        let mut worst = 0.0f64;
        for i in -80_000..=80_000 {
            let x = i as f32 / 1000.0;
            // SAFETY: plain Rust.
            let ours = f64::from(unsafe { sigmoid([x; 16]) }[3]);
            let exact = 1.0 / (1.0 + f64::from(-x).exp());
            worst = worst.max((ours / exact - 1.0).abs());
        }
        println!("{worst:e}");
        assert!(worst < 5e-7, "{worst:e}");
        // SAFETY: plain Rust.
        let at = |x: f32| unsafe { sigmoid([x; 16]) }[0];
        assert_eq!((at(0.0), at(100.0), at(f32::NAN), at(f32::INFINITY)), (0.5, 1.0, 1.0, 1.0));
        assert!(at(f32::NEG_INFINITY) == at(-80.0) && at(-80.0) > 0.0);
    }
}
