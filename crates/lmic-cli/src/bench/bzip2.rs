//! `bzip2 -9`: blocks of 900 KB.

use std::io::{Read, Write};

use anyhow::Result;
use bzip2::{Compression, read::BzDecoder, write::BzEncoder};

use super::Codec;

/// bzip2 at its strongest.
#[derive(Debug)]
pub struct Bzip2;

impl Codec for Bzip2 {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(raw)?;
        Ok(encoder.finish()?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(raw_len);
        BzDecoder::new(coded).read_to_end(&mut raw)?;
        Ok(raw)
    }
}
