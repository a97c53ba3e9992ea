//! Dot products of small integers by AVX-512 with VNNI.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::{asm, x86_64::*};

use crate::simd::isa::{Dot, DotRounded};

/// Signed bytes as activations.
pub struct I8;

/// Unsigned bytes as activations.
pub struct U8;

/// 16-bit numbers as activations.
pub struct I16;

/// What all forms share: 28 of 32 registers for sums and operands.
macro_rules! one_vector {
    () => {
        const REGISTERS: usize = 28;
        type Sum = __m512i;
        type Activation = __m512i;
        type Weights = __m512i;

        #[inline(always)]
        unsafe fn zero() -> Self::Sum {
            _mm512_setzero_si512()
        }

        #[inline(always)]
        unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
            _mm512_add_epi32(a, b)
        }

        #[inline(always)]
        unsafe fn store(sum: Self::Sum, to: *mut i32) {
            _mm512_storeu_si512(to.cast(), sum);
        }
    };
}

/// What the forms of bytes share.
macro_rules! of_bytes {
    () => {
        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            _mm512_loadu_si512(from.cast())
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            _mm512_dpbusd_epi32(sum, a, w)
        }
    };
}

/// The instruction wants one unsigned side: `a + 128`, which is `a` with its top bit turned.
impl Dot for I8 {
    one_vector!();

    #[inline(always)]
    unsafe fn start(offsets: *const i32) -> Self::Sum {
        _mm512_loadu_si512(offsets.cast())
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        let a = _mm512_set1_epi32(from.cast::<i32>().read_unaligned());
        _mm512_xor_si512(a, _mm512_set1_epi8(i8::MIN))
    }

    of_bytes!();
}

impl Dot for U8 {
    one_vector!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    of_bytes!();
}

impl DotRounded for U8 {
    const REGISTERS: usize = 28;
    const VECTORS: usize = 1;
    const SHORT: bool = false;
    type Floats = __m512;
    type Sum = __m512i;
    type Part = __m512i;
    type Activation = __m512i;
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn start(from: *const i32) -> Self::Sum {
        _mm512_loadu_si512(from.cast())
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
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), a, w)
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        _mm512_dpbusd_epi32(part, a, w)
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        _mm512_add_epi32(sum, part)
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        _mm512_cvtepi32_ps(sum)
    }
}

/// `vpdpwssd`. Of the intrinsic the compiler makes a product and a sum wherever it thinks that the sums wait
/// for each other, which costs a quarter of the speed.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dpwssd(mut sum: __m512i, a: __m512i, w: __m512i) -> __m512i {
    // SAFETY: one instruction on registers; this function has its feature.
    unsafe {
        asm!(
            "vpdpwssd {sum}, {a}, {w}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            w = in(zmm_reg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

impl Dot for I16 {
    one_vector!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast()))
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        dpwssd(sum, a, w)
    }
}
