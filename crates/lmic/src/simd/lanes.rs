//! Sixteen `f32` as each level holds them: the vectors of [`super::gemm_f32`] and of the kernels of recurrent models.
//!
//! Every operation is one of IEEE 754 in each lane, or moves bits, so all levels have the same bits.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and pointers to 16 numbers"
)]

use super::fused::fused;

/// What a float's bits are subtracted from to guess its reciprocal within 5.1 %: see [`super::gates`].
const RECIPROCAL_GUESS: i32 = 0x7ef3_11c3;

/// Sixteen `f32` in registers.
///
/// # Safety
/// All functions need a CPU with the instructions of their level, and, where they take a pointer, 16
/// numbers behind it (any alignment).
pub trait F32x16: Copy {
    /// How many of them a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;
    /// Bytes of a number rounded to 8 bits, as products of this level want it: see [`super::linear`].
    const SMALL: usize;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `a * b + self`, rounded once.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self - a * b`, rounded once.
    unsafe fn sub_product(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// Without the sign.
    unsafe fn abs(self) -> Self;
    /// `other` if it is larger, else `self`: by comparison, so `self` if `other` is NaN.
    unsafe fn larger(self, other: Self) -> Self;
    /// `other` if it is smaller, else `self`: by comparison, so `self` if `other` is NaN.
    unsafe fn smaller(self, other: Self) -> Self;
    /// `self * 2^n`, where the low bits of `shifted` are n: adds n to the exponent, which must stay in its range.
    unsafe fn times_two_to(self, shifted: Self) -> Self;
    /// A rough reciprocal of a positive number, by its bits alone.
    unsafe fn reciprocal_guess(self) -> Self;
    /// The sum of all lanes: the upper half onto the lower, 8, 4, 2, 1.
    unsafe fn sum(self) -> f32;
    /// The largest lane, by comparison, in the same order.
    unsafe fn largest(self) -> f32;
    /// The low bits of each lane's representation, a number of -127 to 127, in the form of this level's products.
    unsafe fn store_small(self, to: *mut u8);
}

/// Applies f lane by lane.
#[inline(always)]
fn zip(mut a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
    a
}

/// The tree of [`F32x16::sum`].
#[inline(always)]
fn fold(mut lanes: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for l in 0..half {
            lanes[l] = f(lanes[l], lanes[l + half]);
        }
    }
    lanes[0]
}

impl F32x16 for [f32; 16] {
    const REGISTERS: usize = 2;
    const SMALL: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        from.cast::<Self>().read_unaligned()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<Self>().write_unaligned(self);
    }

    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.iter_mut().zip(a).zip(b) {
            *sum = fused(a, b, *sum);
        }
        self
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        self.add_product(a.map(|a| -a), b)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        zip(self, other, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        zip(self, other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        zip(self, shifted, |x, n| f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23)))
    }

    #[inline(always)]
    unsafe fn reciprocal_guess(self) -> Self {
        let guess = RECIPROCAL_GUESS.cast_unsigned();
        self.map(|x| f32::from_bits(guess.wrapping_sub(x.to_bits())))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        fold(self, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        fold(self, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    unsafe fn store_small(self, to: *mut u8) {
        to.cast::<[i16; 16]>().write_unaligned(self.map(|x| x.to_bits() as i16));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{F32x16, RECIPROCAL_GUESS};
    use std::arch::x86_64::*;

    /// The tree of [`F32x16::sum`] from eight lanes on.
    macro_rules! fold_256 {
        ($lanes:expr, $op:ident, $op_ss:ident) => {{
            let lanes = $lanes;
            let four = $op(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
            let two = $op(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32($op_ss(two, _mm_shuffle_ps::<0b01>(two, two)))
        }};
    }

    /// `b` if larger, else `a`: the instruction gives its second operand unless the first is larger.
    #[inline(always)]
    unsafe fn larger_128(a: __m128, b: __m128) -> __m128 {
        _mm_max_ps(b, a)
    }

    impl F32x16 for [__m256; 2] {
        const REGISTERS: usize = 8; // two of 16 each; a single row's operands come from memory
        const SMALL: usize = 2;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            [_mm256_set1_ps(x); 2]
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self[0]);
            _mm256_storeu_ps(to.add(8), self[1]);
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            [_mm256_fmadd_ps(a[0], b[0], self[0]), _mm256_fmadd_ps(a[1], b[1], self[1])]
        }

        #[inline(always)]
        unsafe fn sub_product(self, a: Self, b: Self) -> Self {
            [_mm256_fnmadd_ps(a[0], b[0], self[0]), _mm256_fnmadd_ps(a[1], b[1], self[1])]
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn abs(self) -> Self {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, self[0]), _mm256_andnot_ps(sign, self[1])]
        }

        #[inline(always)]
        unsafe fn larger(self, other: Self) -> Self {
            [_mm256_max_ps(other[0], self[0]), _mm256_max_ps(other[1], self[1])]
        }

        #[inline(always)]
        unsafe fn smaller(self, other: Self) -> Self {
            [_mm256_min_ps(other[0], self[0]), _mm256_min_ps(other[1], self[1])]
        }

        #[inline(always)]
        unsafe fn times_two_to(self, shifted: Self) -> Self {
            let half = |x, n| {
                let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), n))
            };
            [half(self[0], shifted[0]), half(self[1], shifted[1])]
        }

        #[inline(always)]
        unsafe fn reciprocal_guess(self) -> Self {
            let guess = _mm256_set1_epi32(RECIPROCAL_GUESS);
            let half = |x| _mm256_castsi256_ps(_mm256_sub_epi32(guess, _mm256_castps_si256(x)));
            [half(self[0]), half(self[1])]
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            fold_256!(_mm256_add_ps(self[0], self[1]), _mm_add_ps, _mm_add_ss)
        }

        #[inline(always)]
        unsafe fn largest(self) -> f32 {
            fold_256!(_mm256_max_ps(self[1], self[0]), larger_128, larger_128)
        }

        #[inline(always)]
        unsafe fn store_small(self, to: *mut u8) {
            // Upper halves gone, so that nothing saturates.
            let low = |x| _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(_mm256_castps_si256(x)));
            let words = _mm256_packs_epi32(low(self[0]), low(self[1]));
            _mm256_storeu_si256(to.cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(words));
        }
    }

    impl F32x16 for __m512 {
        const REGISTERS: usize = 28; // of 32
        const SMALL: usize = 1;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            _mm512_set1_ps(x)
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm512_loadu_ps(from)
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self);
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm512_fmadd_ps(a, b, self)
        }

        #[inline(always)]
        unsafe fn sub_product(self, a: Self, b: Self) -> Self {
            _mm512_fnmadd_ps(a, b, self)
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm512_add_ps(self, other)
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            _mm512_sub_ps(self, other)
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            _mm512_mul_ps(self, other)
        }

        #[inline(always)]
        unsafe fn abs(self) -> Self {
            _mm512_abs_ps(self)
        }

        #[inline(always)]
        unsafe fn larger(self, other: Self) -> Self {
            _mm512_max_ps(other, self)
        }

        #[inline(always)]
        unsafe fn smaller(self, other: Self) -> Self {
            _mm512_min_ps(other, self)
        }

        #[inline(always)]
        unsafe fn times_two_to(self, shifted: Self) -> Self {
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self), n))
        }

        #[inline(always)]
        unsafe fn reciprocal_guess(self) -> Self {
            let guess = _mm512_set1_epi32(RECIPROCAL_GUESS);
            _mm512_castsi512_ps(_mm512_sub_epi32(guess, _mm512_castps_si512(self)))
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            let eight =
                _mm256_add_ps(_mm512_castps512_ps256(self), _mm512_extractf32x8_ps::<1>(self));
            fold_256!(eight, _mm_add_ps, _mm_add_ss)
        }

        #[inline(always)]
        unsafe fn largest(self) -> f32 {
            let eight =
                _mm256_max_ps(_mm512_extractf32x8_ps::<1>(self), _mm512_castps512_ps256(self));
            fold_256!(eight, larger_128, larger_128)
        }

        #[inline(always)]
        unsafe fn store_small(self, to: *mut u8) {
            let bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(self));
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(i8::MIN)));
        }
    }
}
