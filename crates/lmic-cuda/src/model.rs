//! A network in the GPU's memory, as `kernels/recurrent.cu` wants it.

use std::sync::Arc;

use lmic::nn::{Integers, Recurrent, RecurrentConfig, RecurrentParts};

use crate::driver::{Device, Memory, Result};
use crate::plan::Plan;

/// Bytes of `Row` of the kernel.
pub const ROW: usize = 40;

/// Inputs are padded with zeros to whole steps of two reads.
const STEP: usize = 64;

/// Words of `Model` of the kernel.
pub const MODEL_WORDS: usize = 8 + 2 + 2 * PRODUCT_WORDS + 2;
const PRODUCT_WORDS: usize = 4;

/// A network on a GPU.
#[derive(Debug)]
pub struct Model {
    /// The kernel's parameter.
    pub words: [u64; MODEL_WORDS],
    pub plan: Plan,
    /// Bytes of a stream's state.
    pub state_bytes: usize,
    /// What the words point to.
    _memory: Vec<Memory>,
}

/// Collects what goes to the GPU.
struct Loader<'a> {
    device: &'a Arc<Device>,
    memory: Vec<Memory>,
}

impl Model {
    /// Copies a network to a GPU; `None` for a model of f32.
    ///
    /// # Errors
    /// If the GPU has too little memory.
    pub fn load(device: &Arc<Device>, network: &Recurrent) -> Result<Option<Self>> {
        let Some(parts) = network.parts() else { return Ok(None) };
        let c = network.config();
        let mut loader = Loader { device, memory: Vec::new() };
        let words = loader.model(c, &parts)?;
        Ok(Some(Self {
            words,
            plan: Plan::new(c),
            state_bytes: state_bytes(c),
            _memory: loader.memory,
        }))
    }
}

/// Inputs of a product with zeros behind them.
pub fn padded(k: usize) -> usize {
    k.next_multiple_of(STEP)
}

/// Bytes of a stream's state.
pub fn state_bytes(c: &RecurrentConfig) -> usize {
    4 * c.layers * c.state_size
}

impl Loader<'_> {
    fn put<T: crate::driver::Plain>(&mut self, content: &[T]) -> Result<u64> {
        let memory = Memory::of(self.device, content)?;
        let address = memory.address();
        self.memory.push(memory);
        Ok(address)
    }

    /// `Product` of the kernel.
    fn product(&mut self, matrix: &Integers) -> Result<[u64; PRODUCT_WORDS]> {
        let weights = self.put(&tiles(matrix))?;
        let scales = self.put(&matrix.scales)?;
        let steps = 2 * matrix.cols.div_ceil(STEP);
        Ok([weights, scales, matrix.scales.len() as u64, steps as u64])
    }

    /// The product of rows for contexts before a layer; zeros for none.
    fn rows(&mut self, parts: &RecurrentParts<'_>, layer: usize) -> Result<[u64; PRODUCT_WORDS]> {
        match parts.proj.iter().find(|(before, _)| *before == layer) {
            Some((_, matrix)) => self.product(matrix),
            None => Ok([0; PRODUCT_WORDS]),
        }
    }

    fn model(
        &mut self,
        c: &RecurrentConfig,
        parts: &RecurrentParts<'_>,
    ) -> Result<[u64; MODEL_WORDS]> {
        let mut layers = Vec::new();
        for (i, layer) in parts.layers.iter().enumerate() {
            layers.push(self.put(&layer.mixer_norm)?);
            layers.push(self.put(&layer.bias)?);
            layers.push(self.put(&layer.mlp_norm)?);
            for matrix in [&layer.in_proj, &layer.out_proj, &layer.gate_up, &layer.down] {
                layers.extend(self.product(matrix)?);
            }
            layers.extend(self.rows(parts, i)?);
        }
        let mut kinds = Vec::new();
        if let Some(ngrams) = &c.ngrams {
            for ((&order, &bits), rows) in ngrams.orders.iter().zip(&ngrams.bits).zip(parts.rows) {
                kinds.extend([order as u64, bits as u64, self.put(rows.bytes())?]);
            }
        }
        let (size, width) = c.ngrams.as_ref().map_or((0, 0), |n| (n.size, n.width()));
        let shape = [c.hidden_size, c.state_size, c.intermediate_size, c.layers, c.taps];
        let mut words: Vec<u64> = shape.map(|n| n as u64).into();
        words.extend([kinds.len() / 3, size, width].map(|n| n as u64));
        words.push(self.put(&parts.embed.concat())?);
        words.push(self.put(parts.norm)?);
        words.extend(self.product(&parts.head)?);
        words.extend(self.rows(parts, c.layers)?);
        words.push(self.put(&layers)?);
        words.push(self.put(&kinds)?);
        Ok(words.try_into().expect("as many words"))
    }
}

/// Weights in the order in which lanes of a warp want them for `mma.m16n8k32`: by tiles of 16 outputs, steps of 32 inputs, and
/// lanes, of which each has 16 bytes: of outputs `lane / 4` and 8 more four inputs from `4 (lane % 4)`, then of both four from 16
/// more. Inputs past the end are zeros.
fn tiles(matrix: &Integers) -> Vec<i8> {
    let (n, k) = (matrix.scales.len(), matrix.cols);
    let steps = 2 * k.div_ceil(STEP);
    let mut tiles = vec![0; n * steps * 32];
    for (output, row) in matrix.data.chunks_exact(k).enumerate() {
        for (four, weights) in row.chunks_exact(4).enumerate() {
            let (step, within) = (four / 8, four % 8);
            let lane = output % 8 * 4 + within % 4;
            let place = output % 16 / 8 + within / 4 * 2;
            let at = ((output / 16 * steps + step) * 32 + lane) * 16 + place * 4;
            tiles[at..at + 4].copy_from_slice(weights);
        }
    }
    tiles
}
