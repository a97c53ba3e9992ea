//! The network: parameters, forward pass, loss, files. docs/format/recurrent.md has its formulas.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use lmic::nn::{NgramContexts, NgramRows, RecurrentConfig, RecurrentWeights};
use safetensors::Dtype;

use super::ngrams::{self, packed, unpacked};
use super::recurrence::recurrence;
use super::rounding::{rounded, stepped};
use crate::export::{CONFIG, WEIGHTS};
use crate::network::{Gradients, START, VOCABULARY, linear, nats, rms_norm};
use crate::parallel::in_order;
use crate::random::Normal;
use crate::replace::replace;
use crate::tensors::{TensorFile, values};

/// What a norm adds to the mean square.
const EPSILON: f64 = 1e-5;

/// Symbols that are predicted.
const OUTPUTS: usize = 256;

/// Steps of the largest input of a product in int8.
const ACTIVATION_LEVELS: usize = 127;

/// What files call the rows of frequent contexts, and which contexts these are.
const NGRAM_TABLE: &str = "ngrams.table";

/// Tensors of one layer.
const PER_LAYER: usize = 8;

/// Longest memory in bytes that a gate starts with; the shortest is 2.
const LONGEST: f64 = 500.0;

/// Bytes of a stream that are computed as one tensor where there are no gradients.
const PART: usize = 1024;

/// Name, shape and treatment of one parameter.
struct Spec {
    name: String,
    shape: [usize; 2], // vectors are one row here, and of one dimension in files
    start: Start,
    rounds: bool, // in int8
}

/// What a parameter is at first.
enum Start {
    Deviation(f64),
    Ones,
    /// Memories of all lengths.
    Timescales,
}

/// All parameters, in the order that [`Model`] keeps them.
fn specs(c: &RecurrentConfig) -> Vec<Spec> {
    let (d, s, f) = (c.hidden_size, c.state_size, c.intermediate_size);
    let root = |n: usize| 1.0 / (n as f64).sqrt();
    let matrix = |name: String, rows, columns, deviation| Spec {
        name: name + ".weight",
        shape: [rows, columns],
        start: Start::Deviation(deviation),
        rounds: true,
    };
    let vector = |name: String, len, start| Spec { name, shape: [1, len], start, rounds: false };
    let norm = |name: String| vector(name + ".weight", d, Start::Ones);
    let embedding = |i: usize| Spec {
        name: format!("embed.{i}"),
        shape: [VOCABULARY, d],
        start: Start::Deviation(if i == 0 { 0.5 } else { 0.1 }),
        rounds: false,
    };
    let mut specs: Vec<Spec> = (0..c.taps).map(embedding).collect();
    if let Some(n) = &c.ngrams {
        let (name, shape) = (NGRAM_TABLE.into(), [n.rows(), n.size]);
        specs.push(Spec { name, shape, start: Start::Deviation(0.1), rounds: false });
        for i in 0..n.layers.len() {
            specs.push(matrix(format!("ngrams.proj.{i}"), d, n.width(), 0.5 * root(n.size)));
        }
    }
    for i in 0..c.layers {
        let name = |part: &str| format!("layers.{i}.{part}");
        specs.push(norm(name("mixer_norm")));
        specs.push(matrix(name("mixer.in_proj"), 3 * s, d, root(d)));
        specs.push(vector(name("mixer.bias"), s, Start::Timescales));
        specs.push(matrix(name("mixer.out_proj"), d, s, 0.5 * root(s)));
        specs.push(norm(name("mlp_norm")));
        specs.push(matrix(name("gate_proj"), f, d, root(d)));
        specs.push(matrix(name("up_proj"), f, d, root(d)));
        specs.push(matrix(name("down_proj"), d, f, 0.5 * root(f)));
    }
    specs.push(norm("norm".into()));
    specs.push(matrix("head".into(), OUTPUTS, d, 0.02));
    specs
}

/// Logits of gates whose memories last from 2 to [`LONGEST`] bytes.
fn timescales(n: usize) -> Vec<f32> {
    let gate = |i: usize| {
        let part = i as f64 / (n - 1) as f64;
        let keep = (-1.0 / (2.0 * (LONGEST / 2.0).powf(part))).exp();
        (keep / (1.0 - keep)).ln() as f32
    };
    (0..n).map(gate).collect()
}

/// Parameters on the CPU.
pub struct Model {
    /// Shape.
    pub config: RecurrentConfig,
    /// Tensors in a fixed order.
    pub parameters: Vec<Tensor<2>>,
    /// Of each row for a frequent context, that context's check; 0 where no context has the row.
    pub checks: Vec<u16>,
    specs: Vec<Spec>,
    device: Device,
    threads: usize,
}

