//! The numbers of a recurrent model: read from a file, checked, quantised, written, identified.
//!
//! Files are like those of transformers: see [`Weights`](crate::nn::Weights). Norms and biases are always F32.
//! All matrices, also the embeddings, are either F32, or I8 with a `NAME_scale` of one F32 a row. Rows for frequent contexts
//! are integers of 4 bits in both.

use std::path::Path;

use super::config::{NgramConfig, RecurrentConfig};
use super::ngrams::{LIBRARY_ROWS, NgramRows, Ngrams};
use crate::error::{Error, ErrorKind, Result};
use crate::nn::config::VOCAB_SIZE;
use crate::nn::file::File;
use crate::nn::tensor::{Tensor, TensorData};
use crate::nn::weights::{
    Matrix, Precision, Random, Source, hash_number, hash_tensors, read_tensors, with_bytes,
    with_file, write_tensors,
};
use crate::simd::MOST_WEIGHT;

/// The bytes with which what is hashed for an identity begins. They name its format.
const IDENTITY_TAG: &[u8] = b"lmic recurrent 1"; // frozen

/// The same for a model with rows for frequent contexts.
const NGRAM_IDENTITY_TAG: &[u8] = b"lmic recurrent 2"; // frozen

/// Symbols that can be coded: the rows of a head.
pub(super) const OUTPUTS: usize = 256; // frozen

/// A recurrent model in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct RecurrentWeights {
    /// The shape.
    pub config: RecurrentConfig,
    /// The name that the file gives it. It is no part of the [`identity`](Self::identity).
    pub name: String,
    /// An embedding for the last symbol, one for the symbol before it, and so on: each (257, hidden_size).
    pub embed: Vec<Matrix>,
    /// Rows for frequent contexts.
    pub ngrams: Option<Ngrams>,
    /// The layers in order.
    pub layers: Vec<RecurrentLayer>,
    /// Weights of the last norm, (hidden_size).
    pub norm: Vec<f32>,
    /// Head, (256, hidden_size): the start symbol is never predicted.
    pub head: Matrix,
}

/// One layer. Matrices are (outputs, inputs).
#[derive(Debug, Clone, PartialEq)]
pub struct RecurrentLayer {
    /// Weights of the norm before the recurrence, (hidden_size).
    pub mixer_norm: Vec<f32>,
    /// Candidates, gates that keep, output gates: (3 state_size, hidden_size).
    pub in_proj: Matrix,
    /// Added to the gates that keep, (state_size).
    pub bias: Vec<f32>,
    /// Output of the recurrence, (hidden_size, state_size).
    pub out_proj: Matrix,
    /// Weights of the norm before the MLP, (hidden_size).
    pub mlp_norm: Vec<f32>,
    /// Gate of the MLP, (intermediate_size, hidden_size).
    pub gate: Matrix,
    /// What is gated, (intermediate_size, hidden_size).
    pub up: Matrix,
    /// Output of the MLP, (hidden_size, intermediate_size).
    pub down: Matrix,
}

impl RecurrentWeights {
    /// Loads a directory with `model.safetensors`, or a safetensors file. The configuration is in the file itself,
    /// or else in `config.json` beside it.
    ///
    /// # Errors
    /// As [`Weights::load`](crate::nn::Weights::load).
    pub fn load(path: &Path) -> Result<Self> {
        with_file(path, Self::from_file)
    }

