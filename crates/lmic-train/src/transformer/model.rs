//! The network: parameters, forward pass, loss.
//!
//! The Llama skeleton over bytes: RMSNorm, rotary positions (pairs `i`, `i + head_dim / 2`), causal grouped-query
//! attention, SwiGLU. Position 0 of a window is the start symbol, so the network predicts every byte of it.
//!
//! All parameters are matrices in the layout of Hugging Face (rows are outputs); a norm is a matrix of one row.
//! Tensors have no type parameter for their device: the same code runs on all of them.

use std::ops::Range;

use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::attention;
use super::recipe::ModelConfig;
use crate::network::{Gradients, START, VOCABULARY, linear, nats, rms_norm};
use crate::parallel::{Form, Runs, in_order};
use crate::random::Normal;
use crate::tensors::values;

/// Matrices of one block.
const PER_LAYER: usize = 9;

/// Name, shape and treatment of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// Name in safetensors.
    pub name: String,
    /// `[rows, columns]`; norms have one row here and one dimension in files.
    pub shape: [usize; 2],
    /// Standard deviation at the start; `None`: all ones (a norm).
    pub deviation: Option<f64>,
    /// Subject to weight decay?
    pub decays: bool,
}

/// All parameters of a configuration, in the order that [`Model`] keeps them.
pub fn parameter_specs(config: &ModelConfig) -> Vec<ParameterSpec> {
    let (d, ff) = (config.hidden_size, config.intermediate_size);
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    // GPT-2's rule: what adds to the residual stream starts smaller the more blocks add to it.
    let residual = 0.02 / (2.0 * config.layers as f64).sqrt();
    let matrix = |name: String, rows, columns, deviation| ParameterSpec {
        name,
        shape: [rows, columns],
        deviation: Some(deviation),
        decays: true,
    };
    let norm = |name: String| ParameterSpec { name, shape: [1, d], deviation: None, decays: false };
    let embedding = matrix("model.embed_tokens.weight".into(), VOCABULARY, d, 0.02);
    let mut specs = vec![ParameterSpec { decays: false, ..embedding }];
    for i in 0..config.layers {
        let name = |part: &str| format!("model.layers.{i}.{part}.weight");
        specs.push(norm(name("input_layernorm")));
        specs.push(matrix(name("self_attn.q_proj"), q, d, 0.02));
        specs.push(matrix(name("self_attn.k_proj"), kv, d, 0.02));
        specs.push(matrix(name("self_attn.v_proj"), kv, d, 0.02));
        specs.push(matrix(name("self_attn.o_proj"), d, q, residual));
        specs.push(norm(name("post_attention_layernorm")));
        specs.push(matrix(name("mlp.gate_proj"), ff, d, 0.02));
        specs.push(matrix(name("mlp.up_proj"), ff, d, 0.02));
        specs.push(matrix(name("mlp.down_proj"), d, ff, residual));
    }
    specs.push(norm("model.norm.weight".into()));
    specs.push(matrix("lm_head.weight".into(), VOCABULARY, d, 0.02));
    specs
}

/// Parameters on a device.
pub struct Model {
    /// Shape.
    pub config: ModelConfig,
    /// One for each of [`parameter_specs`].
    pub parameters: Vec<Tensor<2>>,
    device: Device,
    runs: Runs,
}

impl Model {
    /// New parameters drawn from `seed`; the same on every device.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device, runs: Runs) -> Self {
        let mut normal = Normal::new(seed);
        let parameters = parameter_specs(config)
            .iter()
            .map(|spec| {
                let count = spec.shape[0] * spec.shape[1];
                spec.deviation.map_or_else(
                    || vec![1.0; count],
                    |deviation| (0..count).map(|_| (normal.draw() * deviation) as f32).collect(),
                )
            })
            .collect();
        Self::from_values(config, parameters, device, runs)
    }

    /// Parameters from numbers, one vector for each of [`parameter_specs`].
    ///
    /// # Panics
    /// If their lengths aren't those of the shapes.
    pub fn from_values(
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        device: &Device,
        runs: Runs,
    ) -> Self {
        let specs = parameter_specs(config).into_iter();
        let parameters = specs
            .zip(values)
            .map(|(spec, values)| Tensor::from_data(TensorData::new(values, spec.shape), device))
            .collect();
        Self { config: config.clone(), parameters, device: device.clone(), runs }
    }

    /// Number of parameters.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|p| p.shape().num_elements()).sum()
    }

    /// Names of the parameters as files have them.
    pub fn names(&self) -> Vec<String> {
        parameter_specs(&self.config).into_iter().map(|spec| spec.name).collect()
    }

    /// Gradients of the mean `-ln p` over all bytes of `windows`, added in the order of the windows whatever
    /// thread had computed them.
    pub fn gradients(&self, windows: &[&[u8]]) -> Gradients {
        let bytes: usize = windows.iter().map(|w| w.len()).sum();
        let mut total: Option<Gradients> = None;
        in_order(
            self.runs.threads,
            windows.chunks(self.runs.sequences),
            |part| self.gradients_of(part, bytes),
            |part| Gradients::add(&mut total, part),
        );
        total.expect("a batch has windows")
    }

    /// Sum of `-log2 p` over all bytes of each run of `windows`, in their order.
    pub fn bits(&self, windows: &[&[u8]]) -> f64 {
        let mut bits = 0.0;
        in_order(
            self.runs.threads,
            windows.chunks(self.runs.sequences),
            |part| {
                let graph = Graph::new(self, &self.parameters);
                f64::from(graph.nats(part).into_scalar::<f32>())
            },
            |nats| bits += nats * std::f64::consts::LOG2_E,
        );
        bits
    }

    /// Logits of every position of one window: row `i` predicts byte `i` from the bytes before it.
    pub fn logits(&self, window: &[u8]) -> Vec<[f32; VOCABULARY]> {
        let logits = Graph::new(self, &self.parameters).logits(&[window]);
        let values = values(&logits);
        values.chunks_exact(VOCABULARY).map(|row| row.try_into().expect("a row")).collect()
    }

    fn gradients_of(&self, windows: &[&[u8]], bytes: usize) -> Gradients {
        Gradients::of(&self.parameters, bytes, |leaves| Graph::new(self, leaves).nats(windows))
    }
}

