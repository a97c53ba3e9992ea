//! lmic itself: archives with all their headers, and its options for those who want distributions.
//!
//! | name | is |
//! |-|-|
//! | `default` | the default level, told nothing |
//! | `cm:profile=5` | context mixing (levels 1 to 5), told what the bytes are |
//! | `lmic:level=6` | a level; `as=true` tells it what the bytes are |
//! | `...:bare=true` | the code alone, told what the bytes are: no container, no check, nothing stored as it is (the paper has no container) |
//! | `lmic:model=PATH` | a network mixed with context mixing; `alone=true` is the network by itself, `overlap=0` in chunks |
//! | `lmic:model=FOLDER` | a Llama with its tokenizer, or a GGUF file: always by itself |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use lmic::block::{Content, Models, apart_network, level_network};
use lmic::coder::{RangeDecoder, RangeEncoder};
use lmic::exact::shards;
use lmic::models::{Finder, FoundModel, Wanted};
use lmic::nn::{Network, Windows};
use lmic::progress::Progress;
use lmic::{DecodeOptions, EncodeOptions};
use lmic_llama::Checkpoints;

use super::{Codec, ModelSize, Spec};
use crate::item::{Format, Item, Told};

/// lmic with options.
#[derive(Debug)]
pub struct Ours {
    options: EncodeOptions,
    /// Whether the encoder is told what the bytes are.
    told: bool,
    /// Without container.
    bare: bool,
    /// The model, if it is from a file.
    file: Option<ModelSize>,
    version: String,
}

impl Ours {
    /// Takes the settings out of `spec`.
    pub fn open(spec: &mut Spec) -> Result<Self> {
        let is_cm = spec.family == "cm";
        let level = match is_cm {
            true => spec.take("profile", 5)?,
            false => spec.take("level", lmic::DEFAULT_LEVEL)?,
        };
        let told = spec.take("as", is_cm)?;
        let bare = spec.take("bare", false)?;
        let mut options =
            EncodeOptions { level, threads: 1, models: models(), ..EncodeOptions::default() };
        let mut file = None;
        let mut version = format!("lmic {}, level {level}", env!("CARGO_PKG_VERSION"));
        if let Some(path) = spec.get::<PathBuf>("model")? {
            let (network, size, identity) = load(&path)?;
            file = Some(size);
            version = format!("lmic {}, {identity}", env!("CARGO_PKG_VERSION"));
            options.alone = spec.take("alone", false)?;
            options.windows = windows(spec, &network, options.alone)?;
            options.model = Some(network);
        }
        if bare && options.alone {
            version += ", of bytes";
        }
        if level > 5 && options.model.is_none() {
            version += &format!(", {}", built_in_identity(level)?);
        }
        Ok(Self { options, told, bare, file, version })
    }

    /// What lmic is asked for, for an item of `format`.
    pub fn options(&self, format: Format) -> EncodeOptions {
        let content = self.told.then(|| format.content());
        EncodeOptions { content, ..self.options.clone() }
    }

    /// As [`Ours::options`], but told what the bytes are: a walk does not find that out. A network that is alone sees bytes, whatever
    /// they are; else those for samples would take its place.
    pub fn options_told(&self, format: Format) -> EncodeOptions {
        let format = if self.options.alone { Format::Bytes } else { format };
        EncodeOptions { content: Some(format.content()), ..self.options.clone() }
    }
}

fn windows(spec: &mut Spec, network: &Network, alone: bool) -> Result<Option<Windows>> {
    let default = match network {
        Network::Transformer(model) if alone => Windows::sliding(model),
        Network::Transformer(_) => network.mixed_windows(),
        Network::Tokens(model) => model.windows(),
        _ => return Ok(None),
    };
    let context = spec.take("context", default.context)?;
    let overlap = spec.take("overlap", default.overlap.min(context / 2))?;
    let lanes = spec.take("lanes", default.lanes)?;
    Ok(Some(Windows { context, overlap, lanes }))
}

fn finder() -> Finder {
    Finder::of_user().with_checkpoints(Arc::new(Checkpoints))
}

/// Where the networks of levels are that do not come with lmic.
pub fn models() -> Models {
    finder().at_hand(None, None)
}

/// A network of a path or name, its size, what it is.
fn load(model: &Path) -> Result<(Network, ModelSize, String)> {
    let (path, model) = finder().open(model, Wanted::Network)?;
    let mut identity = lmic::hex(&model.identity());
    let size = match &model {
        FoundModel::Tokens(model) => {
            identity.truncate(16);
            let strings = if path.is_dir() { file_len(&path.join("tokenizer.json"))? } else { 0 };
            let facts = model.facts();
            let tensors: u64 = facts.tensors.iter().map(|tensor| tensor.bytes).sum();
            ModelSize { bytes: tensors + strings, params: facts.params }
        }
        FoundModel::Bytes(weights) => {
            let bytes = match path.is_dir() {
                true => shards(&path)?.iter().map(|name| file_len(&path.join(name))).sum(),
                false => file_len(&path),
            };
            ModelSize { bytes: bytes?, params: weights.params() }
        }
        _ => ModelSize::default(),
    };
    let network = model.into_network().with_context(|| path.display().to_string())?;
    Ok((network, size, identity))
}

fn file_len(path: &Path) -> Result<u64> {
    Ok(path.metadata().with_context(|| path.display().to_string())?.len())
}

/// What the library holds of models for `format` at a level.
fn built_in(level: u8, format: Format) -> Result<ModelSize> {
    let files = lmic::block::built_in_files(level, format.content());
    let is_bytes = format.content() == Content::Bytes;
    let apart = apart_network(level).filter(|_| is_bytes).map_or(0, |network| network.bytes);
    let bytes = apart + files.iter().map(|file| file.len() as u64).sum::<u64>();
    let params = match level_network(level, &models())?.filter(|_| is_bytes) {
        Some(network) => network.config().params(),
        // Networks for samples are int8 in a form of their own: a byte a parameter, nearly.
        None => bytes,
    };
    Ok(ModelSize { bytes, params })
}

/// What changes whenever the files inside the library do that a level may use.
fn built_in_identity(level: u8) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let formats = [Format::Bytes, Format::Gray { row: 64 }, Format::Pcm8, Format::Pcm16];
    for file in formats.iter().flat_map(|f| lmic::block::built_in_files(level, f.content())) {
        hasher.update(file);
    }
    if let Some(network) = apart_network(level) {
        hasher.update(&network.identity);
    }
    Ok(lmic::hex(&hasher.finalize().as_bytes()[..8]))
}

impl Codec for Ours {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        if self.bare {
            let mut coder = RangeEncoder::new();
            self.options_told(item.format).walk(
                &mut coder,
                &mut item.bytes.clone(),
                &Progress::default(),
            )?;
            return Ok(coder.finish());
        }
        Ok(lmic::compress_with(&item.bytes, &self.options(item.format))?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        if self.bare {
            let mut bytes = vec![0; told.len];
            self.options_told(told.format).walk(
                &mut RangeDecoder::new(coded),
                &mut bytes,
                &Progress::default(),
            )?;
            return Ok(bytes);
        }
        let models = finder().at_hand(self.options.model.clone(), None);
        let options = DecodeOptions { threads: 1, models, ..DecodeOptions::default() };
        Ok(lmic::decompress_with(coded, &options)?)
    }

    fn model(&self, format: Format) -> Result<ModelSize> {
        self.file.map_or_else(|| built_in(self.options.level, format), Ok)
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn ours(&self) -> Option<&Ours> {
        Some(self)
    }
}
