//! Exact inference: the same logits, bit for bit, on every CPU, for any number of streams and any number of
//! positions at a time.
//!
//! The skeleton is Llama's (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, gated
//! MLP. Every output of a product is either an exact integer sum (int8 models) or one chain of fused
//! multiply-adds in ascending order (f32 models), and all else is elementwise or a sum in a fixed order, so
//! that neither the CPU nor the shape of a batch can change a bit (see `simd`). docs/format/nn.md has the formulas.

use std::fmt;

use super::engine::{Engine, Feed, Streams};
use super::math::RopeTable;
use super::{Config, Matrix, Precision, START_SYMBOL, Weights};
use crate::error::{Error, ErrorKind, Result};
use crate::simd::{
    KeyCacheF32, KeyCacheI8, Level, MAX_HEAD_DIM, MAX_POSITIONS, PackedF32, PackedI16, Scratch,
    Span, ValueCacheF32, ValueCacheI8,
};

/// Symbols that can be coded: the bytes, without the start symbol.
const OUTPUTS: usize = 256; // frozen

/// How many positions of a stream are attended for together.
const TILE: usize = 8; // tunable

/// A byte-level transformer, packed for this CPU. Shared between threads; what changes from position to
/// position is in a [`Cache`] per stream and a [`Workspace`] per thread.
pub struct Transformer {
    config: Config,
    name: String,
    identity: [u8; 32],
    precision: Precision,
    level: Level,
    embed: Vec<f32>, // (257, hidden)
    layers: Vec<PackedLayer>,
    norm: Vec<f32>,
    head: Linear, // (256, hidden): the start symbol is never predicted
    rope: RopeTable,
}

struct PackedLayer {
    input_norm: Vec<f32>,
    qkv: Linear, // (q + 2 kv, hidden)
    o: Linear,   // (hidden, q)
    post_norm: Vec<f32>,
    gate_up: Linear, // (2 intermediate, hidden)
    down: Linear,    // (hidden, intermediate)
}

/// A matrix in the form of its kernel.
enum Linear {
    F32(PackedF32),
    /// Weights of 8 bits, for activations of 16 bits. With activations of 8 bits codes would be 0.4 to 0.6 % longer than with floats;
    /// with 16 they are 0.1 to 0.2 % longer (docs/design.md).
    I16 {
        weights: PackedI16,
        scales: Vec<f32>,
    },
}

/// Keys and values of the positions that a stream has passed.
pub struct Cache {
    heads: Vec<HeadCache>, // (layers, kv heads)
    len: usize,
}

enum HeadCache {
    F32(KeyCacheF32, ValueCacheF32),
    I8(KeyCacheI8, ValueCacheI8),
}

/// What one stream feeds in a call of [`Transformer::forward`].
pub struct Stream<'a> {
    /// The positions so far; the new ones are added.
    pub cache: &'a mut Cache,
    /// The next symbols: bytes, or [`START_SYMBOL`] at the beginning of a window.
    pub symbols: &'a [u16],
    /// For how many of the last symbols logits are wanted.
    pub wanted: usize,
}

/// Buffers of one thread, kept from call to call.
#[derive(Default)]
pub struct Workspace {
    hidden: Vec<f32>,    // (rows, hidden): the residual stream
    normed: Vec<f32>,    // (rows, hidden)
    qkv: Vec<f32>,       // (rows, q + 2 kv)
    attended: Vec<f32>,  // (rows, q)
    queries: Vec<f32>,   // (tile, query heads that share a key, head_dim)
    answers: Vec<f32>,   // the same
    gate_up: Vec<f32>,   // (rows, 2 intermediate)
    activated: Vec<f32>, // (rows, intermediate)
    product: Vec<f32>,   // (rows, hidden)
    logits: Vec<f32>,    // (rows wanted, 256)
    rounding: Rounding,
    scratch: Scratch,
}