/// A part of a stream, and what the network has kept of the stream before.
pub struct Segment<'a> {
    symbols: Vec<i32>, // inputs, after `taps - 1` before them
    rows: Vec<i32>,    // of n-grams, (positions, kinds)
    has_row: Vec<f32>, // 1 or 0, (positions, kinds)
    targets: &'a [u8],
    state: Vec<f32>, // (layers, state)
}

impl<'a> Segment<'a> {
    /// The bytes in `range` of the stream `text`, for `model`.
    pub fn of(model: &Model, text: &'a [u8], range: Range<usize>, state: Vec<f32>) -> Self {
        let taps = model.config.taps;
        let symbol = |before: usize| before.checked_sub(taps).map_or(START, |i| text[i].into());
        let symbols = (range.start..range.end + taps - 1).map(symbol).collect();
        let (mut rows, mut has_row) = (Vec::new(), Vec::new());
        if let Some(c) = &model.config.ngrams {
            let mut contexts = NgramContexts::after(&text[..range.start]);
            for &byte in &text[range.clone()] {
                for (kind, &order) in c.orders.iter().enumerate() {
                    let row = c.row(&model.checks, kind, contexts.key(order));
                    rows.push(row.unwrap_or(0) as i32);
                    has_row.push(if row.is_some() { 1.0 } else { 0.0 });
                }
                contexts.push(byte);
            }
        }
        Self { symbols, rows, has_row, targets: &text[range], state }
    }
}

impl Model {
    /// New parameters drawn from `seed`. No context has a row yet: [`checks`](Self::checks) are to be set.
    pub fn new(config: &RecurrentConfig, seed: u64, device: &Device, threads: usize) -> Self {
        let mut normal = Normal::new(seed);
        let draw = |spec: &Spec| {
            let count = spec.shape[0] * spec.shape[1];
            match spec.start {
                Start::Deviation(deviation) => {
                    (0..count).map(|_| (normal.draw() * deviation) as f32).collect()
                }
                Start::Ones => vec![1.0; count],
                Start::Timescales => timescales(count),
            }
        };
        let checks = vec![0; config.ngrams.as_ref().map_or(0, |n| n.rows())];
        let values = specs(config).iter().map(draw).collect();
        Self::from_values(config, values, checks, device, threads)
    }

    /// Reads an f32 model directory or file: see [`RecurrentWeights::load`].
    ///
    /// # Errors
    /// As there; or the model has parts that are not trained here, or is int8.
    pub fn load(folder: &Path, device: &Device, threads: usize) -> Result<Self> {
        let weights = RecurrentWeights::load(folder)?;
        let (tensors, specs) = (weights.tensors(), specs(&weights.config));
        let (mut checks, mut pairs, mut kinds) = (Vec::new(), Vec::new(), 0);
        if let Some((c, ngrams)) = weights.config.ngrams.as_ref().zip(weights.ngrams.as_ref()) {
            kinds = ngrams.kinds.len();
            for rows in &ngrams.kinds {
                let (own, own_pairs) = rows.split(c.size);
                checks.extend(own);
                pairs.extend(own_pairs);
            }
        }
        let find = |spec: &Spec| {
            if spec.name == NGRAM_TABLE {
                return Ok(unpacked(&pairs, spec.shape[1]));
            }
            let tensor = tensors.iter().find(|tensor| tensor.name == spec.name);
            match tensor.map(|tensor| tensor.data) {
                Some(lmic::nn::TensorData::F32(data)) => Ok(data.to_vec()),
                _ => bail!("{} has no {} in f32", folder.display(), spec.name),
            }
        };
        let values = specs.iter().map(find).collect::<Result<_>>()?;
        // The table of rows is one parameter here, and a tensor for each kind there.
        if tensors.len() + usize::from(kinds > 0) != specs.len() + kinds {
            bail!("{}: a recurrent model of a kind that is not trained here", folder.display());
        }
        Ok(Self::from_values(&weights.config, values, checks, device, threads))
    }

    fn from_values(
        config: &RecurrentConfig,
        values: Vec<Vec<f32>>,
        checks: Vec<u16>,
        device: &Device,
        threads: usize,
    ) -> Self {
        let specs = specs(config);
        let parameters = specs
            .iter()
            .zip(values)
            .map(|(spec, values)| Tensor::from_data(TensorData::new(values, spec.shape), device))
            .collect();
        let (config, device) = (config.clone(), device.clone());
        Self { config, parameters, checks, specs, device, threads }
    }

