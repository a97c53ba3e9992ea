//! Sixteen `f32` in one vector.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `F32x16`")]

use std::arch::x86_64::*;

use super::super::avx2::f32x16::{largest_of_eight, multiples, nibbles, six_bits, sum_of_eight};
use crate::simd::isa::F32x16;

impl F32x16 for __m512 {
    const REGISTERS: usize = 28; // of 32
    const LOOKUP: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        _mm512_set1_ps(x)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        _mm512_loadu_ps(from)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        _mm512_add_ps(self, other)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        _mm512_sub_ps(self, other)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        _mm512_mul_ps(self, other)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        _mm512_div_ps(self, other)
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        _mm512_fmadd_ps(a, b, self)
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        _mm512_fnmadd_ps(a, b, self)
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        _mm512_abs_ps(self)
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        _mm512_max_ps(other, self)
    }

    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        _mm512_min_ps(other, self)
    }

    #[inline(always)]
    unsafe fn times_two_to(self, shifted: Self) -> Self {
        let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self), n))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let eight = _mm256_add_ps(_mm512_castps512_ps256(self), _mm512_extractf32x8_ps::<1>(self));
        sum_of_eight(eight)
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let eight = _mm256_max_ps(_mm512_extractf32x8_ps::<1>(self), _mm512_castps512_ps256(self));
        largest_of_eight(eight)
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self {
        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(nibbles(from, upper)))
    }

    #[inline(always)]
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(six_bits(low, upper, high, pair)))
    }

    #[inline(always)]
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self {
        let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
        // The permutation looks at the lowest four bits.
        let places = if upper { _mm512_srli_epi32::<4>(bytes) } else { bytes };
        _mm512_permutexvar_ps(places, self)
    }

    #[inline(always)]
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        multiples(bytes, unit)
    }
}
