//! Short records, each alone: lmic with a primed state beside zstd with a trained dictionary, both learned from the
//! same samples.

use std::sync::Arc;

use anyhow::{Context, Result};
use lmic::records::{Primed, RecordCodec};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, DParameter, FrameFormat};

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

/// zstd with a dictionary, its frames without all that they can do without: magic number, sizes, checksum and the
/// dictionary's number. The length of a record is given to the decoder, which costs nothing here.
pub struct Dictionary {
    encoder: Compressor<'static>,
    decoder: Decompressor<'static>,
}

/// What `zstd --train` makes unless told otherwise: 110 KiB.
pub const DICTIONARY_LEN: usize = 110 << 10;
const LEVEL: i32 = 19;

impl Dictionary {
    /// A dictionary of at most [`DICTIONARY_LEN`] bytes, as `zstd --train` makes.
    pub fn train(samples: &[Vec<u8>]) -> Result<Vec<u8>> {
        zstd::dict::from_samples(samples, DICTIONARY_LEN).with_context(|| {
            let count = samples.len();
            format!("zstd makes no dictionary of so little, {count} samples (give more)")
        })
    }

    pub fn new(dictionary: &[u8]) -> Result<Self> {
        // Both digest the dictionary once, with the first record.
        let mut encoder = Compressor::with_dictionary(LEVEL, dictionary)?;
        encoder.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
        encoder.include_contentsize(false)?;
        encoder.include_dictid(false)?;
        encoder.include_checksum(false)?;
        let mut decoder = Decompressor::with_dictionary(dictionary)?;
        decoder.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
        Ok(Self { encoder, decoder })
    }
}

impl Codec for Dictionary {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        Ok(self.encoder.compress(raw)?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        Ok(self.decoder.decompress(coded, raw_len)?)
    }
}
