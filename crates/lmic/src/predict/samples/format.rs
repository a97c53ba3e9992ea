//! How samples lie in their bytes.

use crate::error::{Error, ErrorKind, Result};

/// Samples as images and recordings have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// 8-bit samples in rows, one byte a pixel.
    Gray {
        /// Bytes from one row to the next, 1 to [`SampleFormat::MAX_ROW`].
        row: u32,
    },
    /// 8-bit colour in rows, three bytes a pixel.
    Rgb {
        /// Bytes from one row to the next (3 a pixel, and any padding), 3 to [`SampleFormat::MAX_ROW`].
        row: u32,
    },
    /// Unsigned 8-bit linear audio.
    Pcm8 {
        /// Interleaved channels, 1 to [`SampleFormat::MAX_CHANNELS`].
        channels: u8,
    },
    /// Signed 16-bit little-endian linear audio.
    Pcm16 {
        /// Interleaved channels, 1 to [`SampleFormat::MAX_CHANNELS`].
        channels: u8,
    },
}

impl SampleFormat {
    /// Longest row in bytes.
    pub const MAX_ROW: u32 = 1 << 24; // frozen
    /// Most audio channels.
    pub const MAX_CHANNELS: u8 = 8; // frozen

    /// Checks the parameter against its documented range.
    pub fn validate(self) -> Result<()> {
        let is_valid = match self {
            Self::Gray { row } => (1..=Self::MAX_ROW).contains(&row),
            Self::Rgb { row } => (3..=Self::MAX_ROW).contains(&row),
            Self::Pcm8 { channels } | Self::Pcm16 { channels } => {
                (1..=Self::MAX_CHANNELS).contains(&channels)
            }
        };
        if is_valid {
            return Ok(());
        }
        let (row, channels) = (Self::MAX_ROW, Self::MAX_CHANNELS);
        let message = format!(
            "{self:?} is out of range: a row is 1 (rgb: 3) to {row} bytes, channels 1 to {channels}"
        );
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    /// Bytes that belong together: a row of an image, a frame of audio.
    pub fn unit(self) -> usize {
        match self {
            Self::Gray { row } | Self::Rgb { row } => row as usize,
            Self::Pcm8 { channels } => usize::from(channels),
            Self::Pcm16 { channels } => 2 * usize::from(channels),
        }
    }
}
