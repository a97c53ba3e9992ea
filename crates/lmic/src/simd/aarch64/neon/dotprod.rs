//! Dot products of four bytes at once, an extension of NEON that nearly all CPUs since 2018 have.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::{aarch64::*, asm};

use super::dot::four_vectors;
use crate::simd::isa::Dot;

/// Signed bytes as activations.
pub struct I8;

/// Signed bytes plus 128 as activations. They are made signed again, so sums start at 0.
pub struct Biased;

/// Adds to each of four sums the products of four bytes. The intrinsic of this name isn't stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn vdotq_s32(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: this function has the instruction.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

#[inline(always)]
unsafe fn four_bytes(from: *const u8) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned()))
}

macro_rules! signed_weights {
    () => {
        const REGISTERS: usize = 7; // four of 32 each; 1 for the activation
        type Activation = int8x16_t;
        type Weights = [int8x16_t; 4];
        four_vectors!();

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            [0, 16, 32, 48].map(|at| vld1q_s8(from.add(at)))
        }

        #[inline(always)]
        unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            for (sum, w) in sum.iter_mut().zip(w) {
                *sum = vdotq_s32(*sum, w, a);
            }
            sum
        }
    };
}

impl Dot for I8 {
    signed_weights!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        four_bytes(from)
    }
}

impl Dot for Biased {
    signed_weights!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        veorq_s8(four_bytes(from), vdupq_n_s8(i8::MIN))
    }
}
