//! The weights of a transformer or of a recurrent network, whichever the configuration of a file says.

use std::path::Path;

use super::file::File;
use super::recurrent::{RecurrentConfig, RecurrentWeights};
use super::tensor::Tensor;
use super::weights::{Precision, Weights, with_bytes, with_file};
use crate::error::Result;

/// The weights of a byte model in memory, of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyWeights {
    /// A transformer of the Llama family.
    Transformer(Weights),
    /// A recurrent network.
    Recurrent(RecurrentWeights),
}

/// What both kinds have.
macro_rules! either {
    ($model:expr, $weights:ident => $what:expr) => {
        match $model {
            AnyWeights::Transformer($weights) => $what,
            AnyWeights::Recurrent($weights) => $what,
        }
    };
}

impl AnyWeights {
    /// Loads a directory with `model.safetensors`, or a safetensors file: see [`Weights::load`].
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load(path: &Path) -> Result<Self> {
        with_file(path, Self::from_file)
    }

    /// Reads a safetensors file that holds the configuration.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        with_bytes(bytes, Self::from_file)
    }

    fn from_file(model: File<'_>, config: &str, name: &str) -> Result<Self> {
        Ok(match RecurrentConfig::describes(config) {
            true => Self::Recurrent(RecurrentWeights::from_file(model, config, name)?),
            false => Self::Transformer(Weights::from_file(model, config, name)?),
        })
    }

    /// The name that the file gives it.
    pub fn name(&self) -> &str {
        either!(self, weights => &weights.name)
    }

    /// Gives it another name.
    pub fn set_name(&mut self, name: String) {
        either!(self, weights => weights.name = name);
    }

    /// See [`Weights::identity`].
    pub fn identity(&self) -> [u8; 32] {
        either!(self, weights => weights.identity())
    }

    /// What the matrices are made of.
    pub fn precision(&self) -> Precision {
        either!(self, weights => weights.precision())
    }

    /// Weights, without the scales of an int8 model.
    pub fn params(&self) -> u64 {
        either!(self, weights => weights.config.params())
    }

    /// Bytes of all tensors, scales included.
    pub fn byte_len(&self) -> u64 {
        either!(self, weights => weights.byte_len())
    }

    /// All tensors in ascending order of name.
    pub fn tensors(&self) -> Vec<Tensor<'_>> {
        either!(self, weights => weights.tensors())
    }

    /// The `config.json`.
    pub fn config_json(&self) -> String {
        either!(self, weights => weights.config.to_json())
    }

    /// Writes a file that [`from_bytes`](Self::from_bytes) reads; the same bytes for the same model.
    pub fn to_safetensors(&self) -> Vec<u8> {
        either!(self, weights => weights.to_safetensors())
    }

    /// Makes the int8 model of an f32 model: see [`Weights::quantize`].
    ///
    /// # Errors
    /// As there.
    pub fn quantize(&self) -> Result<Self> {
        Ok(match self {
            Self::Transformer(weights) => Self::Transformer(weights.quantize()?),
            Self::Recurrent(weights) => Self::Recurrent(weights.quantize()?),
        })
    }
}
