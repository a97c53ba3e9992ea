//! NEON: four vectors of 128 bits for sixteen numbers.

pub mod rows;

mod dot;
mod dotprod;
mod f32x16;

use std::arch::aarch64::*;

use crate::simd::isa::{Isa, Kernel};

/// NEON, without the dot products that later CPUs have.
pub struct Neon;

impl Isa for Neon {
    type F32 = [float32x4_t; 4];
    type DotI8 = dot::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dot::I16;

    const ROUNDED_BYTES: usize = 2;

    #[inline(always)]
    unsafe fn store_rounded(x: [float32x4_t; 4], to: *mut u8) {
        // SAFETY: the caller gives 32 bytes, and a store of bytes needs no alignment.
        unsafe {
            let low = |x| vmovn_s32(vreinterpretq_s32_f32(x));
            let words = vcombine_s16(low(x[0]), low(x[1]));
            vst1q_u8(to, vreinterpretq_u8_s16(words));
            let words = vcombine_s16(low(x[2]), low(x[3]));
            vst1q_u8(to.add(16), vreinterpretq_u8_s16(words));
        }
    }

    #[target_feature(enable = "neon")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: every CPU of the architecture has it; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}

/// NEON with dot products of four bytes.
pub struct NeonDot;

impl Isa for NeonDot {
    type F32 = [float32x4_t; 4];
    type DotI8 = dotprod::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dotprod::Biased;

    const ROUNDED_BYTES: usize = 1;

    #[inline(always)]
    unsafe fn store_rounded(x: [float32x4_t; 4], to: *mut u8) {
        // SAFETY: the caller gives 16 bytes.
        unsafe {
            let low = |x| vmovn_s32(vreinterpretq_s32_f32(x));
            let words = [vcombine_s16(low(x[0]), low(x[1])), vcombine_s16(low(x[2]), low(x[3]))];
            let bytes = vcombine_s8(vmovn_s16(words[0]), vmovn_s16(words[1]));
            vst1q_u8(to, veorq_u8(vreinterpretq_u8_s8(bytes), vdupq_n_u8(128)));
        }
    }

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function has the instructions; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