/// The forward pass over some parameters: those of the model, or leaves that record gradients.
struct Graph<'a> {
    config: &'a ModelConfig,
    device: &'a Device,
    form: Form,
    parameters: &'a [Tensor<2>],
}

impl<'a> Graph<'a> {
    fn new(model: &'a Model, parameters: &'a [Tensor<2>]) -> Self {
        Self { config: &model.config, device: &model.device, form: model.runs.form, parameters }
    }

    /// Sum of `-ln p` over all bytes.
    fn nats(&self, windows: &[&[u8]]) -> Tensor<1> {
        nats(self.logits(windows), &windows.concat(), self.device)
    }

    /// `(windows * length, VOCABULARY)`; all windows have one length.
    fn logits(&self, windows: &[&[u8]]) -> Tensor<2> {
        let (config, batch, length) = (self.config, windows.len(), windows[0].len());
        let symbols: Vec<i32> = windows
            .iter()
            .flat_map(|w| std::iter::once(START).chain(w[..length - 1].iter().map(|&b| b.into())))
            .collect();
        let symbols =
            Tensor::<1, Int>::from_data(TensorData::new(symbols, [batch * length]), self.device);
        let [table, final_norm, head] =
            [0, self.parameters.len() - 2, self.parameters.len() - 1].map(|i| &self.parameters[i]);

        // The scale of attention is folded into the queries' rotation.
        let scale = 1.0 / (config.head_dim as f64).sqrt();
        let query_rotation = self.rotation(length, scale);
        let key_rotation = self.rotation(length, 1.0);
        let blocks = match self.form {
            Form::Cpu => None,
            Form::Gpu { attention_rows } => Some(self.blocks(length, attention_rows)),
        };
        let epsilon = config.rms_norm_eps;
        let split = |x: Tensor<2>, heads| x.reshape([batch, length, heads, config.head_dim]);

        let mut h = self.embed(table, symbols); // (batch * length, hidden_size)
        for layer in self.parameters[1..].chunks_exact(PER_LAYER).take(config.layers) {
            let [norm, q, k, v, o, mlp_norm, gate, up, down] = layer else { unreachable!() };
            let n = rms_norm(h.clone(), norm, epsilon);
            let queries = rotate(split(linear(n.clone(), q), config.heads), &query_rotation);
            let keys = rotate(split(linear(n.clone(), k), config.kv_heads), &key_rotation);
            let values = split(linear(n, v), config.kv_heads);
            let (keys, values) = (self.each_head(keys), self.each_head(values));
            let inputs = [queries, keys, values].map(|x| x.swap_dims(1, 2));
            let attended = match &blocks {
                Some(blocks) => composed_attention(blocks, inputs),
                None => self.fused_attention(inputs),
            };
            let width = config.heads * config.head_dim;
            h = h + linear(attended.swap_dims(1, 2).reshape([batch * length, width]), o);
            let n = rms_norm(h.clone(), mlp_norm, epsilon);
            h = h + linear(silu(linear(n.clone(), gate)) * linear(n, up), down);
        }
        linear(rms_norm(h, final_norm, epsilon), head)
    }

    fn embed(&self, table: &Tensor<2>, symbols: Tensor<1, Int>) -> Tensor<2> {
        if matches!(self.form, Form::Cpu) {
            return table.clone().select(0, symbols);
        }
        // The gradient of `select` walks through all symbols one after another. A product does not.
        let all = Tensor::<1, Int>::arange(0..VOCABULARY as i64, self.device);
        let count = symbols.dims()[0];
        let one_hot = symbols.reshape([count, 1]).equal(all.reshape([1, VOCABULARY]));
        one_hot.float().matmul(table.clone())
    }