/// Buffers of an integer product.
#[derive(Default)]
struct Rounding {
    numbers: Vec<i16>, // (rows, inputs)
    scales: Vec<f32>,  // (rows)
    sums: Vec<i32>,    // (rows, outputs)
}

impl Transformer {
    /// Packs `weights`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if a head is wider than 256 or the context longer than 65536.
    pub fn new(weights: &Weights) -> Result<Self> {
        Self::at_level(weights, Level::detect())
    }

    /// [`Transformer::new`] with kernels of `level`.
    pub(crate) fn at_level(weights: &Weights, level: Level) -> Result<Self> {
        let config = &weights.config;
        let limit = |what: &str, value: usize, most: usize| {
            if value <= most {
                return Ok(());
            }
            let message = format!("a model with {what} {value}; inference supports up to {most}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        };
        limit("head_dim", config.head_dim, MAX_HEAD_DIM)?;
        limit("max_position_embeddings", config.max_position_embeddings, MAX_POSITIONS)?;
        let layers = weights.layers.iter().map(|layer| PackedLayer {
            input_norm: layer.input_norm.clone(),
            qkv: Linear::stack(&[&layer.q, &layer.k, &layer.v], usize::MAX),
            o: Linear::stack(&[&layer.o], usize::MAX),
            post_norm: layer.post_norm.clone(),
            gate_up: Linear::stack(&[&layer.gate, &layer.up], usize::MAX),
            down: Linear::stack(&[&layer.down], usize::MAX),
        });
        Ok(Self {
            name: weights.name.clone(),
            identity: weights.identity(),
            precision: weights.precision(),
            level,
            embed: floats(&weights.embed),
            layers: layers.collect(),
            norm: weights.norm.clone(),
            head: Linear::stack(&[weights.head.as_ref().unwrap_or(&weights.embed)], OUTPUTS),
            rope: RopeTable::new(
                config.head_dim,
                config.rope_theta,
                config.max_position_embeddings,
            ),
            config: config.clone(),
        })
    }

    /// The shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The name in the file it came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// BLAKE3 of shape and weights: see [`Weights::identity`].
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// What the matrices are made of.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Positions of a window, the start symbol included.
    pub fn context(&self) -> usize {
        self.config.max_position_embeddings
    }

    /// The cache of a stream that has passed no position.
    pub fn cache(&self) -> Cache {
        let (dim, positions) = (self.config.head_dim, self.context());
        let head = || match self.precision {
            Precision::F32 => {
                HeadCache::F32(KeyCacheF32::new(dim, positions), ValueCacheF32::new(dim, positions))
            }
            Precision::Int8 => {
                HeadCache::I8(KeyCacheI8::new(dim, positions), ValueCacheI8::new(dim, positions))
            }
        };
        let heads = self.config.num_hidden_layers * self.config.num_key_value_heads;
        Cache { heads: (0..heads).map(|_| head()).collect(), len: 0 }
    }

    /// Bytes of a cache that has passed `positions`.
    pub fn cache_bytes(&self, positions: usize) -> u64 {
        let heads = self.config.num_hidden_layers * self.config.num_key_value_heads;
        let dim = self.config.head_dim.next_multiple_of(16) as u64;
        // Keys and values; in 8 bits with a scale each, and a correction for each key.
        let position = match self.precision {
            Precision::F32 => 8 * dim,
            Precision::Int8 => 2 * dim + 12,
        };
        // Memory grows by 64 positions, and a vector's growth leaves up to as much again.
        2 * heads as u64 * position * positions.next_multiple_of(64) as u64
    }

    /// Bytes of a workspace for `rows` rows at once.
    pub fn workspace_bytes(&self, rows: usize) -> u64 {
        let c = &self.config;
        let widest = self.layers.iter().flat_map(|l| [&l.qkv, &l.gate_up, &l.o]).map(Linear::n);
        let widest = widest.max().unwrap_or(0).max(OUTPUTS);
        let floats = 3 * c.hidden_size
            + 2 * c.q_size()
            + 2 * c.kv_size()
            + 3 * c.intermediate_size
            + OUTPUTS
            + widest;
        let inputs = c.hidden_size.max(c.intermediate_size).max(c.q_size());
        // Of a tile in attention: products, scores and weights of each head.
        let tile = TILE * c.q_size() / c.num_key_value_heads;
        let attention = TILE * c.num_attention_heads / c.num_key_value_heads * self.context();
        (rows * (4 * floats + 2 * inputs + 16) + 32 * tile + 12 * attention) as u64
    }

    /// Feeds symbols to streams and returns the logits of the 256 bytes for each row wanted, (rows, 256),
    /// stream after stream. The bits depend on a stream's symbols alone: not on the other streams, nor on how
    /// many symbols come at once.
    ///
    /// # Panics
    /// If a stream passes more positions than the context, holds a symbol above [`START_SYMBOL`], wants more
    /// rows than it feeds, or its cache is another model's.
    pub fn forward<'w>(&self, streams: &mut [Stream<'_>], work: &'w mut Workspace) -> &'w [f32] {
        let c = &self.config;
        let (d, level) = (c.hidden_size, self.level);
        for stream in &*streams {
            let (wanted, fed) = (stream.wanted, stream.symbols.len());
            assert!(wanted <= fed, "{wanted} rows wanted of {fed}");
            let heads = c.num_hidden_layers * c.num_key_value_heads;
            assert_eq!(stream.cache.heads.len(), heads, "cache of another model");
        }
        let eps = c.rms_norm_eps as f32;
        let rows = streams.iter().map(|s| s.symbols.len()).sum::<usize>();
        work.hidden.clear();
        for &symbol in streams.iter().flat_map(|s| s.symbols) {
            let symbol = usize::from(symbol);
            assert!(symbol <= START_SYMBOL, "symbol {symbol}");
            work.hidden.extend_from_slice(&self.embed[symbol * d..][..d]);
        }
        work.normed.resize(rows * d, 0.0);
        work.attended.resize(rows * c.q_size(), 0.0);
        work.activated.resize(rows * c.intermediate_size, 0.0);
        for (i, layer) in self.layers.iter().enumerate() {
            level.rms_norm(&work.hidden, &layer.input_norm, eps, &mut work.normed);
            layer.qkv.apply(level, &work.normed, &mut work.rounding, &mut work.qkv);
            self.attend(i, streams, work);
            layer.o.apply(level, &work.attended, &mut work.rounding, &mut work.product);
            level.add(&mut work.hidden, &work.product);
            level.rms_norm(&work.hidden, &layer.post_norm, eps, &mut work.normed);
            layer.gate_up.apply(level, &work.normed, &mut work.rounding, &mut work.gate_up);
            let both = work.gate_up.chunks_exact(2 * c.intermediate_size);
            for (both, out) in both.zip(work.activated.chunks_exact_mut(c.intermediate_size)) {
                let (gate, up) = both.split_at(c.intermediate_size);
                level.silu_mul(gate, up, out);
            }
            layer.down.apply(level, &work.activated, &mut work.rounding, &mut work.product);
            level.add(&mut work.hidden, &work.product);
        }

        // Only what is wanted goes through the head.
        let Workspace { hidden, normed, rounding, .. } = work;
        let mut first = 0;
        normed.clear();
        for stream in streams {
            stream.cache.len += stream.symbols.len();
            let end = first + stream.symbols.len();
            normed.extend_from_slice(&hidden[(end - stream.wanted) * d..end * d]);
            first = end;
        }
        hidden.resize(normed.len(), 0.0);
        level.rms_norm(normed, &self.norm, eps, hidden);
        self.head.apply(level, hidden, rounding, &mut work.logits);
        &work.logits
    }

    /// Attention of layer `i`: adds the rows' keys and values to the caches, then each row looks at the positions
    /// up to its own.
    fn attend(&self, i: usize, streams: &mut [Stream<'_>], work: &mut Workspace) {
        let c = &self.config;
        let (level, dim, heads) = (self.level, c.head_dim, c.num_key_value_heads);
        let (q_size, kv_size) = (c.q_size(), c.kv_size());
        let group = q_size / heads; // (query heads that share a key, head_dim)
        let window = c.sliding_window.unwrap_or(usize::MAX);
        let Workspace { qkv, attended, queries, answers, scratch, .. } = work;
        let mut first = 0;
        for stream in streams {
            let Cache { heads: all, len } = &mut *stream.cache;
            let rows = stream.symbols.len();
            let qkv = &mut qkv[first * (q_size + 2 * kv_size)..][..rows * (q_size + 2 * kv_size)];
            let attended = &mut attended[first * q_size..][..rows * q_size];
            first += rows;
            for (r, qkv) in qkv.chunks_exact_mut(q_size + 2 * kv_size).enumerate() {
                let (cos, sin) = self.rope.row(*len + r);
                level.rope(&mut qkv[..q_size + kv_size], cos, sin);
            }
            for (h, cache) in all[i * heads..][..heads].iter_mut().enumerate() {
                for qkv in qkv.chunks_exact(q_size + 2 * kv_size) {
                    let kv = &qkv[q_size + h * dim..];
                    cache.push(level, &kv[..dim], &kv[kv_size..][..dim]);
                }
                // Few rows at a time: their scores stay in the CPU's first cache.
                for r in (0..rows).step_by(TILE) {
                    let tile = TILE.min(rows - r);
                    queries.clear();
                    for row in qkv.chunks_exact(q_size + 2 * kv_size).skip(r).take(tile) {
                        queries.extend_from_slice(&row[h * group..][..group]);
                    }
                    answers.resize(queries.len(), 0.0);
                    let span = Span { len: *len + r + 1, rows: tile, window };
                    cache.attend(level, queries, span, scratch, answers);
                    let rows = attended.chunks_exact_mut(q_size).skip(r);
                    for (row, answer) in rows.zip(answers.chunks_exact(group)) {
                        row[h * group..][..group].copy_from_slice(answer);
                    }
                }
            }
        }
    }
}

impl HeadCache {
    /// Keeps key and value of the next position.
    fn push(&mut self, level: Level, key: &[f32], value: &[f32]) {
        match self {
            Self::F32(keys, values) => {
                keys.push(key);
                values.push(value);
            }
            Self::I8(keys, values) => {
                keys.push(level, key);
                values.push(level, value);
            }
        }
    }

    fn attend(&self, level: Level, q: &[f32], span: Span, scratch: &mut Scratch, out: &mut [f32]) {
        match self {
            Self::F32(keys, values) => level.attend_f32(q, keys, values, span, scratch, out),
            Self::I8(keys, values) => level.attend_i8(q, keys, values, span, scratch, out),
        }
    }
}

impl fmt::Debug for Transformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transformer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Cache {
    /// Positions passed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position has been passed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Back to no position; keeps the memory.
    pub fn reset(&mut self) {
        self.len = 0;
        for head in &mut self.heads {
            match head {
                HeadCache::F32(keys, values) => (keys.reset(), values.reset()),
                HeadCache::I8(keys, values) => (keys.reset(), values.reset()),
            };
        }
    }
}

impl Workspace {
    /// Turns logits, (rows, 256), into weights in proportion to the probabilities, in place: `e^(logit - max)`.
    pub(crate) fn weights(&mut self, model: &Transformer) -> &[[f32; OUTPUTS]] {
        let (rows, _) = self.logits.as_chunks_mut::<OUTPUTS>();
        for row in &mut *rows {
            model.level.softmax(row);
        }
        rows
    }
}

/// A transformer's streams on this CPU.
struct CpuStreams<'a> {
    model: &'a Transformer,
    caches: Vec<Cache>,
    work: Workspace,
}

/// As an engine without windows: its streams must not be longer than the context.
impl Engine for Transformer {
    fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
        let caches = (0..count).map(|_| self.cache()).collect();
        Box::new(CpuStreams { model: self, caches, work: Workspace::default() })
    }

