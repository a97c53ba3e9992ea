//! Exact inference: the same logits, bit for bit, on every CPU, for any number of threads, of streams, and of positions at a time.
//!
//! The skeleton is Llama's (Touvron et al. 2023) with what its relatives add: biases, norms of heads, sliding windows, and Gemma's
//! norms behind blocks, caps and GELU. Every sum runs in a fixed order (see `simd`), everything else is elementwise.

use lmic::exact::{Level, cos_sin};

use crate::matrix::{Matrix, pad};
use crate::shape::Rope;
use crate::simd::{LANES, TILE, add_products, add_weighted, fold, gelu_mul, soft_cap};
use crate::threads as pool;
use crate::weights::{Layer, Linear, Weights};

/// A model and its tables.
#[derive(Debug)]
pub struct Model {
    pub weights: Weights,
    level: Level,
    rope: RopeTable,
    sliding_rope: Option<RopeTable>,
}

/// Frequencies of the rotary embedding; angles are computed as positions come.
#[derive(Debug)]
struct RopeTable {
    frequencies: Vec<f64>,
    /// The factor of cosines and sines.
    attention: f64,
}

impl RopeTable {
    /// Cosines and sines of a position, (head_dim / 2) each. Angles are below 2^20, because positions are below 2^16 and
    /// frequencies at most 1 (if the factors of the file make sense).
    fn row(&self, position: usize, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
        let pairs = self.frequencies.iter().map(|f| cos_sin(position as f64 * f));
        for (c, s) in pairs {
            cos.push((c * self.attention) as f32);
            sin.push((s * self.attention) as f32);
        }
    }
}

/// Keys and values of the positions that a stream has passed.
#[derive(Debug)]
pub struct Cache {
    keys: Vec<Vec<f32>>,   // (layer, kv head), each (positions, head_dim padded)
    values: Vec<Vec<f32>>, // the same
    len: usize,
}

impl Cache {
    /// Back to a stream that has passed no position; keeps the memory.
    pub fn reset(&mut self) {
        self.keys.iter_mut().chain(&mut self.values).for_each(Vec::clear);
        self.len = 0;
    }
}

/// What one stream feeds in a call of [`Model::forward`].
#[derive(Debug)]
pub struct Stream<'a> {
    /// The positions so far; the new ones are added.
    pub cache: &'a mut Cache,
    /// The next tokens.
    pub tokens: &'a [u32],
    /// For how many of the last tokens logits are wanted.
    pub wanted: usize,
}

/// Buffers, kept from call to call.
#[derive(Debug, Default)]
pub struct Workspace {
    hidden: Vec<f32>, // (rows, hidden)
    normed: Vec<f32>,
    q: Vec<f32>, // (rows, q_size)
    k: Vec<f32>, // (rows, kv_size)
    v: Vec<f32>,
    attended: Vec<f32>, // (rows, q_size)
    gate: Vec<f32>,     // (rows, intermediate)
    up: Vec<f32>,
    product: Vec<f32>,
    logits: Vec<f32>, // (rows wanted, vocab)
}

impl Model {
    pub fn new(weights: Weights, level: Level) -> Self {
        let shape = &weights.shape;
        let table = |rope: &Rope| RopeTable {
            frequencies: rope.frequencies(shape.head_dim),
            attention: rope.attention(),
        };
        let (rope, sliding_rope) = (table(&shape.rope), shape.sliding_rope.as_ref().map(table));
        Self { weights, level, rope, sliding_rope }
    }

    /// The SIMD level of the kernels.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Width of a head in the caches.
    fn stride(&self) -> usize {
        self.weights.shape.head_dim.next_multiple_of(LANES)
    }

    /// The cache of a stream that has passed no position.
    pub fn cache(&self) -> Cache {
        let heads = self.weights.shape.layers * self.weights.shape.kv_heads;
        Cache { keys: vec![Vec::new(); heads], values: vec![Vec::new(); heads], len: 0 }
    }

