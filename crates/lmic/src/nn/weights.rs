//! The numbers of a model: read from a file, checked, quantised, written, identified.
//!
//! A model is a directory with `config.json` and `model.safetensors`, as Hugging Face has it, or one safetensors
//! file that holds the configuration in its metadata (`lmic_config`, and `lmic_name`). Its matrices are either all
//! F32 (F16 and BF16 are widened), or all I8 with a companion `NAME_scale` of one F32 a row:
//! `weight = integer * scale[row]`. Norms are F32 always.
//!
//! Invariant of what was read: all tensors have the shapes that the configuration asks for, there is no other,
//! every number is finite, integers are -127 to 127, scales 0 to 2^120, so that their products are finite.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use super::config::{Config, Keys};
use super::file::{self, Dtype, File, RawTensor};
use super::format::{FileFormat, name_of, open, read_json, unreadable};
use super::shards::shards;
use super::tensor::{Tensor, TensorData};
use crate::error::{Error, ErrorKind, Result};
use crate::random::SplitMix64;

/// The longest model file in bytes, as all of it is read into memory. (The models of lmic have megabytes.)
const MAX_FILE_LEN: u64 = 8 << 30; // tunable

/// Longest `config.json` in bytes.
const MAX_CONFIG_LEN: u64 = 1 << 20; // tunable

/// Longest name of a model in characters; the rest is cut off.
const MAX_NAME_LEN: usize = 100; // frozen

/// Metadata keys of a file that holds all of a model.
const CONFIG_KEY: &str = "lmic_config"; // frozen
const NAME_KEY: &str = "lmic_name"; // frozen

/// Largest absolute value of a quantised weight. -128 has no counterpart and breaks kernels that move signs.
const MAX_INT8: i8 = 127; // frozen

/// Largest scale, 2^120: times 127 it is still a finite f32.
const MAX_SCALE: f32 = (1u128 << 120) as f32; // frozen

/// The bytes with which what is hashed for an identity begins. They name its format.
const IDENTITY_TAG: &[u8] = b"lmic model 1"; // frozen

/// A model in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The shape.
    pub config: Config,
    /// The name that the file gives it. It is no part of the [`identity`](Self::identity).
    pub name: String,
    /// Embedding of each symbol, (vocab_size, hidden_size).
    pub embed: Matrix,
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// Weights of the last norm, (hidden_size).
    pub norm: Vec<f32>,
    /// Head, (vocab_size, hidden_size); `None` if the embedding is the head.
    pub head: Option<Matrix>,
}

/// One layer. Matrices are (outputs, inputs).
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Weights of the norm before attention, (hidden_size).
    pub input_norm: Vec<f32>,
    /// Queries, (num_attention_heads * head_dim, hidden_size).
    pub q: Matrix,
    /// Keys, (num_key_value_heads * head_dim, hidden_size).
    pub k: Matrix,
    /// Values, (num_key_value_heads * head_dim, hidden_size).
    pub v: Matrix,
    /// Output of attention, (hidden_size, num_attention_heads * head_dim).
    pub o: Matrix,
    /// Weights of the norm before the MLP, (hidden_size).
    pub post_norm: Vec<f32>,
    /// Gate of the MLP, (intermediate_size, hidden_size).
    pub gate: Matrix,
    /// What is gated, (intermediate_size, hidden_size).
    pub up: Matrix,
    /// Output of the MLP, (hidden_size, intermediate_size).
    pub down: Matrix,
}

/// A matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub enum Matrix {
    /// Plain numbers.
    F32 {
        /// Outputs.
        rows: usize,
        /// Inputs.
        cols: usize,
        /// (rows, cols)
        data: Vec<f32>,
    },
    /// Integers -127 to 127; the weight is `data * scales[row]`.
    I8 {
        /// Outputs.
        rows: usize,
        /// Inputs.
        cols: usize,
        /// (rows, cols)
        data: Vec<i8>,
        /// (rows)
        scales: Vec<f32>,
    },
}

/// What the matrices of a model are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 8-bit integers with one scale a row.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        })
    }
}

