//! The shape of a byte-level transformer: `config.json` as Hugging Face writes it for Llama.
//!
//! A configuration comes from outside, so every size has a maximum, and whatever the engine does not
//! compute (another activation, biases, scaled rotary positions) is refused rather than ignored.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json::{Object, shown};
use crate::error::{Error, ErrorKind, Result};

/// Symbols of a model: the 256 byte values and [`START_SYMBOL`].
pub const VOCAB_SIZE: usize = 257; // frozen

/// The symbol that stands before the first byte of a window.
pub const START_SYMBOL: usize = 256; // frozen

const MAX_HIDDEN_SIZE: usize = 16_384; // frozen
const MAX_INTERMEDIATE_SIZE: usize = 65_536; // frozen
const MAX_LAYERS: usize = 256; // frozen
const MAX_HEADS: usize = 256; // frozen
const MAX_HEAD_DIM: usize = 1024; // frozen
const MAX_CONTEXT: usize = 1 << 20; // frozen
const MAX_ROPE_THETA: f64 = 1e12; // frozen

/// Base of the rotary frequencies where a file names none, as in transformers.
const DEFAULT_ROPE_THETA: f64 = 10_000.0; // frozen

/// The shape of a Llama of bytes. The fields are called as in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Rows of the embedding and of the head; [`VOCAB_SIZE`].
    pub vocab_size: usize,
    /// Width of the residual stream, 1 to 16384.
    pub hidden_size: usize,
    /// Width inside the gated MLP, 1 to 65536.
    pub intermediate_size: usize,
    /// Layers, 1 to 256.
    pub num_hidden_layers: usize,
    /// Query heads, 1 to 256.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head, a multiple of 4, 4 to 1024; heads together need not be `hidden_size` wide.
    pub head_dim: usize,
    /// Positions of a window (the context), the start symbol included, 1 to 2^20.
    pub max_position_embeddings: usize,
    /// Positions that attention sees, its own included; `None` is all of the window.
    pub sliding_window: Option<usize>,
    /// Base of the rotary frequencies `theta^(-2i / head_dim)`, 1 to 10^12.
    pub rope_theta: f64,
    /// What RMSNorm adds to the mean square, above 0 and up to 1.
    pub rms_norm_eps: f64,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
}

impl Config {
    /// Reads a `config.json` of transformers 4 or 5. Keys that do not change what is computed are ignored.
    ///
    /// # Errors
    /// `Corrupt` if it is no JSON object; `InvalidArgument` names the key that is missing or not supported,
    /// its value, and what is supported.
    pub fn from_json(json: &str) -> Result<Self> {
        let keys = Keys::parse(json)?;
        keys.required("model_type")?;
        keys.only("model_type", &"llama".into())?;
        keys.only("hidden_act", &"silu".into())?;
        keys.only("attention_bias", &false.into())?;
        keys.only("mlp_bias", &false.into())?;
        keys.only("partial_rotary_factor", &1.0.into())?;
        keys.only("bos_token_id", &START_SYMBOL.into())?;
        let hidden_size = keys.size("hidden_size")?;
        let heads = keys.size("num_attention_heads")?;
        let config = Self {
            vocab_size: keys.size("vocab_size")?,
            hidden_size,
            intermediate_size: keys.size("intermediate_size")?,
            num_hidden_layers: keys.size("num_hidden_layers")?,
            num_attention_heads: heads,
            num_key_value_heads: keys.optional_size("num_key_value_heads")?.unwrap_or(heads),
            head_dim: match keys.optional_size("head_dim")? {
                Some(head_dim) => head_dim,
                None => hidden_size / heads.max(1),
            },
            max_position_embeddings: keys.size("max_position_embeddings")?,
            sliding_window: keys.optional_size("sliding_window")?,
            rope_theta: keys.rope_theta()?,
            rms_norm_eps: number("rms_norm_eps", keys.required("rms_norm_eps")?)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?,
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes the `config.json` of a `LlamaForCausalLM`; the same bytes for the same configuration.
    pub fn to_json(&self) -> String {
        // In order of name, as transformers writes it, with or without an order-preserving serde_json.
        let mut json = json!({
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": false,
            "bos_token_id": START_SYMBOL,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "sliding_window": self.sliding_window,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float32",
            "vocab_size": self.vocab_size,
        });
        if let (None, Some(object)) = (self.sliding_window, json.as_object_mut()) {
            object.remove("sliding_window");
        }
        format!("{json:#}")
    }

    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// `InvalidArgument` names the key, its value, and what is supported.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, VOCAB_SIZE, VOCAB_SIZE),
            ("hidden_size", self.hidden_size, 1, MAX_HIDDEN_SIZE),
            ("intermediate_size", self.intermediate_size, 1, MAX_INTERMEDIATE_SIZE),
            ("num_hidden_layers", self.num_hidden_layers, 1, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, 1, MAX_HEADS),
            ("num_key_value_heads", self.num_key_value_heads, 1, MAX_HEADS),
            ("head_dim", self.head_dim, 4, MAX_HEAD_DIM),
            ("max_position_embeddings", self.max_position_embeddings, 1, MAX_CONTEXT),
            ("sliding_window", self.sliding_window.unwrap_or(1), 1, MAX_CONTEXT),
        ];
        for (key, value, min, max) in sizes {
            if !(min..=max).contains(&value) {
                let range = if min == max { format!("{min}") } else { format!("{min} to {max}") };
                return Err(refused(key, value, range));
            }
        }
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if !heads.is_multiple_of(kv_heads) {
            let divisors = format!("a divisor of num_attention_heads ({heads})");
            return Err(refused("num_key_value_heads", kv_heads, divisors));
        }
        if !self.head_dim.is_multiple_of(4) {
            return Err(refused("head_dim", self.head_dim, "a multiple of 4"));
        }
        if !(1.0..=MAX_ROPE_THETA).contains(&self.rope_theta) {
            let range = format!("1 to {MAX_ROPE_THETA:e}");
            return Err(refused("rope_theta", self.rope_theta, range));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps <= 1.0) {
            return Err(refused("rms_norm_eps", self.rms_norm_eps, "above 0 and up to 1"));
        }
        Ok(())
    }

