//! Dot products of small integers by AVX2.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::x86_64::*;

use crate::simd::isa::{Dot, DotRounded};

/// Signed bytes as activations.
pub struct I8;

/// Unsigned bytes as activations.
pub struct U8;

/// 16-bit numbers as activations.
pub struct I16;

/// Rounded activations with small weights.
pub struct Rounded;

/// Zero, addition and store of sums in two vectors, in the order of the outputs.
macro_rules! two_vectors {
    () => {
        type Sum = [__m256i; 2];

        #[inline(always)]
        unsafe fn zero() -> Self::Sum {
            [_mm256_setzero_si256(); 2]
        }

        #[inline(always)]
        unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
            [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
        }

        #[inline(always)]
        unsafe fn store(sum: Self::Sum, to: *mut i32) {
            _mm256_storeu_si256(to.cast(), sum[0]);
            _mm256_storeu_si256(to.add(8).cast(), sum[1]);
        }
    };
}

/// `|a| * (w with the sign of a)`: with both in -127..=127 the sum of two products, at most 32258, never
/// saturates the 16 bits it is kept in.
impl Dot for I8 {
    const REGISTERS: usize = 6; // two of 16 each; 2 for the activation, 1 for ones
    type Activation = [__m256i; 2]; // |a|, a
    type Weights = [__m256i; 2];
    two_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        let a = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
        [_mm256_abs_epi8(a), a]
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        let ones = _mm256_set1_epi16(1);
        let pairs = [
            _mm256_maddubs_epi16(a[0], _mm256_sign_epi8(w[0], a[1])),
            _mm256_maddubs_epi16(a[0], _mm256_sign_epi8(w[1], a[1])),
        ];
        Self::add(sum, multiply_pairs(pairs, ones))
    }
}

#[inline(always)]
unsafe fn multiply_pairs(a: [__m256i; 2], by: __m256i) -> [__m256i; 2] {
    [_mm256_madd_epi16(a[0], by), _mm256_madd_epi16(a[1], by)]
}

/// Sums of neighbours, in the order of the outputs.
#[inline(always)]
unsafe fn ordered(a: __m256i, b: __m256i) -> __m256i {
    // Within 128-bit halves: outputs 0 1 4 5 | 2 3 6 7.
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b))
}

/// Both sides widened to 16 bits: 255 * 127 twice would saturate in [`_mm256_maddubs_epi16`]. Each output
/// has two neighbouring sums until the end.
impl Dot for U8 {
    const REGISTERS: usize = 3; // four of 16 each; 1 for the activation
    type Sum = [__m256i; 4];
    type Activation = __m256i;
    type Weights = [__m256i; 4];

    #[inline(always)]
    unsafe fn zero() -> Self::Sum {
        [_mm256_setzero_si256(); 4]
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm256_cvtepu8_epi16(_mm_set1_epi32(from.cast::<i32>().read_unaligned()))
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        let mut weights = Self::zero();
        for (i, w) in weights.iter_mut().enumerate() {
            *w = _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16 * i).cast()));
        }
        weights
    }

    #[inline(always)]
    unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        for (sum, w) in sum.iter_mut().zip(w) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(w, a));
        }
        sum
    }

    #[inline(always)]
    unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
        for (a, b) in a.iter_mut().zip(b) {
            *a = _mm256_add_epi32(*a, b);
        }
        a
    }

    #[inline(always)]
    unsafe fn store(sum: Self::Sum, to: *mut i32) {
        _mm256_storeu_si256(to.cast(), ordered(sum[0], sum[1]));
        _mm256_storeu_si256(to.add(8).cast(), ordered(sum[2], sum[3]));
    }
}

impl Dot for I16 {
    const REGISTERS: usize = 8; // two of 16 each; a single row's operands come from memory
    type Activation = __m256i;
    type Weights = [__m256i; 2];
    two_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        [
            _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16).cast())),
        ]
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        Self::add(sum, multiply_pairs(w, a))
    }
}

/// No pair of products saturates: 255 * 63 twice is 32130. A group's sums stay in the 16 bits of that instruction, and
/// only then are they widened.
impl DotRounded for Rounded {
    const REGISTERS: usize = 8; // per 16 outputs two for a group's sums; those of all groups may be in memory
    const ROWS: usize = 4; // with 6 the compiler gives registers to the wrong sums
    const VECTORS: usize = 2;
    const SHORT: bool = true;
    type Floats = [__m256; 2];
    type Sum = [__m256i; 2];
    type Part = [__m256i; 2];
    type Activation = __m256i;
    type Weights = [__m256i; 2];

    #[inline(always)]
    unsafe fn start(from: *const i32) -> Self::Sum {
        [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())]
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
    }

    #[inline(always)]
    unsafe fn first(a: Self::Activation, w: Self::Weights) -> Self::Part {
        [_mm256_maddubs_epi16(a, w[0]), _mm256_maddubs_epi16(a, w[1])]
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        let pairs = Self::first(a, w);
        [_mm256_add_epi16(part[0], pairs[0]), _mm256_add_epi16(part[1], pairs[1])]
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        let wide = multiply_pairs(part, _mm256_set1_epi16(1));
        [_mm256_add_epi32(sum[0], wide[0]), _mm256_add_epi32(sum[1], wide[1])]
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        [_mm256_cvtepi32_ps(sum[0]), _mm256_cvtepi32_ps(sum[1])]
    }
}