    fn stream_bytes(&self, len: usize) -> u64 {
        self.cache_bytes(len)
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        Self::workspace_bytes(self, rows)
    }
}

impl Streams for CpuStreams<'_> {
    fn reset(&mut self) {
        self.caches.iter_mut().for_each(Cache::reset);
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) {
        assert!(feeds.len() <= self.caches.len(), "more feeds than streams");
        let mut streams = Vec::with_capacity(feeds.len());
        for (cache, &Feed { symbols, wanted }) in self.caches.iter_mut().zip(feeds) {
            if !symbols.is_empty() {
                streams.push(Stream { cache, symbols, wanted });
            }
        }
        self.model.forward(&mut streams, &mut self.work);
    }

    fn finish(&mut self) -> &[[f32; OUTPUTS]] {
        self.work.weights(self.model)
    }
}

/// A matrix as floats.
pub(super) fn floats(matrix: &Matrix) -> Vec<f32> {
    match matrix {
        Matrix::F32 { data, .. } => data.clone(),
        Matrix::I8 { data, scales, cols, .. } => data
            .chunks_exact(*cols)
            .zip(scales)
            .flat_map(|(row, scale)| row.iter().map(move |&w| f32::from(w) * scale))
            .collect(),
    }
}

impl Linear {
    /// Joins matrices that have the same input into one, of which at most `most` rows are taken. Rows are independent of each other,
    /// so the bits are the same.
    fn stack(parts: &[&Matrix], most: usize) -> Self {
        let k = parts[0].cols();
        let n = parts.iter().map(|m| m.rows()).sum::<usize>().min(most);
        match parts[0].precision() {
            Precision::F32 => {
                let data: Vec<f32> = parts.iter().flat_map(|m| floats(m)).collect();
                Self::F32(PackedF32::new(n, k, &data[..n * k]))
            }
            Precision::Int8 => {
                let (mut numbers, mut all) = (Vec::new(), Vec::new());
                for part in parts {
                    if let Matrix::I8 { data, scales, .. } = part {
                        numbers.extend_from_slice(data);
                        all.extend_from_slice(scales);
                    }
                }
                all.truncate(n);
                Self::I16 { weights: PackedI16::new(n, k, &numbers[..n * k]), scales: all }
            }
        }
    }