    /// Weights of the model; scales of an int8 model are not counted.
    pub fn params(&self) -> u64 {
        let [vocab, hidden, intermediate, layers] =
            [self.vocab_size, self.hidden_size, self.intermediate_size, self.num_hidden_layers]
                .map(|n| n as u64);
        let attention = 2 * hidden * (self.q_size() + self.kv_size()) as u64;
        let layer = attention + 3 * hidden * intermediate + 2 * hidden;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        tables * vocab * hidden + layers * layer + hidden
    }

    /// Width of all query heads together.
    pub fn q_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, which is that of all value heads.
    pub fn kv_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

/// The keys of a `config.json`; null is as good as absent, as in transformers.
pub(super) struct Keys(BTreeMap<String, Value>);

impl Keys {
    /// # Errors
    /// `Corrupt` if it is no JSON object.
    pub fn parse(json: &str) -> Result<Self> {
        let keys: Object<Value> = serde_json::from_str(json)
            .map_err(|e| Error::new(ErrorKind::Corrupt, format!("config: {e}")))?;
        Ok(Self(keys.0))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub fn required(&self, key: &str) -> Result<&Value> {
        self.get(key).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("config has no key {key}"))
        })
    }

    pub fn only(&self, key: &str, supported: &Value) -> Result<()> {
        match self.get(key) {
            Some(value) if value != supported => Err(refused(key, value, supported)),
            _ => Ok(()),
        }
    }

    pub fn size(&self, key: &str) -> Result<usize> {
        size(key, self.required(key)?)
    }

    pub fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.get(key).map(|value| size(key, value)).transpose()
    }

    pub fn sizes(&self, key: &str) -> Result<Option<Vec<usize>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let list =
            value.as_array().ok_or_else(|| refused(key, value, "a list of whole numbers"))?;
        list.iter().map(|value| size(key, value)).collect::<Result<_>>().map(Some)
    }

    pub fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| refused(key, value, "true or false"))
    }

    /// At top level (transformers 4), or among the rotary parameters (transformers 5, which calls them
    /// `rope_scaling` too). Where it stands twice, both must agree.
    fn rope_theta(&self) -> Result<f64> {
        let mut found = Vec::new();
        found.extend(self.get("rope_theta").map(|value| ("rope_theta".to_owned(), value)));
        for key in ["rope_parameters", "rope_scaling"] {
            let Some(parameters) = self.get(key) else { continue };
            let Some(object) = parameters.as_object() else {
                return Err(refused(key, parameters, "null or an object"));
            };
            for name in ["rope_type", "type"] {
                if let Some(kind) = object.get(name).filter(|kind| *kind != "default") {
                    return Err(refused(&format!("{key}.{name}"), kind, "\"default\""));
                }
            }
            for (name, value) in object {
                let path = format!("{key}.{}", shown(name));
                match name.as_str() {
                    "rope_type" | "type" => {}
                    "partial_rotary_factor" if value.as_f64() == Some(1.0) => {}
                    "rope_theta" => found.push((path, value)),
                    _ => return Err(refused(&path, value, "rope_type \"default\", rope_theta")),
                }
            }
        }
        let mut theta = None;
        for (key, value) in found {
            let here = number(&key, value)?;
            match theta {
                Some(other) if other != here => {
                    return Err(refused(&key, value, format!("{other}, as elsewhere in it")));
                }
                _ => theta = Some(here),
            }
        }
        Ok(theta.unwrap_or(DEFAULT_ROPE_THETA))
    }
}

fn size(key: &str, value: &Value) -> Result<usize> {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| refused(key, value, "a whole number"))
}

fn number(key: &str, value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| refused(key, value, "a number"))
}

pub(super) fn refused(key: &str, value: impl ToString, supported: impl std::fmt::Display) -> Error {
    let value = shown(&value.to_string());
    let message = format!("config key {key} is {value}; supported is {supported}");
    Error::new(ErrorKind::InvalidArgument, message)
}
