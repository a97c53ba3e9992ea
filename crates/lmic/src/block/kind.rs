//! What a block is asked to be, and what its header says that it is.
//!
//! [`Content`] is the user's word, or what was recognised. [`Kind`] is what an encoder made of it: the tag of a block's header
//! and its parameter, read beside write. docs/format.md specifies both fields.

use crate::error::Result;
use crate::predict::programs::Machine;
use crate::predict::samples::{Number, SampleFormat};
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
    /// Instructions of a program.
    Program(Machine),
}

impl Content {
    /// Checks the parameters against their documented ranges.
    pub fn validate(self) -> Result<()> {
        match self {
            Self::Bytes | Self::Binary | Self::Program(_) => Ok(()),
            Self::Samples(format) => format.validate(),
        }
    }

    /// Bytes that belong together (a row, a sample of all channels, a word of instructions): the input is not cut within them.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::Bytes | Self::Binary => 1,
            Self::Samples(format) => format.unit(),
            Self::Program(machine) => machine.unit(),
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
    /// Bytes, coded with the stream's primed state and context mixing together and, if `network` is 6 to 9, with the network of
    /// the library that has this number as well. 5 means no network.
    Guided {
        /// 5 to 9.
        network: u8,
    },
    /// Bytes, coded with the model of the stream, a network of the library, in fewer lanes than that has.
    Lanes {
        /// Most lanes of a team, 1 to 64.
        lanes: u8,
    },
    /// Instructions, coded with a model made for them, in the way of samples.
    Program(Machine),
    /// Deflate streams are undone: parts like blocks of their own, and what makes the streams of them again.
    Undone {
        /// Bytes of all parts, 1 to 2^28.
        len: u32,
    },
    /// What only a newer lmic decodes: a tag that is not known here, or a known one with a parameter that is not. Its lengths are
    /// known all the same, so that a reader can pass it by.
    Unknown {
        /// 2 to 63, but not 6.
        tag: u8,
        /// Any number.
        parameter: u64,
    },
}

/// The numbers of the networks that may be used together with a primed state, and 5, which means none.
const GUIDED: std::ops::RangeInclusive<u8> = 5..=9; // frozen

/// The numbers of lanes that a block may have.
const LANES: std::ops::RangeInclusive<u8> = 1..=64; // frozen

/// The most bytes that parts of a block with undone streams may have.
const MOST_PARTS: u32 = 1 << 28; // frozen

/// Bits of the number of channels, less 1, in the parameter of audio of any numbers.
const CHANNEL_BITS: u32 = 3; // frozen

/// Where the row begins in the parameter of deep images, behind a bit for colour, the number and 4 bits of shift.
const ROW_BITS: u32 = 1 + Number::CODE_BITS + 4; // frozen

/// Where the length of a record begins in the parameter of a table, behind 2 bits of width and one of byte order.
const RECORD_BITS: u32 = 3; // frozen

/// Where the row begins in the parameter of colours, behind 3 bits for those of a pixel.
const PIXEL_BITS: u32 = 3; // frozen

