//! Checkpoints of the Llama family as compressors and as measured models: Hugging Face folders and GGUF files, exact inference.
//!
//! ```text
//! file -> weights (mapped) -> model -> logits -> symbols -> coder -> container of the crate lmic
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

/// Threads, as many as can be had.
mod threads;

/// Products.
mod matrix;

/// Logits.
mod model;

/// Blocks.
mod block;

/// Bits of data.
mod score;

/// Text that goes on.
mod generate;

use std::path::Path;
use std::sync::Arc;

use lmic::coder::{RangeDecoder, RangeEncoder};
use lmic::exact::{Level, name_of, short_name};
use lmic::memory::check_available;
use lmic::models::{self, PartName};
use lmic::nn::{FileFormat, TokenFacts, TokenModel, VOCAB_SIZE, Windows};
use lmic::progress::Progress;
use lmic::{Error, ErrorKind, Result};

pub use score::{Score, ScoreOptions, TokenCost};

use crate::block::Walk;
use crate::map::Bytes;
use crate::model::{Cache, Model, Stream, Workspace};
use crate::shape::Shape;
use crate::tokens::Tokens;

/// The longest `tokenizer.json` that is read. That of Gemma has 33 MB. Parsed, it may take 15 times as much memory.
const MAX_TOKENIZER_LEN: u64 = 64 << 20;

/// Memory without which no checkpoint is opened, not even a small one: the tables of tokens and the widened vectors need it.
const LEAST_MEMORY: u64 = 64 << 20;

/// Positions of a window unless told otherwise. Longer windows would take much more time and save few bits.
const USUAL_CONTEXT: usize = 2048;

/// A checkpoint, ready to code.
#[derive(Debug)]
pub struct Llama {
    name: String,
    identity: [u8; 32],
    model: Model,
    tokens: Tokens,
    files: usize,
}

impl Llama {
    /// Whether a path is for this crate rather than for `lmic::nn`: a GGUF file, by what it holds, or a folder with a tokenizer or a
    /// vocabulary of other tokens than bytes.
    pub fn describes(path: &Path) -> bool {
        match path.is_dir() {
            true => path.join(TOKENIZER).exists() || has_tokens(path),
            false => matches!(FileFormat::at(path), Ok(FileFormat::Gguf)),
        }
    }

    /// Opens a Hugging Face folder or a GGUF file, with all others if it is part of a split model. Weights are mapped, not read
    /// into memory, but all of them are looked at once: for the hash that is their identity, and for numbers that are none.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Truncated` or `Corrupt` if one is damaged, `InvalidArgument` if the model is of a kind that
    /// is not supported: the message names key or tensor, what was found and what is supported. It names files of a folder, and
    /// other parts of a split model, but not `path`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_at(path, Level::detect())
    }

    /// [`Llama::open`] with the kernels of this SIMD level, for tests.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(path: &Path, level: Level) -> Result<Self> {
        check_available(LEAST_MEMORY)?;
        if path.is_dir() {
            let config = weights::read_config(path)?;
            let shape = Shape::from_json(&config)?;
            let tokens = folder_tokens(path, &config, shape.vocab)?;
            let weights = weights::open_folder(path, shape)?;
            return Ok(Self::of_parts(weights, tokens, name_of(path, None), level));
        }
        match FileFormat::at(path)? {
            FileFormat::Gguf => {}
            FileFormat::Safetensors => {
                let message = "is a safetensors file alone; what it needs beside it is in its folder (name that)";
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            other => return Err(other.refused("GGUF file")),
        }
        let (parts, name) = gguf_files(path)?;
        let (weights, tokens) = gguf_parts(&parts)?;
        Ok(Self { files: parts.len(), ..Self::of_parts(weights, tokens, name, level) })
    }

    /// Reads a GGUF file in memory.
    ///
    /// # Errors
    /// As [`Llama::open`].
    pub fn from_gguf(bytes: Vec<u8>) -> Result<Self> {
        let (weights, tokens) = gguf_parts(&[bytes.into()])?;
        Ok(Self::of_parts(weights, tokens, "model".into(), Level::detect()))
    }

    fn of_parts(weights: weights::Weights, tokens: Tokens, name: String, level: Level) -> Self {
        let mut hasher = weights.hasher.clone();
        tokens.hash(&mut hasher);
        let identity = hasher.finalize().into();
        Self { name, identity, model: Model::new(weights, level), tokens, files: 1 }
    }

    /// Weights.
    pub fn params(&self) -> u64 {
        self.model.weights.params
    }

    /// Bytes of all tensors, as stored.
    pub fn byte_len(&self) -> u64 {
        self.model.weights.bytes
    }

    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        lmic::hex(&self.identity)
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

