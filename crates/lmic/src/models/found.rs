//! A model of any kind, as it is found in a file or folder.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::{GGUF, PRIMED, SAFETENSORS, SUFFIXES, invalid, primed_name, suffix};
use crate::error::{ErrorKind, Result};
use crate::nn::format::short_name;
use crate::nn::{AnyWeights, FileFormat, Network, Tensor, TensorInfo, TokenModel};
use crate::records::Primed;

/// Opens checkpoints whose models have tokens of their own: in a crate above this one, because of what it depends on.
pub trait Checkpoints: fmt::Debug + Send + Sync {
    /// Whether a checkpoint that it can open is at a path.
    fn describes(&self, path: &Path) -> bool;

    /// Opens it.
    ///
    /// # Errors
    /// If it cannot be read or is of a kind that is not supported. The message does not name `path`.
    fn open(&self, path: &Path) -> Result<Arc<dyn TokenModel>>;
}

/// The kind of model that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A network, of bytes or tokens.
    Network,
    /// A primed state.
    Primed,
    /// Any of them.
    Either,
}

impl Wanted {
    /// Words for messages, with the extensions that such files have.
    fn words(self) -> &'static str {
        match self {
            Self::Network => "safetensors file or GGUF file (.safetensors, .gguf)",
            Self::Primed => "primed state (.lmicp)",
            Self::Either => {
                "safetensors file, GGUF file or primed state (.safetensors, .gguf, .lmicp)"
            }
        }
    }

    /// Whether what is at `path` is of this kind.
    pub fn is_at(self, path: &Path) -> bool {
        let format = if path.is_dir() { None } else { FileFormat::at(path).ok() };
        match format {
            None => path.is_dir() && self != Self::Primed,
            Some(FileFormat::Safetensors | FileFormat::Gguf) => self != Self::Primed,
            Some(FileFormat::Primed) => self != Self::Network,
            Some(_) => false,
        }
    }

    /// Whether a file of this kind is at `path`, or should be there by its extension: it may be damaged, or something else may
    /// have been put into its place.
    pub fn is_meant_at(self, path: &Path) -> bool {
        let suffix = suffix(path);
        let by_suffix = match self {
            Self::Network => [SAFETENSORS, GGUF].contains(&&*suffix),
            Self::Primed => suffix == PRIMED,
            Self::Either => SUFFIXES.contains(&&*suffix),
        };
        by_suffix || self.is_at(path)
    }
}

/// A model in memory, of any kind that archives may name.
#[derive(Debug)]
#[non_exhaustive]
pub enum FoundModel {
    /// A network of bytes.
    Bytes(Box<AnyWeights>),
    /// A model of tokens.
    Tokens(Arc<dyn TokenModel>),
    /// A primed state.
    Primed(Arc<Primed>),
}

/// What is shown of a network.
#[derive(Debug, Clone)]
pub struct NetworkFacts {
    /// The formats of its numbers, that of most bytes first.
    pub precision: String,
    /// Weights, without scales.
    pub params: u64,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// The shape, as the `config.json` of its kind has it.
    pub config_json: String,
    /// All tensors, in the order of the identity.
    pub tensors: Vec<TensorInfo>,
}

impl FoundModel {
    pub(super) fn load(
        path: &Path,
        wanted: Wanted,
        checkpoints: Option<&dyn Checkpoints>,
    ) -> Result<Self> {
        if path.is_dir() {
            return match wanted {
                Wanted::Primed => Err(invalid(format!("is a folder, no {}", wanted.words()))),
                _ => Self::load_network(path, checkpoints),
            };
        }
        if wanted == Wanted::Primed && !path.is_file() {
            return Self::load_primed(path); // a pipe, which can be read only once
        }
        match (FileFormat::at(path)?, wanted) {
            (FileFormat::Primed, Wanted::Network) => {
                Err(invalid("is a primed state, not a network"))
            }
            (FileFormat::Safetensors | FileFormat::Gguf, Wanted::Primed) => {
                Err(invalid("is a network, not a primed state"))
            }
            (FileFormat::Primed, _) => Self::load_primed(path),
            (FileFormat::Safetensors | FileFormat::Gguf, _) => {
                Self::load_network(path, checkpoints)
            }
            (other, _) => Err(other.refused(wanted.words())),
        }
    }

