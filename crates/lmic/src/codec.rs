//! One block of bytes to its code and back: which model, for which content, at what memory.
//!
//! The container stores a [`StreamModel`](crate::codec::StreamModel) with each stream and a [`Content`](crate::codec::Content)
//! with each block, and knows nothing of what the models do.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Lanes, Transformer, Windows};
use crate::predict::cm::Cm;
use crate::predict::cm::primed::{Primed, PrimedBlock};
use crate::predict::samples::Samples;
use crate::progress::{Progress, Watched};
use crate::walk;

/// What a block holds, which decides the contexts that the model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Content {
    /// Text, records, programs, anything.
    #[default]
    Bytes,
    /// 8-bit samples in rows, one byte a pixel.
    Gray {
        /// Bytes from one row to the next, 1 to [`Content::MAX_ROW`].
        row: u32,
    },
    /// 8-bit colour in rows, three bytes a pixel.
    Rgb {
        /// Bytes from one row to the next (3 a pixel, and any padding), 3 to [`Content::MAX_ROW`].
        row: u32,
    },
    /// Unsigned 8-bit linear audio.
    Pcm8 {
        /// Interleaved channels, 1 to [`Content::MAX_CHANNELS`].
        channels: u8,
    },
    /// Signed 16-bit little-endian linear audio.
    Pcm16 {
        /// Interleaved channels, 1 to [`Content::MAX_CHANNELS`].
        channels: u8,
    },
}

impl Content {
    /// Longest row in bytes.
    pub const MAX_ROW: u32 = 1 << 24;
    /// Most audio channels.
    pub const MAX_CHANNELS: u8 = 8;

    /// Checks the parameters against their documented ranges.
    pub fn validate(self) -> Result<()> {
        let ok = match self {
            Self::Bytes => true,
            Self::Gray { row } => (1..=Self::MAX_ROW).contains(&row),
            Self::Rgb { row } => (3..=Self::MAX_ROW).contains(&row),
            Self::Pcm8 { channels } | Self::Pcm16 { channels } => {
                (1..=Self::MAX_CHANNELS).contains(&channels)
            }
        };
        if ok {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{self:?} is out of range: a row is 1 (rgb: 3) to {} bytes, channels 1 to {}",
                    Self::MAX_ROW,
                    Self::MAX_CHANNELS
                ),
            ))
        }
    }
}

/// The model of one block: all that a decoder must know to build it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockModel {
    /// Strength of the context-mixing model, 1 (fast) to 5 (strong); for images and audio also 6 (with pretrained networks).
    pub profile: u8,
    /// What the block holds.
    pub content: Content,
}

impl BlockModel {
    /// Bytes of memory that coding a block of `len` bytes takes in either direction, beside the block
    /// itself and its code. Computed without allocating, so that a decoder can refuse.
    pub fn memory(&self, len: usize) -> u64 {
        Samples::memory(self.profile, self.content, len)
            .unwrap_or_else(|| Cm::memory(self.profile, len))
    }

    /// Encodes a block. `data` is left as it was. The code is raw: no length, no checksum.
    ///
    /// # Panics
    /// If the profile or the content's parameters are out of range.
    pub fn encode(&self, data: &mut [u8]) -> Vec<u8> {
        self.encode_with(data, &Progress::default())
    }

    /// [`BlockModel::encode`] that can be watched and stopped.
    pub fn encode_with(&self, data: &mut [u8], progress: &Progress) -> Vec<u8> {
        match Samples::new(self.profile, self.content, data.len()) {
            Some(model) => walk::encode_model(&mut Watched::new(model, progress), data),
            None => {
                let model = Cm::new(self.profile, data.len());
                walk::encode_model(&mut Watched::new(model, progress), data)
            }
        }
    }

    /// Fills `data` from `code`. A damaged code gives other bytes, never a panic.
    ///
    /// # Panics
    /// As [`BlockModel::encode`].
    pub fn decode(&self, code: &[u8], data: &mut [u8]) {
        self.decode_with(code, data, &Progress::default());
    }

    /// [`BlockModel::decode`] that can be watched and stopped.
    pub fn decode_with(&self, code: &[u8], data: &mut [u8], progress: &Progress) {
        match Samples::new(self.profile, self.content, data.len()) {
            Some(model) => walk::decode_model(&mut Watched::new(model, progress), code, data),
            None => {
                let model = Cm::new(self.profile, data.len());
                walk::decode_model(&mut Watched::new(model, progress), code, data);
            }
        }
    }
}

/// The model of a stream, as its header names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamModel {
    /// Context mixing: the profile, 1 to 5.
    Profile(u8),
    /// A transformer, whose weights are elsewhere.
    Neural(Arc<NeuralModel>),
    /// A primed state, which is elsewhere.
    Primed(Arc<PrimedModel>),
}

/// A primed state as a stream names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrimedModel {
    /// What the state is called: for people, and to look for it. At most 64 bytes.
    pub name: String,
    /// What it is: [`Primed::identity`](crate::records::Primed::identity).
    pub identity: [u8; 32],
}

