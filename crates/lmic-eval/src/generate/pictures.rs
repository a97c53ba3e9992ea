//! What was made, to look at.

use image::{GrayImage, Rgb, RgbImage};
use realfft::RealFftPlanner;

use crate::item::{Format, Item};

/// Grey samples as a picture.
pub fn gray(item: &Item) -> RgbImage {
    let width = item.format.row();
    let height = item.bytes.len() as u32 / width;
    let samples = item.bytes[..(width * height) as usize].to_vec();
    let image = GrayImage::from_raw(width, height, samples).unwrap_or_default();
    image::DynamicImage::ImageLuma8(image).into_rgb8()
}

/// So many times as large, each sample a square, that neither side is below 128: a patch is too small to look at.
pub fn enlarged(picture: &RgbImage) -> RgbImage {
    let (width, height) = (picture.width().max(1), picture.height().max(1));
    let times = 128u32.div_ceil(width.min(height));
    image::imageops::resize(
        picture,
        width * times,
        height * times,
        image::imageops::FilterType::Nearest,
    )
}

/// Pictures beside each other, or below each other, with a gap.
pub fn beside(pictures: &[RgbImage], below: bool) -> RgbImage {
    const GAP: u32 = 4;
    let along = |p: &RgbImage| if below { p.height() } else { p.width() };
    let across = |p: &RgbImage| if below { p.width() } else { p.height() };
    let length = pictures.iter().map(|p| along(p) + GAP).sum::<u32>().saturating_sub(GAP);
    let breadth = pictures.iter().map(across).max().unwrap_or(0);
    let (width, height) = if below { (breadth, length) } else { (length, breadth) };
    let mut all = RgbImage::from_pixel(width.max(1), height.max(1), Rgb([255; 3]));
    let mut at = 0;
    for picture in pictures {
        let (x, y) = if below { (0, at) } else { (at, 0) };
        image::imageops::replace(&mut all, picture, x, y);
        at += i64::from(along(picture) + GAP);
    }
    all
}

/// Samples of a recording between -1 and 1.
fn samples(item: &Item) -> Vec<f32> {
    match item.format {
        Format::Pcm16 => {
            let pairs = item.bytes.as_chunks::<2>().0;
            pairs.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32768.0).collect()
        }
        _ => item.bytes.iter().map(|&byte| (f32::from(byte) - 128.0) / 128.0).collect(),
    }
}

/// Time to the right, frequency up to 8 kHz upwards, loudness of 80 dB as colour.
pub fn spectrogram(item: &Item) -> RgbImage {
    const WINDOW: usize = 256;
    const STEP: usize = 64;
    let samples = samples(item);
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    let (mut input, mut output) = (fft.make_input_vec(), fft.make_output_vec());
    let columns = samples.len().saturating_sub(WINDOW) / STEP + 1;
    let mut picture = RgbImage::new(columns as u32, WINDOW as u32 / 2);
    for column in 0..columns {
        for (i, value) in input.iter_mut().enumerate() {
            // Hann's window.
            let phase = std::f32::consts::TAU * i as f32 / WINDOW as f32;
            let sample = samples.get(column * STEP + i).copied().unwrap_or(0.0);
            *value = sample * (0.5 - 0.5 * phase.cos());
        }
        if fft.process(&mut input, &mut output).is_err() {
            break; // lengths are the plan's own
        }
        for (bin, value) in output[..WINDOW / 2].iter().enumerate() {
            let decibel = 20.0 * (value.norm() / WINDOW as f32).max(1e-9).log10();
            let y = (WINDOW / 2 - 1 - bin) as u32;
            picture.put_pixel(column as u32, y, heat((decibel + 90.0) / 80.0));
        }
    }
    picture
}

/// Black, violet, orange, yellow for 0 to 1.
fn heat(value: f32) -> Rgb<u8> {
    const STOPS: [[f32; 3]; 5] = [
        [0.0, 0.0, 4.0],
        [87.0, 16.0, 110.0],
        [188.0, 55.0, 84.0],
        [249.0, 142.0, 9.0],
        [252.0, 255.0, 164.0],
    ];
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (place as usize).min(STOPS.len() - 2);
    let part = place - low as f32;
    Rgb(std::array::from_fn(|i| (STOPS[low][i] * (1.0 - part) + STOPS[low + 1][i] * part) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_a_line_at_its_pitch() {
        // 2 kHz at 16 kHz: bin 32 of 256, so row 127 - 32 of 128.
        let tone =
            |i: usize| (128.0 + 100.0 * (i as f64 * std::f64::consts::TAU / 8.0).sin()) as u8;
        let picture =
            spectrogram(&Item { bytes: (0..4000).map(tone).collect(), format: Format::Pcm8 });
        let brightness = |y| picture.get_pixel(20, y).0.iter().map(|&v| u32::from(v)).sum::<u32>();
        let brightest = (0..128).max_by_key(|&y| brightness(y)).unwrap();
        assert_eq!(brightest, 127 - 32);
    }

    #[test]
    fn pictures_beside_each_other_keep_their_pixels() {
        let [a, b] = [10, 20].map(|v| RgbImage::from_pixel(3, 2, Rgb([v; 3])));
        let all = beside(&[a, b], false);
        assert_eq!(all.dimensions(), (10, 2));
        assert_eq!(
            [all.get_pixel(2, 1).0[0], all.get_pixel(5, 0).0[0], all.get_pixel(9, 1).0[0]],
            [10, 255, 20]
        );
    }
}
