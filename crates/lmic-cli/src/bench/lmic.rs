//! lmic itself, through the same calls as everyone else's programs.

use std::sync::Arc;

use anyhow::Result;
use lmic::nn::{Network, Windows};
use lmic::records::Primed;
use lmic::{DecodeOptions, EncodeOptions};

use super::Codec;
use crate::models::finder;

/// A network and how it is used.
#[derive(Debug, Clone)]
pub struct Neural {
    pub network: Network,
    pub windows: Windows,
    pub alone: bool,
}

/// A primed state, and what archives call it.
#[derive(Debug)]
pub struct OfPrimed {
    pub name: String,
    pub primed: Arc<Primed>,
    pub level: u8,
    pub threads: usize,
}

impl Codec for OfPrimed {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let options = EncodeOptions {
            level: self.level,
            primed: Some((self.name.clone(), Arc::clone(&self.primed))),
            threads: self.threads,
            memory_limit: None,
            models: finder().at_hand(None, None),
            ..Default::default()
        };
        Ok(lmic::compress_with(raw, &options)?)
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        let primed = Arc::clone(&self.primed);
        let models = finder().at_hand(None, Some(primed));
        let options = DecodeOptions { threads: self.threads, memory_limit: None, models };
        Ok(lmic::decompress_with(coded, &options)?)
    }
}

/// One preset, or a network.
#[derive(Debug)]
pub struct Lmic {
    pub level: u8,
    pub threads: usize,
    pub neural: Option<Neural>,
}

impl Codec for Lmic {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let (level, threads) = (self.level, self.threads);
        let neural = self.neural.clone();
        let alone = neural.as_ref().is_some_and(|neural| neural.alone);
        let windows = neural.as_ref().map(|neural| neural.windows);
        let model = neural.map(|neural| neural.network);
        let options = EncodeOptions {
            level,
            threads,
            memory_limit: None,
            model,
            alone,
            windows,
            models: finder().at_hand(None, None),
            ..Default::default()
        };
        Ok(lmic::compress_with(raw, &options)?)
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        let network = self.neural.as_ref().map(|neural| neural.network.clone());
        let models = finder().at_hand(network, None);
        let options = DecodeOptions { threads: self.threads, memory_limit: None, models };
        Ok(lmic::decompress_with(coded, &options)?)
    }
}
