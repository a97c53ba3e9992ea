//! Models for image and audio samples: predict the number, then code how far off the prediction was.
//!
//! A channel model ([`image`], [`audio`]) predicts each sample several times over by adaptive linear filters;
//! the [`engine`] codes the sample as a row of binary decisions under those predictions and counters in their
//! contexts. Everything is integer and learned from the block itself.

mod audio;
mod distribution;
mod engine;
mod image;
mod least_squares;
mod lms;
mod mixer;

use crate::codec::Content;
use crate::coder::Coder;
use crate::walk::Model;
use audio::Audio;
use image::Image;

/// The model of a block of samples.
#[derive(Debug)]
pub enum Samples {
    /// Gray or colour rows.
    Image(Box<Image>),
    /// Interleaved audio.
    Audio(Box<Audio>),
}

impl Samples {
    /// A fresh model, or `None` if `content` is not samples.
    pub fn new(profile: u8, content: Content, len: usize) -> Option<Self> {
        Some(match content {
            Content::Gray { row } => {
                Self::Image(Box::new(Image::new(profile, row as usize, 1, len)))
            }
            Content::Rgb { row } => {
                Self::Image(Box::new(Image::new(profile, row as usize, 3, len)))
            }
            Content::Pcm8 { channels } => Self::Audio(Box::new(Audio::new(profile, channels, 1))),
            Content::Pcm16 { channels } => Self::Audio(Box::new(Audio::new(profile, channels, 2))),
            Content::Bytes => return None,
        })
    }

    /// Bytes that [`Samples::new`] with the same arguments allocates, or `None` if `content` is not samples.
    pub fn memory(profile: u8, content: Content, len: usize) -> Option<u64> {
        match content {
            Content::Gray { row } | Content::Rgb { row } => {
                Some(Image::memory(profile, row as usize, len))
            }
            Content::Pcm8 { channels } | Content::Pcm16 { channels } => {
                Some(Audio::memory(profile, channels))
            }
            Content::Bytes => None,
        }
    }
}

impl Model for Samples {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        match self {
            Self::Image(image) => image.code(coder, past, next),
            Self::Audio(audio) => audio.code(coder, past, next),
        }
    }
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

/// Logarithm of a magnitude with [`distribution::FRACTION`] bits in thirds of an octave or so: 0..=23.
fn level(magnitude: u32) -> usize {
    let v = magnitude + 32;
    let octave = 31 - v.leading_zeros(); // 5..
    let half = (v >> (octave - 1)) & 1;
    (((octave - 5) * 2 + half) as usize).min(engine::LEVELS - 1)
}

/// TUNE
pub fn tune(i: usize, default: i64) -> i64 {
    static T: std::sync::OnceLock<[Option<i64>; 64]> = std::sync::OnceLock::new();
    T.get_or_init(|| std::array::from_fn(|i| std::env::var(format!("T{i}")).ok().and_then(|s| s.parse().ok())))[i].unwrap_or(default)
}
