//! Sixteen `f32` in four vectors.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use std::arch::aarch64::*;

use crate::simd::isa::F32x16;

/// Applies f vector by vector.
#[inline(always)]
fn zip(
    a: [float32x4_t; 4],
    b: [float32x4_t; 4],
    f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t,
) -> [float32x4_t; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// `b` if larger, else `a`: NEON's own maximum has other rules for NaN and for zeros.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(b, a), b, a)
}

/// Sixteen bytes of four bits.
#[inline(always)]
unsafe fn nibbles(from: *const u8, upper: bool) -> uint8x16_t {
    let bytes = vld1q_u8(from);
    if upper { vshrq_n_u8::<4>(bytes) } else { vandq_u8(bytes, vdupq_n_u8(15)) }
}

/// Eight 16-bit numbers as floats.
#[inline(always)]
unsafe fn floats(words: uint16x8_t) -> [float32x4_t; 2] {
    [vcvtq_f32_u32(vmovl_u16(vget_low_u16(words))), vcvtq_f32_u32(vmovl_high_u16(words))]
}

/// Sixteen bytes as floats.
#[inline(always)]
unsafe fn floats_of_bytes(bytes: uint8x16_t) -> [float32x4_t; 4] {
    let [a, b] = floats(vmovl_u8(vget_low_u8(bytes)));
    let [c, d] = floats(vmovl_high_u8(bytes));
    [a, b, c, d]
}

impl F32x16 for [float32x4_t; 4] {
    const REGISTERS: usize = 7; // four of 32 each; the other 4 for what is multiplied
    const LOOKUP: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [vdupq_n_f32(x); 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        [0, 4, 8, 12].map(|at| vld1q_f32(from.add(at)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self[0]);
        vst1q_f32(to.add(4), self[1]);
        vst1q_f32(to.add(8), self[2]);
        vst1q_f32(to.add(12), self[3]);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| vaddq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| vsubq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| vmulq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        zip(self, other, |a, b| vdivq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        [
            vfmaq_f32(self[0], a[0], b[0]),
            vfmaq_f32(self[1], a[1], b[1]),
            vfmaq_f32(self[2], a[2], b[2]),
            vfmaq_f32(self[3], a[3], b[3]),
        ]
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        [
            vfmsq_f32(self[0], a[0], b[0]),
            vfmsq_f32(self[1], a[1], b[1]),
            vfmsq_f32(self[2], a[2], b[2]),
            vfmsq_f32(self[3], a[3], b[3]),
        ]
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(|x| vabsq_f32(x))
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        zip(self, other, |a, b| larger(a, b))
    }

    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        zip(self, other, |a, b| vbslq_f32(vcltq_f32(b, a), b, a))
    }

    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        zip(self, shifted, |x, n| {
            let n = vshlq_n_s32::<23>(vreinterpretq_s32_f32(n));
            vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), n))
        })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let eight = [vaddq_f32(self[0], self[2]), vaddq_f32(self[1], self[3])];
        let four = vaddq_f32(eight[0], eight[1]);
        let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let eight = [larger(self[0], self[2]), larger(self[1], self[3])];
        let four = larger(eight[0], eight[1]);
        let (low, high) = (vget_low_f32(four), vget_high_f32(four));
        let two = vbsl_f32(vcgt_f32(high, low), high, low);
        let (a, b) = (vget_lane_f32::<0>(two), vget_lane_f32::<1>(two));
        if b > a { b } else { a }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self {
        let bytes = vreinterpretq_s8_u8(vld1q_u8(from));
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
        [
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
            vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
            vcvtq_f32_s32(vmovl_high_s16(high)),
        ]
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        let words = [0, 16].map(|at| vreinterpretq_u16_u8(vld1q_u8(from.add(at))));
        [
            vshll_n_u16::<16>(vget_low_u16(words[0])),
            vshll_high_n_u16::<16>(words[0]),
            vshll_n_u16::<16>(vget_low_u16(words[1])),
            vshll_high_n_u16::<16>(words[1]),
        ]
        .map(|x| vreinterpretq_f32_u32(x))
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self {
        floats_of_bytes(nibbles(from, upper))
    }

    #[inline(always)]
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        let high = vld1q_u8(high);
        // The two bits come to places 4 and 5.
        let high = match pair {
            0 => vshlq_n_u8::<4>(high),
            1 => vshlq_n_u8::<2>(high),
            2 => high,
            _ => vshrq_n_u8::<2>(high),
        };
        let high = vandq_u8(high, vdupq_n_u8(48));
        floats_of_bytes(vorrq_u8(nibbles(low, upper), high))
    }

    #[inline(always)]
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self {
        let [a, b, c, d] = self.map(|x| vreinterpretq_u8_f32(x));
        let table = uint8x16x4_t(a, b, c, d);
        // Places of the first byte of each number, then of its four bytes.
        let places = vshlq_n_u8::<2>(nibbles(from, upper));
        let pairs = [vzip1q_u8(places, places), vzip2q_u8(places, places)]
            .map(|pairs| vreinterpretq_u16_u8(pairs));
        let within = vreinterpretq_u8_u32(vdupq_n_u32(0x0302_0100));
        [
            vzip1q_u16(pairs[0], pairs[0]),
            vzip2q_u16(pairs[0], pairs[0]),
            vzip1q_u16(pairs[1], pairs[1]),
            vzip2q_u16(pairs[1], pairs[1]),
        ]
        .map(|first| {
            let places = vaddq_u8(vreinterpretq_u8_u16(first), within);
            vreinterpretq_f32_u8(vqtbl4q_u8(table, places))
        })
    }

    #[inline(always)]
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        let numbers = floats(vmovl_u8(vld1_u8(bytes.as_ptr())));
        let mut out = [0.0; 8];
        vst1q_f32(out.as_mut_ptr(), vmulq_n_f32(numbers[0], unit));
        vst1q_f32(out.as_mut_ptr().add(4), vmulq_n_f32(numbers[1], unit));
        out
    }
}
