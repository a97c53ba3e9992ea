//! How samples lie in their bytes.

use super::number::{Class, Number};
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
    /// Records of numbers of one width: a table, or anything that comes in records of fixed length.
    Table {
        /// Bytes of a record, a multiple of `width`, 1 to [`SampleFormat::MAX_RECORD`].
        record: u32,
        /// Bytes of a number: 1, 2, 4 or 8.
        width: u8,
        /// Whether the most significant byte of a number comes first. Numbers of 1 byte have none.
        big_endian: bool,
    },
    /// Pixels in rows that come again as they are: numbers of colours, drawings, screenshots, single bits.
    Colours {
        /// Bytes from one row to the next, those of a pixel to [`SampleFormat::MAX_ROW`].
        row: u32,
        /// Bits of a pixel: 1, 2, 4, 8, 24 or 32. The first pixel of a byte has the highest ones.
        bits: u8,
    },
    /// Samples of 16 bits in rows.
    Deep {
        /// Samples from one row to the next, 1 to [`SampleFormat::MAX_ROW`], and no fewer than a pixel has.
        row: u32,
        /// Samples of a pixel: 1 for gray, 3 for colour.
        step: u8,
        /// How a sample lies in its two bytes; not a float.
        number: Number,
        /// Low bits that are zero in all samples, 0 to 15. An encoder finds it out by itself.
        shift: u8,
    },
    /// Linear audio of any numbers.
    Wave {
        /// Interleaved channels, 1 to [`SampleFormat::MAX_CHANNELS`].
        channels: u8,
        /// How a sample lies in its bytes.
        number: Number,
        /// Low bits that are zero in all samples, 0 to 8 times the width less 1. An encoder finds it out by itself.
        shift: u8,
    },
}

impl SampleFormat {
    /// Longest row in bytes.
    pub const MAX_ROW: u32 = 1 << 24; // frozen
    /// Longest record in bytes.
    pub const MAX_RECORD: u32 = 1 << 20; // frozen
    /// Most audio channels.
    pub const MAX_CHANNELS: u8 = 8; // frozen

