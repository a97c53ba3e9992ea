//! The shape of a model of the Llama family: what `config.json`, or the metadata of a GGUF file, says.
//!
//! It comes from outside, so every size has a maximum, and whatever is not computed here is refused by name rather than ignored.

use lmic::exact::{exp, ln};
use lmic::{Error, ErrorKind, Result};
use serde_json::{Value, json};

/// The families, by what `model_type` or `general.architecture` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Llama 1 to 3, SmolLM2, TinyLlama.
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
}

/// All families, for messages.
pub const FAMILIES: &str = "llama, mistral, qwen2, qwen3, gemma2, gemma3_text";

impl Family {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "llama" => Self::Llama,
            "mistral" => Self::Mistral,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gemma2" => Self::Gemma2,
            "gemma3" | "gemma3_text" => Self::Gemma3,
            _ => return None,
        })
    }

    pub fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }

    /// Whether queries and keys are normalised, head by head.
    pub fn norms_heads(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Gemma3)
    }
}

/// Rotary positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    pub scaling: Scaling,
}

/// How frequencies `theta^(-2i / head_dim)` change for longer contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    None,
    /// All frequencies are divided by a factor.
    Linear(f64),
    /// Slow frequencies are divided by a factor, fast ones are not, and those between are in part.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// YaRN (Peng et al. 2023): the number of turns in the original length decides which frequencies are divided; cosines and sines
    /// are multiplied by a factor as well.
    Yarn(Yarn),
    /// Each frequency is divided by a factor of its own, as GGUF files have it.
    Factors(Vec<f32>),
}

/// Parameters of YaRN.
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    /// What cosines and sines are multiplied with.
    pub attention: f64,
    /// Frequencies with more turns than `fast` stay as they are, and those with less than `slow` are divided.
    pub fast: f64,
    pub slow: f64,
    /// The length in which turns are counted.
    pub original: f64,
    /// Whether the borders are moved to the next whole index outwards.
    pub truncate: bool,
}

impl Yarn {
    /// The factor of cosines and sines if a file does not say it.
    pub fn usual_attention(factor: f64, scale: f64) -> f64 {
        if factor <= 1.0 { 1.0 } else { 0.1 * scale * ln(factor) + 1.0 }
    }

