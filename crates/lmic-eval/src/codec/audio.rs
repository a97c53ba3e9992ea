//! FLAC. Bytes that are no samples are taken as unsigned 8-bit ones, as the paper does.

use std::io::Cursor;

use anyhow::{Context, Result, anyhow};
use flacenc::component::BitRepr;
use flacenc::error::Verify;

use super::Codec;
use crate::item::{Format, Item, Told};

/// FLAC at 16 kHz, one channel.
pub struct Flac;

/// Least samples of a frame that the encoder makes; shorter items are filled up and cut off again.
const MIN_BLOCK: usize = 32;
const MAX_BLOCK: usize = 4096;
const SAMPLE_RATE: usize = 16_000;

impl Codec for Flac {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let (mut samples, bits) = samples(item);
        let len = samples.len().max(MIN_BLOCK);
        samples.resize(len, samples.last().copied().unwrap_or(0));
        let mut config = flacenc::config::Encoder::default();
        config.multithread = false;
        config.block_size = len.min(MAX_BLOCK);
        config.subframe_coding.qlpc.lpc_order = 12;
        let config = config.into_verified().map_err(|(_, e)| anyhow!("FLAC encoder: {e}"))?;
        let source = flacenc::source::MemSource::from_samples(&samples, 1, bits, SAMPLE_RATE);
        let stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
            .map_err(|e| anyhow!("FLAC encoder: {e}"))?;
        let mut sink = flacenc::bitsink::ByteSink::new();
        stream.write(&mut sink).map_err(|e| anyhow!("FLAC encoder: {e:?}"))?;
        Ok(sink.as_slice().to_vec())
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let mut reader = claxon::FlacReader::new(Cursor::new(coded)).context("FLAC decoder")?;
        let mut raw = Vec::with_capacity(told.len);
        for sample in reader.samples() {
            let sample = sample.context("FLAC decoder")?;
            match told.format {
                Format::Pcm16 => raw.extend_from_slice(&(sample as i16).to_le_bytes()),
                _ => raw.push((sample + 128) as u8),
            }
        }
        raw.truncate(told.len);
        Ok(raw)
    }

    fn version(&self) -> String {
        "flacenc, order up to 12".into()
    }
}

/// The samples of an item, and their bits.
fn samples(item: &Item) -> (Vec<i32>, usize) {
    match item.format {
        Format::Pcm16 => {
            let pairs = item.bytes.as_chunks::<2>().0;
            (pairs.iter().map(|&pair| i16::from_le_bytes(pair).into()).collect(), 16)
        }
        _ => (item.bytes.iter().map(|&byte| i32::from(byte) - 128).collect(), 8),
    }
}
