//! The shape of a recurrent network, and its `config.json`, which is of a kind of its own.

use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::nn::config::{Keys, VOCAB_SIZE, refused};
use crate::simd::MOST_WEIGHT;

/// What `model_type` says.
pub(crate) const MODEL_TYPE: &str = "lmic_recurrent"; // frozen

/// Most symbols that the embedding looks at.
pub(crate) const MAX_TAPS: usize = 8; // frozen

/// The most symbols of a context that has a row.
pub(super) const MAX_ORDER: usize = MAX_TAPS; // frozen

/// The most kinds of contexts that have rows, and the binary logarithm of the most rows of a kind.
const MAX_NGRAMS: usize = 16; // frozen
const MAX_BITS: usize = 24; // frozen

const MAX_WIDTH: usize = 16_384; // frozen
const MAX_LAYERS: usize = 256; // frozen

/// The largest weight of an int8 matrix.
const MAX_WEIGHT: usize = 63; // frozen
const _: () = assert!(MAX_WEIGHT == MOST_WEIGHT as usize);

/// The shape of a recurrent network. Fields are called as in `config.json`; all widths are multiples of 16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurrentConfig {
    /// Width of the residual stream, 16 to 16384.
    pub hidden_size: usize,
    /// Numbers that a layer keeps of the past, 16 to 16384; `hidden_size` where the file says nothing.
    pub state_size: usize,
    /// Width inside the gated MLP, 16 to 16384.
    pub intermediate_size: usize,
    /// Layers, 1 to 256.
    pub layers: usize,
    /// Last symbols that the embedding looks at, 1 to 8; 1 where the file says nothing.
    pub taps: usize,
    /// Rows for frequent contexts, if the model has them.
    pub ngrams: Option<NgramConfig>,
    /// Largest integer of an int8 matrix that [quantising](super::RecurrentWeights::quantize) makes, as training imitated: 1 to
    /// 63, which is meant where the file says nothing. Smaller ones make products quicker on older CPUs.
    pub weight_levels: usize,
}

/// The shape of [`Ngrams`](super::Ngrams).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgramConfig {
    /// For each kind, the number of last symbols that make a context, 1 to 8; 0 stands for the word so far, which is the letters
    /// since the last byte that is no letter. Key `ngrams`.
    pub orders: Vec<usize>,
    /// For each kind, the binary logarithm of the number of rows, 4 to 24. Key `ngram_bits`.
    pub bits: Vec<usize>,
    /// How many numbers a row has; it is even. Key `ngram_size`.
    pub size: usize,
    /// Before which layers a product of the rows is added to the residual stream, in ascending order; the number of layers
    /// stands for the last norm. Key `ngram_layers`; the first layer alone where the file says nothing.
    pub layers: Vec<usize>,
}

impl NgramConfig {
    /// The number of rows of all kinds.
    pub fn rows(&self) -> usize {
        self.bits.iter().map(|bits| 1usize << bits).sum()
    }

    /// How many numbers enter the product: those of one row of each kind.
    pub fn width(&self) -> usize {
        self.orders.len() * self.size
    }

    fn from_keys(keys: &Keys) -> Result<Option<Self>> {
        let Some(orders) = keys.sizes("ngrams")? else { return Ok(None) };
        if orders.is_empty() {
            return Ok(None);
        }
        keys.only("ngram_levels", &7.into())?;
        let bits = keys.sizes("ngram_bits")?.unwrap_or_default();
        let layers = keys.sizes("ngram_layers")?.unwrap_or_else(|| vec![0]);
        Ok(Some(Self { orders, bits, size: keys.size("ngram_size")?, layers }))
    }

    fn validate(&self, layers: usize) -> Result<()> {
        let kinds = self.orders.len();
        let list = |list: &[usize]| format!("{list:?}");
        if !(1..=MAX_NGRAMS).contains(&kinds) || self.orders.iter().any(|&n| n > MAX_ORDER) {
            let supported = format!("1 to {MAX_NGRAMS} numbers of 0 to {MAX_ORDER}");
            return Err(refused("ngrams", list(&self.orders), supported));
        }
        if self.bits.len() != kinds || self.bits.iter().any(|bits| !(4..=MAX_BITS).contains(bits)) {
            let supported = format!("{kinds} numbers of 4 to {MAX_BITS}");
            return Err(refused("ngram_bits", list(&self.bits), supported));
        }
        let ascending = self.layers.is_sorted_by(|a, b| a < b);
        if !ascending || self.layers.is_empty() || self.layers.last() > Some(&layers) {
            let supported = format!("numbers of 0 to {layers} in ascending order");
            return Err(refused("ngram_layers", list(&self.layers), supported));
        }
        let fits = self.size.is_multiple_of(2) && self.width().is_multiple_of(16);
        match (1..=MAX_WIDTH).contains(&self.size) && self.width() <= MAX_WIDTH && fits {
            true => Ok(()),
            false => {
                let supported =
                    format!("even, and times {kinds} a multiple of 16 up to {MAX_WIDTH}");
                Err(refused("ngram_size", self.size, supported))
            }
        }
    }
}

