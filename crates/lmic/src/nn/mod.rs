//! Byte-level transformers of the Llama family: files that Hugging Face reads and writes, and exact inference.
//!
//! ```text
//! file -> Weights -> Transformer -> (Cache per stream) -> logits
//! ```

mod config;
mod file;
mod lanes;
pub(crate) mod math;
mod transformer;
mod weights;

pub use config::{Config, START_SYMBOL, VOCAB_SIZE};
pub(crate) use lanes::Lanes;
pub use lanes::Windows;
pub use transformer::{Cache, Stream, Transformer, Workspace};
pub use weights::{Layer, Matrix, Precision, Tensor, TensorData, Weights};

#[cfg(test)]
mod tests;