    /// Bytes of a cache that has passed `positions`. A vector's growth leaves up to as much again.
    pub fn cache_bytes(&self, positions: usize) -> u64 {
        let shape = &self.weights.shape;
        let numbers = 2 * shape.layers as u64 * shape.kv_heads as u64 * self.stride() as u64;
        2 * 4 * numbers * positions as u64
    }

    /// Bytes of a workspace for `rows` rows, `wanted` of them wanted.
    pub fn workspace_bytes(&self, rows: usize, wanted: usize) -> u64 {
        let shape = &self.weights.shape;
        let widest = shape.intermediate.max(shape.hidden).max(shape.q_size()) as u64;
        4 * (rows as u64 * 10 * widest + 4 * wanted as u64 * shape.vocab as u64)
    }

    /// Feeds tokens to streams and returns the logits for each row wanted, (rows, vocab), stream after stream. The bits depend on a
    /// stream's tokens alone.
    ///
    /// # Panics
    /// If a token is none, more rows are wanted than fed, or a cache is another model's.
    pub fn forward<'w>(
        &self,
        streams: &mut [Stream<'_>],
        threads: usize,
        work: &'w mut Workspace,
    ) -> &'w mut [f32] {
        let shape = &self.weights.shape;
        let (d, level) = (shape.hidden, self.level);
        let eps = shape.eps as f32;
        self.embed(streams, &mut work.hidden);
        let rows = work.hidden.len() / d;
        let (full, sliding) = self.rope_rows(streams);
        work.normed.resize(rows * d, 0.0);
        for (i, layer) in self.weights.layers.iter().enumerate() {
            level.rms_norm(&work.hidden, &layer.input_norm, eps, &mut work.normed);
            let Workspace { normed, q, k, v, .. } = &mut *work;
            self.linears([&layer.q, &layer.k, &layer.v], threads, normed, [q, k, v]);
            let rope = match (&sliding, shape.sliding[i]) {
                (Some(sliding), Some(_)) => sliding,
                _ => &full,
            };
            self.prepare_heads(layer, rope, work);
            self.attend(i, streams, threads, work);
            self.linears([&layer.o], threads, &work.attended, [&mut work.product]);
            self.add(layer.attended_norm.as_deref(), work);

            level.rms_norm(&work.hidden, &layer.mlp_norm, eps, &mut work.normed);
            let Workspace { normed, gate, up, .. } = &mut *work;
            self.linears([&layer.gate, &layer.up], threads, normed, [gate, up]);
            self.activate(work);
            self.linears([&layer.down], threads, &work.gate, [&mut work.product]);
            self.add(layer.mlp_out_norm.as_deref(), work);
        }
        self.head(streams, threads, work);
        &mut work.logits
    }

    fn embed(&self, streams: &[Stream<'_>], hidden: &mut Vec<f32>) {
        let shape = &self.weights.shape;
        let d = shape.hidden;
        let rows: usize = streams.iter().map(|s| s.tokens.len()).sum();
        hidden.resize(rows * d, 0.0);
        let tokens = streams.iter().flat_map(|s| s.tokens);
        for (&token, row) in tokens.zip(hidden.chunks_exact_mut(d)) {
            self.weights.embed.row(self.level, token as usize, row);
        }
        if shape.family.is_gemma() {
            let scale = (d as f64).sqrt() as f32;
            hidden.iter_mut().for_each(|x| *x *= scale);
        }
    }

    /// Cosines and sines of all rows, for layers that see all and for those with a window.
    fn rope_rows(&self, streams: &[Stream<'_>]) -> (Angles, Option<Angles>) {
        let rows = |table: &RopeTable| {
            let mut angles = Angles::default();
            for stream in streams {
                for position in stream.cache.len..stream.cache.len + stream.tokens.len() {
                    table.row(position, &mut angles.cos, &mut angles.sin);
                }
            }
            angles
        };
        (rows(&self.rope), self.sliding_rope.as_ref().map(rows))
    }

    fn linears<const N: usize>(
        &self,
        linears: [&Linear; N],
        threads: usize,
        x: &[f32],
        mut ys: [&mut Vec<f32>; N],
    ) {
        let matrices = linears.map(|linear| &linear.matrix);
        Matrix::products(matrices, self.level, threads, x, ys.each_mut().map(|y| &mut **y));
        for (linear, y) in linears.into_iter().zip(ys) {
            if let Some(bias) = &linear.bias {
                y.chunks_exact_mut(bias.len()).for_each(|row| self.level.add(row, bias));
            }
        }
    }

    /// Adds the product to the residual stream, normalised if there is a norm.
    fn add(&self, norm: Option<&[f32]>, work: &mut Workspace) {
        let Workspace { hidden, normed, product, .. } = work;
        match norm {
            None => self.level.add(hidden, product),
            Some(norm) => {
                self.level.rms_norm(product, norm, self.weights.shape.eps as f32, normed);
                self.level.add(hidden, normed);
            }
        }
    }

    /// `gate = activation(gate) * up`.
    fn activate(&self, work: &mut Workspace) {
        let Workspace { gate, up, product, .. } = work;
        if self.weights.shape.family.is_gemma() {
            return gelu_mul(self.level, gate, up);
        }
        product.resize(gate.len(), 0.0);
        self.level.silu_mul(gate, up, product);
        std::mem::swap(gate, product);
    }

    /// Normalises queries and keys, turns them by their positions, and scales queries.
    fn prepare_heads(&self, layer: &Layer, angles: &Angles, work: &mut Workspace) {
        let shape = &self.weights.shape;
        let (dim, half) = (shape.head_dim, shape.head_dim / 2);
        let norms = layer.head_norms.as_ref();
        for (x, norm) in
            [(&mut work.q, norms.map(|norms| &norms.0)), (&mut work.k, norms.map(|norms| &norms.1))]
        {
            if shape.interleaved {
                x.chunks_exact_mut(dim).for_each(|head| part_pairs(head, &mut work.product));
            }
            if let Some(norm) = norm {
                work.product.resize(x.len(), 0.0);
                self.level.rms_norm(x, norm, shape.eps as f32, &mut work.product);
                std::mem::swap(x, &mut work.product);
            }
            let width = x.len() / (angles.cos.len() / half).max(1);
            for (r, row) in x.chunks_exact_mut(width.max(1)).enumerate() {
                let at = r * half..(r + 1) * half;
                self.level.rope(row, &angles.cos[at.clone()], &angles.sin[at]);
            }
        }
        let scale = shape.score_scale as f32;
        work.q.iter_mut().for_each(|x| *x *= scale);
    }

    /// Attention: adds the keys and values of the rows to the caches; then each row looks at the positions up to its own.
    fn attend(
        &self,
        layer: usize,
        streams: &mut [Stream<'_>],
        threads: usize,
        work: &mut Workspace,
    ) {
        let shape = &self.weights.shape;
        let (dim, stride, heads) = (shape.head_dim, self.stride(), shape.kv_heads);
        let group = shape.heads / heads;
        let window = shape.sliding[layer].unwrap_or(usize::MAX);
        let Workspace { q, k, v, attended, .. } = work;
        attended.resize(q.len(), 0.0);
        let mut first = 0;
        for stream in streams {
            let (rows, start) = (stream.tokens.len(), stream.cache.len);
            let cache = &mut *stream.cache;
            assert_eq!(cache.keys.len(), shape.layers * heads, "cache of another model");
            for h in 0..heads {
                for (to, from) in [(&mut cache.keys, &*k), (&mut cache.values, &*v)] {
                    let to = &mut to[layer * heads + h];
                    for r in first..first + rows {
                        let row = &from[(r * heads + h) * dim..][..dim];
                        to.extend_from_slice(row);
                        to.resize(to.len() + stride - dim, 0.0);
                    }
                }
            }
            let (keys, values) = (&cache.keys[layer * heads..], &cache.values[layer * heads..]);
            let q = &q[first * shape.q_size()..][..rows * shape.q_size()];
            let out = &mut attended[first * shape.q_size()..][..rows * shape.q_size()];
            let one = |i: usize, (q, out): (&[f32], &mut [f32])| {
                let (r, h) = (i / heads, i % heads);
                let end = start + r + 1;
                let seen = end.saturating_sub(window) * stride..end * stride;
                self.attend_one(q, &keys[h][seen.clone()], &values[h][seen], out);
            };
            // Each a row's queries that share a key.
            let width = group * dim;
            let pairs = q.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate();
            if threads > 1 && rows * heads * (start + rows) > 4096 {
                pool::for_each(pairs.collect(), |(i, pair)| one(i, pair));
            } else {
                pairs.for_each(|(i, pair)| one(i, pair));
            }
            first += rows;
        }
    }

    /// Queries that share keys, (group, head_dim), over the positions that they see.
    fn attend_one(&self, q: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
        let shape = &self.weights.shape;
        let (dim, stride, level) = (shape.head_dim, self.stride(), self.level);
        let group = q.len() / dim;
        let q = pad(q, dim, stride);
        let positions = keys.len() / stride;
        let mut scores = vec![0.0; group * positions];
        let mut sums = vec![0.0; group * TILE * LANES];
        let mut last = vec![0.0; TILE * stride];
        for (t, tile) in keys.chunks(TILE * stride).enumerate() {
            let count = tile.len() / stride;
            let tile = if count == TILE {
                tile
            } else {
                last[..tile.len()].copy_from_slice(tile);
                &last
            };
            sums.fill(0.0);
            add_products(level, &q, stride, tile, &mut sums);
            for (g, sums) in sums.chunks_exact(TILE * LANES).enumerate() {
                for (p, sums) in sums.as_chunks().0.iter().enumerate().take(count) {
                    scores[g * positions + t * TILE + p] = fold(sums);
                }
            }
        }
        if let Some(cap) = shape.score_cap {
            soft_cap(level, cap as f32, &mut scores);
        }
        let mut sum = vec![0.0; stride];
        for (scores, out) in scores.chunks_exact_mut(positions).zip(out.chunks_exact_mut(dim)) {
            let total = level.softmax(scores);
            sum.fill(0.0);
            add_weighted(level, scores, values, &mut sum);
            for (out, sum) in out.iter_mut().zip(&sum) {
                *out = sum / total;
            }
        }
    }

    /// Only what is wanted goes through the head.
    fn head(&self, streams: &mut [Stream<'_>], threads: usize, work: &mut Workspace) {
        let shape = &self.weights.shape;
        let d = shape.hidden;
        let Workspace { hidden, normed, logits, .. } = work;
        let mut first = 0;
        normed.clear();
        for stream in streams {
            stream.cache.len += stream.tokens.len();
            let end = first + stream.tokens.len();
            assert!(stream.wanted <= stream.tokens.len(), "more rows wanted than fed");
            normed.extend_from_slice(&hidden[(end - stream.wanted) * d..end * d]);
            first = end;
        }
        hidden.resize(normed.len(), 0.0);
        self.level.rms_norm(normed, &self.weights.norm, shape.eps as f32, hidden);
        let head = self.weights.head.as_ref().unwrap_or(&self.weights.embed);
        head.product(self.level, threads, hidden, logits);
        if let Some(cap) = shape.logit_cap {
            soft_cap(self.level, cap as f32, logits);
        }
    }
}

/// Cosines and sines of rows.
#[derive(Debug, Default)]
struct Angles {
    cos: Vec<f32>, // (rows, head_dim / 2)
    sin: Vec<f32>,
}

/// Reorders a head in which the numbers of a pair are neighbours, so that they are `head_dim / 2` apart.
fn part_pairs(head: &mut [f32], buffer: &mut Vec<f32>) {
    buffer.clear();
    buffer.extend_from_slice(head);
    let (low, high) = head.split_at_mut(buffer.len() / 2);
    for ((pair, low), high) in buffer.as_chunks::<2>().0.iter().zip(low).zip(high) {
        [*low, *high] = *pair;
    }
}
