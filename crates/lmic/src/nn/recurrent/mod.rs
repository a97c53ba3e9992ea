//! Recurrent networks of bytes. All that they remember of a stream is a vector of state in each layer, which gates change.
//!
//! ```text
//! file -> RecurrentWeights -> Recurrent -> (RecurrentState per stream) -> weights of the 256 bytes
//! ```
//!
//! The recurrence is a minimal gated unit (Feng et al., *Were RNNs All We Needed?*, 2024) with an output gate. In each layer the
//! products of all rows of a call are computed together, and then the recurrence goes through the rows of each stream in
//! order, so that the bits depend on neither the shape of a call nor the CPU (see `simd`). docs/format/recurrent.md has the formulas.

mod config;
mod ngrams;
mod weights;

#[cfg(test)]
mod tests;

use std::fmt;

use config::MAX_TAPS;
pub use config::{NgramConfig, RecurrentConfig};
pub(crate) use ngrams::LIBRARY_ROWS;
pub use ngrams::{NgramContexts, NgramRows, Ngrams};
use ngrams::{Place, SCALE, Word};
use weights::OUTPUTS;
pub use weights::{RecurrentLayer, RecurrentWeights};

use super::engine::{Engine, Feed, Streams};
use super::transformer::floats;
use super::{Matrix, Precision, START_SYMBOL};
use crate::error::Result;
use crate::simd::{Aligned, Level, Linear, PackedF32, Rounded};

/// What a norm adds to the mean square.
const EPSILON: f32 = 1e-5;

/// A recurrent network, packed for this CPU. Threads share it; what changes from byte to byte is in a [`RecurrentState`] for each
/// stream and a [`RecurrentWorkspace`] for each thread.
pub struct Recurrent {
    config: RecurrentConfig,
    name: String,
    identity: [u8; 32],
    precision: Precision,
    level: Level,
    embed: Vec<Vec<f32>>, // (taps) of (257, hidden)
    ngrams: Option<PackedNgrams>,
    layers: Vec<PackedLayer>,
    norm: Vec<f32>,
    head: Product, // (256, hidden)
}

struct PackedLayer {
    mixer_norm: Vec<f32>,
    in_proj: Product,  // (3 state, hidden)
    bias: Vec<f32>,    // (state)
    out_proj: Product, // (hidden, state)
    mlp_norm: Vec<f32>,
    gate_up: Product, // (2 intermediate, hidden)
    down: Product,    // (hidden, intermediate)
}

struct PackedNgrams {
    ngrams: Ngrams,
    /// Before which layer each product is added: (hidden, kinds * size).
    proj: Vec<(usize, Product)>,
}

/// The numbers of an int8 model, for engines of other crates.
#[derive(Debug)]
pub struct RecurrentParts<'a> {
    /// Embeddings of the last symbol, of the one before it, and so on: each (257, hidden_size).
    pub embed: &'a [Vec<f32>],
    /// Rows for contexts, of each kind; none if the model has none.
    pub rows: &'a [NgramRows],
    /// Before which layer each product of the rows is added: (hidden_size, kinds * size).
    pub proj: Vec<(usize, Integers)>,
    /// The layers in order.
    pub layers: Vec<LayerParts>,
    /// Weights of the last norm, (hidden_size).
    pub norm: &'a [f32],
    /// (256, hidden_size).
    pub head: Integers,
}

/// One layer of [`RecurrentParts`], as in [`RecurrentLayer`].
#[derive(Debug)]
pub struct LayerParts {
    /// (hidden_size).
    pub mixer_norm: Vec<f32>,
    /// (3 state_size, hidden_size).
    pub in_proj: Integers,
    /// (state_size).
    pub bias: Vec<f32>,
    /// (hidden_size, state_size).
    pub out_proj: Integers,
    /// (hidden_size).
    pub mlp_norm: Vec<f32>,
    /// Gates, then what they gate: (2 intermediate_size, hidden_size).
    pub gate_up: Integers,
    /// (hidden_size, intermediate_size).
    pub down: Integers,
}

/// A matrix of integers of at most 63.
#[derive(Debug)]
pub struct Integers {
    /// Row after row.
    pub data: Vec<i8>,
    /// Inputs: numbers of a row.
    pub cols: usize,
    /// A scale for each row.
    pub scales: Vec<f32>,
}

/// A matrix in the form of its kernel.
enum Product {
    F32(PackedF32),
    I8(Linear),
}

