//! All parts of a checkpoint. They are found under the names that Hugging Face or llama.cpp has for them, checked, and hashed.
//!
//! Matrices stay in their file; vectors (norms, biases) are widened to f32.

use std::collections::BTreeMap;
use std::path::Path;

use lmic::exact::{Dtype, File as Safetensors, Level, has_weights, no_weights, read_json, shards};
use lmic::nn::{FileFormat, TensorInfo};
use lmic::{Error, ErrorKind, Result};

use crate::gguf;
use crate::map::Bytes;
use crate::matrix::Matrix;
use crate::shape::{Family, Rope, Scaling, Shape, Yarn, missing, refused, shown, sliding_layers};
use crate::simd::Format;
use crate::threads;

/// The longest `config.json`.
const MAX_CONFIG_LEN: u64 = 16 << 20;

/// The bytes with which what is hashed for an identity begins. They name its format.
const IDENTITY_TAG: &[u8] = b"lmic llama 1";

/// A checkpoint, ready for inference.
#[derive(Debug)]
pub struct Weights {
    pub shape: Shape,
    pub embed: Matrix,
    pub layers: Vec<Layer>,
    pub norm: Vec<f32>,
    /// `None` if the embedding is the head.
    pub head: Option<Matrix>,
    /// Bytes of all tensors.
    pub bytes: u64,
    pub params: u64,
    /// BLAKE3 over shape and tensors: see [`Collector`].
    pub hasher: blake3::Hasher,
    /// All tensors, in the order in which they were taken.
    pub tensors: Vec<TensorInfo>,
}

/// One layer.
#[derive(Debug)]
pub struct Layer {
    pub input_norm: Vec<f32>,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    /// Norms of each head's query and key, (head_dim).
    pub head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub o: Linear,
    /// Norm of what attention gives, before it is added (Gemma).
    pub attended_norm: Option<Vec<f32>>,
    pub mlp_norm: Vec<f32>,
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
    /// Norm of what the MLP gives (Gemma).
    pub mlp_out_norm: Option<Vec<f32>>,
}

/// A matrix for a product, and the bias that is added to it.
#[derive(Debug)]
pub struct Linear {
    pub matrix: Matrix,
    pub bias: Option<Vec<f32>>,
}

/// Where the tensors are.
struct Tensors {
    found: BTreeMap<String, (Format, Vec<usize>, Bytes)>,
    is_gguf: bool,
}

/// Reads the `config.json` of a Hugging Face folder.
pub fn read_config(folder: &Path) -> Result<String> {
    let path = folder.join("config.json");
    if path.exists() {
        return read_json(&path, MAX_CONFIG_LEN);
    }
    match has_weights(folder) {
        true => Err(absent("config.json is missing, which says what the weights beside it are")),
        false => Err(no_weights(folder)),
    }
}

/// Reads the tensors of a Hugging Face folder.
pub fn open_folder(folder: &Path, shape: Shape) -> Result<Weights> {
    let mut tensors = Tensors { found: BTreeMap::new(), is_gguf: false };
    for shard in shards(folder)? {
        tensors.add_shard(&folder.join(&shard)).map_err(|e| e.at(&shard))?;
    }
    Collector::new(shape, tensors).collect()
}

/// The error for a file that is not there. (What is there may be whole.)
pub fn absent(message: impl Into<String>) -> Error {
    std::io::Error::new(std::io::ErrorKind::NotFound, message.into()).into()
}

