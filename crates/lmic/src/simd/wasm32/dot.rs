//! Dot products of small integers: both sides widened to 16 bits, for the one instruction that multiplies and adds.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use std::arch::wasm32::*;

use crate::simd::isa::{Dot, DotRounded};

/// Signed bytes as activations.
pub struct I8;

/// Unsigned bytes as activations.
pub struct U8;

/// 16-bit numbers as activations.
pub struct I16;

/// Eight signed bytes at a time.
#[inline(always)]
unsafe fn widened<const N: usize>(from: *const i8) -> [v128; N] {
    std::array::from_fn(|i| i16x8_load_extend_i8x8(from.add(8 * i)))
}

#[inline(always)]
fn add<const N: usize>(mut a: [v128; N], b: [v128; N]) -> [v128; N] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = i32x4_add(*a, b);
    }
    a
}

#[inline(always)]
fn multiply_add<const N: usize>(mut sum: [v128; N], a: v128, w: [v128; N]) -> [v128; N] {
    for (sum, w) in sum.iter_mut().zip(w) {
        *sum = i32x4_add(*sum, i32x4_dot_i16x8(w, a));
    }
    sum
}

/// Sums of neighbours, in the order of the outputs.
#[inline(always)]
fn ordered(sum: [v128; 8]) -> [v128; 4] {
    [0, 2, 4, 6].map(|i| {
        let (a, b) = (sum[i], sum[i + 1]);
        let even = i32x4_shuffle::<0, 2, 4, 6>(a, b);
        i32x4_add(even, i32x4_shuffle::<1, 3, 5, 7>(a, b))
    })
}

#[inline(always)]
unsafe fn store(sum: [v128; 4], to: *mut i32) {
    for (sum, at) in sum.into_iter().zip([0, 4, 8, 12]) {
        v128_store(to.add(at).cast(), sum);
    }
}

/// Four bytes a step. Each output has two neighbouring sums until the end.
macro_rules! bytes {
    ($form:ident, $widen:ident) => {
        impl Dot for $form {
            const REGISTERS: usize = 2; // eight of 16
            type Sum = [v128; 8];
            type Activation = v128;
            type Weights = [v128; 8];

            #[inline(always)]
            unsafe fn zero() -> Self::Sum {
                [i32x4_splat(0); 8]
            }

            #[inline(always)]
            unsafe fn activation(from: *const u8) -> Self::Activation {
                $widen(v128_load32_splat(from.cast()))
            }

            #[inline(always)]
            unsafe fn weights(from: *const i8) -> Self::Weights {
                widened(from)
            }

            #[inline(always)]
            unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
                multiply_add(sum, a, w)
            }

            #[inline(always)]
            unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
                add(a, b)
            }

            #[inline(always)]
            unsafe fn store(sum: Self::Sum, to: *mut i32) {
                store(ordered(sum), to);
            }
        }
    };
}

bytes!(I8, i16x8_extend_low_i8x16);
bytes!(U8, u16x8_extend_low_u8x16);

impl Dot for I16 {
    const REGISTERS: usize = 3; // four of 16 each; 4 for weights
    type Sum = [v128; 4];
    type Activation = v128;
    type Weights = [v128; 4];

    #[inline(always)]
    unsafe fn zero() -> Self::Sum {
        [i32x4_splat(0); 4]
    }

    #[inline(always)]
    unsafe fn activation(from: *const u8) -> Self::Activation {
        v128_load32_splat(from.cast())
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        widened(from)
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
        multiply_add(sum, a, w)
    }

    #[inline(always)]
    unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
        add(a, b)
    }

    #[inline(always)]
    unsafe fn store(sum: Self::Sum, to: *mut i32) {
        store(sum, to);
    }
}

/// As [`U8`]. To widen products of 16 bits, added up over steps, would take as long.
impl DotRounded for U8 {
    const REGISTERS: usize = 2; // eight of 16
    const VECTORS: usize = 8;
    const SHORT: bool = false;
    type Floats = [v128; 4];
    type Sum = [v128; 4];
    type Part = [v128; 8];
    type Activation = v128;
    type Weights = [v128; 8];

    #[inline(always)]
    unsafe fn start(from: *const i32) -> Self::Sum {
        [0, 4, 8, 12].map(|at| v128_load(from.add(at).cast()))
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
        w.map(|w| i32x4_dot_i16x8(w, a))
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        multiply_add(part, a, w)
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        add(sum, ordered(part))
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        sum.map(|sum| f32x4_convert_i32x4(sum))
    }
}
