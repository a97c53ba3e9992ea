//! Codecs for grey images. Other bytes are taken as rows of 64 samples; a last row that is not full is filled up with its
//! last sample and cut off again.

use std::io::Cursor;

use anyhow::{Context, Result, anyhow, ensure};
use zune_jpegxl::JxlSimpleEncoder;

use super::Codec;
use crate::item::{Format, Item, Told};

/// Samples in full rows.
struct Rows {
    samples: Vec<u8>,
    width: u32,
    height: u32,
}

impl Rows {
    fn new(bytes: &[u8], width: u32) -> Self {
        Self::at_least(1, bytes, width)
    }

    fn at_least(least: usize, bytes: &[u8], width: u32) -> Self {
        let width = width.max(1);
        let height = bytes.len().div_ceil(width as usize).max(least);
        let mut samples = bytes.to_vec();
        samples.resize(height * width as usize, bytes.last().copied().unwrap_or(0));
        Self { samples, width, height: height as u32 }
    }
}

/// The samples of an image of any format that there is a decoder for, in the form that the item had.
pub fn decode(coded: &[u8], told: Told) -> Result<Vec<u8>> {
    let is_colour = matches!(told.format, Format::Rgb { .. });
    if coded.starts_with(b"RIFF") {
        let image = webp::Decoder::new(coded).decode().context("libwebp cannot decode")?;
        let step = usize::from(image.layout().bytes_per_pixel());
        let kept = if is_colour { 3 } else { 1 };
        return cut(image.chunks_exact(step).flat_map(|p| &p[..kept]).copied().collect(), told);
    }
    let image = image::load_from_memory(coded)?;
    cut(if is_colour { image.into_rgb8().into_raw() } else { image.into_luma8().into_raw() }, told)
}

fn cut(mut samples: Vec<u8>, told: Told) -> Result<Vec<u8>> {
    ensure!(samples.len() >= told.len, "only {} samples came back", samples.len());
    samples.truncate(told.len);
    Ok(samples)
}

/// PNG, 8-bit grey, with filters chosen row by row.
pub struct Png {
    /// Samples of a row; 0 is as the item has them. The paper's program hands patches of 32 rows of 64 to its encoder as 64 rows
    /// of 32: `width=32`.
    pub width: u32,
    /// The quick setting.
    pub fast: bool,
}

impl Codec for Png {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let width = if self.width == 0 { item.format.row() } else { self.width };
        let rows = Rows::new(&item.bytes, width);
        let filters = [png::Filter::Adaptive, png::Filter::NoFilter];
        let coded = filters.map(|filter| self.encode_with(&rows, filter));
        let [adaptive, plain] = coded;
        let (adaptive, plain) = (adaptive?, plain?);
        Ok(if plain.len() < adaptive.len() { plain } else { adaptive })
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let mut reader = png::Decoder::new(Cursor::new(coded)).read_info()?;
        let mut samples = vec![0; reader.output_buffer_size().context("a PNG of no size")?];
        reader.next_frame(&mut samples)?;
        cut(samples, told)
    }

    fn version(&self) -> String {
        "png crate, the better of adaptive filters and none".into()
    }
}

impl Png {
    fn encode_with(&self, rows: &Rows, filter: png::Filter) -> Result<Vec<u8>> {
        let mut coded = Vec::new();
        let mut encoder = png::Encoder::new(&mut coded, rows.width, rows.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let strength = if self.fast { png::Compression::Fast } else { png::Compression::High };
        encoder.set_compression(strength);
        encoder.set_filter(filter);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rows.samples)?;
        writer.finish()?;
        Ok(coded)
    }
}

/// Largest side of a WebP image.
const WEBP_SIDE: usize = 16383;

/// Rows as they are, or so many of them in one that the image is not too high.
fn webp_row(len: usize, row: u32) -> u32 {
    let row = row.max(1);
    let together = len.div_ceil(row as usize).div_ceil(WEBP_SIDE).max(1);
    row * together as u32
}

/// WebP, lossless, at its strongest.
pub struct Webp;

impl Codec for Webp {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let rows = Rows::new(&item.bytes, webp_row(item.bytes.len(), item.format.row()));
        let rgb: Vec<u8> = rows.samples.iter().flat_map(|&sample| [sample; 3]).collect();
        let mut config =
            webp::WebPConfig::new().map_err(|()| anyhow!("libwebp of another version"))?;
        config.lossless = 1;
        config.quality = 100.0;
        config.method = 6;
        let encoder = webp::Encoder::from_rgb(&rgb, rows.width, rows.height);
        let coded = encoder.encode_advanced(&config).map_err(|e| anyhow!("libwebp: {e:?}"))?;
        Ok(coded.to_vec())
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let image = webp::Decoder::new(coded).decode().context("libwebp cannot decode")?;
        let step = usize::from(image.layout().bytes_per_pixel());
        cut(image.iter().step_by(step).copied().collect(), told)
    }

    fn version(&self) -> String {
        "libwebp, -z 9".into()
    }
}

/// JPEG XL, lossless, by the quick encoder: the strong one is C++ and is reached as `cmd: cjxl ...`.
pub struct Jxl;

impl Codec for Jxl {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        use zune_core::bit_depth::BitDepth;
        use zune_core::colorspace::ColorSpace;
        use zune_core::options::EncoderOptions;
        let rows = Rows::at_least(2, &item.bytes, item.format.row()); // the encoder's least
        let (width, height) = (rows.width as usize, rows.height as usize);
        let options = EncoderOptions::new(width, height, ColorSpace::Luma, BitDepth::Eight)
            .set_num_threads(1)
            .set_effort(127);
        let mut coded = Vec::new();
        JxlSimpleEncoder::new(&rows.samples, options)
            .encode(&mut coded)
            .map_err(|e| anyhow!("JPEG XL encoder: {e:?}"))?;
        Ok(coded)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let image = jxl_oxide::JxlImage::builder()
            .pool(jxl_oxide::JxlThreadPool::none())
            .read(coded)
            .map_err(|e| anyhow!("JPEG XL decoder: {e}"))?;
        let frame = image.render_frame(0).map_err(|e| anyhow!("JPEG XL decoder: {e}"))?;
        let plane = frame.image_all_channels();
        let channels = plane.channels();
        let samples = plane.buf().iter().step_by(channels).map(|&v| (v * 255.0).round() as u8);
        cut(samples.collect(), told)
    }

    fn version(&self) -> String {
        "zune-jpegxl".into()
    }
}
