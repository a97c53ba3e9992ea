//! Short records, each alone: lmic with a primed state beside zstd with a trained dictionary, both learned from the
//! same samples.

use std::sync::Arc;

use anyhow::{Context, Result};
use lmic::records::{Primed, RecordCodec};

use super::Codec;

/// The record codec, without checks.
pub struct Records(RecordCodec);

impl Records {
    pub fn new(primed: Arc<Primed>) -> Self {
        Self(RecordCodec::new(primed))
    }
}

impl Codec for Records {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.compress(raw))
    }

    fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
        Ok(self.0.decompress(coded)?)
    }
}

/// What `zstd --train` makes of samples.
pub fn dictionary(samples: &[Vec<u8>]) -> Result<Vec<u8>> {
    lmic_baselines::Dictionary::train(samples).with_context(|| {
        let count = samples.len();
        format!("zstd makes no dictionary of so little, {count} samples (give more)")
    })
}