    fn n(&self) -> usize {
        match self {
            Self::F32(weights) => weights.n(),
            Self::I16 { weights, .. } => weights.n(),
        }
    }

    /// `out = x * w^T`: x is (rows, inputs), out becomes (rows, outputs).
    fn apply(&self, level: Level, x: &[f32], r: &mut Rounding, out: &mut Vec<f32>) {
        match self {
            Self::F32(weights) => {
                out.resize(x.len() / weights.k() * weights.n(), 0.0);
                level.gemm_f32(weights, x, out);
            }
            Self::I16 { weights, scales } => {
                let (n, k) = (weights.n(), weights.k());
                let rows = x.len() / k;
                out.resize(rows * n, 0.0);
                r.numbers.resize(rows * PackedI16::stride(k), 0);
                r.scales.resize(rows, 0.0);
                r.sums.resize(rows * n, 0);
                let limit = PackedI16::limit(k);
                level.quantize_i16(x, k, limit, &mut r.numbers, &mut r.scales);
                level.gemm_i16(weights, &r.numbers, &mut r.sums);
                let sums = r.sums.chunks_exact(n).zip(&r.scales);
                for (out, (sums, &scale)) in out.chunks_exact_mut(n).zip(sums) {
                    level.scale_row(out, sums, scale, scales);
                }
            }
        }
    }
}
