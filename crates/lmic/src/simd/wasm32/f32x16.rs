//! Sixteen `f32` in four vectors.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use std::{arch::wasm32::*, mem::transmute};

use crate::simd::isa::F32x16;

/// Applies f vector by vector.
#[inline(always)]
fn zip(a: [v128; 4], b: [v128; 4], f: impl Fn(v128, v128) -> v128) -> [v128; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn larger(a: v128, b: v128) -> v128 {
    f32x4_pmax(a, b) // `a < b ? b : a`; the other maximum has rules of its own for NaN and for zeros
}

/// Sixteen bytes of four bits.
#[inline(always)]
unsafe fn nibbles(from: *const u8, upper: bool) -> v128 {
    let bytes = v128_load(from.cast());
    if upper { u8x16_shr(bytes, 4) } else { v128_and(bytes, u8x16_splat(15)) }
}

/// Sixteen bytes as floats.
#[inline(always)]
fn floats(bytes: v128) -> [v128; 4] {
    let (low, high) = (u16x8_extend_low_u8x16(bytes), u16x8_extend_high_u8x16(bytes));
    [
        u32x4_extend_low_u16x8(low),
        u32x4_extend_high_u16x8(low),
        u32x4_extend_low_u16x8(high),
        u32x4_extend_high_u16x8(high),
    ]
    .map(|x| f32x4_convert_i32x4(x))
}

impl F32x16 for [v128; 4] {
    const REGISTERS: usize = 3; // four of 16 each
    const LOOKUP: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [f32x4_splat(x); 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        [0, 4, 8, 12].map(|at| v128_load(from.add(at).cast()))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (x, at) in self.into_iter().zip([0, 4, 8, 12]) {
            v128_store(to.add(at).cast(), x);
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| f32x4_add(a, b))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| f32x4_sub(a, b))
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| f32x4_mul(a, b))
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        zip(self, other, |a, b| f32x4_div(a, b))
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // There is no such instruction: as the scalar twin, of which the compiler makes vectors.
        let [sum, a, b]: [[f32; 16]; 3] = transmute([self, a, b]);
        transmute(sum.add_product(a, b))
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        self.add_product(a.map(|x| f32x4_neg(x)), b)
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(|x| f32x4_abs(x))
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        zip(self, other, larger)
    }

    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        zip(self, other, |a, b| f32x4_pmin(a, b))
    }

    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        zip(self, shifted, |x, n| i32x4_add(x, i32x4_shl(n, 23)))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let eight = [f32x4_add(self[0], self[2]), f32x4_add(self[1], self[3])];
        let four = f32x4_add(eight[0], eight[1]);
        let two = f32x4_add(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let four = larger(larger(self[0], self[2]), larger(self[1], self[3]));
        let two = larger(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(larger(two, i32x4_shuffle::<1, 0, 3, 2>(two, two)))
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self {
        let words = [0, 8].map(|at| i16x8_load_extend_i8x8(from.add(at).cast()));
        [
            i32x4_extend_low_i16x8(words[0]),
            i32x4_extend_high_i16x8(words[0]),
            i32x4_extend_low_i16x8(words[1]),
            i32x4_extend_high_i16x8(words[1]),
        ]
        .map(|x| f32x4_convert_i32x4(x))
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        [0, 8, 16, 24].map(|at| i32x4_shl(u32x4_load_extend_u16x4(from.add(at).cast()), 16))
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self {
        floats(nibbles(from, upper))
    }

    #[inline(always)]
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        let high = v128_load(high.cast());
        // The two bits come to places 4 and 5.
        let high = match pair {
            0 => i8x16_shl(high, 4),
            1 => i8x16_shl(high, 2),
            2 => high,
            _ => u8x16_shr(high, 2),
        };
        floats(v128_or(nibbles(low, upper), v128_and(high, u8x16_splat(48))))
    }

    #[inline(always)]
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self {
        let table: [f32; 16] = transmute(self);
        transmute(table.lookup_nibbles(from, upper))
    }

    #[inline(always)]
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        bytes.map(|byte| unit * f32::from(byte)) // the compiler makes vectors of it
    }
}
