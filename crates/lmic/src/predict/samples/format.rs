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
        let (what, value, least, most) = match self {
            Self::Gray { row } => ("bytes in a row", row, 1, Self::MAX_ROW),
            Self::Rgb { row } => ("bytes in a row of pixels", row, 3, Self::MAX_ROW),
            Self::Pcm8 { channels } | Self::Pcm16 { channels } => {
                ("channels", channels.into(), 1, Self::MAX_CHANNELS.into())
            }
        };
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let message = format!("{value} {what}; {least} to {most} are allowed");
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
