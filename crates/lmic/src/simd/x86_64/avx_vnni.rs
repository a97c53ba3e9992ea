//! AVX2 with AVX-VNNI: floats as there, and products of bytes that are added up in 32 bits by one instruction.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Isa` and of `Dot`")]

use std::arch::x86_64::*;

use super::avx2::Avx2;
use crate::simd::isa::{Dot, DotRounded, Isa, Kernel};

/// AVX2, FMA and AVX-VNNI.
pub struct AvxVnni;

/// Signed bytes as activations.
pub struct I8;

/// Unsigned bytes as activations.
pub struct U8;

/// 16-bit numbers as activations.
pub struct I16;

impl Isa for AvxVnni {
    type F32 = <Avx2 as Isa>::F32;
    type DotI8 = I8;
    type DotU8 = U8;
    type DotI16 = I16;
    type DotRounded = U8;

    #[inline(always)]
    unsafe fn store_rounded(x: Self::F32, to: *mut u8) {
        Avx2::store_rounded(x, to);
    }

    #[target_feature(enable = "avxvnni,avx2,fma")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Self>()
    }
}

/// What all forms share: sums of 16 outputs in two vectors.
macro_rules! two_vectors {
    () => {
        const REGISTERS: usize = 8; // two of 16 each, but for an activation
        type Sum = [__m256i; 2];
        type Activation = __m256i;
        type Weights = [__m256i; 2];

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

/// What the forms of bytes share.
macro_rules! of_bytes {
    () => {
        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            let half = |i: usize| _mm256_dpbusd_avx_epi32(sum[i], a, w[i]);
            [half(0), half(1)]
        }
    };
}

/// The instruction wants one unsigned side: `a + 128`, which is `a` with its top bit turned.
impl Dot for I8 {
    two_vectors!();

    #[inline(always)]
    unsafe fn start(offsets: *const i32) -> Self::Sum {
        <U8 as DotRounded>::start(offsets)
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        let a = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
        _mm256_xor_si256(a, _mm256_set1_epi8(i8::MIN))
    }

    of_bytes!();
}

impl Dot for U8 {
    two_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    of_bytes!();
}

impl DotRounded for U8 {
    const REGISTERS: usize = 8;
    const VECTORS: usize = 2;
    const SHORT: bool = false;
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
        <Self as Dot>::activation(from)
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        <Self as Dot>::weights(from)
    }

    #[inline(always)]
    unsafe fn first(a: Self::Activation, w: Self::Weights) -> Self::Part {
        <Self as Dot>::dot(<Self as Dot>::zero(), a, w)
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        <Self as Dot>::dot(part, a, w)
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        <Self as Dot>::add(sum, part)
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        [_mm256_cvtepi32_ps(sum[0]), _mm256_cvtepi32_ps(sum[1])]
    }
}

impl Dot for I16 {
    two_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        let half = |at: usize| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(at).cast()));
        [half(0), half(16)]
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        let half = |i: usize| _mm256_dpwssd_avx_epi32(sum[i], a, w[i]);
        [half(0), half(1)]
    }
}