impl Weights {
    /// Loads a directory with `model.safetensors`, or a safetensors file. The configuration is in the file itself,
    /// or else in `config.json` beside it.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Truncated` if one ends too early, `Corrupt` if one is damaged or they do not
    /// fit together, `InvalidArgument` if the model is of a kind that is not supported. The message names the
    /// tensor or key.
    pub fn load(path: &Path) -> Result<Self> {
        with_file(path, Self::from_file)
    }

    /// Reads a safetensors file that holds the configuration.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        with_bytes(bytes, Self::from_file)
    }

    /// `name` is for a file that has none.
    pub(super) fn from_file(model: File<'_>, config: &str, name: &str) -> Result<Self> {
        let config = Config::from_json(config)?;
        read_tensors(model, name, EMBED, |name, reader| build(config, name, reader))
    }

    /// Writes a file that [`from_bytes`](Self::from_bytes) reads; the same bytes for the same model.
    pub fn to_safetensors(&self) -> Vec<u8> {
        write_tensors(&self.config.to_json(), &self.name, &self.tensors())
    }

    /// Makes the int8 model of an f32 model. Row by row, `scale = max |w| / 127` and
    /// `integer = w / scale`, rounded to the nearest, ties to even: in f32, no weight is off by more than half a
    /// scale and its rounding. Norms stay as they are.
    ///
    /// # Errors
    /// `InvalidArgument` if it is int8 already, or has weights above 1.6e38 (a scale above 2^120).
    pub fn quantize(&self) -> Result<Self> {
        let layer = |layer: &Layer| {
            Ok(Layer {
                input_norm: layer.input_norm.clone(),
                q: layer.q.quantize()?,
                k: layer.k.quantize()?,
                v: layer.v.quantize()?,
                o: layer.o.quantize()?,
                post_norm: layer.post_norm.clone(),
                gate: layer.gate.quantize()?,
                up: layer.up.quantize()?,
                down: layer.down.quantize()?,
            })
        };
        Ok(Self {
            config: self.config.clone(),
            name: self.name.clone(),
            embed: self.embed.quantize()?,
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            norm: self.norm.clone(),
            head: self.head.as_ref().map(Matrix::quantize).transpose()?,
        })
    }

    /// An f32 model that knows nothing, for tests and benchmarks; the same on every machine. Matrices are uniform
    /// with variance `1 / cols`, norms uniform in 0.9 to 1.1, from SplitMix64.
    ///
    /// # Panics
    /// If the configuration is not [valid](Config::validate).
    pub fn random(config: &Config, seed: u64) -> Self {
        let valid = config.validate();
        valid.and_then(|()| build(config.clone(), "random".into(), &mut Random::new(seed))).unwrap()
    }

    /// What all matrices are made of.
    pub fn precision(&self) -> Precision {
        self.embed.precision()
    }

    /// Bytes of all tensors, scales included.
    pub fn byte_len(&self) -> u64 {
        self.tensors().iter().map(|tensor| tensor.data.byte_len()).sum()
    }

    /// All tensors in ascending order of name.
    pub fn tensors(&self) -> Vec<Tensor<'_>> {
        let hidden = || vec![self.config.hidden_size];
        let vector = |name, data| Tensor { name, shape: hidden(), data: TensorData::F32(data) };
        let mut tensors = vec![vector(NORM.into(), self.norm.as_slice())];
        self.embed.push_tensors(EMBED.into(), &mut tensors);
        if let Some(head) = &self.head {
            head.push_tensors(HEAD.into(), &mut tensors);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            tensors.push(vector(layer_name(i, INPUT_NORM), &layer.input_norm));
            tensors.push(vector(layer_name(i, POST_NORM), &layer.post_norm));
            for (name, matrix) in [
                (Q, &layer.q),
                (K, &layer.k),
                (V, &layer.v),
                (O, &layer.o),
                (GATE, &layer.gate),
                (UP, &layer.up),
                (DOWN, &layer.down),
            ] {
                matrix.push_tensors(layer_name(i, name), &mut tensors);
            }
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    }

    /// BLAKE3 of what the model computes with: independent of its name, the spelling of its JSON, the layout of its
    /// file, and of whether an f32 model was stored in 16 bits. An int8 model and its f32 source differ.
    ///
    /// Hashed are, one after the other, with all numbers little-endian:
    ///
    /// 1. the 12 bytes `lmic model 1`;
    /// 2. as u64: vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads,
    ///    num_key_value_heads, head_dim, max_position_embeddings, sliding_window (0 if there is none),
    ///    tie_word_embeddings (0 or 1);
    /// 3. as f64: rope_theta, rms_norm_eps;
    /// 4. for each tensor, in ascending order of the bytes of its name (scales of int8 matrices are tensors
    ///    of their own): length of the name in bytes as u64, the name, as u64 the number format (0 F32, 1 I8), the
    ///    number of dimensions and each dimension, then the numbers.
    pub fn identity(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(IDENTITY_TAG);
        let config = &self.config;
        let sizes = [
            config.vocab_size,
            config.hidden_size,
            config.intermediate_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.max_position_embeddings,
            config.sliding_window.unwrap_or(0),
            usize::from(config.tie_word_embeddings),
        ];
        sizes.into_iter().for_each(|size| hash_number(&mut hasher, size));
        hasher.update(&config.rope_theta.to_le_bytes());
        hasher.update(&config.rms_norm_eps.to_le_bytes());
        hash_tensors(&mut hasher, &self.tensors());
        hasher.finalize().into()
    }
}

