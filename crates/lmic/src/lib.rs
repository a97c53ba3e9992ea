//! Lossless compression by prediction, after *Language Modeling Is Compression* (Delétang et al., ICLR 2024).
//!
//! The modules stand in the order in which data flows:
//!
//! ```text
//! bytes -> predictor -> probabilities -> integer intervals -> coder -> container -> file
//! ```

/// Predictors: what comes next, with what probability.
pub mod predict;

/// From probabilities to integer intervals that both sides agree on.
pub mod quantize;

/// Integer intervals to bytes and back.
pub mod coder;

/// The one loop: encode, decode, score, sample.
pub mod walk;

/// What an input holds, by its header: text, image or audio.
pub mod content;

/// One block of bytes to its code and back.
pub mod codec;

/// What can go wrong.
pub mod error;

/// The only `unsafe`: kernels for what the CPU has, each with a scalar twin of the same bits.
mod simd;

pub use error::{Error, ErrorKind, Result};
