//! `xz -9e`: liblzma with a dictionary of 64 MiB and the check that the program writes.

use std::io::{Read, Write};

use anyhow::Result;
use liblzma::read::XzDecoder;
use liblzma::stream::{Check, MtStreamBuilder, PRESET_EXTREME, Stream};
use liblzma::write::XzEncoder;

use super::Codec;

/// xz at its strongest.
#[derive(Debug)]
pub struct Xz {
    pub threads: usize,
}

const PRESET: u32 = 9 | PRESET_EXTREME;

impl Xz {
    fn stream(&self) -> Result<Stream> {
        if self.threads == 1 {
            return Ok(Stream::new_easy_encoder(PRESET, Check::Crc64)?);
        }
        let threads = u32::try_from(self.threads)?;
        Ok(MtStreamBuilder::new().preset(PRESET).check(Check::Crc64).threads(threads).encoder()?)
    }
}

impl Codec for Xz {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = XzEncoder::new_stream(Vec::new(), self.stream()?);
        encoder.write_all(raw)?;
        Ok(encoder.finish()?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(raw_len);
        XzDecoder::new(coded).read_to_end(&mut raw)?;
        Ok(raw)
    }
}
