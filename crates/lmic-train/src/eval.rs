//! Bits per byte and logits of a finished model, in the trainer's arithmetic: estimates, never code.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::Device;

use crate::data::spread;
use crate::export::model_folder;
use crate::network::VOCABULARY;
use crate::parallel::Runs;
use crate::{recurrent, transformer};

/// An estimate over some data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Sum of `-log2 p`.
    pub bits: f64,
    /// Bytes predicted.
    pub bytes: u64,
    /// Windows, each predicted alone.
    pub windows: usize,
}

impl Estimate {
    /// Bits per byte.
    pub fn bits_per_byte(&self) -> f64 {
        self.bits / self.bytes as f64
    }
}

/// Predicts `data` in windows of the model's context, each alone; with `limit`, that many of them at even
/// distances. The last window may be shorter.
///
/// # Errors
/// `data` is empty.
pub fn estimate(model: &transformer::Model, data: &[u8], limit: Option<usize>) -> Result<Estimate> {
    ensure!(!data.is_empty(), "no data to predict");
    let windows: Vec<&[u8]> = data.chunks(model.config.context).collect();
    let chosen: Vec<&[u8]> = spread(&windows, limit.unwrap_or(windows.len())).copied().collect();
    // Windows of one length are computed together.
    let whole = chosen.partition_point(|w| w.len() == model.config.context);
    let bits = [&chosen[..whole], &chosen[whole..]].into_iter().map(|part| model.bits(part)).sum();
    let bytes = chosen.iter().map(|w| w.len() as u64).sum();
    Ok(Estimate { bits, bytes, windows: chosen.len() })
}

/// Bytes of a piece, which a recurrent model predicts alone.
const PIECE: usize = 64 << 10;

/// Predicts `data` in pieces of 64 KiB, each a stream of its own; with `limit`, that many of them at even distances.
///
/// # Errors
/// `data` is empty.
pub fn estimate_recurrent(
    model: &recurrent::Model,
    data: &[u8],
    limit: Option<usize>,
) -> Result<Estimate> {
    ensure!(!data.is_empty(), "no data to predict");
    let pieces: Vec<&[u8]> = data.chunks(PIECE).collect();
    let chosen: Vec<&[u8]> = spread(&pieces, limit.unwrap_or(pieces.len())).copied().collect();
    let bytes = chosen.iter().map(|piece| piece.len() as u64).sum();
    Ok(Estimate { bits: model.bits(&chosen, false), bytes, windows: chosen.len() })
}

/// Logits of the model in `folder` for one window: row `i` predicts byte `i` of `bytes` from the bytes before
/// it and the start symbol. For comparing engines; computed on the CPU.
///
/// # Errors
/// The model can't be read; `bytes` is empty or longer than its context.
pub fn forward_logits(folder: &Path, bytes: &[u8]) -> Result<Vec<[f32; VOCABULARY]>> {
    let model = transformer::load(&model_folder(folder), &Device::flex(), Runs::cpu(1))?;
    let context = model.config.context;
    ensure!(
        (1..=context).contains(&bytes.len()),
        "{} bytes, allowed 1 to {context}, the context",
        bytes.len()
    );
    Ok(model.logits(bytes))
}
