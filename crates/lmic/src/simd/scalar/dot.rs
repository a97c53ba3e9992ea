//! Dot products of small integers, one by one.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use crate::simd::isa::{Dot, DotRounded};

macro_rules! scalar {
    ($(#[$doc:meta])* $form:ident, $type:ty, $per_step:literal) => {
        $(#[$doc])*
        pub struct $form;

        impl Dot for $form {
            const REGISTERS: usize = 2;
            type Sum = [i32; 16];
            type Activation = [$type; $per_step];
            type Weights = [[i8; $per_step]; 16];

            #[inline(always)]
            unsafe fn zero() -> Self::Sum {
                [0; 16]
            }

            #[inline(always)]
            unsafe fn activation(from: *const u8) -> Self::Activation {
                from.cast::<Self::Activation>().read_unaligned()
            }

            #[inline(always)]
            unsafe fn weights(from: *const i8) -> Self::Weights {
                from.cast::<Self::Weights>().read()
            }

            #[inline(always)]
            unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
                for (sum, w) in sum.iter_mut().zip(w) {
                    for (a, w) in a.into_iter().zip(w) {
                        *sum += i32::from(a) * i32::from(w);
                    }
                }
                sum
            }

            #[inline(always)]
            unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
                for (a, b) in a.iter_mut().zip(b) {
                    *a += b;
                }
                a
            }

            #[inline(always)]
            unsafe fn store(sum: Self::Sum, to: *mut i32) {
                to.cast::<Self::Sum>().write(sum);
            }
        }
    };
}

scalar!(
    /// Signed bytes as activations.
    I8, i8, 4
);
scalar!(
    /// Unsigned bytes as activations.
    U8, u8, 4
);
scalar!(
    /// 16-bit numbers as activations.
    I16, i16, 2
);

impl DotRounded for U8 {
    const REGISTERS: usize = 2;
    const VECTORS: usize = 16;
    const SHORT: bool = false;
    type Floats = [f32; 16];
    type Sum = [i32; 16];
    type Part = [i32; 16];
    type Activation = [u8; 4];
    type Weights = [[i8; 4]; 16];

    #[inline(always)]
    unsafe fn start(from: *const i32) -> Self::Sum {
        from.cast::<Self::Sum>().read_unaligned()
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
        <Self as Dot>::dot([0; 16], a, w)
    }

    #[inline(always)]
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part {
        <Self as Dot>::dot(part, a, w)
    }

    #[inline(always)]
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum {
        <Self as Dot>::add(sum, part)
    }

    #[inline(always)]
    unsafe fn floats(sum: Self::Sum) -> Self::Floats {
        sum.map(|sum| sum as f32)
    }
}
