//! AVX-512 with VNNI: one vector of 512 bits for sixteen numbers.

mod dot;
mod f32x16;

use std::arch::x86_64::*;

use crate::simd::isa::{Isa, Kernel};

/// AVX-512 F, BW, VL, DQ and VNNI, besides AVX2 and FMA.
pub struct Avx512;

impl Isa for Avx512 {
    type F32 = __m512;
    type DotI8 = dot::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dot::U8;

    #[inline(always)]
    unsafe fn store_rounded(x: __m512, to: *mut u8) {
        // SAFETY: the caller has the CPU, and gives 16 bytes.
        unsafe {
            let bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(x));
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(i8::MIN)));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function has the instructions; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