/// Reads the file of a model, or the shards of a folder, and calls `then` with what they hold, the configuration, and the name to
/// use if they have none.
pub(super) fn with_file<T>(
    path: &Path,
    then: impl FnOnce(File<'_>, &str, &str) -> Result<T>,
) -> Result<T> {
    let folder = path.is_dir().then_some(path);
    let files = match folder {
        Some(folder) => shards(folder)?.iter().map(|name| folder.join(name)).collect(),
        None => vec![path.to_owned()],
    };
    // A folder's file has to be named: the caller named the folder.
    let of_file = |file: &Path, error: Error| match folder.and(file.file_name()) {
        Some(name) => error.at(name.to_string_lossy()),
        None => error,
    };
    let mut left = MAX_FILE_LEN;
    let mut contents = Vec::new();
    for file in &files {
        let bytes = read(file, left)?;
        left -= bytes.len() as u64;
        contents.push(bytes);
    }
    let mut model = File::default();
    for (file, bytes) in files.iter().zip(&contents) {
        let part = match FileFormat::of(bytes) {
            FileFormat::Safetensors => File::parse(bytes),
            other => Err(other.refused("safetensors file")),
        };
        part.and_then(|part| model.add(part)).map_err(|error| of_file(file, error))?;
    }
    let config = match model.metadata.get(CONFIG_KEY) {
        Some(config) => config.clone(),
        None => read_config(&files[0].with_file_name(CONFIG))?,
    };
    then(model, &config, &name_of(path, folder.is_none().then_some("safetensors")))
}

const CONFIG: &str = "config.json"; // frozen

fn read_config(path: &Path) -> Result<String> {
    if !path.exists() {
        let message = "config.json is missing, which says what the weights beside it are (expected in the same folder)";
        return Err(io::Error::new(io::ErrorKind::NotFound, message).into());
    }
    let text = read_json(path, MAX_CONFIG_LEN)?;
    Keys::parse(&text).map_err(|e| e.at(CONFIG))?;
    Ok(text)
}

/// Does the same with a file in memory, which must hold its configuration.
pub(super) fn with_bytes<T>(
    bytes: &[u8],
    then: impl FnOnce(File<'_>, &str, &str) -> Result<T>,
) -> Result<T> {
    let model = File::parse(bytes)?;
    let config = model.metadata.get(CONFIG_KEY).cloned().ok_or_else(|| {
        let message = format!("model file has no {CONFIG_KEY} in its metadata");
        Error::new(ErrorKind::InvalidArgument, message)
    })?;
    then(model, &config, "model")
}

/// Builds a model of all tensors of a file, whose matrices are of the precision of that called `first`; `name` is for
/// a file that has none.
pub(super) fn read_tensors<T>(
    model: File<'_>,
    name: &str,
    first: &str,
    build: impl FnOnce(String, &mut Reader<'_>) -> Result<T>,
) -> Result<T> {
    let name = clean_name(model.metadata.get(NAME_KEY).map_or(name, String::as_str));
    let precision = match model.tensors.get(first).map(|tensor| tensor.dtype) {
        Some(Dtype::I8) => Precision::Int8,
        _ => Precision::F32,
    };
    let mut reader = Reader { file: model, precision };
    let weights = build(name, &mut reader)?;
    match reader.file.tensors.keys().next() {
        Some(name) => Err(corrupt(format!("tensor {name:?} is none that the config asks for"))),
        None => Ok(weights),
    }
}

/// A file that holds its configuration.
pub(super) fn write_tensors(config: &str, name: &str, tensors: &[Tensor<'_>]) -> Vec<u8> {
    file::write(&[(CONFIG_KEY, config), (NAME_KEY, name)], tensors)
}

/// A number as part of an identity.
pub(super) fn hash_number(hasher: &mut blake3::Hasher, n: usize) {
    hasher.update(&(n as u64).to_le_bytes());
}

/// Tensors, in ascending order of name, as part of an identity: point 4 of [`Weights::identity`].
pub(super) fn hash_tensors(hasher: &mut blake3::Hasher, tensors: &[Tensor<'_>]) {
    for tensor in tensors {
        hash_number(hasher, tensor.name.len());
        hasher.update(tensor.name.as_bytes());
        hash_number(
            hasher,
            match tensor.data {
                TensorData::F32(_) => 0,
                TensorData::I8(_) => 1,
                TensorData::U8(_) => 2,
            },
        );
        hash_number(hasher, tensor.shape.len());
        tensor.shape.iter().for_each(|&dim| hash_number(hasher, dim));
        tensor.data.for_each_chunk(|bytes| {
            hasher.update(bytes);
        });
    }
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Self::F32 { rows, .. } | Self::I8 { rows, .. } => *rows,
        }
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        match self {
            Self::F32 { cols, .. } | Self::I8 { cols, .. } => *cols,
        }
    }

    /// What it is made of.
    pub fn precision(&self) -> Precision {
        match self {
            Self::F32 { .. } => Precision::F32,
            Self::I8 { .. } => Precision::Int8,
        }
    }

    /// See [`Weights::quantize`].
    pub(super) fn quantize(&self) -> Result<Self> {
        self.quantize_to(MAX_INT8)
    }

    /// To integers of at most `most`.
    pub(super) fn quantize_to(&self, most: i8) -> Result<Self> {
        let Self::F32 { rows, cols, data } = self else {
            return Err(Error::new(ErrorKind::InvalidArgument, "model is int8 already"));
        };
        let mut integers = Vec::with_capacity(data.len());
        let mut scales = Vec::with_capacity(*rows);
        for row in data.chunks_exact(*cols) {
            let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
            let scale = largest / f32::from(most);
            if scale > MAX_SCALE {
                let message = format!("a weight of {largest:e} is too large for int8");
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            // In a row of zeros, or of weights so small that the scale rounds to zero, all integers are 0.
            let divisor = if scale > 0.0 { scale } else { f32::INFINITY };
            integers.extend(row.iter().map(|w| {
                let limit = f32::from(most);
                // A subnormal scale is coarse: the quotient may pass the limit.
                (w / divisor).round_ties_even().clamp(-limit, limit) as i8
            }));
            scales.push(scale);
        }
        Ok(Self::I8 { rows: *rows, cols: *cols, data: integers, scales })
    }

    pub(super) fn push_tensors<'a>(&'a self, name: String, tensors: &mut Vec<Tensor<'a>>) {
        let shape = vec![self.rows(), self.cols()];
        let data = match self {
            Self::F32 { data, .. } => TensorData::F32(data),
            Self::I8 { data, scales, .. } => {
                let (name, shape) = (scale_name(&name), vec![scales.len()]);
                tensors.push(Tensor { name, shape, data: TensorData::F32(scales) });
                TensorData::I8(data)
            }
        };
        tensors.push(Tensor { name, shape, data });
    }
}

const EMBED: &str = "model.embed_tokens.weight"; // frozen
const NORM: &str = "model.norm.weight"; // frozen
const HEAD: &str = "lm_head.weight"; // frozen
const INPUT_NORM: &str = "input_layernorm"; // frozen
const Q: &str = "self_attn.q_proj"; // frozen
const K: &str = "self_attn.k_proj"; // frozen
const V: &str = "self_attn.v_proj"; // frozen
const O: &str = "self_attn.o_proj"; // frozen
const POST_NORM: &str = "post_attention_layernorm"; // frozen
const GATE: &str = "mlp.gate_proj"; // frozen
const UP: &str = "mlp.up_proj"; // frozen
const DOWN: &str = "mlp.down_proj"; // frozen

fn layer_name(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}.weight")
}

fn scale_name(name: &str) -> String {
    format!("{name}_scale")
}

/// Where the tensors of a model come from.
pub(super) trait Source {
    /// Numbers that stay floats.
    fn floats(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>>;
    fn matrix(&mut self, name: String, rows: usize, cols: usize) -> Result<Matrix>;
    /// Bytes as they are, (rows, cols).
    fn bytes(&mut self, name: String, rows: usize, cols: usize) -> Result<Vec<u8>>;
}

/// Asks `source` for every tensor of a model, in a fixed order.
fn build(config: Config, name: String, source: &mut impl Source) -> Result<Weights> {
    let (d, ff) = (config.hidden_size, config.intermediate_size);
    let (q, kv) = (config.q_size(), config.kv_size());
    let embed = source.matrix(EMBED.into(), config.vocab_size, d)?;
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for i in 0..config.num_hidden_layers {
        layers.push(Layer {
            input_norm: source.floats(layer_name(i, INPUT_NORM), &[d])?,
            q: source.matrix(layer_name(i, Q), q, d)?,
            k: source.matrix(layer_name(i, K), kv, d)?,
            v: source.matrix(layer_name(i, V), kv, d)?,
            o: source.matrix(layer_name(i, O), d, q)?,
            post_norm: source.floats(layer_name(i, POST_NORM), &[d])?,
            gate: source.matrix(layer_name(i, GATE), ff, d)?,
            up: source.matrix(layer_name(i, UP), ff, d)?,
            down: source.matrix(layer_name(i, DOWN), d, ff)?,
        });
    }
    let norm = source.floats(NORM.into(), &[d])?;
    let head = match config.tie_word_embeddings {
        true => None,
        false => Some(source.matrix(HEAD.into(), config.vocab_size, d)?),
    };
    Ok(Weights { config, name, embed, layers, norm, head })
}

/// Takes tensors out of a file and checks them.
pub(super) struct Reader<'a> {
    file: File<'a>,
    precision: Precision,
}

impl Reader<'_> {
    /// Takes a tensor that must have this shape; since a file has the bytes of all its tensors, what it takes in
    /// memory is bounded by the file.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<RawTensor<'_>> {
        let tensor = self.file.tensors.remove(name);
        let tensor = tensor.ok_or_else(|| corrupt(format!("tensor {name} is missing")))?;
        if !tensor.shape.iter().copied().eq(shape.iter().map(|&dim| dim as u64)) {
            return Err(corrupt(format!(
                "tensor {name} has the shape {:?}; the config asks for {shape:?}",
                tensor.shape
            )));
        }
        Ok(tensor)
    }

    fn read_floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.take(name, shape)?;
        let data: Vec<f32> = match tensor.dtype {
            Dtype::F32 => numbers(tensor.data, f32::from_le_bytes),
            Dtype::F16 => numbers(tensor.data, |x| widen_f16(u16::from_le_bytes(x))),
            Dtype::Bf16 => {
                numbers(tensor.data, |x| f32::from_bits(u32::from(u16::from_le_bytes(x)) << 16))
            }
            Dtype::U8 | Dtype::I8 => {
                let found = format!("{:?}; supported here is F32, F16 or BF16", tensor.dtype);
                return Err(wrong_dtype(name, &found));
            }
        };
        check_all(name, &data, |x| x.is_finite(), "a finite number")?;
        Ok(data)
    }
}