    /// Reads a safetensors file that holds the configuration. Rows for contexts that it leaves out are those of the networks of the
    /// library.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        with_bytes(bytes, Self::from_file)
    }

    pub(in crate::nn) fn from_file(model: File<'_>, config: &str, name: &str) -> Result<Self> {
        let config = RecurrentConfig::from_json(config)?;
        let has_rows = model.tensors.contains_key(&rows_name(0));
        let rows = if has_rows { &[] } else { LIBRARY_ROWS };
        if !has_rows && rows.is_empty() && config.ngrams.is_some() {
            let message = "leaves its rows for contexts to the library, and this build has none (its feature `networks` is off)";
            return Err(Error::new(ErrorKind::WrongModel, message));
        }
        read_tensors(model, name, &embed_name(0), |name, reader| build(config, name, rows, reader))
    }

    /// Writes a file that [`from_bytes`](Self::from_bytes) reads; the same bytes for the same model. Rows that a file left out
    /// are left out again.
    pub fn to_safetensors(&self) -> Vec<u8> {
        let mut tensors = self.tensors();
        if self
            .ngrams
            .as_ref()
            .is_some_and(|ngrams| ngrams.kinds.iter().all(NgramRows::are_of_library))
        {
            tensors.retain(|tensor| !tensor.name.starts_with(ROWS));
        }
        write_tensors(&self.config.to_json(), &self.name, &tensors)
    }

    /// Makes the int8 model of an f32 model, as [`Weights::quantize`](crate::nn::Weights::quantize) does. Norms
    /// and biases stay as they are.
    ///
    /// # Errors
    /// `InvalidArgument` if it is int8 already, or has weights above 1.6e38.
    pub fn quantize(&self) -> Result<Self> {
        let mut model = self.clone();
        let most = i8::try_from(self.config.weight_levels).unwrap_or(MOST_WEIGHT);
        // Embeddings enter no product, so they use all integers of 8 bits.
        for matrix in &mut model.embed {
            *matrix = matrix.quantize()?;
        }
        for matrix in model.products_mut() {
            *matrix = matrix.quantize_to(most)?;
        }
        Ok(model)
    }

    /// All matrices but the embeddings.
    fn products_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let layers = self
            .layers
            .iter_mut()
            .flat_map(|l| [&mut l.in_proj, &mut l.out_proj, &mut l.gate, &mut l.up, &mut l.down]);
        let ngrams = self.ngrams.iter_mut().flat_map(|ngrams| &mut ngrams.proj);
        ngrams.chain(layers).chain([&mut self.head])
    }

    /// An f32 model that knows nothing, for tests and benchmarks; the same on every machine.
    ///
    /// Matrices and norms as in [`Weights::random`](crate::nn::Weights::random); biases are -2 to 6.
    ///
    /// # Panics
    /// If the configuration is not [valid](RecurrentConfig::validate).
    pub fn random(config: &RecurrentConfig, seed: u64) -> Self {
        config.validate().unwrap();
        let mut model =
            build(config.clone(), "random".into(), &[], &mut Random::new(seed)).unwrap();
        for layer in &mut model.layers {
            // What was drawn is 0.9 to 1.1.
            layer.bias.iter_mut().for_each(|b| *b = (*b - 1.0) * 40.0 + 2.0);
        }
        model
    }

    /// What all matrices are made of.
    pub fn precision(&self) -> Precision {
        self.head.precision()
    }

    /// Bytes of all tensors, scales included.
    pub fn byte_len(&self) -> u64 {
        self.tensors().iter().map(|tensor| tensor.data.byte_len()).sum()
    }

    /// All tensors in ascending order of name.
    pub fn tensors(&self) -> Vec<Tensor<'_>> {
        let mut tensors = Vec::new();
        for (i, embed) in self.embed.iter().enumerate() {
            embed.push_tensors(embed_name(i), &mut tensors);
        }
        if let Some(ngrams) = &self.ngrams {
            for (i, proj) in ngrams.proj.iter().enumerate() {
                proj.push_tensors(proj_name(i), &mut tensors);
            }
            for (kind, rows) in ngrams.kinds.iter().enumerate() {
                let (bytes, c) =
                    (rows.bytes(), self.config.ngrams.as_ref().expect("they are there"));
                let shape = vec![bytes.len() / c.bucket_bytes(), c.bucket_bytes()];
                tensors.push(Tensor { name: rows_name(kind), shape, data: TensorData::U8(bytes) });
            }
        }
        self.head.push_tensors(HEAD.into(), &mut tensors);
        let floats = |name, shape: &[usize], data| Tensor {
            name,
            shape: shape.to_vec(),
            data: TensorData::F32(data),
        };
        tensors.push(floats(NORM.into(), &[self.norm.len()], &self.norm));
        for (i, l) in self.layers.iter().enumerate() {
            for (part, data) in
                [(MIXER_NORM, &l.mixer_norm), (BIAS, &l.bias), (MLP_NORM, &l.mlp_norm)]
            {
                tensors.push(floats(layer_name(i, part), &[data.len()], data));
            }
            for (part, matrix) in [
                (IN, &l.in_proj),
                (OUT, &l.out_proj),
                (GATE, &l.gate),
                (UP, &l.up),
                (DOWN, &l.down),
            ] {
                matrix.push_tensors(layer_name(i, part), &mut tensors);
            }
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    }

    /// BLAKE3 of what the model computes with, as [`Weights::identity`](crate::nn::Weights::identity): of the 16 bytes
    /// `lmic recurrent 1`, or 2 with n-grams; as u64 hidden_size, state_size, intermediate_size, layers, taps, 0, and
    /// with n-grams how many kinds, their size, of each its order and bits, how many layers have them and which; then each tensor as there.
    pub fn identity(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let c = &self.config;
        hasher.update(if c.ngrams.is_some() { NGRAM_IDENTITY_TAG } else { IDENTITY_TAG });
        for n in [c.hidden_size, c.state_size, c.intermediate_size, c.layers, c.taps, 0] {
            hash_number(&mut hasher, n);
        }
        if let Some(ngrams) = &c.ngrams {
            hash_number(&mut hasher, ngrams.orders.len());
            hash_number(&mut hasher, ngrams.size);
            for (&order, &bits) in ngrams.orders.iter().zip(&ngrams.bits) {
                hash_number(&mut hasher, order);
                hash_number(&mut hasher, bits);
            }
            hash_number(&mut hasher, ngrams.layers.len());
            ngrams.layers.iter().for_each(|&layer| hash_number(&mut hasher, layer));
        }
        hash_tensors(&mut hasher, &self.tensors());
        hasher.finalize().into()
    }
}

