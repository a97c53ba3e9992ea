//! What a block is asked to be, and what its header says that it is.
//!
//! [`Content`] is the user's word, or what was recognised. [`Kind`] is what an encoder made of it: the tag of a block's header
//! and its parameter, read beside write. docs/format.md specifies both fields.

use crate::error::{Error, ErrorKind, Result};
use crate::predict::samples::SampleFormat;
use crate::varint;

/// What an input holds: advice to an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Content {
    /// Text, records, programs, anything.
    #[default]
    Bytes,
    /// Bytes of which a network for text knows nothing, so that they are coded without it. If nothing is said, encoders find out
    /// by themselves whether that is shorter.
    Binary,
    /// Samples of an image or a recording.
    Samples(SampleFormat),
}

impl Content {
    /// Checks the parameters against their documented ranges.
    pub fn validate(self) -> Result<()> {
        match self {
            Self::Bytes | Self::Binary => Ok(()),
            Self::Samples(format) => format.validate(),
        }
    }

    /// Bytes that belong together (a row, or a sample of all channels): the input is not cut within them.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::Bytes | Self::Binary => 1,
            Self::Samples(format) => format.unit(),
        }
    }
}

impl From<SampleFormat> for Content {
    fn from(format: SampleFormat) -> Self {
        Self::Samples(format)
    }
}

/// How a block's payload is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The content itself.
    Stored,
    /// Bytes, coded with the model of the stream.
    Bytes,
    /// Samples, coded with a model made for them.
    Samples(SampleFormat),
    /// Bytes of a mix, coded without its network.
    Unmixed,
    /// Lines, each coded alone with the stream's primed state: see [`EncodeOptions::records`](crate::EncodeOptions::records).
    Records {
        /// Lines that begin in the block or go on in it, 1 to its length.
        count: u32,
        /// Whether the last line has no line feed: then it goes on in the next block, if there is one.
        open: bool,
    },
    /// Bytes, coded with the stream's primed state and context mixing together and, if `network` is 6 or 7, with the network of
    /// the library that has this number as well. 5 means no network.
    Guided {
        /// 5 to 7.
        network: u8,
    },
}

/// The numbers of the networks that may be used together with a primed state, and 5, which means none.
const GUIDED: std::ops::RangeInclusive<u8> = 5..=8; // frozen

impl Kind {
    /// The tag, 0 to 8, and the parameter if the tag has one.
    fn parts(self) -> (u8, Option<u64>) {
        match self {
            Self::Stored => (0, None),
            Self::Bytes => (1, None),
            Self::Samples(SampleFormat::Gray { row }) => (2, Some(row.into())),
            Self::Samples(SampleFormat::Rgb { row }) => (3, Some(row.into())),
            Self::Samples(SampleFormat::Pcm8 { channels }) => (4, Some(channels.into())),
            Self::Samples(SampleFormat::Pcm16 { channels }) => (5, Some(channels.into())),
            Self::Unmixed => (6, None),
            Self::Records { count, open } => (7, Some(u64::from(count) << 1 | u64::from(open))),
            Self::Guided { network } => (8, Some(network.into())),
        }
    }

    /// Appends the tag, with the bits of `flags`, and the parameter.
    pub(crate) fn write(self, flags: u8, out: &mut Vec<u8>) {
        let (tag, parameter) = self.parts();
        out.push(tag | flags);
        if let Some(parameter) = parameter {
            varint::write(out, parameter);
        }
    }

    /// The kind of `tag`, which stands at byte `at` of the archive, and whose parameter `number` reads.
    ///
    /// # Errors
    /// `Corrupt` for what [`Kind::write`] does not write, and the errors of `number`.
    pub(crate) fn read(at: u64, tag: u8, number: impl FnOnce() -> Result<u64>) -> Result<Self> {
        let corrupt =
            |message: String| Error::new(ErrorKind::Corrupt, format!("at byte {at}: {message}"));
        let out_of_range =
            |value: u64| corrupt(format!("a block's parameter {value} is out of range"));
        let in_range = |value: u64, limit: u64| match value < limit {
            true => Ok(value),
            false => Err(out_of_range(value)),
        };
        let row = |number: u64| in_range(number, 1 << 32).map(|row| row as u32);
        let small = |number: u64| in_range(number, 1 << 8).map(|small| small as u8);
        let kind = match tag {
            0 => Self::Stored,
            1 => Self::Bytes,
            2 => Self::Samples(SampleFormat::Gray { row: row(number()?)? }),
            3 => Self::Samples(SampleFormat::Rgb { row: row(number()?)? }),
            4 => Self::Samples(SampleFormat::Pcm8 { channels: small(number()?)? }),
            5 => Self::Samples(SampleFormat::Pcm16 { channels: small(number()?)? }),
            6 => Self::Unmixed,
            7 => {
                let value = number()?;
                let count = in_range(value >> 1, 1 << 32).map_err(|_| out_of_range(value))? as u32;
                Self::Records { count, open: value & 1 == 1 }
            }
            8 => Self::Guided { network: small(number()?)? },
            _ => return Err(corrupt(format!("unknown kind of block {tag}; 0 to 8 exist"))),
        };
        match kind {
            Self::Samples(format) => format.validate().map_err(|e| corrupt(e.to_string()))?,
            Self::Guided { network } if !GUIDED.contains(&network) => {
                return Err(out_of_range(network.into()));
            }
            Self::Records { count: 0, .. } => return Err(out_of_range(0)),
            _ => {}
        }
        Ok(kind)
    }
}