    /// The part of the frequency with index `i` that is divided, 0 to 1.
    fn divided(&self, i: usize, head_dim: usize, theta: f64) -> f64 {
        let index = |turns: f64| {
            let dim = head_dim as f64;
            dim * ln(self.original / (turns * std::f64::consts::TAU)) / (2.0 * ln(theta))
        };
        let (mut low, mut high) = (index(self.fast), index(self.slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }
}

impl Rope {
    /// What cosines and sines are multiplied with.
    pub fn attention(&self) -> f64 {
        match &self.scaling {
            Scaling::Yarn(yarn) => yarn.attention,
            _ => 1.0,
        }
    }

    /// Angles of the first position, (head_dim / 2).
    pub fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        let half = head_dim / 2;
        let plain = (0..half).map(|i| exp(ln(self.theta) * (-2.0 * i as f64 / head_dim as f64)));
        match &self.scaling {
            Scaling::None => plain.collect(),
            Scaling::Linear(factor) => plain.map(|f| f / factor).collect(),
            Scaling::Factors(factors) => {
                plain.zip(factors).map(|(f, factor)| f / f64::from(*factor)).collect()
            }
            Scaling::Yarn(yarn) => plain
                .enumerate()
                .map(|(i, f)| {
                    let divided = yarn.divided(i, head_dim, self.theta);
                    f / yarn.factor * divided + f * (1.0 - divided)
                })
                .collect(),
            Scaling::Llama3 { factor, low, high, original } => plain
                .map(|f| {
                    let wavelength = std::f64::consts::TAU / f;
                    if wavelength < original / high {
                        return f;
                    }
                    if wavelength > original / low {
                        return f / factor;
                    }
                    let smooth = (original / wavelength - low) / (high - low);
                    (1.0 - smooth) * f / factor + smooth * f
                })
                .collect(),
        }
    }

    /// All numbers, as they go into an identity.
    pub fn numbers(&self) -> Vec<f64> {
        let mut numbers = vec![self.theta];
        match &self.scaling {
            Scaling::None => {}
            Scaling::Linear(factor) => numbers.extend([1.0, *factor]),
            Scaling::Llama3 { factor, low, high, original } => {
                numbers.extend([2.0, *factor, *low, *high, *original]);
            }
            Scaling::Factors(factors) => {
                numbers.push(3.0);
                numbers.extend(factors.iter().map(|&f| f64::from(f)));
            }
            Scaling::Yarn(Yarn { factor, attention, fast, slow, original, truncate }) => {
                let truncate = f64::from(u8::from(*truncate));
                numbers.extend([4.0, *factor, *attention, *fast, *slow, *original, truncate]);
            }
        }
        numbers
    }
}

/// All that the computation depends on besides weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub family: Family,
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions of a window.
    pub context: usize,
    pub eps: f64,
    /// The factor of products of queries and keys.
    pub score_scale: f64,
    /// Scores become `cap * tanh(score / cap)`.
    pub score_cap: Option<f64>,
    /// Logits become `cap * tanh(logit / cap)`.
    pub logit_cap: Option<f64>,
    pub tied: bool,
    /// How many positions each layer sees, the current one included; `None` if it sees all.
    pub sliding: Vec<Option<usize>>,
    /// The rotary positions of layers that see all positions.
    pub rope: Rope,
    /// The rotary positions of layers with a sliding window, if they differ.
    pub sliding_rope: Option<Rope>,
    /// Whether rows of queries and keys are stored for turning neighbours (2i with 2i + 1), as llama.cpp's converter does.
    pub interleaved: bool,
}

/// The maxima of sizes. With up to 2^19 symbols, the least probability that each must have is still next to nothing of a
/// distribution's 2^30.
pub const MAX_VOCAB: usize = 1 << 19;
const MAX_WIDTH: usize = 1 << 17;
const MAX_LAYERS: usize = 1024;
const MAX_HEADS: usize = 1024;
const MAX_HEAD_DIM: usize = 1024;
const MAX_CONTEXT: usize = 1 << 24;

/// The longest window that an archive can name. A model's own context may be longer.
pub const MAX_WINDOW: usize = 1 << 16;