/// What a model keeps of a stream.
#[derive(Clone)]
pub struct RecurrentState {
    gated: Aligned<f32>,   // (layers, state)
    last: [u16; MAX_TAPS], // the last symbols, the newest first
    word: Word,
}

/// What one stream feeds in a call of [`Recurrent::forward`].
pub struct RecurrentStream<'a> {
    /// What was kept of the symbols so far; the new ones are added.
    pub state: &'a mut RecurrentState,
    /// The next symbols: bytes, or [`START_SYMBOL`] at the beginning.
    pub symbols: &'a [u16],
    /// For how many of the last symbols logits are wanted.
    pub wanted: usize,
}

/// Buffers, kept from call to call.
#[derive(Default)]
pub struct RecurrentWorkspace {
    hidden: Aligned<f32>,   // (rows, hidden): the residual stream
    wide: Aligned<f32>, // (rows, 3 state) or (rows, 2 intermediate): what a layer's products give
    inner: Aligned<f32>, // (rows, state) or (rows, intermediate): what its products take
    product: Aligned<f32>, // (rows, hidden), of f32 models
    normed: Aligned<f32>, // (rows, hidden), of f32 models
    logits: Aligned<f32>, // (rows wanted, 256)
    places: Vec<Place>, // (rows, kinds): where n-grams may have rows
    rows: Rounded,      // (rows, kinds * size): their numbers
    rows_f32: Aligned<f32>, // the same, of f32 models
    rounded: Rounded,
}

impl Recurrent {
    /// Packs `weights`.
    ///
    /// # Errors
    /// `InvalidArgument` if the configuration is not [valid](RecurrentConfig::validate).
    pub fn new(weights: &RecurrentWeights) -> Result<Self> {
        Self::at_level(weights, Level::detect())
    }

    /// [`Recurrent::new`] with kernels of `level`.
    pub(crate) fn at_level(weights: &RecurrentWeights, level: Level) -> Result<Self> {
        Self::pack(weights.clone(), weights.identity(), level)
    }

    /// [`Recurrent::new`] of weights whose identity is known.
    pub(crate) fn known(weights: RecurrentWeights, identity: [u8; 32]) -> Result<Self> {
        Self::pack(weights, identity, Level::detect())
    }

    /// Rows for contexts are most of a network's bytes: they are taken, not copied.
    fn pack(weights: RecurrentWeights, identity: [u8; 32], level: Level) -> Result<Self> {
        weights.config.validate()?;
        let precision = weights.precision();
        let pack = |parts: &[&Matrix]| Product::stack(level, parts);
        let layers = weights.layers.iter().map(|layer| PackedLayer {
            mixer_norm: layer.mixer_norm.clone(),
            in_proj: pack(&[&layer.in_proj]),
            bias: layer.bias.clone(),
            out_proj: pack(&[&layer.out_proj]),
            mlp_norm: layer.mlp_norm.clone(),
            gate_up: pack(&[&layer.gate, &layer.up]),
            down: pack(&[&layer.down]),
        });
        Ok(Self {
            identity,
            precision,
            level,
            embed: weights.embed.iter().map(floats).collect(),
            layers: layers.collect(),
            head: pack(&[&weights.head]),
            ngrams: weights.ngrams.zip(weights.config.ngrams.as_ref()).map(|(ngrams, c)| {
                let proj = c.layers.iter().zip(&ngrams.proj);
                let proj = proj.map(|(&layer, proj)| (layer, pack(&[proj]))).collect();
                PackedNgrams { ngrams, proj }
            }),
            config: weights.config,
            name: weights.name,
            norm: weights.norm,
        })
    }

    /// The shape.
    pub fn config(&self) -> &RecurrentConfig {
        &self.config
    }

