//! A compressor as a predictor: `p(b) ~ 2^-(len(x b) - len(x))`.

use lmic::predict::Predictor;
use rayon::prelude::*;

use crate::codec::Codec;
use crate::item::{Format, Item};

/// Bytes of the past that are coded with each continuation: 256 codes a byte are slow enough.
const CONTEXT: usize = 1024;

/// The predictor that a codec is.
pub struct CodeLengths<'a> {
    codec: &'a dyn Codec,
    format: Format,
    past: Vec<u8>,
    error: Option<String>,
}

impl<'a> CodeLengths<'a> {
    /// One that has seen nothing.
    pub fn new(codec: &'a dyn Codec, format: Format) -> Self {
        Self { codec, format, past: Vec::new(), error: None }
    }

    /// What went wrong first, as a predictor cannot say it.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Where the context begins: at a row or a sample of the past.
    fn start(&self) -> usize {
        let step = match self.format {
            Format::Gray { row } => row as usize,
            Format::Pcm16 => 2,
            _ => 1,
        };
        self.past.len().saturating_sub(CONTEXT).next_multiple_of(step).min(self.past.len())
    }

    fn bits(&self, byte: u8) -> Result<f64, String> {
        let mut bytes = self.past[self.start()..].to_vec();
        bytes.push(byte);
        if matches!(self.format, Format::Pcm16) && bytes.len() % 2 == 1 {
            bytes.push(bytes.len().checked_sub(2).map_or(0, |at| bytes[at])); // the other half of a sample
        }
        let coded = self.codec.encode(&Item { bytes, format: self.format });
        coded.map(|code| 8.0 * code.len() as f64).map_err(|e| format!("{e:#}"))
    }
}

impl Predictor for CodeLengths<'_> {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        let bits: Result<Vec<f64>, String> =
            (0..=255u8).into_par_iter().map(|b| self.bits(b)).collect();
        let bits = bits.unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            vec![0.0; 256]
        });
        let least = bits.iter().copied().fold(f64::INFINITY, f64::min);
        for (p, bits) in probs.iter_mut().zip(bits) {
            *p = (least - bits).exp2() as f32;
        }
    }

    fn update(&mut self, byte: u8) {
        self.past.push(byte);
    }
}
