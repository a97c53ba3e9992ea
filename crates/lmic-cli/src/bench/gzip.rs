//! `gzip -9`, with zlib itself.

use std::io::{Read, Write};

use anyhow::Result;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::Codec;

/// gzip at its strongest.
#[derive(Debug)]
pub struct Gzip;

impl Codec for Gzip {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(raw)?;
        Ok(encoder.finish()?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(raw_len);
        GzDecoder::new(coded).read_to_end(&mut raw)?;
        Ok(raw)
    }
}
