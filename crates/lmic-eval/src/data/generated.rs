//! Data of a seed: noise, and small stand-ins for text, photographs and speech, so that everything can be tried without a
//! download. What is measured on the stand-ins says that the machinery works, nothing about real data.

use lmic::predict::Uniform;
use lmic::walk::sample;

use super::{DataSet, Kind};
use crate::item::{Format, Item};

/// The whole of a generated set, or `None` if it is to be read.
pub fn item(set: &DataSet) -> Option<Item> {
    let noise = sample(Uniform, set.bytes, set.seed);
    let (bytes, format) = match set.kind {
        Kind::Random => (noise, Format::Bytes),
        Kind::Words => (words(&noise), Format::Bytes),
        Kind::Picture => (picture(&noise), Format::Gray { row: PICTURE_WIDTH as u32 }),
        Kind::Tone if set.bits == 8 => {
            let upper = tone(&noise).into_iter().map(|s| ((s >> 8) + 128) as u8);
            (upper.collect(), Format::Pcm8)
        }
        Kind::Tone => {
            let samples = tone(&noise[..set.bytes / 2]);
            (samples.into_iter().flat_map(i16::to_le_bytes).collect(), Format::Pcm16)
        }
        Kind::Text | Kind::Images | Kind::Speech | Kind::Jsonl | Kind::Parquet => return None,
    };
    Some(Item { bytes, format })
}

/// Sentences of a few forms over a vocabulary in which word `n` comes as often as `1 / n`, nearly.
fn words(noise: &[u8]) -> Vec<u8> {
    const SYLLABLES: [&str; 24] = [
        "an", "be", "con", "de", "er", "for", "gra", "hen", "in", "jo", "ka", "lo", "men", "ne",
        "or", "pre", "qua", "re", "sta", "ti", "un", "ver", "wi", "ly",
    ];
    const JOINS: [&str; 8] = [" ", " ", " ", " of the ", " and ", ", ", ". The ", " in "];
    let mut text = String::from("The ");
    for pair in noise.chunks_exact(2) {
        if text.len() >= noise.len() {
            break;
        }
        // The product of two even numbers favours small ones.
        let rank = usize::from(pair[0]) * usize::from(pair[1]) / 400;
        text += SYLLABLES[rank % 24];
        text += SYLLABLES[rank / 7 % 24];
        if rank % 3 == 0 {
            text += SYLLABLES[rank / 3 % 24];
        }
        text += JOINS[usize::from(pair[1] ^ pair[0] >> 3) % 8];
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(noise.len());
    bytes
}

/// Samples of a row of a picture.
const PICTURE_WIDTH: usize = 256;

/// Hills under a slanted light, with an edge and sensor noise.
fn picture(noise: &[u8]) -> Vec<u8> {
    let sample = |(i, &n): (usize, &u8)| {
        let (x, y) = ((i % PICTURE_WIDTH) as f64, (i / PICTURE_WIDTH) as f64);
        let hills =
            40.0 * (x / 31.0).sin() * (y / 23.0).cos() + 20.0 * ((x + 2.0 * y) / 11.0).sin();
        let edge = if (x - 0.7 * y).rem_euclid(97.0) < 30.0 { 35.0 } else { 0.0 };
        let noise = f64::from(n & 15) - 7.5 + f64::from(n >> 4) - 7.5;
        (110.0 + hills + edge + noise / 3.0).clamp(0.0, 255.0) as u8
    };
    noise.iter().enumerate().map(sample).collect()
}

/// Vowels: a pitch that moves, harmonics, breath.
fn tone(noise: &[u8]) -> Vec<i16> {
    let mut phase = 0.0f64;
    let sample = |(i, &n): (usize, &u8)| {
        let t = i as f64 / 16_000.0;
        phase += (120.0 + 30.0 * (t * 2.1).sin()) * std::f64::consts::TAU / 16_000.0;
        let loudness = 0.5 + 0.5 * (t * 9.0).sin();
        let voice: f64 = (1..8).map(|k| (phase * f64::from(k)).sin() / f64::from(k * k)).sum();
        (5000.0 * loudness * voice + (f64::from(n) - 127.5) / 2.0) as i16
    };
    noise.iter().enumerate().map(sample).collect()
}