    /// Writes the f32 model to a folder; returns its int8 form as the bytes of a file.
    ///
    /// # Errors
    /// Of the file system.
    pub fn save(&self, folder: &Path, name: &str) -> Result<Vec<u8>> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut file = TensorFile::default();
        for (spec, tensor) in self.specs.iter().zip(&self.parameters) {
            if let Some(c) = self.config.ngrams.as_ref().filter(|_| spec.name == NGRAM_TABLE) {
                let pairs = packed(&values(tensor), c.size);
                let mut first = 0;
                for (kind, bits) in c.bits.iter().enumerate() {
                    let (from, to) = (first, first + (1 << bits));
                    let pairs = &pairs[from * c.size / 2..to * c.size / 2];
                    let bytes = NgramRows::join(&self.checks[from..to], pairs).bytes().to_vec();
                    let shape = vec![bytes.len() / c.bucket_bytes(), c.bucket_bytes()];
                    file.add_bytes(format!("ngrams.rows.{kind}"), Dtype::U8, shape, bytes);
                    first = to;
                }
                continue;
            }
            let is_vector = spec.shape[0] == 1;
            let shape = if is_vector { vec![spec.shape[1]] } else { spec.shape.to_vec() };
            file.add(spec.name.clone(), shape, &values(tensor));
        }
        file.write(&folder.join(WEIGHTS), [("format".into(), "pt".into())].into())?;
        replace(&folder.join(CONFIG), self.config.to_json().as_bytes())?;
        let mut weights = RecurrentWeights::load(folder)?.quantize()?;
        weights.name = name.into();
        Ok(weights.to_safetensors())
    }

    /// Number of parameters.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|p| p.shape().num_elements()).sum()
    }

    /// Names of the parameters as files have them.
    pub fn names(&self) -> Vec<String> {
        self.specs.iter().map(|spec| spec.name.clone()).collect()
    }

    /// Which of the parameters are matrices of layers.
    pub fn layer_matrices(&self) -> Vec<bool> {
        self.specs.iter().map(|spec| spec.name.starts_with("layers") && spec.rounds).collect()
    }

    /// Which of the parameters has the rows for contexts, if there are any.
    pub fn table(&self) -> Option<usize> {
        self.specs.iter().position(|spec| spec.name == NGRAM_TABLE)
    }

    /// What is kept of a stream of which nothing was read.
    pub fn state(&self) -> Vec<f32> {
        vec![0.0; self.config.layers * self.config.state_size]
    }

    /// Gradients of the mean `-ln p` over all bytes, added in the order of the segments whatever thread had computed
    /// them, and the states after the segments. With `int8`, weights and activations are rounded as in an int8 model.
    pub fn gradients(&self, segments: Vec<Segment>, int8: bool) -> (Gradients, Vec<Vec<f32>>) {
        let bytes: usize = segments.iter().map(|segment| segment.targets.len()).sum();
        // The gradient of a rounded matrix is that of the matrix: rounded once for all segments.
        let parameters = self.rounded(int8);
        let (mut total, mut states) = (None, Vec::new());
        in_order(
            self.threads,
            segments,
            |segment| {
                let mut state = segment.state.clone();
                let gradients = Gradients::of(&parameters, bytes, |leaves| {
                    Graph::new(self, leaves, int8).nats(segment, &mut state)
                });
                (gradients, state)
            },
            |(part, state)| {
                Gradients::add(&mut total, part);
                states.push(state);
            },
        );
        (total.expect("a step has rows"), states)
    }

    /// Sum of `-log2 p` over all bytes of `pieces`, each a stream of its own.
    pub fn bits(&self, pieces: &[&[u8]], int8: bool) -> f64 {
        let parameters = self.rounded(int8);
        let mut total = 0.0;
        in_order(
            self.threads,
            pieces.iter().copied(),
            |piece| {
                let graph = Graph::new(self, &parameters, int8);
                let mut state = self.state();
                let mut nats = 0.0;
                for start in (0..piece.len()).step_by(PART) {
                    let range = start..piece.len().min(start + PART);
                    let segment = Segment::of(self, piece, range, Vec::new());
                    nats += f64::from(graph.nats(&segment, &mut state).into_scalar::<f32>());
                }
                nats
            },
            |nats| total += nats * std::f64::consts::LOG2_E,
        );
        total
    }

    /// Logits of every position of a stream: row `i` predicts byte `i` from the bytes before it.
    pub fn logits(&self, text: &[u8]) -> Vec<[f32; OUTPUTS]> {
        let segment = Segment::of(self, text, 0..text.len(), Vec::new());
        let graph = Graph::new(self, &self.parameters, false);
        let values = values(&graph.logits(&segment, &mut self.state()));
        values.chunks_exact(OUTPUTS).map(|row| row.try_into().expect("a row")).collect()
    }

    fn rounded(&self, int8: bool) -> Vec<Tensor<2>> {
        let round = |(spec, p): (&Spec, &Tensor<2>)| match int8 && spec.rounds {
            true => rounded(p.clone(), self.config.weight_levels),
            false => p.clone(),
        };
        self.specs.iter().zip(&self.parameters).map(round).collect()
    }
}

