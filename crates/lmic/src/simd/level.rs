//! The levels of vector instructions that kernels are compiled for, which of them this CPU has, and how a kernel
//! comes to run at one.

use std::{env, ffi::OsStr, sync::OnceLock};

use super::{arch, isa::Kernel};

/// What the kernels may use, from least to most. Built only by [`Level::detect`] and [`Level::available`],
/// which have checked the CPU: outside of this library nothing but `Scalar` can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust, for every machine.
    Scalar,
    /// 256-bit vectors: x86-64 with AVX2 and FMA.
    #[non_exhaustive]
    Avx2,
    /// The same with AVX-VNNI, which adds products of bytes up in 32 bits.
    #[non_exhaustive]
    AvxVnni,
    /// 512-bit vectors: x86-64 with AVX-512 F, BW, VL, DQ and VNNI, besides AVX2 and FMA.
    #[non_exhaustive]
    Avx512,
    /// 128-bit vectors: AArch64, of which NEON is a part.
    #[non_exhaustive]
    Neon,
    /// The same and dot products of bytes: AArch64 since 2018 or so.
    #[non_exhaustive]
    NeonDot,
    /// 128-bit vectors of WebAssembly.
    #[non_exhaustive]
    Simd128,
}

impl Level {
    /// The best level of this CPU, unless `LMIC_SIMD` asks for a lower one.
    pub fn detect() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::choose(env::var_os("LMIC_SIMD").as_deref()))
    }

    /// All levels of this CPU, the best one last.
    pub fn available() -> Vec<Self> {
        arch::LEVELS.iter().copied().filter(|&level| arch::has(level)).collect()
    }

    /// What `LMIC_SIMD` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
            Self::Simd128 => "simd128",
        }
    }

    /// The level named by `wish`, or the best one below it that this CPU has.
    fn choose(wish: Option<&OsStr>) -> Self {
        let named = arch::LEVELS.iter().find(|level| wish.is_some_and(|wish| wish == level.name()));
        let allowed = |level: &Self| named.is_none_or(|named| level <= named);
        Self::available().into_iter().rfind(allowed).unwrap_or(Self::Scalar)
    }

    /// Runs a kernel compiled for this level.
    ///
    /// # Safety
    /// What [`Kernel::run`] of the kernel asks for besides the CPU's instructions.
    #[inline(always)]
    pub unsafe fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: a level exists only where the CPU has it; the rest is the caller's.
        unsafe { arch::dispatch(self, kernel) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_can_be_asked_for() {
        let levels = Level::available();
        let best = *levels.last().unwrap();
        let choose = |name: &str| Level::choose(Some(OsStr::new(name)));
        assert_eq!(Level::choose(None), best);
        assert_eq!(choose("no such level"), best);
        assert_eq!(levels[0], Level::Scalar);
        for level in levels {
            assert_eq!(choose(level.name()), level);
        }
        // A level of this architecture that the CPU may lack.
        assert_eq!(choose(arch::LEVELS.last().unwrap().name()), best);
    }
}
