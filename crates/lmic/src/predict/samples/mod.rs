//! Models for image and audio samples: predict the number, then code how far off the prediction was.
//!
//! A channel model (`image`, `audio`) predicts each sample several times over by adaptive linear filters; `value` codes
//! the sample as a row of yes-or-no questions, under those predictions and under counters in contexts. All of it is in
//! integers. It is learned from the block itself, but for profile 6, which has pretrained networks (`network`) as well.

mod audio;
mod distribution;
mod format;
mod image;
mod least_squares;
mod lms;
mod mixer;
mod neighbours;
mod network;
mod number;
mod rare_bit;
mod value;
mod view;
mod wide;

use crate::coder::Coder;
use crate::predict::cm::columns::{Columns, Layout};
use crate::predict::cm::fields::Fields;
use crate::predict::cm::rows::Rows;
use crate::walk::Model;
use audio::Audio;
pub use format::SampleFormat;
use image::{Bytes, Deep, Image};
use network::SampleNetwork;
pub use number::{Class, Number};
pub use view::View;
use wide::Wide;

/// How much work a profile does for each sample, and how much memory it takes.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Least-squares filters of a channel, 1 to [`Effort::MAX_FILTERS`].
    filters: usize,
    /// Each filter solves for new weights every `period * patience` samples: weak profiles wait longer, to save time.
    patience: u32,
    /// The most contexts that have counters.
    contexts: usize,
    /// Binary logarithm of the most lines that the table of a counted context has.
    table_bits: u32,
    /// Whether pretrained networks take part.
    pretrained: bool,
}

impl Effort {
    const MAX_FILTERS: usize = 3; // frozen

    fn of(profile: u8) -> Self {
        match profile {
            0..=2 => {
                Self { filters: 1, patience: 3, contexts: 4, table_bits: 12, pretrained: false }
            }
            3..=4 => {
                Self { filters: 2, patience: 2, contexts: 9, table_bits: 13, pretrained: false }
            }
            5 => Self { filters: 3, patience: 1, contexts: 12, table_bits: 14, pretrained: false },
            _ => Self { filters: 3, patience: 1, contexts: 12, table_bits: 14, pretrained: true },
        }
    }

    /// Table size for a block of `len` bytes: a small block should not pay for clearing a large table.
    fn table_bits(self, len: usize) -> u32 {
        (len.max(1).ilog2() + 1).clamp(6, self.table_bits)
    }
}

/// The model of a block of samples.
#[derive(Debug)]
pub struct Samples(Kind);

#[derive(Debug)]
enum Kind {
    Image(Box<Image<Bytes>>),
    Deep(Box<Image<Deep>>),
    Audio(Box<Audio>),
    Wide(Box<Wide>),
    Columns(Box<Columns>),
}

impl Samples {
    /// A fresh model.
    pub fn new(profile: u8, format: SampleFormat, len: usize) -> Self {
        let effort = Effort::of(profile);
        let network = if effort.pretrained { SampleNetwork::of(format) } else { None };
        Self::with(profile, effort, format, len, network)
    }

