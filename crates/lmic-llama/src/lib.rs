//! Checkpoints of the Llama family as compressors and as measured models: Hugging Face folders and GGUF files, exact inference.
//!
//! ```text
//! file -> weights (mapped) -> model -> logits -> distribution -> coder -> container of the crate lmic
//! bytes -> tokens ------------------------------^
//! ```
//!
//! A [`Llama`] is a [`TokenModel`]: given to [`EncodeOptions::model`](lmic::EncodeOptions::model) and
//! [`Models::of`](lmic::block::Models::of), archives are coded with it.
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//!
//! use lmic::{DecodeOptions, EncodeOptions, block::Models, nn::TokenModel};
//!
//! let model: Arc<dyn TokenModel> = Arc::new(lmic_llama::Llama::open(Path::new("SmolLM2-135M"))?);
//! let options = EncodeOptions { model: Some(model.clone().into()), ..EncodeOptions::default() };
//! let archive = lmic::compress_with(b"to be or not to be", &options)?;
//! let options = DecodeOptions { models: Models::of(vec![model]), ..DecodeOptions::default() };
//! assert_eq!(lmic::decompress_with(&archive, &options)?, b"to be or not to be");
//! # Ok::<(), lmic::Error>(())
//! ```

/// Bytes of files.
mod map;

/// The GGUF format.
mod gguf;

/// Shapes: what is supported.
mod shape;

/// The parts of a checkpoint.
mod weights;

/// Bytes to tokens and back.
mod tokens;

/// Kernels, and numbers as they are stored.
mod simd;

/// Products.
mod matrix;

/// Logits.
mod model;

/// Logits to integers.
mod distribution;

/// Blocks.
mod block;

/// Bits of data.
mod score;

use std::path::Path;

use lmic::coder::{RangeDecoder, RangeEncoder};
use lmic::exact::Level;
use lmic::nn::{TokenModel, VOCAB_SIZE, Windows};
use lmic::progress::Progress;
use lmic::{Error, ErrorKind, Result};

pub use score::{Score, ScoreOptions};

use crate::block::Walk;
use crate::map::Bytes;
use crate::model::{Cache, Model, Stream, Workspace};
use crate::tokens::Tokens;

/// Longest name in an archive, in bytes.
const MAX_NAME_LEN: usize = 64;

/// Longest `tokenizer.json`; Gemma's has 33 MB. As a tree in memory it may take 15 times as much.
const MAX_TOKENIZER_LEN: u64 = 64 << 20;

/// Positions of a window unless told otherwise: what is further back costs more time than it saves bits.
const USUAL_CONTEXT: usize = 2048;

/// A checkpoint, ready to code.
#[derive(Debug)]
pub struct Llama {
    name: String,
    identity: [u8; 32],
    model: Model,
    tokens: Tokens,
}

impl Llama {
    /// Whether a path is for this crate rather than for `lmic::nn`: a GGUF file, or a folder with a tokenizer.
    pub fn describes(path: &Path) -> bool {
        match path.is_dir() {
            true => path.join("tokenizer.json").exists(),
            false => path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")),
        }
    }

