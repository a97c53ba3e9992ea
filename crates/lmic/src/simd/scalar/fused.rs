//! Fused multiply-add, `a * b + c` rounded once, for CPUs without the instruction.

/// `a * b + c`, rounded once to nearest even, as IEEE 754 defines it for finite arguments.
#[inline(always)]
pub fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_feature = "neon")) {
        a.mul_add(b, c) // one instruction there, elsewhere a call into a library
    } else {
        fused_by_f64(a, b, c)
    }
}

/// The same in plain arithmetic.
///
/// A product of two 24-bit significands has 48 bits and an exponent well inside f64's range: exact. Its
/// sum with `c` may need more than 53 bits, so it is rounded *to odd*: `sum + error` is the exact sum
/// (Knuth's two-sum; nothing here can overflow f64), and where the error is not 0, of the two f64 around
/// the exact sum the one with the odd significand is taken. Such a number is never a tie of a format
/// with at least two bits less, nor on another side of one than the exact sum, so the last rounding,
/// to at most 24 bits, comes out as if it had seen the exact sum (Boldo and Melquiond, *Emulation of FMA
/// and correctly rounded sums: proved algorithms using rounding to odd*, 2008).
#[inline(always)]
fn fused_by_f64(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let sum = product + c;
    let part = sum - product;
    let error = (product - (sum - part)) + (c - part);
    let bits = sum.to_bits();
    // Without branches, so that the compiler makes vectors of it. An infinite sum leaves a NaN as error and
    // stays as it is; a sum of 0 is exact.
    let inexact = if error.abs() > 0.0 { u64::MAX } else { 0 };
    let even = (bits & 1).wrapping_sub(1);
    // The even neighbour is the sum itself; the odd one is away from 0 if error and sum have one sign.
    let towards_0 = (bits ^ error.to_bits()) >> 63;
    let step = 1u64.wrapping_sub(2 * towards_0);
    f64::from_bits(bits.wrapping_add(step & inexact & even)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: f32, b: f32, c: f32) {
        let (ours, theirs) = (fused_by_f64(a, b, c), a.mul_add(b, c));
        assert!(
            ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()),
            "{a:e} * {b:e} + {c:e}: {ours:e}, not {theirs:e}"
        );
    }

    #[test]
    fn special_values_are_as_in_the_standard() {
        let mut values = vec![0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::INFINITY];
        values.extend([1.0, 1.0 + f32::EPSILON, 1.0 - f32::EPSILON / 2.0, 3.0, 1.5, 0.1]);
        values.extend([f32::from_bits(0x007f_ffff), 2f32.powi(24), 2f32.powi(-24), 1e-20, 1e20]);
        values.extend(values.clone().iter().map(|x| -x));
        for &a in &values {
            for &b in &values {
                for &c in &values {
                    check(a, b, c);
                }
            }
        }
    }

    #[test]
    fn random_values_are_as_in_the_standard() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 32) as u32
        };
        let finite = |bits: u32| {
            let x = f32::from_bits(bits);
            if x.is_finite() { x } else { 1.0 }
        };
        for _ in 0..1_000_000 {
            let (a, b) = (finite(random()), finite(random()));
            check(a, b, finite(random()));
            // Of one size with the product, where sums cancel and ties arise.
            let near = (a * b).to_bits();
            check(a, b, finite(near ^ 1 << 31));
            check(a, b, finite(near.wrapping_add(random() >> 4)));
            check(a, b, finite(near.wrapping_sub((random() % 60) << 23)));
            // Short significands: halfway cases.
            let short = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
            check(
                short(a),
                short(b),
                finite(near.wrapping_sub((random() % 30) << 23) & 0xffff_ff00),
            );
        }
    }
}
