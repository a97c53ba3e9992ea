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
        let options = EncodeOptions { level, threads, memory_limit: None, ..Default::default() };
        Ok(lmic::compress_with(raw, &options)?)
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        let options = DecodeOptions { threads: self.threads, memory_limit: None };
        Ok(lmic::decompress_with(coded, &options)?)
    }
}
