//! Exact inference: the same logits, bit for bit, on every CPU, for any number of streams and any number of
//! positions at a time.
//!
//! The skeleton is Llama's (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, gated
//! MLP. Every output of a product is either an exact integer sum (int8 models) or one chain of fused
//! multiply-adds in ascending order (f32 models), and all else is elementwise or a sum in a fixed order, so
//! that neither the CPU nor the shape of a batch can change a bit (see `simd`). docs/format.md has the formulas.

use std::fmt;

use super::math::RopeTable;
use super::{Config, Matrix, Precision, START_SYMBOL, Weights};
use crate::error::{Error, ErrorKind, Result};
use crate::simd::{
    KeyCacheF32, KeyCacheI8, Level, MAX_HEAD_DIM, MAX_POSITIONS, PackedF32, PackedI8, Scratch,
    ValueCacheF32, ValueCacheI8,
};

/// Symbols that can be coded: the bytes, without the start symbol.
const OUTPUTS: usize = 256;

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
    I8 { weights: PackedI8, scales: Vec<f32> },
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
    numbers: Vec<i8>, // (rows, inputs)
    scales: Vec<f32>, // (rows)
    sums: Vec<i32>,   // (rows, outputs)
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
        (rows * (4 * floats + inputs + 16)) as u64 + 16 * self.context() as u64
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
        let Workspace { hidden, normed, qkv, attended, gate_up, activated, product, .. } = work;
        let (rounding, scratch) = (&mut work.rounding, &mut work.scratch);
        normed.resize(rows * d, 0.0);
        attended.resize(rows * c.q_size(), 0.0);
        activated.resize(rows * c.intermediate_size, 0.0);
        for (i, layer) in self.layers.iter().enumerate() {
            level.rms_norm(hidden, &layer.input_norm, eps, normed);
            layer.qkv.apply(level, normed, rounding, qkv);
            self.attend(i, streams, qkv, scratch, attended);
            layer.o.apply(level, attended, rounding, product);
            level.add(hidden, product);
            level.rms_norm(hidden, &layer.post_norm, eps, normed);
            layer.gate_up.apply(level, normed, rounding, gate_up);
            let both = gate_up.chunks_exact(2 * c.intermediate_size);
            for (both, out) in both.zip(activated.chunks_exact_mut(c.intermediate_size)) {
                let (gate, up) = both.split_at(c.intermediate_size);
                level.silu_mul(gate, up, out);
            }
            layer.down.apply(level, activated, rounding, product);
            level.add(hidden, product);
        }

        // Only what is wanted goes through the head.
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

    /// Attention of layer `i`: adds the rows' keys and values to the caches, then each row looks at the
    /// positions up to its own.
    fn attend(
        &self,
        i: usize,
        streams: &mut [Stream<'_>],
        qkv: &mut [f32],
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let c = &self.config;
        let (level, dim, heads) = (self.level, c.head_dim, c.num_key_value_heads);
        let group = c.q_size() / heads; // (query heads that share a key, head_dim)
        let width = c.q_size() + 2 * c.kv_size();
        let window = c.sliding_window.unwrap_or(usize::MAX);
        let mut rows = qkv.chunks_exact_mut(width).zip(out.chunks_exact_mut(c.q_size()));
        for stream in streams {
            let Cache { heads: all, len } = &mut *stream.cache;
            let caches = &mut all[i * heads..(i + 1) * heads];
            // One position after the other: what a row sees must not hold what comes after it, since the
            // scale of nothing depends on how far the cache is filled.
            for (position, (qkv, out)) in (*len..).zip(rows.by_ref().take(stream.symbols.len())) {
                let (cos, sin) = self.rope.row(position);
                let (turned, values) = qkv.split_at_mut(c.q_size() + c.kv_size());
                level.rope(turned, cos, sin);
                let (queries, keys) = turned.split_at(c.q_size());
                let start = (position + 1).saturating_sub(window);
                let parts = queries.chunks_exact(group).zip(out.chunks_exact_mut(group));
                let new = keys.chunks_exact(dim).zip(values.chunks_exact(dim));
                for ((cache, (key, value)), (q, out)) in caches.iter_mut().zip(new).zip(parts) {
                    let end = position + 1;
                    match cache {
                        HeadCache::F32(k, v) => {
                            k.push(key);
                            v.push(value);
                            level.attend_f32(q, k, v, start, end, scratch, out);
                        }
                        HeadCache::I8(k, v) => {
                            k.push(level, key);
                            v.push(level, value);
                            level.attend_i8(q, k, v, start, end, scratch, out);
                        }
                    }
                }
            }
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

/// A matrix as floats.
fn floats(matrix: &Matrix) -> Vec<f32> {
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
    /// Matrices of the same input as one, at most `most` rows. Rows are independent: the bits are the same.
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
                Self::I8 { weights: PackedI8::new(n, k, &numbers[..n * k]), scales: all }
            }
        }
    }

    fn n(&self) -> usize {
        match self {
            Self::F32(weights) => weights.n(),
            Self::I8 { weights, .. } => weights.n(),
        }
    }

    /// `out = x * w^T`: x is (rows, inputs), out becomes (rows, outputs).
    fn apply(&self, level: Level, x: &[f32], r: &mut Rounding, out: &mut Vec<f32>) {
        match self {
            Self::F32(weights) => {
                out.resize(x.len() / weights.k() * weights.n(), 0.0);
                level.gemm_f32(weights, x, out);
            }
            Self::I8 { weights, scales } => {
                let (n, k) = (weights.n(), weights.k());
                let rows = x.len() / k;
                out.resize(rows * n, 0.0);
                r.numbers.resize(rows * PackedI8::stride(k), 0);
                r.scales.resize(rows, 0.0);
                r.sums.resize(rows * n, 0);
                level.quantize_i8(x, k, &mut r.numbers, &mut r.scales);
                level.gemm_i8(weights, &r.numbers, &mut r.sums);
                let sums = r.sums.chunks_exact(n).zip(&r.scales);
                for (out, (sums, &scale)) in out.chunks_exact_mut(n).zip(sums) {
                    level.scale_row(out, sums, scale, scales);
                }
            }
        }
    }
}