    /// The name in the file it came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// BLAKE3 of shape and weights: see [`RecurrentWeights::identity`].
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// What the matrices are made of.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What engines of other crates compute with; `None` for a model of f32.
    pub fn parts(&self) -> Option<RecurrentParts<'_>> {
        let layer = |layer: &'_ PackedLayer| {
            Some(LayerParts {
                mixer_norm: layer.mixer_norm.clone(),
                in_proj: layer.in_proj.integers()?,
                bias: layer.bias.clone(),
                out_proj: layer.out_proj.integers()?,
                mlp_norm: layer.mlp_norm.clone(),
                gate_up: layer.gate_up.integers()?,
                down: layer.down.integers()?,
            })
        };
        let ngrams = self.ngrams.as_ref();
        let proj = ngrams.map_or(&[][..], |ngrams| &ngrams.proj);
        Some(RecurrentParts {
            embed: &self.embed,
            rows: ngrams.map_or(&[], |ngrams| &ngrams.ngrams.kinds),
            proj: proj
                .iter()
                .map(|(before, proj)| Some((*before, proj.integers()?)))
                .collect::<Option<_>>()?,
            layers: self.layers.iter().map(layer).collect::<Option<_>>()?,
            norm: &self.norm,
            head: self.head.integers()?,
        })
    }

    /// Feeds symbols to streams and returns the logits of the 256 bytes for each row wanted, (rows, 256),
    /// stream after stream. The bits depend on a stream's symbols alone: not on the other streams, nor on how
    /// many symbols come at once.
    ///
    /// # Panics
    /// If a stream holds a symbol above [`START_SYMBOL`], wants more rows than it feeds, or its state is another model's.
    pub fn forward<'w>(
        &self,
        feeds: &mut [RecurrentStream<'_>],
        work: &'w mut RecurrentWorkspace,
    ) -> &'w mut [f32] {
        let (d, level) = (self.config.hidden_size, self.level);
        let rows = self.embed(feeds, work);
        for (i, layer) in self.layers.iter().enumerate() {
            self.add_ngrams(i, rows, work);
            let x = &work.hidden[..rows * d];
            normalize(
                level,
                x,
                &layer.mixer_norm,
                self.precision,
                &mut work.normed,
                &mut work.rounded,
            );
            layer.in_proj.apply(level, &work.normed, &work.rounded, rows, &mut work.wide);
            self.recur(i, feeds, work);
            add(&layer.out_proj, level, rows, work);
            let x = &work.hidden[..rows * d];
            normalize(
                level,
                x,
                &layer.mlp_norm,
                self.precision,
                &mut work.normed,
                &mut work.rounded,
            );
            layer.gate_up.apply(level, &work.normed, &work.rounded, rows, &mut work.wide);
            let f = self.config.intermediate_size;
            work.inner.grow(rows * f);
            let (wide, inner) = (&work.wide[..rows * 2 * f], &mut work.inner[..rows * f]);
            work.rounded.round_gated(level, wide, f, inner);
            add(&layer.down, level, rows, work);
        }
        self.add_ngrams(self.layers.len(), rows, work);
        self.logits(feeds, work)
    }

    /// The residual stream of all rows; returns how many.
    fn embed(&self, feeds: &mut [RecurrentStream<'_>], work: &mut RecurrentWorkspace) -> usize {
        let d = self.config.hidden_size;
        let rows = feeds.iter().map(|feed| feed.symbols.len()).sum::<usize>();
        work.hidden.grow(rows * d);
        let ngrams = self.config.ngrams.as_ref().zip(self.ngrams.as_ref());
        work.places.clear();
        let mut hidden = work.hidden.chunks_exact_mut(d);
        for feed in &mut *feeds {
            let (wanted, fed) = (feed.wanted, feed.symbols.len());
            assert!(wanted <= fed, "{wanted} rows wanted of {fed}");
            assert_eq!(feed.state.gated.len(), self.gated_len(), "state of another model");
            for (&symbol, h) in feed.symbols.iter().zip(&mut hidden) {
                assert!(usize::from(symbol) <= START_SYMBOL, "symbol {symbol}");
                let last = &mut feed.state.last;
                last.copy_within(..MAX_TAPS - 1, 1);
                last[0] = symbol;
                if let Some((c, PackedNgrams { ngrams, .. })) = ngrams {
                    feed.state.word.push(symbol);
                    ngrams.find(c, last, feed.state.word, &mut work.places);
                }
                let mut taps = [&[][..]; MAX_TAPS];
                for ((tap, table), &symbol) in taps.iter_mut().zip(&self.embed).zip(&*last) {
                    *tap = &table[usize::from(symbol) * d..][..d];
                }
                self.level.sum_rows(&taps[..self.embed.len()], h);
            }
        }
        // By now the rows are in the cache.
        if let Some((c, PackedNgrams { ngrams, .. })) = ngrams {
            let width = c.width();
            let codes = work.rows.integers(rows, width, SCALE);
            ngrams.read(c, &work.places, codes);
            if self.precision == Precision::F32 {
                work.rows_f32.grow(rows * width);
                let codes = work.rows_f32.iter_mut().zip(codes);
                codes.for_each(|(x, code)| *x = (f32::from(*code) - 128.0) * SCALE);
            }
        }
        rows
    }

    /// Adds the product of n-grams that stands before a layer to the residual stream, if there is one.
    fn add_ngrams(&self, layer: usize, rows: usize, work: &mut RecurrentWorkspace) {
        let proj = self.ngrams.iter().flat_map(|ngrams| &ngrams.proj);
        let Some((_, proj)) = proj.into_iter().find(|(before, _)| *before == layer) else { return };
        let RecurrentWorkspace { hidden, product, rows: x, rows_f32, .. } = work;
        proj.add(self.level, rows_f32, x, rows, product, hidden);
    }

    /// The recurrence of layer `i`: of `wide` makes `inner`, (rows, state).
    fn recur(&self, i: usize, feeds: &mut [RecurrentStream<'_>], work: &mut RecurrentWorkspace) {
        let (s, bias) = (self.config.state_size, &self.layers[i].bias);
        let rows = feeds.iter().map(|feed| feed.symbols.len()).sum::<usize>();
        work.inner.grow(rows * s);
        let mut row = 0;
        for feed in feeds {
            let end = row + feed.symbols.len();
            let state = &mut feed.state.gated[i * s..][..s];
            let x = &work.wide[row * 3 * s..end * 3 * s];
            self.level.recur(bias, x, state, &mut work.inner[row * s..end * s]);
            row = end;
        }
        if self.precision == Precision::Int8 {
            work.rounded.round(self.level, &work.inner[..rows * s], s);
        }
    }

    /// Only what is wanted goes through the head.
    fn logits<'w>(
        &self,
        feeds: &[RecurrentStream<'_>],
        work: &'w mut RecurrentWorkspace,
    ) -> &'w mut [f32] {
        let d = self.config.hidden_size;
        let (mut row, mut wanted) = (0, 0);
        for feed in feeds {
            row += feed.symbols.len();
            work.hidden.copy_within((row - feed.wanted) * d..row * d, wanted * d);
            wanted += feed.wanted;
        }
        let x = &work.hidden[..wanted * d];
        normalize(self.level, x, &self.norm, self.precision, &mut work.normed, &mut work.rounded);
        self.head.apply(self.level, &work.normed, &work.rounded, wanted, &mut work.logits);
        &mut work.logits[..wanted * OUTPUTS]
    }

    /// How many numbers the gates change in a stream's state.
    fn gated_len(&self) -> usize {
        self.layers.len() * self.config.state_size
    }
}

