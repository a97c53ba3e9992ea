//! x86-64: AVX2, AVX-VNNI and AVX-512, of which SSE2 is what every CPU has.

mod avx2;
mod avx512;
mod avx_vnni;

#[cfg(test)]
mod speed;

use std::arch::{
    is_x86_feature_detected,
    x86_64::{_MM_HINT_T0, _mm_prefetch},
};

pub use self::avx2::rows;
#[cfg(test)]
pub use self::speed::peak;
use self::{avx_vnni::AvxVnni, avx2::Avx2, avx512::Avx512};
use super::{
    isa::{Isa, Kernel},
    level::Level,
    scalar::Scalar,
};

/// All levels of the architecture, from least to most.
pub const LEVELS: &[Level] = &[Level::Scalar, Level::Avx2, Level::AvxVnni, Level::Avx512];

/// Whether this CPU has what a level of the architecture stands for.
pub fn has(level: Level) -> bool {
    match level {
        Level::Scalar => true,
        Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        Level::AvxVnni => has(Level::Avx2) && is_x86_feature_detected!("avxvnni"),
        Level::Avx512 => {
            has(Level::Avx2)
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni")
        }
        _ => false,
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
            Level::Avx2 => Avx2::run(kernel),
            Level::AvxVnni => AvxVnni::run(kernel),
            Level::Avx512 => Avx512::run(kernel),
            _ => Scalar::run(kernel),
        }
    }
}

/// Runs plain Rust compiled for a level, so that the compiler makes vectors of its loops. `body` is `#[inline(always)]`.
///
/// A macro and no kernel: only of parameters of the function that has the instructions does the compiler know that what
/// they refer to does not overlap.
#[doc(hidden)]
#[macro_export]
macro_rules! vectorize {
    ($level:expr, $body:path, ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {{
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $type),*) $(-> $out)? { $body($($arg),*) }
        #[target_feature(enable = "avxvnni,avx2,fma")]
        fn avx_vnni($($arg: $type),*) $(-> $out)? { $body($($arg),*) }
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
        fn avx512($($arg: $type),*) $(-> $out)? { $body($($arg),*) }
        match $level {
            // SAFETY: a level exists only where the CPU has what it stands for.
            $crate::exact::Level::Avx2 { .. } => unsafe { avx2($($arg),*) },
            // SAFETY: as above.
            $crate::exact::Level::AvxVnni { .. } => unsafe { avx_vnni($($arg),*) },
            // SAFETY: as above.
            $crate::exact::Level::Avx512 { .. } => unsafe { avx512($($arg),*) },
            _ => $body($($arg),*),
        }
    }};
}

/// Asks for the cache line at an address, of which nothing is asked: not even that something is there.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    // SAFETY: a prefetch never faults, and SSE is part of the x86-64 baseline.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}
