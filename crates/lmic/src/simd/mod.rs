//! Kernels for what the CPU has: the only module with `unsafe`.
//!
//! Every kernel works on integers and has a scalar twin with the same bits, so which one runs can never
//! change a file. The level is chosen once; the environment variable `LMIC_SIMD=scalar` forces the
//! scalar twins, for tests.

#![allow(unsafe_code, reason = "this module is where vector instructions are called")]

use std::ffi::OsStr;

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;

/// What the kernels may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Plain Rust, for every machine.
    Scalar,
    /// 256-bit integer vectors (x86-64 with AVX2). Built only by [`Level::detect`], which has checked the CPU.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// Vectors are padded to a multiple of this many `i16`.
pub const LANES: usize = 16;

impl Level {
    /// The best level of this CPU, unless `LMIC_SIMD` asks for the scalar twins.
    pub fn detect() -> Self {
        use std::sync::OnceLock;
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::choose(std::env::var_os("LMIC_SIMD").as_deref()))
    }

    fn choose(wish: Option<&OsStr>) -> Self {
        if wish.is_some_and(|w| w == "scalar") { Self::Scalar } else { Self::best() }
    }

    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Scalar
    }

    /// Dot products of `x` with the rows of `weights` that start at `rows`: sums of `i16` products that
    /// wrap in 32 bits. `W` is a multiple of [`LANES`].
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
            // SAFETY: an Avx2 value exists only where detect() found AVX2.
            Self::Avx2 => unsafe { avx2::dot_rows(weights, rows, x) },
        }
    }

    /// Adds `x * steps[s] / 2^15`, rounded, to each row, saturating. `W` is a multiple of [`LANES`].
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
            // SAFETY: an Avx2 value exists only where detect() found AVX2.
            Self::Avx2 => unsafe { avx2::train_rows(weights, rows, x, steps) },
        }
    }
}

/// Asks for the cache line at `index` ahead of its use. No effect on results.
#[inline(always)]
pub fn prefetch<T>(data: &[T], index: usize) {
    debug_assert!(index < data.len());
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, and SSE is part of the x86-64 baseline.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().wrapping_add(index).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, index);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, seed: u64) -> Vec<i16> {
        let mut x = seed;
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (x >> 48) as i16
            })
            .collect()
    }

    #[test]
    fn the_scalar_twins_can_be_forced() {
        assert_eq!(Level::choose(Some(OsStr::new("scalar"))), Level::Scalar);
        assert_eq!(Level::choose(None), Level::best());
    }

    fn compare<const W: usize>(seed: u64) {
        let best = Level::best();
        let mut weights = random(W * 5 + 3, seed);
        weights[0] = i16::MIN;
        let x: [i16; W] = random(W, seed + 1000).try_into().unwrap();
        let steps: [i16; 3] = random(3, seed + 7).try_into().unwrap();
        let rows = [0, W, 3 * W + 3];
        assert_eq!(best.dot_rows(&weights, &rows, &x), Level::Scalar.dot_rows(&weights, &rows, &x));
        let mut other = weights.clone();
        best.train_rows(&mut weights, &rows, &x, &steps);
        Level::Scalar.train_rows(&mut other, &rows, &x, &steps);
        assert_eq!(weights, other);
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