    /// Checks the parameters against their documented ranges.
    pub fn validate(self) -> Result<()> {
        self.check_numbers()?;
        if let Self::Table { record, width, big_endian } = self {
            let width = u32::from(width);
            let fits = matches!(width, 1 | 2 | 4 | 8) && record.is_multiple_of(width);
            if !fits || width == 1 && big_endian {
                return check("bytes of a number in a record", 0, 1, 8);
            }
        }
        if let Self::Colours { bits, .. } = self
            && Self::code_of_bits(bits).is_none()
        {
            let message = format!("{bits} bits of a pixel; there may be 1, 2, 4, 8, 24 or 32");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let (what, value, least, most) = match self {
            Self::Table { record, .. } => ("bytes in a record", record, 1, Self::MAX_RECORD),
            Self::Gray { row } => ("bytes in a row", row, 1, Self::MAX_ROW),
            Self::Colours { row, bits } => {
                ("bytes in a row", row, u32::from(bits).div_ceil(8), Self::MAX_ROW)
            }
            Self::Rgb { row } => ("bytes in a row of pixels", row, 3, Self::MAX_ROW),
            Self::Deep { row, step, .. } => ("samples in a row", row, step.into(), Self::MAX_ROW),
            Self::Pcm8 { channels } | Self::Pcm16 { channels } | Self::Wave { channels, .. } => {
                ("channels", channels.into(), 1, Self::MAX_CHANNELS.into())
            }
        };
        check(what, value, least, most)
    }

    /// How many bits a pixel of [`SampleFormat::Colours`] may have.
    const PIXEL_BITS: [u8; 6] = [1, 2, 4, 8, 24, 32]; // frozen

    /// The place in the list, which is what a block's header has.
    pub(crate) fn code_of_bits(bits: u8) -> Option<u64> {
        Self::PIXEL_BITS.iter().position(|&known| known == bits).map(|code| code as u64)
    }

    /// And back.
    pub(crate) fn bits_of_code(code: u64) -> Option<u8> {
        Self::PIXEL_BITS.get(code as usize).copied()
    }

    /// Checks what is said of samples of any numbers.
    fn check_numbers(self) -> Result<()> {
        let (Self::Wave { number, shift, .. } | Self::Deep { number, shift, .. }) = self else {
            return Ok(());
        };
        number.validate()?;
        if let Self::Deep { step, .. } = self {
            check("bytes in a sample of an image", number.width.into(), 2, 2)?;
            check("samples of a gray pixel", if step == 3 { 1 } else { step.into() }, 1, 1)?;
        }
        check("low bits of zero", shift.into(), 0, 8 * u32::from(number.width) - 1)
    }

    /// This format, with what `data` tells of it that no header says: the low bits that are zero.
    pub(crate) fn fitted(self, data: &[u8]) -> Self {
        let (Self::Wave { number, .. } | Self::Deep { number, .. }) = self else { return self };
        let value = |sample: &[u8]| number.split(number.bits(sample)).map_or(0, |(value, _)| value);
        let samples = data.chunks_exact(number.width.into());
        let fitted = match samples.map(value).fold(0, |all, value| all | value) {
            0 => 0,
            // Values have no more bits than the sample, and not all are zero.
            all => all.trailing_zeros() as u8,
        };
        match self {
            Self::Wave { channels, .. } => Self::Wave { channels, number, shift: fitted },
            Self::Deep { row, step, .. } => Self::Deep { row, step, number, shift: fitted },
            other => other,
        }
    }

    /// Channels and numbers of audio of one or two bytes, of which all bits are used: the models for these are stronger.
    pub(crate) fn narrow_audio(self) -> Option<(u8, Number)> {
        match self {
            Self::Pcm8 { channels } => Some((channels, Number::unsigned(1))),
            Self::Pcm16 { channels } => Some((channels, Number::signed(2))),
            Self::Wave { channels, number, shift: 0 } if number.width <= 2 => {
                Some((channels, number))
            }
            _ => None,
        }
    }

    /// What samples that a header describes so may be as well: shades a drawing, four bytes of a pixel something else than colours
    /// that come again, numbers in few columns audio, and audio may have less bits than it seems.
    pub(crate) fn others(self) -> Vec<Self> {
        match self {
            Self::Colours { bits: 32, .. } => {
                vec![Self::Table { record: 4, width: 1, big_endian: false }]
            }
            Self::Pcm16 { channels } => {
                vec![Self::Wave { channels, number: Number::signed(2), shift: 0 }]
            }
            Self::Gray { row } => vec![Self::Colours { row, bits: 8 }],
            Self::Rgb { row } => vec![Self::Colours { row, bits: 24 }],
            Self::Table { record, width, big_endian } if matches!(width, 2 | 4) => {
                let Ok(channels @ 1..=Self::MAX_CHANNELS) = u8::try_from(record / u32::from(width))
                else {
                    return Vec::new();
                };
                let classes = [Class::Signed, Class::Float];
                let classes = &classes[..usize::from(width) / 2];
                let wave = |&class| {
                    let number = Number { width, class, big_endian };
                    Self::Wave { channels, number, shift: 0 }
                };
                classes.iter().map(wave).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Those of them that are worth a try: a drawing if so many pixels of `data` are those above or before.
    pub(crate) fn likely_others(self, data: &[u8]) -> Vec<Self> {
        match self {
            Self::Gray { .. } | Self::Rgb { .. } if !self.may_be_drawn(data) => Vec::new(),
            Self::Pcm16 { .. } => {
                let others = self.others().into_iter();
                others.filter(|other| other.fitted(data).narrow_audio().is_none()).collect()
            }
            _ => self.others(),
        }
    }

    fn may_be_drawn(self, data: &[u8]) -> bool {
        let row = self.unit();
        let step = if matches!(self, Self::Rgb { .. }) { 3 } else { 1 };
        let rows = data.chunks_exact(row).zip(data.chunks_exact(row).skip(1));
        let (mut alike, mut all) = (0usize, 0usize);
        for (above, row) in rows.step_by(8) {
            let above = above.chunks_exact(step).skip(1);
            let pixels = row.chunks_exact(step).zip(row.chunks_exact(step).skip(1)).zip(above);
            all += pixels.len();
            alike +=
                pixels.filter(|((left, pixel), above)| pixel == left || pixel == above).count();
        }
        all > 0 && alike * LIKELY_DRAWING[1] >= all * LIKELY_DRAWING[0]
    }

    /// Whether it has rows, of which each is like the one above.
    pub(crate) fn is_image(self) -> bool {
        matches!(
            self,
            Self::Gray { .. } | Self::Rgb { .. } | Self::Deep { .. } | Self::Colours { .. }
        )
    }

    /// Bytes that belong together: a row of an image, a frame of audio.
    pub fn unit(self) -> usize {
        match self {
            Self::Gray { row } | Self::Rgb { row } | Self::Colours { row, .. } => row as usize,
            Self::Table { record, .. } => record as usize,
            Self::Deep { row, .. } => 2 * row as usize,
            Self::Pcm8 { channels } => usize::from(channels),
            Self::Pcm16 { channels } => 2 * usize::from(channels),
            Self::Wave { channels, number, .. } => {
                usize::from(number.width) * usize::from(channels)
            }
        }
    }
}

/// A drawing may be what has at least this share of its pixels like one before. Of 60 photographs two in colour and four in gray have it,
/// the median is .14 and .26; screenshots have .9, and photographs in 256 colours .7.
const LIKELY_DRAWING: [usize; 2] = [3, 5]; // tunable

fn check(what: &str, value: u32, least: u32, most: u32) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let message = format!("{value} {what}; {least} to {most} are allowed");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
