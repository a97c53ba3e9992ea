//! Dot products of small integers by NEON.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::aarch64::*;

use crate::simd::isa::{Dot, DotRounded};

/// Signed bytes as activations.
pub struct I8;

/// Unsigned bytes as activations.
pub struct U8;

/// 16-bit numbers as activations.
pub struct I16;

/// Rounded activations with small weights.
pub struct Rounded;

/// Zero, addition and store of sums in four vectors, in the order of the outputs.
macro_rules! four_vectors {
    () => {
        type Sum = [int32x4_t; 4];

        #[inline(always)]
        unsafe fn zero() -> Self::Sum {
            [vdupq_n_s32(0); 4]
        }

        #[inline(always)]
        unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
            for (a, b) in a.iter_mut().zip(b) {
                *a = vaddq_s32(*a, b);
            }
            a
        }

        #[inline(always)]
        unsafe fn store(sum: Self::Sum, to: *mut i32) {
            vst1q_s32(to, sum[0]);
            vst1q_s32(to.add(4), sum[1]);
            vst1q_s32(to.add(8), sum[2]);
            vst1q_s32(to.add(12), sum[3]);
        }
    };
}
pub(super) use four_vectors;

/// Four bytes, four times.
#[inline(always)]
pub unsafe fn four_bytes(from: *const u8) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned()))
}

/// Activations of [`DotRounded`] without the 128 that was added.
#[inline(always)]
pub unsafe fn signed(from: *const u8) -> int8x16_t {
    veorq_s8(four_bytes(from), vdupq_n_s8(i8::MIN))
}

/// Weights of one step.
#[inline(always)]
pub unsafe fn sixty_four_bytes(from: *const i8) -> [int8x16_t; 4] {
    [0, 16, 32, 48].map(|at| vld1q_s8(from.add(at)))
}

/// With weights in -127..=127 the sum of two products, at most 32512, fits the 16 bits it is kept in.
impl Dot for I8 {
    const REGISTERS: usize = 6; // four of 32 each; 1 for the activation, 4 for products
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
    unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        for (sum, w) in sum.iter_mut().zip(w) {
            let low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
            let high = vmull_high_s8(w, a);
            *sum = vpadalq_s16(*sum, vpaddq_s16(low, high));
        }
        sum
    }
}

/// The products of all outputs with activation L of a step. Weights are one number of each of 16 outputs.
#[inline(always)]
unsafe fn multiply_add<const L: i32>(
    sum: [int32x4_t; 4],
    a: int16x4_t,
    w: [int16x8_t; 2],
) -> [int32x4_t; 4] {
    [
        vmlal_lane_s16::<L>(sum[0], vget_low_s16(w[0]), a),
        vmlal_high_lane_s16::<L>(sum[1], w[0], a),
        vmlal_lane_s16::<L>(sum[2], vget_low_s16(w[1]), a),
        vmlal_high_lane_s16::<L>(sum[3], w[1], a),
    ]
}

/// Sixteen bytes, widened.
#[inline(always)]
unsafe fn widened(bytes: int8x16_t) -> [int16x8_t; 2] {
    [vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)]
}

/// Both sides widened to 16 bits, as two products of 255 and 127 do not fit there.
impl Dot for U8 {
    const REGISTERS: usize = 5; // sums of four of 32 each, operands of eight
    type Activation = int16x4_t;
    type Weights = [[int16x8_t; 2]; 4];
    four_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        let bytes = vdup_n_u32(from.cast::<u32>().read_unaligned());
        vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(bytes))))
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        let int8x16x4_t(a, b, c, d) = vld4q_s8(from);
        [widened(a), widened(b), widened(c), widened(d)]
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        let sum = multiply_add::<0>(sum, a, w[0]);
        let sum = multiply_add::<1>(sum, a, w[1]);
        let sum = multiply_add::<2>(sum, a, w[2]);
        multiply_add::<3>(sum, a, w[3])
    }
}

impl Dot for I16 {
    const REGISTERS: usize = 7; // four of 32 each; 1 for the activation
    type Activation = int16x4_t;
    type Weights = [[int16x8_t; 2]; 2];
    four_vectors!();

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        vreinterpret_s16_s32(vdup_n_s32(from.cast::<i32>().read_unaligned()))
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        let int8x16x2_t(a, b) = vld2q_s8(from);
        [widened(a), widened(b)]
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        let sum = multiply_add::<0>(sum, a, w[0]);
        multiply_add::<1>(sum, a, w[1])
    }
}

/// Activations are made signed again, so sums start at 0. A group's sums have 16 bits, one for each input of a step: where sums
/// of two inputs with activations up to 255 fit (see [`DotRounded`]), those of one or two with activations of -127 to 127 do.
impl DotRounded for Rounded {
    const REGISTERS: usize = 3; // eight of 32 for a group's sums; those of all groups may be in memory
    const VECTORS: usize = 8;
    const SHORT: bool = true;
    type Floats = [float32x4_t; 4];
    type Sum = [int32x4_t; 4];
    type Part = [int16x8_t; 8];
    type Activation = int8x16_t;
    type Weights = [int8x16_t; 4];

    #[inline(always)]
    unsafe fn start(_from: *const i32) -> Self::Sum {
        [vdupq_n_s32(0); 4]
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
        let low = w.map(|w| vmull_s8(vget_low_s8(w), vget_low_s8(a)));
        let high = w.map(|w| vmull_high_s8(w, a));
        [low[0], high[0], low[1], high[1], low[2], high[2], low[3], high[3]]
    }

    #[inline(always)]
    unsafe fn dot(mut part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        for (part, w) in part.as_chunks_mut::<2>().0.iter_mut().zip(w) {
            *part =
                [vmlal_s8(part[0], vget_low_s8(w), vget_low_s8(a)), vmlal_high_s8(part[1], w, a)];
        }
        part
    }

    #[inline(always)]
    unsafe fn add(mut sum: Self::Sum, part: Self::Part) -> Self::Sum {
        for (sum, part) in sum.iter_mut().zip(part.as_chunks::<2>().0) {
            *sum = vpadalq_s16(*sum, vpaddq_s16(part[0], part[1]));
        }
        sum
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        sum.map(|sum| vcvtq_f32_s32(sum))
    }
}
