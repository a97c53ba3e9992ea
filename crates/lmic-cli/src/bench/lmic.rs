//! lmic itself, through the same calls as everyone else's programs.

use anyhow::Result;
use lmic::{DecodeOptions, EncodeOptions};

use super::Codec;

/// One preset.
#[derive(Debug)]
pub struct Lmic {
    pub level: u8,
    pub threads: usize,
}

impl Codec for Lmic {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let (level, threads) = (self.level, self.threads);
        Ok(lmic::compress_with(raw, &EncodeOptions { level, threads, ..Default::default() })?)
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        let threads = self.threads;
        Ok(lmic::decompress_with(coded, &DecodeOptions { threads, ..Default::default() })?)
    }
}
