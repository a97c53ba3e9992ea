//! What is coded at once: a chunk or a whole file, and what its bytes are.

use lmic::block::{Content, SampleFormat};
use serde::{Deserialize, Serialize};

/// Samples of a row where a codec for images is given bytes that are none: the paper's patches have 64.
pub const ROW: u32 = 64;

/// What the bytes of an item are. Codecs for one kind take others as if they were of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text, records, anything.
    Bytes,
    /// 8-bit grey samples in rows.
    Gray {
        /// Samples of a row.
        row: u32,
    },
    /// 8-bit samples of red, green and blue in rows.
    Rgb {
        /// Pixels of a row.
        row: u32,
    },
    /// Unsigned 8-bit samples of one channel.
    Pcm8,
    /// Signed 16-bit little-endian samples of one channel.
    Pcm16,
}

impl Format {
    /// As lmic calls it.
    pub fn content(self) -> Content {
        match self {
            Self::Bytes => Content::Bytes,
            Self::Gray { row } => Content::Samples(SampleFormat::Gray { row }),
            Self::Rgb { row } => Content::Samples(SampleFormat::Rgb { row: 3 * row }),
            Self::Pcm8 => Content::Samples(SampleFormat::Pcm8 { channels: 1 }),
            Self::Pcm16 => Content::Samples(SampleFormat::Pcm16 { channels: 1 }),
        }
    }

    /// Samples of a row, or pixels, for codecs for images.
    pub fn row(self) -> u32 {
        match self {
            Self::Gray { row } | Self::Rgb { row } => row,
            _ => ROW,
        }
    }
}

/// What is coded at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What a decoder has to restore.
    pub bytes: Vec<u8>,
    /// What they are.
    pub format: Format,
}

/// What a decoder is told beside the code, as there is no file system to tell it: it is not counted, for any codec.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Length of the item.
    pub len: usize,
    /// Its format.
    pub format: Format,
}

impl Item {
    /// What a decoder is told.
    pub fn told(&self) -> Told {
        Told { len: self.bytes.len(), format: self.format }
    }

    /// Its first bytes, as an item.
    pub fn prefix(&self, len: usize) -> Self {
        Self { bytes: self.bytes[..len.min(self.bytes.len())].to_vec(), format: self.format }
    }
}
