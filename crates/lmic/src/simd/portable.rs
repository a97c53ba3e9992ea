//! An architecture without a folder: plain Rust.

pub use super::scalar::rows;
use super::{
    isa::{Isa, Kernel},
    level::Level,
    scalar::Scalar,
};

/// All levels of the architecture, from least to most.
pub const LEVELS: &[Level] = &[Level::Scalar];

/// Whether this CPU has what a level of the architecture stands for.
pub fn has(_level: Level) -> bool {
    true
}

/// Runs a kernel at a level.
///
/// # Safety
/// The CPU has the level; and what the kernel asks for.
#[inline(always)]
pub unsafe fn dispatch<K: Kernel>(_level: Level, kernel: K) -> K::Output {
    // SAFETY: the caller's.
    unsafe { Scalar::run(kernel) }
}

/// Runs plain Rust at a level.
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
pub fn prefetch<T>(_at: *const T) {}

/// Multiply-adds per second of f32, i8 and i16, everything in registers: not measured.
#[cfg(test)]
pub fn peak(_level: Level) -> [f64; 3] {
    [0.0; 3]
}
