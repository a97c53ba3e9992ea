//! Sixteen `f32` as each level holds them: the vectors of [`super::gemm_f32`].

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and pointers to 16 floats"
)]

use super::fused::fused;

/// Sixteen `f32` in registers.
///
/// # Safety
/// All functions need a CPU with the instructions of their level, and, where they take a pointer, 16
/// floats behind it (any alignment).
pub trait F32x16: Copy {
    /// How many of them a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `a * b + self`, rounded once.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

impl F32x16 for [f32; 16] {
    const REGISTERS: usize = 2;

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
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.iter_mut().zip(a).zip(b) {
            *sum = fused(a, b, *sum);
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::F32x16;
    use std::arch::x86_64::*;

    impl F32x16 for [__m256; 2] {
        const REGISTERS: usize = 8; // two of 16 each; a single row's operands come from memory

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            [_mm256_set1_ps(x); 2]
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self[0]);
            _mm256_storeu_ps(to.add(8), self[1]);
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            [_mm256_fmadd_ps(a[0], b[0], self[0]), _mm256_fmadd_ps(a[1], b[1], self[1])]
        }
    }

    impl F32x16 for __m512 {
        const REGISTERS: usize = 28; // of 32

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
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm512_fmadd_ps(a, b, self)
        }
    }
}