    fn load_primed(path: &Path) -> Result<Self> {
        /// Largest primed state that is read.
        const MAX_LEN: u64 = 256 << 20;
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_LEN {
            return Err(invalid(format!("is longer than a primed state can be, {MAX_LEN} bytes")));
        }
        Ok(Self::Primed(Arc::new(Primed::from_bytes(&bytes)?)))
    }

    fn load_network(path: &Path, checkpoints: Option<&dyn Checkpoints>) -> Result<Self> {
        match checkpoints {
            Some(checkpoints) if checkpoints.describes(path) => {
                return checkpoints.open(path).map(Self::Tokens);
            }
            None if matches!(FileFormat::at(path), Ok(FileFormat::Gguf)) => {
                return Err(invalid("is a GGUF file, which this build does not read"));
            }
            _ => {}
        }
        AnyWeights::load(path).map(|weights| Self::Bytes(Box::new(weights))).map_err(|error| {
            // This is one of the files of a checkpoint if the configuration beside it says something that no byte model can be.
            let of_checkpoint = path.is_file() && path.with_file_name("tokenizer.json").exists();
            match of_checkpoint && error.kind() == ErrorKind::InvalidArgument {
                true => invalid("is a file of a checkpoint with a tokenizer (name its folder)"),
                false => error,
            }
        })
    }

    /// The network, packed for this CPU.
    ///
    /// # Errors
    /// If it is a primed state.
    pub fn into_network(self) -> Result<Network> {
        match self {
            Self::Bytes(weights) => Network::new(&weights),
            Self::Tokens(model) => Ok(model.into()),
            Self::Primed(_) => Err(invalid("is a primed state")),
        }
    }

    /// The primed state.
    ///
    /// # Errors
    /// If it is a network.
    pub fn into_primed(self) -> Result<Arc<Primed>> {
        match self {
            Self::Primed(primed) => Ok(primed),
            _ => Err(invalid("is a network")),
        }
    }

    /// What it is, as archives have it.
    pub fn identity(&self) -> [u8; 32] {
        match self {
            Self::Bytes(weights) => weights.identity(),
            Self::Tokens(model) => model.identity(),
            Self::Primed(primed) => primed.identity(),
        }
    }

    /// What archives call it, which was loaded from `path`.
    pub fn name(&self, path: &Path) -> String {
        match self {
            Self::Bytes(weights) => short_name(weights.name()),
            Self::Tokens(model) => model.name().to_owned(),
            Self::Primed(_) => primed_name(path),
        }
    }

    /// What it is made of, if it is a network.
    pub fn facts(&self) -> Option<NetworkFacts> {
        match self {
            Self::Bytes(weights) => Some(NetworkFacts {
                precision: weights.precision().to_string(),
                params: weights.params(),
                bytes: weights.byte_len(),
                config_json: weights.config_json(),
                tensors: weights.tensors().iter().map(Tensor::info).collect(),
            }),
            Self::Tokens(model) => {
                let facts = model.facts();
                Some(NetworkFacts {
                    precision: formats(&facts.tensors),
                    params: facts.params,
                    bytes: facts.tensors.iter().map(|tensor| tensor.bytes).sum(),
                    config_json: facts.config_json,
                    tensors: facts.tensors,
                })
            }
            Self::Primed(_) => None,
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(weights) => match **weights {
                AnyWeights::Transformer(_) => "transformer of bytes",
                AnyWeights::Recurrent(_) => "recurrent network",
            },
            Self::Tokens(_) => "transformer of tokens",
            Self::Primed(_) => "primed state",
        }
    }
}

/// Formats of tensors, that of most bytes first.
fn formats(tensors: &[TensorInfo]) -> String {
    let mut bytes = BTreeMap::new();
    for tensor in tensors {
        *bytes.entry(tensor.format).or_insert(0) += tensor.bytes;
    }
    let mut formats: Vec<_> = bytes.into_iter().collect();
    formats.sort_by_key(|&(_, bytes)| Reverse(bytes));
    formats.into_iter().map(|(format, _)| format).collect::<Vec<_>>().join(", ")
}
