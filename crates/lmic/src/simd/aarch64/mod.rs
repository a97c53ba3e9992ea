//! AArch64: NEON, which every such CPU has.

mod neon;

use std::arch::{asm, is_aarch64_feature_detected};

pub use self::neon::rows;
use self::neon::{Neon, NeonDot};
use super::{
    isa::{Isa, Kernel},
    level::Level,
    scalar::Scalar,
};

/// All levels of the architecture, from least to most.
pub const LEVELS: &[Level] = &[Level::Scalar, Level::Neon, Level::NeonDot];

/// Whether this CPU has what a level of the architecture stands for.
pub fn has(level: Level) -> bool {
    match level {
        Level::NeonDot => is_aarch64_feature_detected!("dotprod"),
        _ => LEVELS.contains(&level),
    }
}

/// Runs a kernel at a level.
///
/// # Safety
/// The CPU has the level; and what the kernel asks for.
#[inline(always)]
pub unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    // SAFETY: the caller's.
    unsafe {
        match level {
            Level::Neon => Neon::run(kernel),
            Level::NeonDot => NeonDot::run(kernel),
            _ => Scalar::run(kernel),
        }
    }
}

/// Runs plain Rust at a level: the compiler may use NEON anywhere.
#[doc(hidden)]
#[macro_export]
macro_rules! vectorize {
    ($level:expr, $body:path, ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {{
        let _: $crate::exact::Level = $level;
        $body($($arg),*)
    }};
}

/// Asks for the cache line at an address, of which nothing is asked: not even that something is there.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    // SAFETY: a prefetch never faults, and every CPU of the architecture has it.
    unsafe {
        asm!("prfm pldl1keep, [{0}]", in(reg) at, options(readonly, nostack, preserves_flags));
    }
}

/// Multiply-adds per second of f32, i8 and i16, everything in registers: not measured.
#[cfg(test)]
pub fn peak(_level: Level) -> [f64; 3] {
    [0.0; 3]
}
