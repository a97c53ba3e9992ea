//! One block of bytes to its code and back: which model, for which content, at what memory.
//!
//! The container stores a [`BlockModel`](crate::codec::BlockModel) with each block and knows nothing of what the models do.

use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::Cm;
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
    /// Strength of the context-mixing model, 1 (fast) to 5 (strong).
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
