//! Sixteen `f32` in an array.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use super::fused::fused;
use crate::simd::isa::F32x16;

/// Applies f lane by lane.
#[inline(always)]
fn zip(mut a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
    a
}

/// Sixteen lanes to one number: the upper half onto the lower, 8, 4, 2, 1.
#[inline(always)]
pub fn fold_lanes(mut lanes: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    // One loop each: of a loop over the halves the compiler makes scalar code with branches.
    for l in 0..8 {
        lanes[l] = f(lanes[l], lanes[l + 8]);
    }
    for l in 0..4 {
        lanes[l] = f(lanes[l], lanes[l + 4]);
    }
    for l in 0..2 {
        lanes[l] = f(lanes[l], lanes[l + 2]);
    }
    f(lanes[0], lanes[1])
}

impl F32x16 for [f32; 16] {
    const REGISTERS: usize = 2;
    const LOOKUP: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        from.cast::<Self>().read_unaligned()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<Self>().write_unaligned(self);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        zip(self, other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.iter_mut().zip(a).zip(b) {
            *sum = fused(a, b, *sum);
        }
        self
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        self.add_product(a.map(|a| -a), b)
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        zip(self, other, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        zip(self, other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        zip(self, shifted, |x, n| f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23)))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        fold_lanes(self, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        fold_lanes(self, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self {
        from.cast::<[i8; 16]>().read_unaligned().map(f32::from)
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        let halves = from.cast::<[[u8; 2]; 16]>().read_unaligned();
        halves.map(|half| f32::from_bits(u32::from(u16::from_le_bytes(half)) << 16))
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self {
        let bytes = from.cast::<[u8; 16]>().read_unaligned();
        bytes.map(|byte| f32::from(if upper { byte >> 4 } else { byte & 15 }))
    }

    #[inline(always)]
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        let mut numbers = Self::load_nibbles(low, upper);
        let high = high.cast::<[u8; 16]>().read_unaligned();
        for (number, high) in numbers.iter_mut().zip(high) {
            *number += f32::from((high >> (2 * pair) & 3) << 4);
        }
        numbers
    }

    #[inline(always)]
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self {
        let bytes = from.cast::<[u8; 16]>().read_unaligned();
        bytes.map(|byte| self[usize::from(if upper { byte >> 4 } else { byte & 15 })])
    }

    #[inline(always)]
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        bytes.map(|byte| unit * f32::from(byte))
    }
}
