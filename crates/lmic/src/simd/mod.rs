//! Kernels for what the CPU has: the only module with `unsafe`.
//!
//! Every kernel has the same bits at every level, so which one runs can never change a file: it works on
//! integers, or on floats in an order that is fixed (one chain of fused multiply-adds per output, or 16
//! virtual lanes that a fixed tree adds up). The level is chosen once; the environment variable
//! `LMIC_SIMD=scalar|avx2|avx512` asks for a lower one, for tests.

#![allow(unsafe_code, reason = "this module is where vector instructions are called")]

use std::ffi::OsStr;

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Runs a kernel compiled for a level. Either one portable body that the compiler vectorises, or one
/// `unsafe` body per level, whose contract besides the CPU the caller's assertions uphold.
macro_rules! at_level {
    ($level:expr, $body:path, ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $type),*) $(-> $out)? { $body($($arg),*) }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
        fn avx512($($arg: $type),*) $(-> $out)? { $body($($arg),*) }
        match $level {
            $crate::simd::Level::Scalar => $body($($arg),*),
            // SAFETY: a level exists only where the CPU has what it stands for.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => unsafe { avx512($($arg),*) },
        }
    }};
    ($level:expr, [$scalar:path, $avx2:path, $avx512:path], ($($arg:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's.
            unsafe { $avx2($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
        unsafe fn avx512($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's.
            unsafe { $avx512($($arg),*) }
        }
        match $level {
            // SAFETY: a level exists only where the CPU has what it stands for; the rest was asserted.
            $crate::simd::Level::Scalar => unsafe { $scalar($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => unsafe { avx512($($arg),*) },
        }
    }};
}

mod aligned;
mod fused;
mod lanes;

mod tiles;

mod dot;
mod gemm_f32;
mod gemm_i8;

mod elementwise;
mod quantize;
mod rectify;

mod gates;
mod linear;
mod recurrence;

mod attention;
mod cache;

#[cfg(test)]
mod speed;

#[cfg(test)]
pub(crate) use self::speed::seconds;
pub(crate) use self::{
    aligned::Aligned,
    attention::{Scratch, Span},
    cache::{KeyCacheF32, KeyCacheI8, MAX_HEAD_DIM, MAX_POSITIONS, ValueCacheF32, ValueCacheI8},
    gemm_f32::PackedF32,
    gemm_i8::PackedI16,
    linear::{Linear, Rounded},
    recurrence::{KEPT, Recurrence},
};

/// What the kernels may use, from least to most. Built only by [`Level::detect`] and [`Level::available`],
/// which have checked the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust, for every machine.
    Scalar,
    /// 256-bit vectors: x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors: x86-64 with AVX-512 F, BW, VL, DQ and VNNI, besides AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Vectors are padded to a multiple of this many `i16`.
pub const LANES: usize = 16;

impl Level {
    /// The best level of this CPU, unless `LMIC_SIMD` asks for a lower one.
    pub fn detect() -> Self {
        use std::sync::OnceLock;
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::choose(std::env::var_os("LMIC_SIMD").as_deref()))
    }

    /// All levels of this CPU, the best one last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "one level only"))]
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            if avx2 {
                levels.push(Self::Avx2);
            }
            if avx2
                && has!("avx512f")
                && has!("avx512bw")
                && has!("avx512vl")
                && has!("avx512dq")
                && has!("avx512vnni")
            {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    /// The level named by `wish`, or the best one below it that this CPU has.
    fn choose(wish: Option<&OsStr>) -> Self {
        let wish = wish.and_then(OsStr::to_str);
        let allowed = |level: &Self| match wish {
            Some("scalar") => *level == Self::Scalar,
            #[cfg(target_arch = "x86_64")]
            Some("avx2") => *level <= Self::Avx2,
            _ => true,
        };
        Self::available().into_iter().rfind(allowed).unwrap_or(Self::Scalar)
    }

    /// Dot products of `x` with the rows of `weights` that start at `rows`: sums of `i16` products that
    /// wrap in 32 bits. `W` is a multiple of `LANES`.
    ///
    /// # Panics
    /// If a row reaches past the end of `weights`.
    #[inline(always)]
    pub fn dot_rows<const S: usize, const W: usize>(
        self,
        weights: &[i16],
        rows: &[usize; S],
        x: &[i16; W],
    ) -> [i32; S] {
        match self {
            Self::Scalar => scalar::dot_rows(weights, rows, x),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level exists only where the CPU has what it stands for.
            Self::Avx2 | Self::Avx512 => unsafe { avx2::dot_rows(weights, rows, x) },
        }
    }

    /// Adds `x * steps[s] / 2^15`, rounded, to each row, saturating. `W` is a multiple of `LANES`.
    ///
    /// # Panics
    /// If a row reaches past the end of `weights`.
    #[inline(always)]
    pub fn train_rows<const S: usize, const W: usize>(
        self,
        weights: &mut [i16],
        rows: &[usize; S],
        x: &[i16; W],
        steps: &[i16; S],
    ) {
        match self {
            Self::Scalar => scalar::train_rows(weights, rows, x, steps),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level exists only where the CPU has what it stands for.
            Self::Avx2 | Self::Avx512 => unsafe { avx2::train_rows(weights, rows, x, steps) },
        }
    }
}

/// Asks for the cache line at `index` ahead of its use. No effect on results.
#[inline(always)]
pub fn prefetch<T>(data: &[T], index: usize) {
    debug_assert!(index < data.len());
    prefetch_at(data.as_ptr().wrapping_add(index));
}

/// Asks for the cache line at an address, of which nothing is asked: not even that something is there.
#[inline(always)]
fn prefetch_at<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, and SSE is part of the x86-64 baseline.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any `i16`.
    pub fn random(n: usize, seed: u64) -> Vec<i16> {
        let mut x = seed;
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (x >> 48) as i16
            })
            .collect()
    }

    /// Numbers of -4..4.
    pub fn random_f32(n: usize, seed: u64) -> Vec<f32> {
        random(n, seed).into_iter().map(|x| f32::from(x) / 8192.0).collect()
    }

    #[test]
    fn a_level_can_be_asked_for() {
        let best = *Level::available().last().unwrap();
        let choose = |name: &str| Level::choose(Some(OsStr::new(name)));
        assert_eq!(choose("scalar"), Level::Scalar);
        assert_eq!(Level::choose(None), best);
        assert_eq!(choose("avx512"), best);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(choose("avx2"), best.min(Level::Avx2));
    }

    fn compare<const W: usize>(seed: u64) {
        let mut weights = random(W * 5 + 3, seed);
        weights[0] = i16::MIN;
        let x: [i16; W] = random(W, seed + 1000).try_into().unwrap();
        let steps: [i16; 3] = random(3, seed + 7).try_into().unwrap();
        let rows = [0, W, 3 * W + 3];
        for level in Level::available() {
            let sums = level.dot_rows(&weights, &rows, &x);
            assert_eq!(sums, Level::Scalar.dot_rows(&weights, &rows, &x));
            let (mut ours, mut other) = (weights.clone(), weights.clone());
            level.train_rows(&mut ours, &rows, &x, &steps);
            Level::Scalar.train_rows(&mut other, &rows, &x, &steps);
            assert_eq!(ours, other);
        }
    }

    #[test]
    fn every_level_gives_the_bits_of_the_scalar_twin() {
        for seed in 0..50 {
            compare::<16>(seed);
            compare::<32>(seed);
            compare::<48>(seed);
        }
    }
}