impl Kind {
    /// The tag and the parameter: all tags have one but 0, 1 and 6, so that the headers of unknown kinds can be read.
    fn parts(self) -> (u8, Option<u64>) {
        match self {
            Self::Stored => (0, None),
            Self::Bytes => (1, None),
            Self::Samples(SampleFormat::Gray { row }) => (2, Some(row.into())),
            Self::Samples(SampleFormat::Rgb { row }) => (3, Some(row.into())),
            Self::Samples(SampleFormat::Pcm8 { channels }) => (4, Some(channels.into())),
            Self::Samples(SampleFormat::Pcm16 { channels }) => (5, Some(channels.into())),
            Self::Unmixed => (6, None),
            Self::Samples(SampleFormat::Table { record, width, big_endian }) => {
                let order = u64::from(width.ilog2()) | u64::from(big_endian) << 2;
                (14, Some(order | u64::from(record) << RECORD_BITS))
            }
            Self::Samples(SampleFormat::Colours { row, bits }) => {
                let bits = SampleFormat::code_of_bits(bits).expect("contents are valid");
                (15, Some(bits | u64::from(row) << PIXEL_BITS))
            }
            Self::Samples(SampleFormat::Deep { row, step, number, shift }) => {
                let numbers = number.code() | u64::from(shift) << Number::CODE_BITS;
                (13, Some(u64::from(step == 3) | numbers << 1 | u64::from(row) << ROW_BITS))
            }
            Self::Samples(SampleFormat::Wave { channels, number, shift }) => {
                let shift = u64::from(shift) << (CHANNEL_BITS + Number::CODE_BITS);
                (12, Some(u64::from(channels - 1) | number.code() << CHANNEL_BITS | shift))
            }
            Self::Records { count, open } => (7, Some(u64::from(count) << 1 | u64::from(open))),
            Self::Guided { network } => (8, Some(network.into())),
            Self::Lanes { lanes } => (9, Some(lanes.into())),
            Self::Program(machine) => (10, Some(machine.number())),
            Self::Undone { len } => (11, Some(len.into())),
            Self::Unknown { tag, parameter } => (tag, Some(parameter)),
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

    /// The kind of `tag`, whose parameter `number` reads if it has one.
    ///
    /// # Errors
    /// Those of `number`.
    pub(crate) fn read(tag: u8, number: impl FnOnce() -> Result<u64>) -> Result<Self> {
        Ok(match tag {
            0 => Self::Stored,
            1 => Self::Bytes,
            6 => Self::Unmixed,
            _ => {
                let parameter = number()?;
                Self::known(tag, parameter).unwrap_or(Self::Unknown { tag, parameter })
            }
        })
    }

    /// The kind of a tag with a parameter, if both are known.
    fn known(tag: u8, parameter: u64) -> Option<Self> {
        let row = || u32::try_from(parameter).ok();
        let small = || u8::try_from(parameter).ok();
        let samples =
            |format: SampleFormat| format.validate().is_ok().then_some(Self::Samples(format));
        match tag {
            2 => samples(SampleFormat::Gray { row: row()? }),
            3 => samples(SampleFormat::Rgb { row: row()? }),
            4 => samples(SampleFormat::Pcm8 { channels: small()? }),
            5 => samples(SampleFormat::Pcm16 { channels: small()? }),
            12 => {
                let channels = (parameter & ((1 << CHANNEL_BITS) - 1)) as u8 + 1;
                let rest = parameter >> CHANNEL_BITS;
                let number = Number::of_code(rest & ((1 << Number::CODE_BITS) - 1))?;
                let shift = u8::try_from(rest >> Number::CODE_BITS).ok()?;
                samples(SampleFormat::Wave { channels, number, shift })
            }
            14 => {
                let record = u32::try_from(parameter >> RECORD_BITS).ok()?;
                let (width, big_endian) = (1 << (parameter & 3), parameter >> 2 & 1 == 1);
                samples(SampleFormat::Table { record, width, big_endian })
            }
            15 => {
                let row = u32::try_from(parameter >> PIXEL_BITS).ok()?;
                let bits = SampleFormat::bits_of_code(parameter & ((1 << PIXEL_BITS) - 1))?;
                samples(SampleFormat::Colours { row, bits })
            }
            13 => {
                let row = u32::try_from(parameter >> ROW_BITS).ok()?;
                let step = if parameter & 1 == 1 { 3 } else { 1 };
                let number = Number::of_code(parameter >> 1 & ((1 << Number::CODE_BITS) - 1))?;
                let shift = (parameter >> (1 + Number::CODE_BITS) & 15) as u8;
                samples(SampleFormat::Deep { row, step, number, shift })
            }
            7 => {
                let count = u32::try_from(parameter >> 1).ok().filter(|&count| count > 0)?;
                Some(Self::Records { count, open: parameter & 1 == 1 })
            }
            8 => {
                let network = small().filter(|network| GUIDED.contains(network))?;
                Some(Self::Guided { network })
            }
            9 => {
                let lanes = small().filter(|lanes| LANES.contains(lanes))?;
                Some(Self::Lanes { lanes })
            }
            11 => {
                let len = row().filter(|len| (1..=MOST_PARTS).contains(len))?;
                Some(Self::Undone { len })
            }
            10 => Some(Self::Program(Machine::of_number(parameter)?)),
            _ => None,
        }
    }
}
