//! The trait by which the container uses a model of tokens. Such models are in crates above this one, because of what they
//! depend on.

use std::any::Any;
use std::fmt;

use super::Windows;
use crate::error::Result;
use crate::progress::Progress;

/// What is shown of a tensor.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    /// The name in the file.
    pub name: String,
    /// The format of its numbers, such as `F16` or `Q8_0`.
    pub format: &'static str,
    /// Dimensions, the outermost first.
    pub shape: Vec<usize>,
    /// Bytes in the file.
    pub bytes: u64,
}

/// What is shown of a model of tokens.
#[derive(Debug, Clone)]
pub struct TokenFacts {
    /// One line about the shape.
    pub summary: String,
    /// The shape, in the words of `config.json`.
    pub config_json: String,
    /// Weights.
    pub params: u64,
    /// All tensors, in the order of the identity.
    pub tensors: Vec<TensorInfo>,
    /// Files that the model is split into; 1 if it is not.
    pub files: usize,
}

/// A model that codes whole blocks in tokens of its own.
///
/// Contract: a code depends on the data, the model's identity and the windows alone; never on CPU, threads or timing.
///
/// It is [`Any`], so that who opens models by a [`Finder`](crate::models::Finder) gets back what else they can do.
pub trait TokenModel: Any + fmt::Debug + Send + Sync {
    /// What archives call it: 1 to 64 bytes, for people and to look for it.
    fn name(&self) -> &str;

    /// What it is: a hash of all that its codes depend on.
    fn identity(&self) -> [u8; 32];

    /// What it is made of.
    fn facts(&self) -> TokenFacts;

    /// Positions of a window, at most.
    fn context(&self) -> usize;

    /// How blocks are walked unless told otherwise. Windows count in tokens.
    fn windows(&self) -> Windows;

    /// Bytes of memory that coding a block of `len` bytes takes, beside block, code and weights.
    fn memory(&self, windows: Windows, len: usize) -> u64;

    /// Encodes a block on up to `threads` threads.
    fn encode(&self, windows: Windows, threads: usize, data: &[u8], progress: &Progress)
    -> Vec<u8>;

    /// Fills `data` from `code`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if no block of this length has such a code. Other damage gives
    /// other bytes.
    fn decode(
        &self,
        windows: Windows,
        threads: usize,
        code: &[u8],
        data: &mut [u8],
        progress: &Progress,
    ) -> Result<()>;
}