    /// Cosines and sines, each `(1, length, 1, head_dim / 2)`, times `scale`.
    fn rotation(&self, length: usize, scale: f64) -> [Tensor<4>; 2] {
        let half = self.config.head_dim / 2;
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f32> = (0..length * half)
                .map(|i| {
                    let exponent = -2.0 * (i % half) as f64 / self.config.head_dim as f64;
                    let frequency = self.config.rope_theta.powf(exponent);
                    (f((i / half) as f64 * frequency) * scale) as f32
                })
                .collect();
            Tensor::from_data(TensorData::new(values, [1, length, 1, half]), self.device)
        };
        [table(f64::cos), table(f64::sin)]
    }

    /// Key or value heads repeated for each query head of their group.
    fn each_head(&self, x: Tensor<4>) -> Tensor<4> {
        let group = self.config.heads / self.config.kv_heads;
        if group == 1 {
            return x;
        }
        let [batch, length, heads, head_dim] = x.dims();
        x.unsqueeze_dim::<5>(3).expand([batch, length, heads, group, head_dim]).reshape([
            batch,
            length,
            heads * group,
            head_dim,
        ])
    }

    /// The same as [`composed_attention`] as one operation.
    fn fused_attention(&self, inputs: [Tensor<4>; 3]) -> Tensor<4> {
        let [batch, heads, length, head_dim] = inputs[0].dims();
        let window = self.config.sliding_window.unwrap_or(length);
        let [q, k, v] = inputs.map(|x| x.reshape([batch * heads, length, head_dim]));
        attention(q, k, v, window).reshape([batch, heads, length, head_dim])
    }

    /// What each block of query rows sees: the keys before it without a mask, unless the window ends among
    /// them, and the keys beside it with one.
    fn blocks(&self, length: usize, block_rows: usize) -> Vec<Block> {
        let window = self.config.sliding_window.unwrap_or(length);
        let rows_of = |start: usize| start..length.min(start + block_rows);
        // All blocks but the last share the mask of their own keys.
        let full = self.mask(rows_of(0), rows_of(0), window);
        (0..length)
            .step_by(block_rows)
            .map(|start| {
                let rows = rows_of(start);
                let before = (start + 1).saturating_sub(window)..start;
                let mut spans = Vec::new();
                if !before.is_empty() {
                    let mask = (window < rows.end - before.start)
                        .then(|| self.mask(rows.clone(), before.clone(), window));
                    spans.push((before, mask));
                }
                let whole = rows.len() == full.dims()[2];
                let mask = if whole {
                    full.clone()
                } else {
                    self.mask(rows.clone(), rows.clone(), window)
                };
                spans.push((rows.clone(), Some(mask)));
                Block { rows, spans }
            })
            .collect()
    }

    /// 0 where row sees column, else a number whose exponential is 0: `(1, 1, rows, columns)`.
    fn mask(&self, rows: Range<usize>, columns: Range<usize>, window: usize) -> Tensor<4> {
        let shape = [1, 1, rows.len(), columns.len()];
        let mut values = Vec::with_capacity(rows.len() * columns.len());
        for row in rows {
            let sees = |column| column <= row && row < column + window;
            values.extend(columns.clone().map(|c| if sees(c) { 0.0f32 } else { -1e30 }));
        }
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}

/// Rows of queries that are computed together.
struct Block {
    rows: Range<usize>,
    spans: Vec<(Range<usize>, Option<Tensor<4>>)>, // keys, and the mask that they need
}

/// Attention as tensor operations, all of `(batch, heads, length, head_dim)`; queries are scaled already.
fn composed_attention(blocks: &[Block], [queries, keys, values]: [Tensor<4>; 3]) -> Tensor<4> {
    let mixed = blocks.iter().map(|block| {
        let q = queries.clone().slice_dim(2, block.rows.clone());
        let score = |(span, mask): &(Range<usize>, Option<Tensor<4>>)| {
            let k = keys.clone().slice_dim(2, span.clone());
            let scores = q.clone().matmul(k.swap_dims(2, 3)); // (batch, heads, rows, span)
            mask.iter().fold(scores, |scores, mask| scores + mask.clone())
        };
        let scores: Vec<Tensor<4>> = block.spans.iter().map(score).collect();
        let largest = scores
            .iter()
            .map(|scores| scores.clone().detach().max_dim(3))
            .reduce(Tensor::max_pair)
            .expect("a row sees itself");
        let (mixed, sum) = scores
            .into_iter()
            .zip(&block.spans)
            .map(|(scores, (span, _))| {
                let weights = (scores - largest.clone()).exp();
                let sum = weights.clone().sum_dim(3);
                (weights.matmul(values.clone().slice_dim(2, span.clone())), sum)
            })
            .reduce(|a, b| (a.0 + b.0, a.1 + b.1))
            .expect("a row sees itself");
        mixed / sum
    });
    Tensor::cat(mixed.collect(), 2)
}

/// Rotates the pairs `(i, i + head_dim / 2)` of each head of `(batch, length, heads, head_dim)`.
fn rotate(x: Tensor<4>, [cos, sin]: &[Tensor<4>; 2]) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let a = x.clone().slice_dim(3, 0..half);
    let b = x.slice_dim(3, half..2 * half);
    let turned_a = a.clone() * cos.clone() - b.clone() * sin.clone();
    let turned_b = b * cos.clone() + a * sin.clone();
    Tensor::cat(vec![turned_a, turned_b], 3)
}