/// The forward pass over some parameters: those of the model, or leaves that record gradients.
struct Graph<'a> {
    config: &'a RecurrentConfig,
    device: &'a Device,
    parameters: &'a [Tensor<2>],
    int8: bool,
}

impl<'a> Graph<'a> {
    fn new(model: &'a Model, parameters: &'a [Tensor<2>], int8: bool) -> Self {
        Self { config: &model.config, device: &model.device, parameters, int8 }
    }

    /// Sum of `-ln p` over the bytes of a segment.
    fn nats(&self, segment: &Segment, state: &mut [f32]) -> Tensor<1> {
        nats(self.logits(segment, state), segment.targets, self.device)
    }

    /// `(positions, OUTPUTS)`; the state becomes that after the segment.
    fn logits(&self, segment: &Segment, state: &mut [f32]) -> Tensor<2> {
        let taps = self.config.taps;
        let (embeddings, rest) = self.parameters.split_at(taps);
        let before = self.config.ngrams.as_ref().map(|c| &c.layers[..]).unwrap_or_default();
        let (ngrams, rest) = rest.split_at(if before.is_empty() { 0 } else { 1 + before.len() });
        let [layers @ .., norm, head] = rest else { unreachable!() };
        let positions = segment.targets.len();
        let mut h = embeddings
            .iter()
            .enumerate()
            .map(|(i, table)| {
                let symbols = segment.symbols[taps - 1 - i..][..positions].to_vec();
                let symbols = TensorData::new(symbols, [positions]);
                table.clone().select(0, Tensor::<1, Int>::from_data(symbols, self.device))
            })
            .reduce(|a, b| a + b)
            .expect("at least one tap"); // (positions, hidden)
        let rows = ngrams.first().map(|table| self.frequent(segment, table));
        let add_rows =
            |layer: usize, h: Tensor<2>| match (before.iter().position(|&l| l == layer), &rows) {
                (Some(i), Some(rows)) => h + linear(rows.clone(), &ngrams[1 + i]),
                _ => h,
            };
        let states = state.chunks_exact_mut(self.config.state_size);
        for (i, (layer, state)) in layers.chunks_exact(PER_LAYER).zip(states).enumerate() {
            h = add_rows(i, h);
            let [mixer_norm, in_proj, bias, out_proj, mlp_norm, gate, up, down] = layer else {
                unreachable!()
            };
            let x = self.round(rms_norm(h.clone(), mixer_norm, EPSILON));
            let mixed = recurrence(linear(x, in_proj), bias, state);
            h = h + linear(self.round(mixed), out_proj);
            let x = self.round(rms_norm(h.clone(), mlp_norm, EPSILON));
            let inner = silu(linear(x.clone(), gate)) * linear(x, up);
            h = h + linear(self.round(inner), down);
        }
        h = add_rows(self.config.layers, h);
        linear(self.round(rms_norm(h, norm, EPSILON)), head)
    }

    /// The rows of the frequent contexts that positions are in, zeros for others: `(positions, kinds * size)`.
    fn frequent(&self, segment: &Segment, table: &Tensor<2>) -> Tensor<2> {
        let (count, size) = (segment.rows.len(), table.dims()[1]);
        let rows = TensorData::new(segment.rows.clone(), [count]);
        let has_row = TensorData::new(segment.has_row.clone(), [count, 1]);
        let has_row: Tensor<2> = Tensor::from_data(has_row, self.device);
        let has_row = if table.is_autodiff() { Tensor::from_inner(has_row) } else { has_row };
        let rows = table.clone().select(0, Tensor::<1, Int>::from_data(rows, self.device));
        let rows = (rows * has_row).clamp(-1.0, 1.0);
        let rows = if self.int8 { stepped(rows, ngrams::LEVELS) } else { rows };
        let positions = segment.targets.len();
        rows.reshape([positions, count / positions * size])
    }

    fn round(&self, x: Tensor<2>) -> Tensor<2> {
        if self.int8 { rounded(x, ACTIVATION_LEVELS) } else { x }
    }
}

/// Whether a model directory holds a recurrent model.
///
/// # Errors
/// It has no configuration.
pub fn is_model(folder: &Path) -> Result<bool> {
    let path = folder.join(CONFIG);
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let config: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
    Ok(config["model_type"] == "lmic_recurrent")
}
