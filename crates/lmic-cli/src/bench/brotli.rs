//! `brotli -q 11 --large_window`: a window as long as the input.

use std::io::Read;

use anyhow::Result;
use brotli::enc::BrotliEncoderParams;

use super::Codec;

/// brotli at its strongest.
#[derive(Debug)]
pub struct Brotli;

const BUFFER_LEN: usize = 64 << 10;

/// Windows of the original format are 2^16 to 2^24 bytes here; above they are "large", up to 2^30.
const MIN_WINDOW_LOG: u32 = 16;
const MAX_PLAIN_WINDOW_LOG: u32 = 24;
const MAX_WINDOW_LOG: u32 = 30;

/// Bytes of a window that cannot be used.
const WINDOW_GAP: usize = 16;

fn params(len: usize) -> BrotliEncoderParams {
    let window_log = ((len + WINDOW_GAP).ilog2() + 1).clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG);
    BrotliEncoderParams {
        quality: 11,
        lgwin: window_log as i32,
        large_window: window_log > MAX_PLAIN_WINDOW_LOG,
        size_hint: len,
        ..Default::default()
    }
}

impl Codec for Brotli {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut coded = Vec::new();
        brotli::BrotliCompress(&mut &raw[..], &mut coded, &params(raw.len()))?;
        Ok(coded)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(raw_len);
        brotli::Decompressor::new(coded, BUFFER_LEN).read_to_end(&mut raw)?;
        Ok(raw)
    }
}