impl Tensors {
    fn add_shard(&mut self, path: &Path) -> Result<()> {
        let bytes = Bytes::map(path)?;
        match FileFormat::of(bytes.get()) {
            FileFormat::Safetensors => {}
            other => return Err(other.refused("safetensors file")),
        }
        let file = Safetensors::parse(bytes.get())?;
        for (name, tensor) in file.tensors {
            let format = match tensor.dtype {
                Dtype::F32 => Format::F32,
                Dtype::F16 => Format::F16,
                Dtype::Bf16 => Format::Bf16,
                other => {
                    let (name, other) = (shown(&name), format!("{other:?}"));
                    return Err(refused(&format!("tensor {name}"), other, "F32, F16, BF16"));
                }
            };
            let shape = tensor.shape.iter().map(|&dim| dim as usize).collect();
            let part = bytes.part(tensor.data);
            if self.found.insert(name.clone(), (format, shape, part)).is_some() {
                let message = format!("tensor {} is in two files", shown(&name));
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(())
    }
}

/// Shape and tensors of a GGUF file, or of the files of one model.
pub fn open_gguf(file: &gguf::File<'_>, parts: &[Bytes]) -> Result<Weights> {
    let shape = gguf_shape(file)?;
    let found = file.tensors.iter().map(|(name, tensor)| {
        let bytes = parts[tensor.part].part(tensor.data);
        (name.clone(), (tensor.format, tensor.shape.clone(), bytes))
    });
    let tensors = Tensors { found: found.collect(), is_gguf: true };
    Collector::new(shape, tensors).collect()
}

fn gguf_shape(file: &gguf::File<'_>) -> Result<Shape> {
    if let Some(kind) = file.text("general.type")?.filter(|kind| *kind != "model") {
        return Err(refused("general.type", kind, "model: others are parts of one, or beside it"));
    }
    const ARCHITECTURE: &str = "general.architecture";
    let arch = file.text(ARCHITECTURE)?.ok_or_else(|| missing(ARCHITECTURE))?;
    let known = "llama (which Mistral is, too), qwen2, qwen3, gemma2, gemma3";
    let family = Family::from_name(arch).ok_or_else(|| refused(ARCHITECTURE, arch, known))?;
    if file.tensors.is_empty() {
        let message = "has no tensors: a vocabulary or metadata alone, no model";
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let key = |name: &str| format!("{arch}.{name}");
    let hidden = file.size(&key("embedding_length"))?;
    let heads = file.size(&key("attention.head_count"))?;
    let layers = file.size(&key("block_count"))?;
    crate::shape::check(&key("block_count"), layers, 1, 1024)?;
    let head_dim = match file.optional_size(&key("attention.key_length"))? {
        Some(head_dim) => head_dim,
        None => hidden / heads.max(1),
    };
    let embed = file.tensors.get("token_embd.weight");
    let vocab =
        embed.and_then(|t| t.shape.first().copied()).ok_or_else(|| lacking("token_embd.weight"))?;
    if let Some(n) = file.optional_size(&key("rope.dimension_count"))?
        && n != head_dim
    {
        return Err(refused(&key("rope.dimension_count"), n, format!("{head_dim}, all of a head")));
    }
    if let Some(n) = file.optional_size(&key("expert_count"))?.filter(|n| *n > 0) {
        return Err(refused(&key("expert_count"), n, "none"));
    }
    // The first files of Gemma 2 do not say what all of them have.
    let cap = |name: &str, usual: f64| match family {
        Family::Gemma2 => Ok::<_, Error>(Some(file.number(&key(name))?.unwrap_or(usual))),
        _ => Ok(None),
    };
    let sliding_theta = file.number(&key("rope.freq_base_swa"))?.unwrap_or(10_000.0);
    // 27B is the one size whose scores are scaled by another width; llama.cpp knows it by its layers, too.
    let scaled_by = match (family, layers) {
        (Family::Gemma2, 46) | (Family::Gemma3, 62) => hidden / heads.max(1),
        _ => head_dim,
    };
    let shape = Shape {
        family,
        vocab,
        hidden,
        intermediate: file.size(&key("feed_forward_length"))?,
        layers,
        heads,
        kv_heads: file.optional_size(&key("attention.head_count_kv"))?.unwrap_or(heads),
        head_dim,
        context: file.size(&key("context_length"))?,
        eps: file.number(&key("attention.layer_norm_rms_epsilon"))?.unwrap_or(1e-6),
        score_scale: 1.0 / (scaled_by as f64).sqrt(),
        score_cap: cap("attn_logit_softcapping", 50.0)?,
        logit_cap: cap("final_logit_softcapping", 30.0)?,
        tied: !file.tensors.contains_key("output.weight"),
        sliding: gguf_sliding(file, &key, family, layers)?,
        rope: gguf_rope(file, &key)?,
        sliding_rope: (family == Family::Gemma3)
            .then_some(Rope { theta: sliding_theta, scaling: Scaling::None }),
        interleaved: arch == "llama",
    };
    shape.validate()?;
    Ok(shape)
}

fn gguf_rope(file: &gguf::File<'_>, key: &impl Fn(&str) -> String) -> Result<Rope> {
    let theta = file.number(&key("rope.freq_base"))?.unwrap_or(10_000.0);
    if let Some(tensor) = file.tensors.get("rope_freqs.weight") {
        if tensor.format != Format::F32 || tensor.shape.len() != 1 {
            return Err(refused("rope_freqs.weight", tensor.format.name(), "a vector in F32"));
        }
        let mut factors = vec![0.0; tensor.data.len() / 4];
        Format::F32.numbers(Level::Scalar, tensor.data, &mut factors);
        return Ok(Rope { theta, scaling: Scaling::Factors(factors) });
    }
    let kind = file.text(&key("rope.scaling.type"))?.unwrap_or("none");
    let number = |name: &str| {
        file.number(&key(name))?.filter(|x| *x > 0.0).ok_or_else(|| missing(&key(name)))
    };
    let scaling = match kind {
        "none" | "" => Scaling::None,
        "linear" => Scaling::Linear(number("rope.scaling.factor")?),
        "yarn" => {
            let factor = number("rope.scaling.factor")?;
            let or =
                |name: &str, usual: f64| Ok::<_, Error>(file.number(&key(name))?.unwrap_or(usual));
            let others = ["rope.scaling.yarn_log_multiplier", "rope.scaling.yarn_ext_factor"];
            if let Some(other) = others.iter().find(|name| file.metadata.contains_key(&key(name))) {
                return Err(refused(&key(other), "given", "yarn without it"));
            }
            Scaling::Yarn(Yarn {
                factor,
                attention: or("rope.scaling.attn_factor", 1.0)?
                    * Yarn::usual_attention(factor, 1.0),
                fast: or("rope.scaling.yarn_beta_fast", 32.0)?,
                slow: or("rope.scaling.yarn_beta_slow", 1.0)?,
                original: number("rope.scaling.original_context_length")?,
                truncate: true,
            })
        }
        _ => return Err(refused(&key("rope.scaling.type"), kind, "none, linear, yarn")),
    };
    Ok(Rope { theta, scaling })
}

/// Which layers have a sliding window. A file says it by a number of layers of which the last sees all, or by a flag for each; if it
/// says nothing, it is as the family has it.
fn gguf_sliding(
    file: &gguf::File<'_>,
    key: &impl Fn(&str) -> String,
    family: Family,
    layers: usize,
) -> Result<Vec<Option<usize>>> {
    let usual = (family == Family::Gemma2).then_some(4096);
    let window = file.optional_size(&key("attention.sliding_window"))?.or(usual);
    let Some(window) = window.filter(|n| *n > 0) else { return Ok(vec![None; layers]) };
    let pattern = key("attention.sliding_window_pattern");
    if let Some(gguf::Value::Flags(flags)) = file.metadata.get(&pattern) {
        crate::shape::check(&format!("length of {pattern}"), flags.len(), layers, layers)?;
        return Ok(flags.iter().map(|&slides| slides.then_some(window)).collect());
    }
    Ok(sliding_layers(family, layers, window, 0, file.optional_size(&pattern)?))
}

fn lacking(name: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("tensor {name} is missing"))
}

/// Takes tensors out of the file, and hashes what the model computes with.
///
/// The identity is BLAKE3 over the 12 bytes `lmic llama 1`, the shape, then each tensor in the order in which it is taken: the length
/// of its name in Hugging Face's words, the name, format, rows, columns (1 for a vector), and the bytes as in the file; then,
/// from the tokenizer, what it adds.
struct Collector {
    shape: Shape,
    tensors: Tensors,
    hasher: blake3::Hasher,
    bytes: u64,
    params: u64,
    taken: Vec<TensorInfo>,
}

impl Collector {
    fn new(shape: Shape, tensors: Tensors) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(IDENTITY_TAG);
        hash_shape(&mut hasher, &shape);
        Self { shape, tensors, hasher, bytes: 0, params: 0, taken: Vec::new() }
    }

    fn collect(mut self) -> Result<Weights> {
        let shape = self.shape.clone();
        let (d, q, kv, ff) = (shape.hidden, shape.q_size(), shape.kv_size(), shape.intermediate);
        let gemma = shape.family.is_gemma();
        let embed = self.matrix("model.embed_tokens", shape.vocab, d)?;
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let name = |part: &str| format!("model.layers.{i}.{part}");
            let input_norm = self.norm(&name("input_layernorm"), d)?;
            let q = self.linear(&name("self_attn.q_proj"), q, d)?;
            let k = self.linear(&name("self_attn.k_proj"), kv, d)?;
            let v = self.linear(&name("self_attn.v_proj"), kv, d)?;
            let o = self.linear(&name("self_attn.o_proj"), d, shape.q_size())?;
            let head_norms = match shape.family.norms_heads() {
                true => Some((
                    self.norm(&name("self_attn.q_norm"), shape.head_dim)?,
                    self.norm(&name("self_attn.k_norm"), shape.head_dim)?,
                )),
                false => None,
            };
            let after = self.norm(&name("post_attention_layernorm"), d)?;
            let (attended_norm, mlp_norm, mlp_out_norm) = match gemma {
                true => (
                    Some(after),
                    self.norm(&name("pre_feedforward_layernorm"), d)?,
                    Some(self.norm(&name("post_feedforward_layernorm"), d)?),
                ),
                false => (None, after, None),
            };
            let gate = self.linear(&name("mlp.gate_proj"), ff, d)?;
            let up = self.linear(&name("mlp.up_proj"), ff, d)?;
            let down = self.linear(&name("mlp.down_proj"), d, ff)?;
            layers.push(Layer {
                input_norm,
                q,
                k,
                v,
                head_norms,
                o,
                attended_norm,
                mlp_norm,
                gate,
                up,
                down,
                mlp_out_norm,
            });
        }
        let norm = self.norm("model.norm", d)?;
        let head = match shape.tied {
            true => None,
            false => Some(self.matrix("lm_head", shape.vocab, d)?),
        };
        self.check_rest()?;
        let Self { hasher, bytes, params, taken: tensors, .. } = self;
        Ok(Weights { shape, embed, layers, norm, head, bytes, params, hasher, tensors })
    }