impl Source for Reader<'_> {
    fn floats(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>> {
        self.read_floats(&name, shape)
    }

    fn matrix(&mut self, name: String, rows: usize, cols: usize) -> Result<Matrix> {
        if self.precision == Precision::F32 {
            return Ok(Matrix::F32 { rows, cols, data: self.read_floats(&name, &[rows, cols])? });
        }
        let tensor = self.take(&name, &[rows, cols])?;
        if tensor.dtype != Dtype::I8 {
            return Err(wrong_dtype(
                &name,
                "not I8, but others are; supported is I8 for all matrices",
            ));
        }
        let data: Vec<i8> = numbers(tensor.data, i8::from_le_bytes);
        check_all(&name, &data, |x| *x >= -MAX_INT8, "in -127 to 127")?;
        let name = scale_name(&name);
        let scales = self.read_floats(&name, &[rows])?;
        check_all(&name, &scales, |x| (0.0..=MAX_SCALE).contains(x), "0 to 2^120")?;
        Ok(Matrix::I8 { rows, cols, data, scales })
    }

    fn bytes(&mut self, name: String, rows: usize, cols: usize) -> Result<Vec<u8>> {
        let tensor = self.take(&name, &[rows, cols])?;
        match tensor.dtype {
            Dtype::U8 => Ok(tensor.data.to_vec()),
            dtype => Err(wrong_dtype(&name, &format!("{dtype:?}; supported here is U8"))),
        }
    }
}