impl Shape {
    /// Reads a `config.json` of transformers 4 or 5. Keys that do not change what is computed are ignored.
    ///
    /// # Errors
    /// `Corrupt` if it is no JSON object; `InvalidArgument` names the key, its value, and what is supported.
    pub fn from_json(json: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(json)
            .map_err(|e| Error::new(ErrorKind::Corrupt, format!("config.json: {e}")))?;
        let keys = Keys(&json);
        let name = keys.text("model_type")?.unwrap_or_default();
        let family =
            Family::from_name(name).ok_or_else(|| refused("model_type", name, FAMILIES))?;
        let activation = if family.is_gemma() { "gelu_pytorch_tanh" } else { "silu" };
        for key in ["hidden_act", "hidden_activation"] {
            // Gemma has both keys, and means the second.
            let superseded = key == "hidden_act" && family.is_gemma();
            if let Some(found) = keys.text(key)?.filter(|found| *found != activation && !superseded)
            {
                return Err(refused(key, found, activation));
            }
        }
        keys.only("partial_rotary_factor", &1.0.into())?;
        keys.only("use_bidirectional_attention", &false.into())?;
        keys.only("quantization_config", &Value::Null)?;
        let hidden = keys.size("hidden_size")?;
        let heads = keys.size("num_attention_heads")?;
        let layers = keys.size("num_hidden_layers")?;
        let head_dim = match keys.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None => hidden / heads.max(1),
        };
        check("num_hidden_layers", layers, 1, MAX_LAYERS)?;
        let (rope, sliding_rope) = keys.ropes(family)?;
        let scale_of = match keys.number("query_pre_attn_scalar")? {
            Some(scalar) if family.is_gemma() => scalar,
            _ => head_dim as f64,
        };
        let shape = Self {
            family,
            vocab: keys.size("vocab_size")?,
            hidden,
            intermediate: keys.size("intermediate_size")?,
            layers,
            heads,
            kv_heads: keys.optional_size("num_key_value_heads")?.unwrap_or(heads),
            head_dim,
            context: keys.size("max_position_embeddings")?,
            eps: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
            score_scale: 1.0 / scale_of.sqrt(),
            score_cap: keys.number("attn_logit_softcapping")?.filter(|_| family == Family::Gemma2),
            logit_cap: keys.number("final_logit_softcapping")?.filter(|_| family.is_gemma()),
            tied: keys.flag("tie_word_embeddings")?.unwrap_or(family.is_gemma()),
            sliding: keys.sliding(family, layers)?,
            rope,
            sliding_rope,
            interleaved: false,
        };
        shape.validate()?;
        Ok(shape)
    }

    /// What matters of the shape, in the keys that [`Shape::from_json`] reads: to be shown.
    pub fn to_json(&self) -> String {
        let window = self.sliding.iter().flatten().next();
        let json = json!({
            "model_type": format!("{:?}", self.family).to_lowercase(),
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.context,
            "sliding_window": window,
            "rope_theta": self.rope.theta,
            "rms_norm_eps": self.eps,
            "tie_word_embeddings": self.tied,
        });
        json.to_string()
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// `InvalidArgument` names the key, its value, and what is supported.
    pub fn validate(&self) -> Result<()> {
        check("vocab_size", self.vocab, 2, MAX_VOCAB)?;
        check("hidden_size", self.hidden, 1, MAX_WIDTH)?;
        check("intermediate_size", self.intermediate, 1, MAX_WIDTH)?;
        check("num_hidden_layers", self.layers, 1, MAX_LAYERS)?;
        check("num_attention_heads", self.heads, 1, MAX_HEADS)?;
        check("num_key_value_heads", self.kv_heads, 1, self.heads)?;
        check("head_dim", self.head_dim, 2, MAX_HEAD_DIM)?;
        check("max_position_embeddings", self.context, 2, MAX_CONTEXT)?;
        for window in self.sliding.iter().flatten() {
            check("sliding_window", *window, 1, MAX_CONTEXT)?;
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let divisors = format!("a divisor of num_attention_heads ({})", self.heads);
            return Err(refused("num_key_value_heads", self.kv_heads, divisors));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(refused("head_dim", self.head_dim, "an even number"));
        }
        let positive = [
            ("rms_norm_eps", self.eps, 0.0, 1.0),
            ("query_pre_attn_scalar", self.score_scale, 0.0, 1e3),
            ("attn_logit_softcapping", self.score_cap.unwrap_or(1.0), 0.0, 1e6),
            ("final_logit_softcapping", self.logit_cap.unwrap_or(1.0), 0.0, 1e6),
        ];
        for (key, value, min, max) in positive {
            if !(value > min && value <= max) {
                return Err(refused(key, value, format!("above {min} and up to {max}")));
            }
        }
        for rope in [Some(&self.rope), self.sliding_rope.as_ref()].into_iter().flatten() {
            rope.validate(self.head_dim)?;
        }
        Ok(())
    }

    /// Width of all query heads together.
    pub fn q_size(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, which is that of all value heads.
    pub fn kv_size(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Positions of the longest window.
    pub fn window(&self) -> usize {
        self.context.min(MAX_WINDOW)
    }
}

impl Rope {
    fn validate(&self, head_dim: usize) -> Result<()> {
        let inside = |key: &str, value: f64, max: f64| match (1.0..=max).contains(&value) {
            true => Ok(()),
            false => Err(refused(key, value, format!("1 to {max:e}"))),
        };
        inside("rope_theta", self.theta, 1e12)?;
        match &self.scaling {
            Scaling::None => Ok(()),
            Scaling::Linear(factor) => inside("rope factor", *factor, 1e4),
            Scaling::Llama3 { factor, low, high, original } => {
                inside("rope factor", *factor, 1e4)?;
                inside("original_max_position_embeddings", *original, 1e8)?;
                if !(*low > 0.0 && high > low && *high <= 1e6) {
                    return Err(refused("high_freq_factor", high, "above low_freq_factor"));
                }
                Ok(())
            }
            Scaling::Yarn(yarn) => {
                inside("rope factor", yarn.factor, 1e4)?;
                inside("original_max_position_embeddings", yarn.original, 1e8)?;
                if !(yarn.attention > 0.0 && yarn.attention <= 1e3) {
                    return Err(refused("attention_factor", yarn.attention, "above 0 to 1e3"));
                }
                if !(yarn.slow > 0.0 && yarn.fast >= yarn.slow && yarn.fast <= 1e6) {
                    return Err(refused("beta_fast", yarn.fast, "beta_slow or more, both above 0"));
                }
                if self.theta <= 1.0 {
                    return Err(refused("rope_theta", self.theta, "above 1 with yarn"));
                }
                Ok(())
            }
            Scaling::Factors(factors) => {
                check("length of rope_freqs.weight", factors.len(), head_dim / 2, head_dim / 2)?;
                let bad = factors.iter().find(|f| !(1e-3..=1e6).contains(*f));
                match bad {
                    Some(factor) => Err(refused("rope_freqs.weight", factor, "1e-3 to 1e6")),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The keys of a `config.json`; null is as good as absent, as in transformers.
struct Keys<'a>(&'a Value);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn only(&self, key: &str, supported: &Value) -> Result<()> {
        match self.get(key) {
            Some(value) if value != supported => Err(refused(key, value, supported)),
            _ => Ok(()),
        }
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| refused(key, value, "a string"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| refused(key, value, "a number"))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| refused(key, value, "true or false"))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| refused(key, value, "a whole number"))
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| missing(key))
    }

    /// The rotary positions of layers that see all positions, and of the others if they differ.
    fn ropes(&self, family: Family) -> Result<(Rope, Option<Rope>)> {
        let parameters = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        if let Some(full) = parameters.and_then(|p| p.get("full_attention")) {
            let rope = |value: &Value| rope(Some(value), None);
            let sliding = parameters.and_then(|p| p.get("sliding_attention"));
            return Ok((rope(full)?, sliding.map(rope).transpose()?));
        }
        let whole = rope(parameters, self.number("rope_theta")?)?;
        let local = match family {
            Family::Gemma3 => Some(Rope {
                theta: self.number("rope_local_base_freq")?.unwrap_or(10_000.0),
                scaling: Scaling::None,
            }),
            _ => None,
        };
        Ok((whole, local))
    }

    /// The window of each layer.
    fn sliding(&self, family: Family, layers: usize) -> Result<Vec<Option<usize>>> {
        let window = self.optional_size("sliding_window")?;
        let used = match family {
            Family::Qwen2 | Family::Qwen3 => self.flag("use_sliding_window")?.unwrap_or(false),
            _ => true,
        };
        let Some(window) = window.filter(|_| used) else { return Ok(vec![None; layers]) };
        if let Some(types) = self.get("layer_types") {
            let types = types.as_array().ok_or_else(|| refused("layer_types", types, "a list"))?;
            check("length of layer_types", types.len(), layers, layers)?;
            return types
                .iter()
                .map(|kind| match kind.as_str() {
                    Some("sliding_attention") => Ok(Some(window)),
                    Some("full_attention") => Ok(None),
                    _ => Err(refused("layer_types", kind, "sliding_attention, full_attention")),
                })
                .collect();
        }
        let first = self.optional_size("max_window_layers")?.unwrap_or(0);
        let pattern = self.optional_size("sliding_window_pattern")?;
        Ok(sliding_layers(family, layers, window, first, pattern))
    }
}

/// Which layers have a sliding window, if a file does not list them.
pub fn sliding_layers(
    family: Family,
    layers: usize,
    window: usize,
    first: usize,
    pattern: Option<usize>,
) -> Vec<Option<usize>> {
    let slides = |layer: usize| match family {
        Family::Llama | Family::Mistral => true,
        Family::Qwen2 | Family::Qwen3 => layer >= first,
        Family::Gemma2 => !(layer + 1).is_multiple_of(pattern.unwrap_or(2).max(1)),
        Family::Gemma3 => !(layer + 1).is_multiple_of(pattern.unwrap_or(6).max(1)),
    };
    (0..layers).map(|layer| slides(layer).then_some(window)).collect()
}

/// Reads an object of rotary parameters.
fn rope(parameters: Option<&Value>, theta: Option<f64>) -> Result<Rope> {
    const DEFAULT_THETA: f64 = 10_000.0;
    let Some(value) = parameters else {
        return Ok(Rope { theta: theta.unwrap_or(DEFAULT_THETA), scaling: Scaling::None });
    };
    if !value.is_object() {
        return Err(refused("rope_parameters", value, "an object"));
    }
    let keys = Keys(value);
    keys.only("partial_rotary_factor", &1.0.into())?;
    let theta = keys.number("rope_theta")?.or(theta).unwrap_or(DEFAULT_THETA);
    let number = |key| keys.number(key)?.ok_or_else(|| missing(key));
    let kind = keys.text("rope_type")?.or(keys.text("type")?).unwrap_or("default");
    let scaling = match kind {
        "default" => Scaling::None,
        "linear" => Scaling::Linear(number("factor")?),
        "llama3" => Scaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original: number("original_max_position_embeddings")?,
        },
        "yarn" => Scaling::Yarn(yarn(&keys)?),
        // Frequencies change only behind max_position_embeddings, and no window is longer.
        "dynamic" => number("factor").map(|_| Scaling::None)?,
        _ => return Err(refused("rope_type", kind, "default, linear, llama3, yarn, dynamic")),
    };
    Ok(Rope { theta, scaling })
}

fn yarn(keys: &Keys<'_>) -> Result<Yarn> {
    let number = |key| keys.number(key)?.ok_or_else(|| missing(key));
    let factor = number("factor")?;
    // Zero is as good as absent, as in transformers.
    let given = |key| Ok::<_, Error>(keys.number(key)?.filter(|x| *x != 0.0));
    let attention =
        match (keys.number("attention_factor")?, given("mscale")?, given("mscale_all_dim")?) {
            (Some(attention), _, _) => attention,
            (None, Some(a), Some(b)) => {
                Yarn::usual_attention(factor, a) / Yarn::usual_attention(factor, b)
            }
            _ => Yarn::usual_attention(factor, 1.0),
        };
    Ok(Yarn {
        factor,
        attention,
        fast: given("beta_fast")?.unwrap_or(32.0),
        slow: given("beta_slow")?.unwrap_or(1.0),
        original: number("original_max_position_embeddings")?,
        truncate: keys.flag("truncate")?.unwrap_or(true),
    })
}

pub fn check(key: &str, value: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let range = if min == max { format!("{min}") } else { format!("{min} to {max}") };
    Err(refused(key, value, range))
}

pub fn missing(key: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("the model's configuration has no key {key}"))
}

/// An error that names key, value, and what is supported.
pub fn refused(key: &str, value: impl ToString, supported: impl std::fmt::Display) -> Error {
    let value = shown(&value.to_string());
    let message = format!("configuration key {key} is {value}; supported is {supported}");
    Error::new(ErrorKind::InvalidArgument, message)
}

/// The beginning of a text of any length, for a message.
pub fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect()
}
