//! Networks of bytes: their files, and exact inference, which gives the same bits on every machine. There are transformers of
//! the Llama family, in files that Hugging Face reads and writes, and recurrent networks.
//!
//! ```text
//! file -> Weights -> Transformer -> Engine (streams of symbols) -> weights of the next byte
//! ```

mod any_weights;
mod config;
mod engine;
pub(crate) mod file;
pub(crate) mod format;
mod json;
pub(crate) mod math;
mod network;
mod recurrent;
pub(crate) mod shards;
mod tensor;
mod tokens;
mod transformer;
mod weights;
mod windowed;

pub use any_weights::AnyWeights;
pub use config::{Config, START_SYMBOL, VOCAB_SIZE};
pub use engine::{Engine, Engines, Feed, Streams};
pub use format::FileFormat;
pub use network::Network;
pub(crate) use recurrent::LIBRARY_ROWS;
pub use recurrent::{
    Integers, LayerParts, NgramConfig, NgramContexts, NgramRows, Ngrams, Recurrent,
    RecurrentConfig, RecurrentLayer, RecurrentParts, RecurrentState, RecurrentStream,
    RecurrentWeights, RecurrentWorkspace,
};
pub use tensor::{Tensor, TensorData};
pub use tokens::{TensorInfo, TokenFacts, TokenModel};
pub use transformer::{Cache, Stream, Transformer, Workspace};
pub use weights::{Layer, Matrix, Precision, Weights};
pub(crate) use windowed::WindowedBlock;
pub use windowed::Windows;

#[cfg(test)]
mod tests;