/// For a [`Finder`](models::Finder): what [`Llama::describes`] is opened by [`Llama::open`].
#[derive(Debug)]
pub struct Checkpoints;

impl models::Checkpoints for Checkpoints {
    fn describes(&self, path: &Path) -> bool {
        Llama::describes(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn TokenModel>> {
        Ok(Arc::new(Llama::open(path)?))
    }
}

const TOKENIZER: &str = "tokenizer.json";

/// Whether a folder's configuration says that its model has other tokens than bytes.
fn has_tokens(folder: &Path) -> bool {
    let config = weights::read_config(folder).ok();
    let config = config.and_then(|json| serde_json::from_str::<serde_json::Value>(&json).ok());
    let size = config.and_then(|config| config.get("vocab_size")?.as_u64());
    size.is_some_and(|size| size != VOCAB_SIZE as u64)
}

/// The tokens of a folder's model. A model of bytes needs no file.
fn folder_tokens(folder: &Path, config: &str, vocab: usize) -> Result<Tokens> {
    let path = folder.join(TOKENIZER);
    if !path.exists() {
        if vocab == VOCAB_SIZE {
            return Ok(Tokens::of_bytes());
        }
        let others = ["tokenizer.model", "vocab.json", "tokenizer_config.json"];
        return Err(weights::absent(match others.iter().find(|name| folder.join(name).exists()) {
            Some(other) => format!(
                "tokenizer.json is missing, and {other} is of a kind that is not read (make one of the other with \
                 `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` of transformers)"
            ),
            None => {
                "tokenizer.json is missing, which says what the model's tokens stand for".into()
            }
        }));
    }
    let text = lmic::exact::read_json(&path, MAX_TOKENIZER_LEN)?;
    check_available(16 * text.len() as u64)?; // as a tree, and as a vocabulary
    let config: serde_json::Value = serde_json::from_str(config)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("config.json: {e}")))?;
    let id = |key: &str| config.get(key).and_then(|id| u32::try_from(id.as_u64()?).ok());
    tokens::from_json(&text, vocab, id("bos_token_id").or(id("eos_token_id")))
}

/// The files of a GGUF model in order, and its name, which is the same whether it is split or not.
fn gguf_files(path: &Path) -> Result<(Vec<Bytes>, String)> {
    let named = Bytes::map(path)?;
    let file = gguf::File::parse(named.get())?;
    let count = file.split_count()?;
    let number = file.optional_size("split.no")?.unwrap_or(0).saturating_add(1);
    drop(file);
    if count == 1 {
        return Ok((vec![named], name_of(path, Some("gguf"))));
    }
    let refuse = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
    let Some(name) = PartName::of(path).filter(|name| name.count as usize == count) else {
        let like = PartName::file("NAME", number as u32, count as u32);
        return refuse(format!(
            "is part {number} of {count} of a split model, and the others are only found if it is called {like}"
        ));
    };
    let mut parts = Vec::new();
    for (number, beside) in (1..).zip(name.all_beside(path)) {
        if number == name.number {
            parts.push(named.clone());
            continue;
        }
        let file = beside.file_name().unwrap_or_default().to_string_lossy();
        if !beside.exists() {
            return refuse(format!(
                "is part {} of {count} of a split model, of which part {number} is missing: {file} (put all parts into one folder)",
                name.number
            ));
        }
        match FileFormat::at(&beside)? {
            FileFormat::Gguf => parts.push(Bytes::map(&beside)?),
            other => return Err(other.refused("GGUF file").at(file)),
        }
    }
    Ok((parts, short_name(&name.stem)))
}

/// All of a model; errors of other parts than the first say which they are.
fn gguf_parts(parts: &[Bytes]) -> Result<(weights::Weights, Tokens)> {
    let count = parts.len();
    let mut files = Vec::new();
    for (number, bytes) in (1..).zip(parts) {
        let of_part = |e: Error| match count {
            1 => e,
            _ => e.at(format_args!("part {number} of {count}")),
        };
        files.push(gguf::File::parse(bytes.get()).map_err(of_part)?);
    }
    let said = files[0].split_count()?;
    if said != count {
        let message = format!("one file of a model that is split into {said}");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let file = gguf::File::join(files)?;
    let weights = weights::open_gguf(&file, parts)?;
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

    fn facts(&self) -> TokenFacts {
        let shape = &self.model.weights.shape;
        TokenFacts {
            summary: format!(
                "{:?}, {} layers of {}, {} heads, {} tokens, context {}",
                shape.family, shape.layers, shape.hidden, shape.heads, shape.vocab, shape.context
            ),
            config_json: shape.to_json(),
            params: self.params(),
            tensors: self.model.weights.tensors.clone(),
            files: self.files,
        }
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