    /// Opens a Hugging Face folder or a GGUF file. Weights are mapped, not read into memory, but for the hash that is
    /// their identity all of them are looked at once.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Truncated` or `Corrupt` if one is damaged, `InvalidArgument` if the model is of a kind that
    /// is not supported: the message names key or tensor, what was found and what is supported.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_at(path, Level::detect())
    }

    /// [`Llama::open`] with kernels of `level`, for tests.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(path: &Path, level: Level) -> Result<Self> {
        let full = std::fs::canonicalize(path).map_err(|e| {
            Error::new(ErrorKind::Io, format!("cannot read {}: {e}", path.display()))
        })?;
        let stem = if full.is_dir() { full.file_name() } else { full.file_stem() };
        let stem = stem.unwrap_or_default().to_string_lossy().into_owned();
        let (weights, tokens, name) = match full.is_dir() {
            true => {
                let weights = weights::open_folder(&full)?;
                let tokens = folder_tokens(&full, weights.shape.vocab)?;
                (weights, tokens, stem)
            }
            false => {
                let bytes = Bytes::map(&full)?;
                let (weights, tokens) = gguf_parts(&bytes)?;
                (weights, tokens, stem)
            }
        };
        Ok(Self::of_parts(weights, tokens, &name, level))
    }

    /// Reads a GGUF file in memory.
    ///
    /// # Errors
    /// As [`Llama::open`].
    pub fn from_gguf(bytes: Vec<u8>) -> Result<Self> {
        let (weights, tokens) = gguf_parts(&bytes.into())?;
        Ok(Self::of_parts(weights, tokens, "model", Level::detect()))
    }

    fn of_parts(weights: weights::Weights, tokens: Tokens, name: &str, level: Level) -> Self {
        let mut hasher = weights.hasher.clone();
        tokens.hash(&mut hasher);
        let mut end = name.len().min(MAX_NAME_LEN);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = if end == 0 { "model".into() } else { name[..end].to_owned() };
        let identity = hasher.finalize().into();
        Self { name, identity, model: Model::new(weights, level), tokens }
    }

    /// Weights.
    pub fn params(&self) -> u64 {
        self.model.weights.params
    }

    /// Bytes of all tensors, as stored.
    pub fn byte_len(&self) -> u64 {
        self.model.weights.bytes
    }

    /// One line about the shape, for people.
    pub fn summary(&self) -> String {
        let shape = &self.model.weights.shape;
        format!(
            "{:?}, {} layers of {}, {} heads, {} tokens, context {}",
            shape.family, shape.layers, shape.hidden, shape.heads, shape.vocab, shape.context
        )
    }

    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        self.identity.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Windows of up to 2048 positions, of which a quarter is repeated, and up to 8 lanes.
    fn default_windows(&self) -> Windows {
        let context = self.context().min(USUAL_CONTEXT) as u32;
        Windows { context, overlap: context / 4, lanes: 8 }
    }

    /// How codes are made and read.
    fn walk<'a>(&'a self, windows: Windows, threads: usize, progress: &'a Progress) -> Walk<'a> {
        let (model, tokens) = (&self.model, &self.tokens);
        Walk { model, tokens, windows, threads, masked: true, progress }
    }

    /// The model's tokens for `data`, to compare with others. Numbers from the size of the vocabulary on are escapes.
    pub fn tokens(&self, data: &[u8]) -> Vec<u32> {
        self.tokens.encode(data)
    }

    /// What tokens stand for; `None` if they are none of [`Llama::tokens`].
    pub fn bytes(&self, tokens: &[u32]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        if !tokens.iter().all(|&token| self.tokens.append(token, &mut bytes)) {
            return None;
        }
        if self.tokens.space_before() && !tokens.is_empty() {
            return bytes.strip_prefix(b" ").map(<[u8]>::to_vec);
        }
        Some(bytes)
    }

    /// Logits behind each of `tokens`, (tokens, vocabulary), to compare with others.
    ///
    /// # Panics
    /// If a token is none, or there are more than the context.
    pub fn logits(&self, tokens: &[u32], threads: usize) -> Vec<f32> {
        assert!(tokens.len() <= self.context(), "{} tokens", tokens.len());
        let mut cache: Cache = self.model.cache();
        let stream = Stream { cache: &mut cache, tokens, wanted: tokens.len() };
        self.model.forward(&mut [stream], threads, &mut Workspace::default()).to_vec()
    }

    /// The same computed token by token, as a decoder must.
    ///
    /// # Panics
    /// As [`Llama::logits`].
    pub fn logits_one_by_one(&self, tokens: &[u32], threads: usize) -> Vec<f32> {
        let (mut cache, mut work) = (self.model.cache(), Workspace::default());
        let mut logits = Vec::new();
        for token in tokens {
            let tokens = std::slice::from_ref(token);
            let stream = Stream { cache: &mut cache, tokens, wanted: 1 };
            logits.extend_from_slice(self.model.forward(&mut [stream], threads, &mut work));
        }
        logits
    }
}

/// The tokens of a folder's model. A model of bytes needs no file.
fn folder_tokens(folder: &Path, vocab: usize) -> Result<Tokens> {
    let path = folder.join("tokenizer.json");
    if vocab == VOCAB_SIZE && !path.exists() {
        return Ok(Tokens::of_bytes());
    }
    let text = weights::read_limited(&path, MAX_TOKENIZER_LEN)?;
    let config = weights::read_text(&folder.join("config.json"))?;
    let config: serde_json::Value = serde_json::from_str(&config)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("config.json: {e}")))?;
    let id = |key: &str| config.get(key).and_then(|id| u32::try_from(id.as_u64()?).ok());
    tokens::from_json(&text, vocab, id("bos_token_id").or(id("eos_token_id")))
}

fn gguf_parts(bytes: &Bytes) -> Result<(weights::Weights, Tokens)> {
    let file = gguf::File::parse(bytes.get())?;
    let weights = weights::open_gguf(&file, bytes)?;
    let tokens = tokens::from_gguf(&file, weights.shape.vocab)?;
    Ok((weights, tokens))
}

impl TokenModel for Llama {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self) -> [u8; 32] {
        self.identity
    }

    fn context(&self) -> usize {
        self.model.weights.shape.window()
    }

    fn windows(&self) -> Windows {
        self.default_windows()
    }

    fn memory(&self, windows: Windows, len: usize) -> u64 {
        Walk::memory(&self.model, &self.tokens, windows, len)
    }

    fn encode(
        &self,
        windows: Windows,
        threads: usize,
        data: &[u8],
        progress: &Progress,
    ) -> Vec<u8> {
        let walk = self.walk(windows, threads, progress);
        let mut coder = RangeEncoder::new();
        walk.code(&mut coder, &mut data.to_vec()).expect("an encoder is told tokens that fit");
        coder.finish()
    }

    fn decode(
        &self,
        windows: Windows,
        threads: usize,
        code: &[u8],
        data: &mut [u8],
        progress: &Progress,
    ) -> Result<()> {
        let walk = self.walk(windows, threads, progress);
        walk.code(&mut RangeDecoder::new(code), data)
    }
}
