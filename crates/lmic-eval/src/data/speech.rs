//! Recordings to 16 kHz and one channel, of 16 or of 8 bits.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::item::{Format, Item};

/// Samples a second.
pub const SAMPLE_RATE: u32 = 16_000;

/// The samples of a recording. The paper's 8 bits are the upper ones, as unsigned samples.
pub fn read(path: &Path, bits: u8) -> Result<Item> {
    let recording = match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) {
        true => wav(path)?,
        false => flac(path)?,
    };
    let samples = recording.at_16_khz()?;
    Ok(match bits {
        16 => Item {
            bytes: samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
            format: Format::Pcm16,
        },
        8 => Item {
            bytes: samples.iter().map(|sample| ((sample >> 8) + 128) as u8).collect(),
            format: Format::Pcm8,
        },
        _ => anyhow::bail!("speech of {bits} bits; 8 or 16"),
    })
}

/// 16-bit samples, channels interleaved.
struct Recording {
    samples: Vec<i16>,
    channels: u32,
    rate: u32,
}

fn flac(path: &Path) -> Result<Recording> {
    let mut reader = claxon::FlacReader::new(File::open(path)?)?;
    let info = reader.streaminfo();
    let shift = info.bits_per_sample as i32 - 16;
    let samples: Result<Vec<i16>, _> =
        reader.samples().map(|s| s.map(|s| to_16_bits(s, shift))).collect();
    Ok(Recording { samples: samples?, channels: info.channels, rate: info.sample_rate })
}

fn wav(path: &Path) -> Result<Recording> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    ensure!(spec.sample_format == hound::SampleFormat::Int, "a WAV of floats");
    let shift = i32::from(spec.bits_per_sample) - 16;
    let samples: Result<Vec<i16>, _> =
        reader.samples::<i32>().map(|s| s.map(|s| to_16_bits(s, shift))).collect();
    Ok(Recording { samples: samples?, channels: spec.channels.into(), rate: spec.sample_rate })
}

fn to_16_bits(sample: i32, shift: i32) -> i16 {
    (if shift >= 0 { sample >> shift } else { sample << -shift }) as i16
}

impl Recording {
    /// The mean of the channels, at 16 kHz.
    fn at_16_khz(self) -> Result<Vec<i16>> {
        let channels = self.channels.max(1) as usize;
        let mean = |frame: &[i16]| {
            (frame.iter().map(|&s| i32::from(s)).sum::<i32>() / channels as i32) as i16
        };
        let mono: Vec<i16> = self.samples.chunks_exact(channels).map(mean).collect();
        if self.rate == SAMPLE_RATE || mono.is_empty() {
            return Ok(mono);
        }
        resample(&mono, self.rate).with_context(|| format!("from {} Hz", self.rate))
    }
}

fn resample(mono: &[i16], rate: u32) -> Result<Vec<i16>> {
    const CHUNK: usize = 1024;
    let mut resampler =
        Fft::<f32>::new(rate as usize, SAMPLE_RATE as usize, CHUNK, 1, FixedSync::Input)?;
    let input: Vec<f32> = mono.iter().map(|&s| f32::from(s)).collect();
    let len = resampler.process_all_needed_output_len(input.len());
    let mut output = vec![0.0; len];
    let source = InterleavedSlice::new(&input, 1, input.len()).map_err(|e| anyhow!("{e}"))?;
    let mut target = InterleavedSlice::new_mut(&mut output, 1, len).map_err(|e| anyhow!("{e}"))?;
    let (_, written) =
        resampler.process_all_into_buffer(&source, &mut target, input.len(), None)?;
    output.truncate(written);
    Ok(output.iter().map(|&s| s.round().clamp(-32768.0, 32767.0) as i16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, rate: u32, channels: u16, samples: impl Iterator<Item = i16>) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn eight_bits_are_the_upper_ones_unsigned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, SAMPLE_RATE, 1, [0, 255, 256, -1, -32768, 32767].into_iter());
        assert_eq!(read(&path, 8).unwrap().bytes, [128, 128, 129, 127, 0, 255]);
        assert_eq!(read(&path, 16).unwrap().bytes[..6], [0, 0, 255, 0, 0, 1]);
    }

    #[test]
    fn a_tone_of_another_rate_keeps_its_length_and_its_pitch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let tone = |i: usize| {
            (8000.0 * (i as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin()) as i16
        };
        // One second, two channels that differ in nothing.
        write(&path, 48_000, 2, (0..96_000).map(|i| tone(i / 2)));
        let item = read(&path, 16).unwrap();
        let samples: Vec<i16> =
            item.bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
        assert!(samples.len().abs_diff(16_000) <= 2, "{}", samples.len());
        let rises = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
        assert!(rises.abs_diff(440) <= 2, "{rises}");
    }
}
