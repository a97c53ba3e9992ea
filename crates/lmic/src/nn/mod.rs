//! Byte-level transformers of the Llama family, as files that Hugging Face reads and writes.

mod config;
mod file;
mod weights;

pub use config::{Config, START_SYMBOL, VOCAB_SIZE};
pub use weights::{Layer, Matrix, Precision, Tensor, TensorData, Weights};