impl Recurrent {
    /// The state of a stream of which nothing has been fed.
    pub fn state(&self) -> RecurrentState {
        RecurrentState {
            gated: Aligned::zeros(self.gated_len()),
            last: [START_SYMBOL as u16; MAX_TAPS],
            word: Word::default(),
        }
    }

    /// As [`forward`](Self::forward), but weights in proportion to the probabilities, the largest of a row about 1.
    ///
    /// # Panics
    /// As there.
    pub fn weights<'w>(
        &self,
        feeds: &mut [RecurrentStream<'_>],
        work: &'w mut RecurrentWorkspace,
    ) -> &'w [[f32; OUTPUTS]] {
        let logits = self.forward(feeds, work);
        self.level.weigh(logits, OUTPUTS);
        logits.as_chunks().0
    }
}

impl RecurrentState {
    /// Back to a stream of which nothing has been fed.
    pub fn reset(&mut self) {
        self.gated.fill(0.0);
        self.last.fill(START_SYMBOL as u16);
        self.word = Word::default();
    }
}

/// A recurrent network's streams on this CPU.
struct CpuStreams<'a> {
    model: &'a Recurrent,
    states: Vec<RecurrentState>,
    work: RecurrentWorkspace,
    /// How many rows the last call had.
    wanted: usize,
}

