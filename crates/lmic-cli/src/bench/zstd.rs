//! `zstd --ultra -22`, with a window as long as the input and the checksum that the program writes.

use anyhow::Result;
use zstd::bulk::{Compressor, Decompressor};

use super::Codec;

/// zstd at its strongest.
pub struct Zstd {
    encoder: Compressor<'static>,
    decoder: Decompressor<'static>,
}

/// Level 22 has a window of 128 MiB on its own; longer inputs get up to 2 GiB, as `--long=31` would.
const LEVEL_WINDOW_LOG: u32 = 27;
const MAX_WINDOW_LOG: u32 = 31;

impl Zstd {
    pub fn new(threads: usize) -> Result<Self> {
        let mut encoder = Compressor::new(22)?;
        encoder.include_checksum(true)?;
        if threads > 1 {
            encoder.multithread(u32::try_from(threads)?)?;
        }
        let mut decoder = Decompressor::new()?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        Ok(Self { encoder, decoder })
    }
}

impl Codec for Zstd {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        if raw.len() >> LEVEL_WINDOW_LOG > 0 {
            self.encoder.long_distance_matching(true)?;
            self.encoder.window_log((raw.len().ilog2() + 1).min(MAX_WINDOW_LOG))?;
        }
        Ok(self.encoder.compress(raw)?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        Ok(self.decoder.decompress(coded, raw_len)?)
    }
}