    /// The file of the pretrained network for `format`, if there is one.
    pub fn file(format: SampleFormat) -> Option<&'static [u8]> {
        SampleNetwork::file(format).map(|(_, file)| file)
    }

    fn with(
        profile: u8,
        effort: Effort,
        format: SampleFormat,
        len: usize,
        network: Option<&'static SampleNetwork>,
    ) -> Self {
        let image = |row: u32, step| {
            Kind::Image(Box::new(Image::new(effort, row as usize, step, len, network)))
        };
        if let Some((channels, number)) = format.narrow_audio() {
            return Self(Kind::Audio(Box::new(Audio::new(effort, channels, number, len, network))));
        }
        Self(match format {
            SampleFormat::Gray { row } => image(row, 1),
            SampleFormat::Rgb { row } => image(row, 3),
            SampleFormat::Pcm8 { .. } | SampleFormat::Pcm16 { .. } => {
                unreachable!("audio of one or two bytes")
            }
            SampleFormat::Table { record, width, big_endian } => {
                let layout = table(record, width);
                Kind::Columns(Box::new(Columns::new(profile, layout, big_endian, len)))
            }
            SampleFormat::Colours { row, bits } => {
                Kind::Columns(Box::new(Columns::new(profile, pixels(row, bits), false, len)))
            }
            SampleFormat::Deep { row, step, number, shift } => Kind::Deep(Box::new(Image::deep(
                effort,
                row as usize,
                step.into(),
                number,
                shift,
                len,
            ))),
            SampleFormat::Wave { channels, number, shift } => {
                Kind::Wide(Box::new(Wide::new(effort, channels, number, shift, len)))
            }
        })
    }

    /// Bytes that [`Samples::new`] with the same arguments allocates, at most.
    pub fn memory(profile: u8, format: SampleFormat, len: usize) -> u64 {
        let effort = Effort::of(profile);
        if let Some((channels, _)) = format.narrow_audio() {
            return Audio::memory(effort, channels, len);
        }
        match format {
            SampleFormat::Gray { row } => Image::<Bytes>::memory(effort, row as usize, 1, len),
            SampleFormat::Rgb { row } => Image::<Bytes>::memory(effort, row as usize, 3, len),
            SampleFormat::Deep { row, step, .. } => {
                Image::<Deep>::memory(effort, row as usize, step.into(), len / 2)
            }
            SampleFormat::Pcm8 { channels }
            | SampleFormat::Pcm16 { channels }
            | SampleFormat::Wave { channels, .. } => Wide::memory(effort, channels, len),
            SampleFormat::Table { record, width, .. } => {
                Columns::memory(profile, table(record, width), len)
            }
            SampleFormat::Colours { row, bits } => Columns::memory(profile, pixels(row, bits), len),
        }
    }
}

impl Samples {
    /// Makes the networks use the kernels of this SIMD level instead of the best that the CPU has.
    #[cfg(test)]
    fn use_level(&mut self, level: crate::simd::Level) {
        match &mut self.0 {
            Kind::Image(image) => image.simd = level,
            Kind::Audio(audio) => audio.simd = level,
            Kind::Deep(_) | Kind::Wide(_) | Kind::Columns(_) => {}
        }
    }

    /// Goes over `data` without coding it and shows `each` what a network would see before each sample, and the
    /// sample: this is what networks are trained on. `None` if there are none for `format`.
    pub fn views(
        format: SampleFormat,
        data: &[u8],
        mut each: impl FnMut(&View, i32),
    ) -> Option<()> {
        let mut model = Self::with(6, Effort::of(6), format, data.len(), None);
        let mut at = 0;
        while at < data.len() {
            let (past, next) = data.split_at(at);
            let (view, value, width) = match (&mut model.0, format) {
                (Kind::Image(image), SampleFormat::Gray { .. }) => {
                    (image.observe(past, next[0]), i32::from(next[0]), 1)
                }
                (Kind::Audio(audio), _) => {
                    let width = audio.width();
                    if next.len() < width {
                        break;
                    }
                    let (view, value) = audio.observe(past, next);
                    (view, value, width)
                }
                _ => return None,
            };
            each(&view, value);
            at += width;
        }
        Some(())
    }
}

impl Model for Samples {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        match &mut self.0 {
            Kind::Image(image) => image.code(coder, past, next),
            Kind::Audio(audio) => audio.code(coder, past, next),
            Kind::Deep(image) => image.code(coder, past, next),
            Kind::Wide(wide) => wide.code(coder, past, next),
            Kind::Columns(columns) => columns.code(coder, next),
        }
    }
}

fn table(record: u32, width: u8) -> Layout {
    Layout::Table(Fields { record: record as usize, width: width.into() })
}

fn pixels(row: u32, bits: u8) -> Layout {
    Layout::Image(Rows { row: row as usize, bits: bits.into() })
}

/// Signed quantisation by magnitude to 0..=14: 7 is zero, then 1, 2, 3-4, 5-8, 9-16, 17-32, more.
fn quantize(difference: i32) -> u32 {
    let size = (33 - difference.unsigned_abs().wrapping_sub(1).leading_zeros()).min(7);
    match difference {
        0 => 7,
        d if d > 0 => 7 + size,
        _ => 7 - size,
    }
}

/// An error ([`distribution::FRACTION`] bits) on a logarithmic scale of two steps an octave, below [`value::ERROR_STEPS`].
fn error_step(error: u32) -> usize {
    let v = error.saturating_add(32);
    let octave = 31 - v.leading_zeros(); // 5..
    let half = (v >> (octave - 1)) & 1;
    (((octave - 5) * 2 + half) as usize).min(value::ERROR_STEPS - 1)
}

#[cfg(test)]
mod tests;