impl Engine for Recurrent {
    fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
        let states = (0..count).map(|_| self.state()).collect();
        Box::new(CpuStreams { model: self, states, work: RecurrentWorkspace::default(), wanted: 0 })
    }

    fn stream_bytes(&self, _len: usize) -> u64 {
        (4 * self.gated_len() + size_of::<RecurrentState>()) as u64
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        let c = &self.config;
        let codes = c.ngrams.as_ref().map_or(0, NgramConfig::width);
        let inner = c.state_size.max(c.intermediate_size).max(codes);
        let wide = (3 * c.state_size).max(2 * c.intermediate_size);
        let floats = 3 * c.hidden_size + wide + inner + OUTPUTS;
        let places = c.ngrams.as_ref().map_or(0, |ngrams| ngrams.orders.len());
        let place = size_of::<Place>();
        (rows * (4 * floats + inner.max(c.hidden_size) + place * places + 4)) as u64
    }
}

impl Streams for CpuStreams<'_> {
    fn reset(&mut self) {
        self.states.iter_mut().for_each(RecurrentState::reset);
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) {
        assert!(feeds.len() <= self.states.len(), "more feeds than streams");
        let mut streams = Vec::with_capacity(feeds.len());
        for (state, &Feed { symbols, wanted }) in self.states.iter_mut().zip(feeds) {
            if !symbols.is_empty() {
                streams.push(RecurrentStream { state, symbols, wanted });
            }
        }
        self.wanted = self.model.weights(&mut streams, &mut self.work).len();
    }

    fn finish(&mut self) -> &[[f32; OUTPUTS]] {
        &self.work.logits.as_chunks().0[..self.wanted]
    }
}

impl fmt::Debug for Recurrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recurrent").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for RecurrentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecurrentState").finish_non_exhaustive()
    }
}

/// The norm of all rows of x, in the form that products want.
fn normalize(
    level: Level,
    x: &[f32],
    weight: &[f32],
    precision: Precision,
    normed: &mut Aligned<f32>,
    rounded: &mut Rounded,
) {
    match precision {
        Precision::Int8 => rounded.round_norm(level, x, weight, EPSILON),
        Precision::F32 => {
            normed.grow(x.len());
            level.rms_norm(x, weight, EPSILON, &mut normed[..x.len()]);
        }
    }
}

/// Adds the product of what is in `inner` to the residual stream.
fn add(product: &Product, level: Level, rows: usize, work: &mut RecurrentWorkspace) {
    let RecurrentWorkspace { hidden, inner, product: sums, rounded, .. } = work;
    product.add(level, inner, rounded, rows, sums, hidden);
}

impl Product {
    /// The matrix of an int8 model.
    fn integers(&self) -> Option<Integers> {
        let Self::I8(linear) = self else { return None };
        let (data, scales) = (linear.unpack(), linear.scales().to_vec());
        Some(Integers { data, cols: linear.k(), scales })
    }

    /// Joins matrices that have the same input into one. Rows are independent of each other, so the bits are the same.
    fn stack(level: Level, parts: &[&Matrix]) -> Self {
        let k = parts[0].cols();
        let (mut integers, mut scales, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match part {
                Matrix::F32 { data, .. } => numbers.extend_from_slice(data),
                Matrix::I8 { data, scales: of_part, .. } => {
                    integers.extend_from_slice(data);
                    scales.extend_from_slice(of_part);
                }
            }
        }
        match parts[0].precision() {
            Precision::F32 => Self::F32(PackedF32::new(numbers.len() / k, k, &numbers)),
            Precision::Int8 => Self::I8(Linear::new(level, &integers, scales, k)),
        }
    }

    /// `out = x * w^T`; of x and its rounded form, the one that fits.
    fn apply(
        &self,
        level: Level,
        x: &[f32],
        rounded: &Rounded,
        rows: usize,
        out: &mut Aligned<f32>,
    ) {
        match self {
            Self::F32(weights) => {
                out.grow(rows * weights.n());
                let out = &mut out[..rows * weights.n()];
                level.gemm_f32(weights, &x[..rows * weights.k()], out);
            }
            Self::I8(weights) => {
                out.grow(rows * weights.n());
                weights.apply(rounded, false, &mut out[..rows * weights.n()]);
            }
        }
    }

    /// Adds the product of x to the residual stream `hidden`.
    fn add(
        &self,
        level: Level,
        x: &[f32],
        rounded: &Rounded,
        rows: usize,
        product: &mut Aligned<f32>,
        hidden: &mut [f32],
    ) {
        match self {
            Self::F32(weights) => {
                let len = rows * weights.n();
                self.apply(level, x, rounded, rows, product);
                level.add(&mut hidden[..len], &product[..len]);
            }
            Self::I8(weights) => weights.apply(rounded, true, &mut hidden[..rows * weights.n()]),
        }
    }
}
