//! Kernels for what the CPU has: the only module with `unsafe`.
//!
//! Every kernel has the same bits at every level, so which one runs can never change a file: it works on
//! integers, or on floats in an order that is fixed (one chain per output, or 16 virtual lanes that a fixed tree adds
//! up). Transformers use fused multiply-adds; recurrent networks, which browsers run too, have none. The level is chosen
//! once; the environment variable `LMIC_SIMD=scalar|avx2|avxvnni|avx512|neon|neondot|simd128` asks for a lower one, for
//! tests.
//!
//! A kernel is written once: in plain Rust that the compiler vectorises (`vectorize!`), or in the operations of
//! [`isa`] ([`Level::dispatch`]). Those are defined in `scalar/`, and each architecture has a folder with its own; nothing
//! else knows of CPUs. Another architecture is a folder that offers what `portable.rs` does, its row at `mod arch` below, and its levels
//! in `level.rs`; a test in [`isa`] compares each of its operations with the scalar twin.

#![allow(unsafe_code, reason = "this module is where vector instructions are called")]

mod isa;
mod level;

mod scalar;

/// The levels of the architecture that this is compiled for.
#[macro_use]
#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
#[cfg_attr(
    all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"),
    path = "aarch64/mod.rs"
)]
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), path = "wasm32/mod.rs")]
#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"),
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    path = "portable.rs"
)]
mod arch;

mod aligned;

mod tiles;

mod gemm_f32;
mod gemm_i8;
mod rows;

mod elementwise;
mod quantize;
mod rectify;
mod tree;

mod gates;
mod linear;
mod recurrence;
mod rounded;

mod attention;
mod cache;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::speed::seconds;
pub(crate) use self::{
    aligned::Aligned,
    attention::{Scratch, Span},
    cache::{KeyCacheF32, KeyCacheI8, MAX_HEAD_DIM, MAX_POSITIONS, ValueCacheF32, ValueCacheI8},
    gemm_f32::PackedF32,
    gemm_i8::PackedI16,
    linear::{Linear, MOST_WEIGHT},
    rounded::Rounded,
    rows::LANES,
};
pub use self::{
    arch::prefetch as prefetch_at,
    isa::{F32x16, Isa, Kernel},
    level::Level,
};

/// Asks for the cache line at `index` ahead of its use. No effect on results.
#[inline(always)]
pub fn prefetch<T>(data: &[T], index: usize) {
    debug_assert!(index < data.len());
    prefetch_at(data.as_ptr().wrapping_add(index));
}
