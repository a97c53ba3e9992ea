//! Codecs for bytes of any kind.

use std::io::{Read, Write};

use anyhow::{Result, ensure};

use super::Codec;
use crate::item::{Item, Told};

/// Deflate with the gzip header.
pub struct Gzip {
    /// 1 to 9.
    pub level: u32,
}

impl Codec for Gzip {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        ensure!((1..=9).contains(&self.level), "gzip: levels are 1 to 9");
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(self.level));
        encoder.write_all(&item.bytes)?;
        Ok(encoder.finish()?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        read(flate2::read::GzDecoder::new(coded), told)
    }

    fn version(&self) -> String {
        "zlib".into()
    }
}

/// LZMA2 in the xz container. The paper's program is at preset 6.
pub struct Xz {
    /// 0 to 9.
    pub preset: u32,
    /// The slower variant of the preset.
    pub extreme: bool,
}

impl Codec for Xz {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        ensure!(self.preset <= 9, "xz: presets are 0 to 9");
        let extreme = if self.extreme { liblzma::stream::PRESET_EXTREME } else { 0 };
        let stream = liblzma::stream::Stream::new_easy_encoder(
            self.preset | extreme,
            liblzma::stream::Check::Crc32,
        )?;
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&item.bytes)?;
        Ok(encoder.finish()?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        read(liblzma::read::XzDecoder::new(coded), told)
    }

    fn version(&self) -> String {
        "liblzma, CRC32".into()
    }
}

/// Zstandard.
pub struct Zstd {
    /// 1 to 22.
    pub level: i32,
}

impl Codec for Zstd {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(zstd::bulk::compress(&item.bytes, self.level)?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        Ok(zstd::bulk::decompress(coded, told.len)?)
    }

    fn version(&self) -> String {
        "libzstd".into()
    }
}

/// Brotli with the largest window of the standard.
pub struct Brotli {
    /// 0 to 11.
    pub quality: u32,
}

impl Codec for Brotli {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        const BUFFER: usize = 4096;
        const WINDOW_BITS: u32 = 24;
        let mut coded = Vec::new();
        let mut writer =
            brotli::CompressorWriter::new(&mut coded, BUFFER, self.quality, WINDOW_BITS);
        writer.write_all(&item.bytes)?;
        drop(writer);
        Ok(coded)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        read(brotli::Decompressor::new(coded, 4096), told)
    }

    fn version(&self) -> String {
        "brotli in Rust".into()
    }
}

/// bzip2 with blocks of 900 KB.
pub struct Bzip2;

impl Codec for Bzip2 {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(&item.bytes)?;
        Ok(encoder.finish()?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        read(bzip2::read::BzDecoder::new(coded), told)
    }

    fn version(&self) -> String {
        "libbzip2".into()
    }
}

/// All that a decoder gives, and one byte more than expected at most.
fn read(decoder: impl Read, told: Told) -> Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(told.len);
    decoder.take(told.len as u64 + 1).read_to_end(&mut raw)?;
    Ok(raw)
}
