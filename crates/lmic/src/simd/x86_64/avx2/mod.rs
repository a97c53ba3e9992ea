//! AVX2 and FMA: two vectors of 256 bits for sixteen numbers.

pub mod f32x16;
pub mod rows;

mod dot;

use std::arch::x86_64::*;

use crate::simd::isa::{Isa, Kernel};

/// AVX2 and FMA.
pub struct Avx2;

impl Isa for Avx2 {
    type F32 = [__m256; 2];
    type DotI8 = dot::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dot::I16; // `pmaddwd` beats what AVX2 has for bytes

    const ROUNDED_BYTES: usize = 2;

    #[inline(always)]
    unsafe fn store_rounded(x: [__m256; 2], to: *mut u8) {
        // SAFETY: the caller has the CPU, and gives 32 bytes.
        unsafe {
            // Upper halves gone, so that nothing saturates.
            let low = |x| _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(_mm256_castps_si256(x)));
            let words = _mm256_packs_epi32(low(x[0]), low(x[1]));
            _mm256_storeu_si256(to.cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(words));
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function has the instructions; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