impl RecurrentConfig {
    /// Whether a `config.json` is of this kind; false if it is none at all.
    pub(crate) fn describes(json: &str) -> bool {
        let kind = Keys::parse(json).ok().and_then(|keys| keys.get("model_type").cloned());
        kind.is_some_and(|kind| kind == MODEL_TYPE)
    }

    /// Reads a `config.json`. Keys that do not change what is computed are ignored.
    ///
    /// # Errors
    /// `Corrupt` if it is no JSON object; `InvalidArgument` names the key that is missing or not supported,
    /// its value, and what is supported.
    pub fn from_json(json: &str) -> Result<Self> {
        let keys = Keys::parse(json)?;
        keys.required("model_type")?;
        keys.only("model_type", &MODEL_TYPE.into())?;
        keys.only("mixer", &"gru".into())?;
        for mixer in keys.get("mixers").and_then(|mixers| mixers.as_array()).into_iter().flatten() {
            if mixer != "gru" {
                return Err(refused("mixers", mixer, "\"gru\" for all"));
            }
        }
        keys.only("conv", &false.into())?;
        keys.only("vocab_size", &VOCAB_SIZE.into())?;
        let hidden_size = keys.size("hidden_size")?;
        let config = Self {
            hidden_size,
            state_size: keys.optional_size("state_size")?.unwrap_or(hidden_size),
            intermediate_size: keys.size("intermediate_size")?,
            layers: keys.size("layers")?,
            taps: keys.optional_size("taps")?.unwrap_or(1),
            ngrams: NgramConfig::from_keys(&keys)?,
            weight_levels: keys.optional_size("weight_levels")?.unwrap_or(MAX_WEIGHT),
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes a `config.json`; the same bytes for the same configuration.
    pub fn to_json(&self) -> String {
        let mut json = json!({
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "layers": self.layers,
            "mixer": "gru",
            "model_type": MODEL_TYPE,
            "state_size": self.state_size,
            "taps": self.taps,
            "vocab_size": VOCAB_SIZE,
        });
        if let Some(ngrams) = &self.ngrams {
            json["ngrams"] = json!(ngrams.orders);
            json["ngram_bits"] = json!(ngrams.bits);
            json["ngram_size"] = json!(ngrams.size);
            json["ngram_levels"] = json!(7);
            json["ngram_layers"] = json!(ngrams.layers);
        }
        if self.weight_levels != MAX_WEIGHT {
            json["weight_levels"] = json!(self.weight_levels);
        }
        format!("{json:#}")
    }

    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// `InvalidArgument` names the key, its value, and what is supported.
    pub fn validate(&self) -> Result<()> {
        let range = |key, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(refused(key, value, format!("1 to {most}"))),
        };
        range("layers", self.layers, MAX_LAYERS)?;
        range("taps", self.taps, MAX_TAPS)?;
        range("weight_levels", self.weight_levels, MAX_WEIGHT)?;
        if let Some(ngrams) = &self.ngrams {
            ngrams.validate(self.layers)?;
        }
        for (key, width) in [
            ("hidden_size", self.hidden_size),
            ("state_size", self.state_size),
            ("intermediate_size", self.intermediate_size),
        ] {
            range(key, width, MAX_WIDTH)?;
            if !width.is_multiple_of(16) {
                return Err(refused(key, width, "a multiple of 16"));
            }
        }
        // Far from what a file holds, but a shape alone should not ask for more than memory has addresses.
        match self.params() < 1 << 40 {
            true => Ok(()),
            false => {
                Err(Error::new(ErrorKind::InvalidArgument, "config asks for too many weights"))
            }
        }
    }

    /// Weights of the model; scales of an int8 model are not counted.
    pub fn params(&self) -> u64 {
        let [d, s, f, layers, taps] =
            [self.hidden_size, self.state_size, self.intermediate_size, self.layers, self.taps]
                .map(|n| n as u64);
        let layer = 2 * d + 4 * d * s + s + 3 * d * f;
        let ngrams = self.ngrams.as_ref().map_or(0, |n| {
            n.rows() as u64 * n.size as u64 + (n.layers.len() * n.width()) as u64 * d
        });
        VOCAB_SIZE as u64 * taps * d + ngrams + layers * layer + d + 256 * d
    }
}
