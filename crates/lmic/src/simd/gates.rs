//! The functions of gates, and sums over rows, on sixteen numbers at a time.
//!
//! Fewer operations than in [`super::elementwise`], whose bits are older: fused multiply-adds, no division.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use super::{elementwise::ROUND, lanes::F32x16};

/// Beyond this magnitude the logistic function is as at it: below 2e-35 from 0 or 1.
const LIMIT: f32 = 80.0;

/// ln 2 in two parts: what f32 has of it, and the rest.
pub(super) const LN_2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_3e-9];

/// `1 / x` for x of 1 to 2^120, within 2 units in the last place.
///
/// The guess by bits is off by at most 12 %; a cubic step leaves 0.2 %, of which Newton's leaves 4e-6 and
/// another less than what rounding adds.
#[inline(always)]
pub(super) unsafe fn reciprocal<V: F32x16>(x: V) -> V {
    let one = V::splat(1.0);
    let minus = V::splat(0.0).sub(x);
    let guess = x.reciprocal_guess();
    let error = one.add_product(minus, guess);
    let r = guess.add_product(guess, error.add_product(error, error));
    let r = r.add_product(r, one.add_product(minus, r));
    r.add_product(r, one.add_product(minus, r))
}

/// `1 / (1 + e^-x)`.
///
/// `x` is clamped to ±80 (NaN becomes 80). `-x = n ln 2 + r`: n is -x * (1 / ln 2) rounded to nearest even; e^r is
/// its Taylor polynomial of degree 6 by Horner's rule in -r (so its odd coefficients change sign); 2^n
/// goes in through the exponent.
#[inline(always)]
pub(super) unsafe fn sigmoid<V: F32x16>(x: V) -> V {
    let x = V::splat(LIMIT).smaller(x);
    let x = V::splat(-LIMIT).larger(x);
    reciprocal(V::splat(1.0).add(exp_of_minus(x)))
}

/// e^-x for x of -80 to 80.
#[inline(always)]
pub(super) unsafe fn exp_of_minus<V: F32x16>(x: V) -> V {
    let round = V::splat(ROUND);
    let shifted = round.add_product(x, V::splat(-std::f32::consts::LOG2_E));
    let n = shifted.sub(round);
    // r is minus the rest: x + n ln 2.
    let r = x.add_product(n, V::splat(LN_2[0])).add_product(n, V::splat(LN_2[1]));
    let mut p = V::splat(-1.0 / 120.0).add_product(r, V::splat(1.0 / 720.0));
    p = V::splat(1.0 / 24.0).add_product(p, r);
    p = V::splat(-1.0 / 6.0).add_product(p, r);
    p = V::splat(0.5).add_product(p, r);
    p = V::splat(-1.0).add_product(p, r);
    p = V::splat(1.0).add_product(p, r);
    p.times_two_to(shifted)
}

/// `x * sigmoid(x)`.
#[inline(always)]
pub(super) unsafe fn silu<V: F32x16>(x: V) -> V {
    x.mul(sigmoid(x))
}
