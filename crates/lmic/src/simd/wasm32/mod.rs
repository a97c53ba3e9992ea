//! WebAssembly with vectors of 128 bits, which a module has or has not when it is compiled: four vectors for sixteen numbers.

pub mod rows;

mod dot;
mod f32x16;

use std::arch::wasm32::*;

use super::{
    isa::{Isa, Kernel},
    level::Level,
    scalar::Scalar,
};

/// All levels of the architecture, from least to most.
pub const LEVELS: &[Level] = &[Level::Scalar, Level::Simd128];

/// Whether this CPU has what a level of the architecture stands for.
pub fn has(level: Level) -> bool {
    LEVELS.contains(&level)
}

/// Runs a kernel at a level.
///
/// # Safety
/// What the kernel asks for.
#[inline(always)]
pub unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    // SAFETY: the caller's.
    unsafe {
        match level {
            Level::Simd128 => Simd128::run(kernel),
            _ => Scalar::run(kernel),
        }
    }
}

/// Runs plain Rust at a level: the compiler may use vectors anywhere.
#[doc(hidden)]
#[macro_export]
macro_rules! vectorize {
    ($level:expr, $body:path, ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {{
        let _: $crate::exact::Level = $level;
        $body($($arg),*)
    }};
}

/// Nothing: there is no such instruction.
#[inline(always)]
pub fn prefetch<T>(_at: *const T) {}

/// Multiply-adds per second of f32, i8 and i16, everything in registers: not measured.
#[cfg(test)]
pub fn peak(_level: Level) -> [f64; 3] {
    [0.0; 3]
}

/// Fixed-width SIMD. The relaxed one may have other results on other machines.
pub struct Simd128;

impl Isa for Simd128 {
    type F32 = [v128; 4];
    type DotI8 = dot::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dot::U8;

    #[inline(always)]
    unsafe fn store_rounded(x: [v128; 4], to: *mut u8) {
        // SAFETY: the caller gives 16 bytes.
        unsafe {
            // The lower halves of all lanes, then of those.
            let words = |a, b| i16x8_shuffle::<0, 2, 4, 6, 8, 10, 12, 14>(a, b);
            let bytes = i8x16_shuffle::<0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30>(
                words(x[0], x[1]),
                words(x[2], x[3]),
            );
            v128_store(to.cast(), v128_xor(bytes, i8x16_splat(i8::MIN)));
        }
    }

    #[inline(always)]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the module is compiled for the instructions; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