/// Little-endian numbers of `N` bytes.
fn numbers<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|chunk| from(*chunk)).collect()
}

/// An IEEE half as an f32, which is exact.
fn widen_f16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let power_of_two = |exponent: u32| f32::from_bits(exponent << 23); // 2^(exponent - 127)
    match exponent {
        0 => sign * fraction * power_of_two(127 - 24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        // Bias 15 and ten bits of fraction below the leading one.
        _ => sign * (1024.0 + fraction) * power_of_two(127 - 25 + exponent),
    }
}

fn check_all<T: fmt::Display>(
    name: &str,
    data: &[T],
    valid: impl Fn(&T) -> bool,
    allowed: &str,
) -> Result<()> {
    match data.iter().position(|x| !valid(x)) {
        Some(i) => {
            Err(corrupt(format!("tensor {name} has {} at {i}; allowed is {allowed}", data[i])))
        }
        None => Ok(()),
    }
}

fn wrong_dtype(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("tensor {name} is {what}"))
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// Draws tensors.
pub(super) struct Random(SplitMix64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// `count` numbers, uniform in -1 to 1, times `bound`, plus `centre`.
    fn uniform(&mut self, count: usize, centre: f32, bound: f32) -> Vec<f32> {
        const UNIT: f32 = 1.0 / (1 << 23) as f32; // frozen
        let unit = |bits: u64| (bits >> 40) as f32 * UNIT - 1.0; // 24 bits, exact
        (0..count).map(|_| centre + bound * unit(self.0.next_u64())).collect()
    }
}

impl Source for Random {
    fn floats(&mut self, _: String, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.uniform(shape.iter().product(), 1.0, 0.1))
    }

    fn matrix(&mut self, _: String, rows: usize, cols: usize) -> Result<Matrix> {
        // Uniform in -b to b has the variance b^2 / 3.
        let bound = (3.0 / cols as f32).sqrt();
        Ok(Matrix::F32 { rows, cols, data: self.uniform(rows * cols, 0.0, bound) })
    }

    fn bytes(&mut self, _: String, rows: usize, cols: usize) -> Result<Vec<u8>> {
        Ok((0..rows * cols).map(|_| (self.0.next_u64() >> 56) as u8).collect())
    }
}

/// A name for messages and tables: on one line, not long.
fn clean_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '_' } else { c }).take(MAX_NAME_LEN).collect()
}

/// Reads a regular file of at most `max` bytes.
fn read(path: &Path, max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > max {
        let message = format!("{path:?} is longer than {max} bytes");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    Ok(bytes)
}
