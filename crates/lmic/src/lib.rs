//! Lossless compression by prediction, after *Language Modeling Is Compression* (Delétang et al., ICLR 2024).
//!
//! The modules stand in the order in which data flows:
//!
//! ```text
//! bytes -> predictor -> probabilities -> integer intervals -> coder -> container -> file
//! ```

/// Predictors: what comes next, with what probability.
pub mod predict;

/// Byte-level transformers: their files, exact inference.
pub mod nn;

/// From probabilities to integer intervals that both sides agree on.
pub mod quantize;

/// Integer intervals to bytes and back.
pub mod coder;

/// The one loop: encode, decode, score, sample.
pub mod walk;

/// How far a walk is, and whether it is still wanted.
pub mod progress;

/// What an input holds, by its header: text, image or audio.
pub mod content;

/// How much of a block was there before.
mod repeats;

/// One block of bytes to its code and back.
pub mod codec;

/// Short records, each coded alone after learning from samples.
pub mod records;

/// The file format: blocks, checks, index; encoder, decoder, random access.
pub mod container;

/// What can go wrong.
pub mod error;

/// Bits per byte, raw and adjusted rate.
pub mod stats;

/// Arithmetic with the same bits everywhere and the reader of safetensors files, for crates above this one that bring models of their own.
pub mod exact {
    pub use crate::nn::file::{Dtype, File, RawTensor};
    pub use crate::nn::math::{cos_sin, exp, ln};
    pub use crate::simd::Level;
}

/// The only `unsafe`: kernels for what the CPU has, each with a scalar twin of the same bits.
mod simd;

pub use container::{
    Archive, BlockInfo, DEFAULT_LEVEL, DEFAULT_MEMORY_LIMIT, DecodeOptions, Decoder, EncodeOptions,
    Encoder, FORMAT_VERSION, MAX_BLOCK_LEN, MAX_LEVEL, MAX_MODEL_NAME, MIN_BLOCK_SIZE, Preset,
    StreamInfo, compress, compress_with, decompress, decompress_with, preset,
};
pub use error::{Error, ErrorKind, Result};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
