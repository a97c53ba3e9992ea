//! Sixteen `f32` in two vectors.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use std::arch::x86_64::*;

use crate::simd::isa::F32x16;

/// `b` if larger, else `a`: the instruction gives its second operand unless the first is larger.
#[inline(always)]
unsafe fn larger_128(a: __m128, b: __m128) -> __m128 {
    _mm_max_ps(b, a)
}

/// The tree of [`F32x16::sum`] from eight lanes on.
#[inline(always)]
pub unsafe fn sum_of_eight(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<0b01>(two, two)))
}

/// The tree of [`F32x16::largest`] from eight lanes on.
#[inline(always)]
pub unsafe fn largest_of_eight(x: __m256) -> f32 {
    let four = larger_128(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = larger_128(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(larger_128(two, _mm_shuffle_ps::<0b01>(two, two)))
}

/// Sixteen bytes of four bits.
#[inline(always)]
pub unsafe fn nibbles(from: *const u8, upper: bool) -> __m128i {
    let bytes = _mm_loadu_si128(from.cast());
    let bytes = if upper { _mm_srli_epi16::<4>(bytes) } else { bytes };
    _mm_and_si128(bytes, _mm_set1_epi8(15))
}

/// Sixteen bytes of six bits.
#[inline(always)]
pub unsafe fn six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> __m128i {
    let high = _mm_loadu_si128(high.cast());
    // The two bits come to places 4 and 5.
    let high = match pair {
        0 => _mm_slli_epi16::<4>(high),
        1 => _mm_slli_epi16::<2>(high),
        2 => high,
        _ => _mm_srli_epi16::<2>(high),
    };
    _mm_or_si128(nibbles(low, upper), _mm_and_si128(high, _mm_set1_epi8(48)))
}

/// Eight bytes as multiples of `unit`.
#[inline(always)]
pub unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
    let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(bytes));
    let numbers = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    let mut out = [0.0; 8];
    _mm256_storeu_ps(out.as_mut_ptr(), _mm256_mul_ps(_mm256_set1_ps(unit), numbers));
    out
}

/// Sixteen small bytes.
#[inline(always)]
unsafe fn halves_of(bytes: __m128i) -> [__m256; 2] {
    [bytes, _mm_srli_si128::<8>(bytes)].map(|half| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(half)))
}

impl F32x16 for [__m256; 2] {
    const REGISTERS: usize = 8; // two of 16 each; a single row's operands come from memory
    const LOOKUP: bool = false;

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
    unsafe fn div(self, other: Self) -> Self {
        [_mm256_div_ps(self[0], other[0]), _mm256_div_ps(self[1], other[1])]
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
    unsafe fn sum(self) -> f32 {
        sum_of_eight(_mm256_add_ps(self[0], self[1]))
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        largest_of_eight(_mm256_max_ps(self[1], self[0]))
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self {
        let half = |at: usize| {
            let bytes = _mm_loadl_epi64(from.add(at).cast());
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        };
        [half(0), half(8)]
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        let half = |at: usize| {
            let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(at).cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words))
        };
        [half(0), half(16)]
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self {
        halves_of(nibbles(from, upper))
    }

    #[inline(always)]
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        halves_of(six_bits(low, upper, high, pair))
    }

    #[inline(always)]
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self {
        let bytes = nibbles(from, upper);
        [bytes, _mm_srli_si128::<8>(bytes)].map(|half| {
            let places = _mm256_cvtepu8_epi32(half);
            // The fourth bit, as the sign, says in which half of the table.
            let upper = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(places));
            let [a, b] = self.map(|half| _mm256_permutevar8x32_ps(half, places));
            _mm256_blendv_ps(a, b, upper)
        })
    }

    #[inline(always)]
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        multiples(bytes, unit)
    }
}