impl PrimedModel {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A transformer and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NeuralModel {
    /// What the model is called: for people, and to look for it. At most 64 bytes.
    pub name: String,
    /// What it is: [`Weights::identity`](crate::nn::Weights::identity).
    pub identity: [u8; 32],
    /// How blocks are walked.
    pub windows: Windows,
}

impl NeuralModel {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}

/// Images and audio in a stream with a neural model or a primed state, which are of text, are coded with this profile.
const PROFILE_BESIDE_NEURAL: u8 = 5;

/// Where a decoder finds the transformers and primed states that streams name. The default has none.
#[derive(Clone, Default)]
pub struct Models {
    find: Option<Arc<Finder>>,
    find_primed: Option<Arc<PrimedFinder>>,
}

type PrimedFinder = dyn Fn(&PrimedModel) -> Result<Option<Arc<Primed>>> + Send + Sync;

type Finder = dyn Fn(&NeuralModel) -> Result<Option<Arc<Transformer>>> + Send + Sync;

impl Models {
    /// These models.
    pub fn of(models: Vec<Arc<Transformer>>) -> Self {
        Self::found_by(move |wanted| {
            Ok(models.iter().find(|model| model.identity() == wanted.identity).cloned())
        })
    }

    /// Whatever `find` returns. It is called for each block, by one thread at a time for each decoder, and should remember what it loaded.
    /// A model of another identity counts as not found.
    pub fn found_by(
        find: impl Fn(&NeuralModel) -> Result<Option<Arc<Transformer>>> + Send + Sync + 'static,
    ) -> Self {
        Self { find: Some(Arc::new(find)), ..Self::default() }
    }

    /// These, and primed states that `find` returns, as in [`Models::found_by`].
    #[must_use]
    pub fn with_primed(
        self,
        find: impl Fn(&PrimedModel) -> Result<Option<Arc<Primed>>> + Send + Sync + 'static,
    ) -> Self {
        Self { find_primed: Some(Arc::new(find)), ..self }
    }

    fn get_primed(&self, wanted: &PrimedModel) -> Result<Arc<Primed>> {
        let found = match &self.find_primed {
            Some(find) => find(wanted)?,
            None => None,
        };
        found.filter(|primed| primed.identity() == wanted.identity).ok_or_else(|| {
            Error::new(
                ErrorKind::WrongModel,
                format!(
                    "the archive is coded with the primed state {:?} of identity {}, which is not at hand",
                    wanted.name,
                    wanted.identity_hex()
                ),
            )
        })
    }

    fn get(&self, wanted: &NeuralModel) -> Result<Arc<Transformer>> {
        let found = match &self.find {
            Some(find) => find(wanted)?,
            None => None,
        };
        let wrong = |message: String| Error::new(ErrorKind::WrongModel, message);
        let model = found.filter(|model| model.identity() == wanted.identity).ok_or_else(|| {
            wrong(format!(
                "the archive is coded with the model {:?} of identity {}, which is not at hand",
                wanted.name,
                wanted.identity_hex()
            ))
        })?;
        let context = wanted.windows.context;
        if context as usize > model.context() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("windows of {context} positions; the model has {}", model.context()),
            ));
        }
        Ok(model)
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models")
            .field("any", &(self.find.is_some() || self.find_primed.is_some()))
            .finish()
    }
}

/// All that codes one block.
#[derive(Debug, Clone)]
pub(crate) enum BlockCoder {
    Mixing(BlockModel),
    Neural(Arc<Transformer>, Windows),
    Primed(Arc<Primed>),
}

impl BlockCoder {
    /// For a block of `content` in a stream of `model`.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if a transformer is needed and not found.
    pub(crate) fn new(model: &StreamModel, content: Content, models: &Models) -> Result<Self> {
        Ok(match model {
            StreamModel::Neural(neural) if content == Content::Bytes => {
                Self::Neural(models.get(neural)?, neural.windows)
            }
            StreamModel::Primed(primed) if content == Content::Bytes => {
                Self::Primed(models.get_primed(primed)?)
            }
            StreamModel::Neural(_) | StreamModel::Primed(_) => {
                Self::Mixing(BlockModel { profile: PROFILE_BESIDE_NEURAL, content })
            }
            StreamModel::Profile(profile) => {
                Self::Mixing(BlockModel { profile: *profile, content })
            }
        })
    }

    /// As [`BlockModel::memory`].
    pub(crate) fn memory(&self, len: usize) -> u64 {
        match self {
            Self::Mixing(model) => model.memory(len),
            Self::Neural(model, windows) => Lanes::memory(model, *windows, len),
            Self::Primed(primed) => PrimedBlock::memory(primed, len),
        }
    }

    /// As [`BlockModel::encode_with`].
    pub(crate) fn encode(&self, data: &mut [u8], progress: &Progress) -> Vec<u8> {
        match self {
            Self::Mixing(model) => model.encode_with(data, progress),
            Self::Neural(model, windows) => {
                walk::encode_model(&mut Lanes::new(model, *windows, progress), data)
            }
            Self::Primed(primed) => {
                let model = PrimedBlock::new(primed, data.len());
                walk::encode_model(&mut Watched::new(model, progress), data)
            }
        }
    }

    /// As [`BlockModel::decode_with`].
    pub(crate) fn decode(&self, code: &[u8], data: &mut [u8], progress: &Progress) {
        match self {
            Self::Mixing(model) => model.decode_with(code, data, progress),
            Self::Neural(model, windows) => {
                walk::decode_model(&mut Lanes::new(model, *windows, progress), code, data);
            }
            Self::Primed(primed) => {
                let model = PrimedBlock::new(primed, data.len());
                walk::decode_model(&mut Watched::new(model, progress), code, data);
            }
        }
    }
}
