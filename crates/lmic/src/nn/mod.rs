//! Exact inference of neural byte models: transformers of the Llama family, in files that Hugging Face reads and writes,
//! and recurrent models.
//!
//! ```text
//! file -> Weights -> Transformer -> (Cache per stream) -> logits
//! ```

mod any_weights;
mod byte_network;
mod config;
pub(crate) mod file;
pub(crate) mod format;
mod json;
mod lanes;
pub(crate) mod math;
mod network;
mod recurrent;
mod tensor;
mod tokens;
mod transformer;
mod weights;

pub use any_weights::AnyWeights;
pub use byte_network::{ByteNetwork, Feed};
pub use config::{Config, START_SYMBOL, VOCAB_SIZE};
pub use format::FileFormat;
pub(crate) use lanes::Lanes;
pub use lanes::Windows;
pub use network::Network;
pub(crate) use network::Windowed;
pub use recurrent::{
    NgramConfig, NgramContexts, Ngrams, Recurrent, RecurrentConfig, RecurrentLayer, RecurrentState,
    RecurrentWeights, RecurrentWorkspace,
};
pub use tensor::{Tensor, TensorData};
pub use tokens::TokenModel;
pub use transformer::{Cache, Stream, Transformer, Workspace};
pub use weights::{Layer, Matrix, Precision, Weights};

#[cfg(test)]
mod tests;
