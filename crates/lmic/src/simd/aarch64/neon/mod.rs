//! NEON: four vectors of 128 bits for sixteen numbers.

pub mod rows;

mod dot;
mod dotprod;
mod f32x16;

use std::arch::aarch64::*;

use crate::simd::isa::{Isa, Kernel};

/// Both levels, which differ only in products of bytes.
macro_rules! level {
    ($(#[$doc:meta])* $level:ident, $features:literal, $i8:ty, $rounded:ty) => {
        $(#[$doc])*
        pub struct $level;

        impl Isa for $level {
            type F32 = [float32x4_t; 4];
            type DotI8 = $i8;
            type DotU8 = dot::U8;
            type DotI16 = dot::I16;
            type DotRounded = $rounded;

            #[inline(always)]
            unsafe fn store_rounded(x: [float32x4_t; 4], to: *mut u8) {
                // SAFETY: the caller gives 16 bytes.
                unsafe {
                    let [a, b, c, d] = x.map(|x| vmovn_s32(vreinterpretq_s32_f32(x)));
                    let [low, high] = [vcombine_s16(a, b), vcombine_s16(c, d)].map(|x| vmovn_s16(x));
                    let bytes = vreinterpretq_u8_s8(vcombine_s8(low, high));
                    vst1q_u8(to, veorq_u8(bytes, vdupq_n_u8(128)));
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
                // SAFETY: this function has the instructions; the rest is the caller's.
                unsafe { kernel.run::<Self>() }
            }
        }
    };
}

level!(
    /// NEON, without the dot products that later CPUs have.
    Neon, "neon", dot::I8, dot::Rounded
);
level!(
    /// NEON with dot products of four bytes.
    NeonDot, "neon,dotprod", dotprod::I8, dotprod::Rounded
);