const NORM: &str = "norm.weight"; // frozen
const HEAD: &str = "head.weight"; // frozen
const MIXER_NORM: &str = "mixer_norm.weight"; // frozen
const IN: &str = "mixer.in_proj.weight"; // frozen
const OUT: &str = "mixer.out_proj.weight"; // frozen
const BIAS: &str = "mixer.bias"; // frozen
const MLP_NORM: &str = "mlp_norm.weight"; // frozen
const GATE: &str = "gate_proj.weight"; // frozen
const UP: &str = "up_proj.weight"; // frozen
const DOWN: &str = "down_proj.weight"; // frozen
const ROWS: &str = "ngrams.rows."; // frozen

fn embed_name(i: usize) -> String {
    format!("embed.{i}")
}

fn layer_name(layer: usize, part: &str) -> String {
    format!("layers.{layer}.{part}")
}

fn rows_name(kind: usize) -> String {
    format!("{ROWS}{kind}")
}

fn proj_name(i: usize) -> String {
    format!("ngrams.proj.{i}.weight")
}

/// A matrix of a product, whose integers the kernels need to be small. Embeddings enter no product: they use all of 8 bits.
fn product(source: &mut impl Source, name: String, rows: usize, cols: usize) -> Result<Matrix> {
    let matrix = source.matrix(name.clone(), rows, cols)?;
    let Matrix::I8 { data, .. } = &matrix else { return Ok(matrix) };
    match data.iter().find(|w| !(-MOST_WEIGHT..=MOST_WEIGHT).contains(*w)) {
        None => Ok(matrix),
        Some(w) => {
            let message = format!(
                "{name} has the integer {w}: supported are -{MOST_WEIGHT} to {MOST_WEIGHT}"
            );
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

/// Asks `source` for every tensor of a model, in a fixed order; n-grams' rows are `rows` if these are of the shape.
fn build(
    config: RecurrentConfig,
    name: String,
    rows: &[&'static [u8]],
    source: &mut impl Source,
) -> Result<RecurrentWeights> {
    let (d, s, f) = (config.hidden_size, config.state_size, config.intermediate_size);
    let embed = (0..config.taps).map(|i| source.matrix(embed_name(i), VOCAB_SIZE, d));
    let embed = embed.collect::<Result<_>>()?;
    let ngrams = match &config.ngrams {
        None => None,
        Some(c) => {
            let bytes = c.bucket_bytes();
            let buckets = || c.bits.iter().map(|bits| (1usize << bits) / NgramConfig::WAYS);
            let fit =
                buckets().map(|buckets| buckets * bytes).eq(rows.iter().map(|rows| rows.len()));
            let kinds = match fit {
                true => rows.iter().map(|rows| NgramRows::new(*rows)).collect(),
                false => {
                    let kinds = buckets().enumerate().map(|(kind, buckets)| {
                        source.bytes(rows_name(kind), buckets, bytes).map(NgramRows::new)
                    });
                    kinds.collect::<Result<_>>()?
                }
            };
            let proj = (0..c.layers.len()).map(|i| product(source, proj_name(i), d, c.width()));
            Some(Ngrams { kinds, proj: proj.collect::<Result<_>>()? })
        }
    };
    let mut layers = Vec::new();
    for i in 0..config.layers {
        layers.push(RecurrentLayer {
            mixer_norm: source.floats(layer_name(i, MIXER_NORM), &[d])?,
            in_proj: product(source, layer_name(i, IN), 3 * s, d)?,
            bias: source.floats(layer_name(i, BIAS), &[s])?,
            out_proj: product(source, layer_name(i, OUT), d, s)?,
            mlp_norm: source.floats(layer_name(i, MLP_NORM), &[d])?,
            gate: product(source, layer_name(i, GATE), f, d)?,
            up: product(source, layer_name(i, UP), f, d)?,
            down: product(source, layer_name(i, DOWN), d, f)?,
        });
    }
    let norm = source.floats(NORM.into(), &[d])?;
    let head = product(source, HEAD.into(), OUTPUTS, d)?;
    Ok(RecurrentWeights { config, name, embed, ngrams, layers, norm, head })
}
