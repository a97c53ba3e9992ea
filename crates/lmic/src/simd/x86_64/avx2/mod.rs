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
    type DotRounded = dot::Rounded;

    #[inline(always)]
    unsafe fn store_rounded(x: [__m256; 2], to: *mut u8) {
        // SAFETY: the caller has the CPU, and gives 16 bytes.
        unsafe {
            // The lowest byte of each lane of a half, then both halves in order.
            let lowest = _mm256_set1_epi32(0x0c08_0400);
            let [a, b] = x.map(|x| _mm256_shuffle_epi8(_mm256_castps_si256(x), lowest));
            let both = _mm256_unpacklo_epi32(a, b); // lanes 0-3, 8-11 | 4-7, 12-15
            let order = _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0);
            let bytes = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(both, order));
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(i8::MIN)));
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function has the instructions; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
