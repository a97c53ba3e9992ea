//! lmic itself, through the same calls as everyone else's programs.

use std::sync::Arc;

use anyhow::Result;
use lmic::codec::Models;
use lmic::nn::{Transformer, Windows};
use lmic::{DecodeOptions, EncodeOptions};

use super::Codec;

/// One preset, or a transformer.
#[derive(Debug)]
pub struct Lmic {
    pub level: u8,
    pub threads: usize,
    pub neural: Option<(Arc<Transformer>, Windows)>,
}

impl Codec for Lmic {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let (level, threads) = (self.level, self.threads);
        let (model, windows) = self.neural.clone().unzip();
        let options = EncodeOptions {
            level,
            threads,
            memory_limit: None,
            model,
            windows,
            ..Default::default()
        };
        Ok(lmic::compress_with(raw, &options)?)
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        let models = self.neural.iter().map(|(model, _)| Arc::clone(model)).collect();
        let options =
            DecodeOptions { threads: self.threads, memory_limit: None, models: Models::of(models) };
        Ok(lmic::decompress_with(coded, &options)?)
    }
}
