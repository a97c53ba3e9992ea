//! Dot products of four bytes at once, an extension of NEON that nearly all CPUs since 2018 have.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::{aarch64::*, asm};

use super::dot::{four_bytes, four_vectors, signed, sixty_four_bytes};
use crate::simd::isa::{Dot, DotRounded};

/// Signed bytes as activations.
pub struct I8;

/// Rounded activations, which are made signed again, so sums start at 0.
pub struct Rounded;

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
unsafe fn multiply_add(mut sum: [int32x4_t; 4], a: int8x16_t, w: [int8x16_t; 4]) -> [int32x4_t; 4] {
    for (sum, w) in sum.iter_mut().zip(w) {
        *sum = vdotq_s32(*sum, w, a);
    }
    sum
}

impl Dot for I8 {
    const REGISTERS: usize = 7; // four of 32 each; 1 for the activation
    type Activation = int8x16_t;
    type Weights = [int8x16_t; 4];
    four_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        four_bytes(from)
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        sixty_four_bytes(from)
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        multiply_add(sum, a, w)
    }
}

impl DotRounded for Rounded {
    const REGISTERS: usize = 7; // as above
    const VECTORS: usize = 4;
    const SHORT: bool = false;
    type Floats = [float32x4_t; 4];
    type Sum = [int32x4_t; 4];
    type Part = [int32x4_t; 4];
    type Activation = int8x16_t;
    type Weights = [int8x16_t; 4];

    #[inline(always)]
    unsafe fn start(_from: *const i32) -> Self::Sum {
        I8::zero()
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        signed(from)
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        sixty_four_bytes(from)
    }

    #[inline(always)]
    unsafe fn first(a: Self::Activation, w: Self::Weights) -> Self::Part {
        multiply_add(I8::zero(), a, w)
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        multiply_add(part, a, w)
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        I8::add(sum, part)
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        sum.map(|sum| vcvtq_f32_s32(sum))
    }
}
