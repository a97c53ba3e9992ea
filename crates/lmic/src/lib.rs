//! Lossless compression by prediction, after *Language Modeling Is Compression* (Delétang et al., ICLR 2024).
//!
//! The modules stand in the order in which data flows:
//!
//! ```text
//! bytes -> predictor -> probabilities -> integer intervals -> coder -> container -> file
//! ```

/// Predictors: what comes next, with what probability.
pub mod predict;

/// Networks: transformers and recurrent networks of bytes, their files, exact inference, and the trait of models of tokens.
pub mod nn;

/// From probabilities to integer intervals that both sides agree on.
pub mod quantize;

/// Integer intervals to bytes and back.
pub mod coder;

/// The one loop: encode, decode, score, sample.
pub mod walk;

/// Any model as a generator: drawing what is not given.
pub mod draw;

/// Watching a walk from another thread, and stopping it.
pub mod progress;

/// One block of bytes to its code and back: what an input holds, which model codes it.
pub mod block;

/// Finding models on this machine.
pub mod models;

/// Short records, each coded alone after learning from examples.
pub mod records;

/// How many bits data cost under a model, without coding them.
pub mod score;

/// The file format: blocks, checks, index; encoder, decoder, random access.
pub mod container;

/// What can go wrong.
pub mod error;

/// Asking the system for memory before coding begins, as it may refuse.
pub mod memory;

/// Sizes in words.
pub mod size;

/// Many pieces of work on several threads.
pub mod parallel;

/// Random numbers that are the same on every machine.
pub mod random;

/// Lengths as numbers of as few bytes as they need.
mod varint;

/// Bytes in hexadecimal.
mod hex;

/// Bits per byte, raw and adjusted rate.
pub mod stats;

/// Arithmetic with the same bits everywhere and the reader of safetensors files, for crates above this one that bring models of their own.
pub mod exact {
    pub use crate::nn::file::{Dtype, File, RawTensor};
    pub use crate::nn::format::{name_of, no_weights, read_json, short_name};
    pub use crate::nn::math::{cos_sin, exp, ln};
    pub use crate::nn::shards::{has_weights, shards};
    pub use crate::simd::{F32x16, Isa, Kernel, Level, prefetch_at};
}

/// The only `unsafe`: kernels for what the CPU has, each with a scalar twin of the same bits.
mod simd;

pub use block::{BEST_LEVEL, DEFAULT_LEVEL, MAX_LEVEL, MAX_MODEL_NAME};
pub use container::{
    Archive, ArchiveReader, BlockInfo, DEFAULT_MEMORY_LIMIT, DecodeOptions, Decoder, EncodeOptions,
    Encoder, FORMAT_VERSION, MAX_BLOCK_LEN, MIN_BLOCK_SIZE, Preset, PushDecoder, StreamInfo,
    compress, compress_with, decompress, decompress_with, preset,
};
pub use error::{Error, ErrorKind, Result};
pub use hex::hex;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