    /// Refuses tensors that nobody asked for: they are parts of the model that would be left out.
    fn check_rest(&self) -> Result<()> {
        let harmless = |name: &str| {
            name.ends_with("rotary_emb.inv_freq")
                || name == "rope_freqs.weight"
                || (self.shape.tied && name == "lm_head.weight")
        };
        match self.tensors.found.keys().find(|name| !harmless(name)) {
            Some(name) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("tensor {} is none that such a model has here", shown(name)),
            )),
            None => Ok(()),
        }
    }

    fn file_name(&self, name: &str, kind: &str) -> String {
        let stem = match self.tensors.is_gguf {
            true => gguf_name(name, self.shape.family),
            false => name.to_owned(),
        };
        format!("{stem}.{kind}")
    }

    fn take(&mut self, name: &str, kind: &str, shape: &[usize]) -> Result<Option<Matrix>> {
        let file_name = self.file_name(name, kind);
        let Some((format, found, bytes)) = self.tensors.found.remove(&file_name) else {
            return Ok(None);
        };
        if found != shape {
            let message = format!("tensor {file_name} has the shape {found:?}, not {shape:?}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let (rows, cols) = (shape[0], shape.get(1).copied());
        // A vector counts as one row.
        let (rows, cols) = cols.map_or((1, rows), |cols| (rows, cols));
        let matrix = Matrix::new(format, rows, cols, bytes)
            .map_err(|e| e.at(format_args!("tensor {file_name}")))?;
        if let Some(at) = matrix.not_finite() {
            let what = if format.block() == 1 { "a number" } else { "a scale" };
            let message = format!("tensor {file_name} has {what} at {at} that is NaN or infinite");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let name = format!("{name}.{kind}");
        let hasher = &mut self.hasher;
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&[format as u8]);
        hasher.update(&(rows as u64).to_le_bytes());
        hasher.update(&(cols as u64).to_le_bytes());
        let bytes = matrix.bytes.get();
        threads::hash(hasher, bytes);
        self.bytes += bytes.len() as u64;
        let (shape, bytes) = (shape.to_vec(), bytes.len() as u64);
        self.taken.push(TensorInfo { name: file_name, format: format.name(), shape, bytes });
        self.params += (rows * cols) as u64;
        Ok(Some(matrix))
    }

    fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<Matrix> {
        let found = self.take(name, "weight", &[rows, cols])?;
        found.ok_or_else(|| lacking(&self.file_name(name, "weight")))
    }

    fn linear(&mut self, name: &str, rows: usize, cols: usize) -> Result<Linear> {
        let matrix = self.matrix(name, rows, cols)?;
        let bias = self.take(name, "bias", &[rows])?;
        Ok(Linear { matrix, bias: bias.map(|bias| bias.numbers(Level::detect())) })
    }

    fn norm(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let found = self.take(name, "weight", &[len])?;
        let found = found.ok_or_else(|| lacking(&self.file_name(name, "weight")))?;
        let mut weights = found.numbers(Level::detect());
        // Gemma stores what is added to 1; llama.cpp's converter has added it.
        if self.shape.family.is_gemma() && !self.tensors.is_gguf {
            weights.iter_mut().for_each(|w| *w += 1.0);
        }
        Ok(weights)
    }
}

fn hash_shape(hasher: &mut blake3::Hasher, shape: &Shape) {
    let mut whole = vec![
        shape.family as usize,
        shape.vocab,
        shape.hidden,
        shape.intermediate,
        shape.layers,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        shape.context,
        usize::from(shape.tied),
        usize::from(shape.interleaved),
    ];
    whole.extend(shape.sliding.iter().map(|window| window.unwrap_or(0)));
    whole.iter().for_each(|&n| {
        hasher.update(&(n as u64).to_le_bytes());
    });
    let mut numbers = vec![shape.eps, shape.score_scale];
    numbers.extend([shape.score_cap.unwrap_or(0.0), shape.logit_cap.unwrap_or(0.0)]);
    numbers.extend(shape.rope.numbers());
    numbers.extend(shape.sliding_rope.iter().flat_map(Rope::numbers));
    hasher.update(&(numbers.len() as u64).to_le_bytes());
    numbers.iter().for_each(|x| {
        hasher.update(&x.to_le_bytes());
    });
}

/// A tensor's name in llama.cpp's words.
fn gguf_name(name: &str, family: Family) -> String {
    let part = |part: &str| match part {
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" if family.is_gemma() => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        _ => "",
    };
    match name {
        "model.embed_tokens" => "token_embd".into(),
        "model.norm" => "output_norm".into(),
        "lm_head" => "output".into(),
        _ => match name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, rest)) => format!("blk.{layer}.{}", part(rest)),
            None => name.into(),
        },
    }
}
