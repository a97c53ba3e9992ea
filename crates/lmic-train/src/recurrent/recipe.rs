//! Recipes of recurrent models; `recipes/train_recurrent.py` reads the same files.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use lmic::nn::RecurrentConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::adam::{default_clip_norm, default_eps};
use crate::data::{DataConfig, SourceConfig, Validation, default_validation_windows};
use crate::recipe_parts::{Budget, LogConfig, parse};

/// A whole recipe; the file's sections are its fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrentRecipe {
    /// Name of the model, for its card and for messages; absent: that of the file.
    #[serde(default)]
    pub name: String,
    /// Seed of the weights and of the streams.
    #[serde(default)]
    pub seed: u64,
    /// `[model]`
    pub model: ShapeConfig,
    /// `[data]`
    pub data: StreamsConfig,
    /// `[optim]`
    pub optim: MuonConfig,
    /// `[log]`
    #[serde(default)]
    pub log: LogConfig,
}

/// `[model]`: the shape, see [`RecurrentConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeConfig {
    /// What mixes positions: `gru`.
    pub mixer: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Numbers that a layer keeps of the past; absent: `hidden_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_size: Option<usize>,
    /// Layers.
    pub layers: usize,
    /// Width inside the gated MLP.
    pub intermediate_size: usize,
    /// Last symbols that the embedding looks at.
    #[serde(default = "default_taps")]
    pub taps: usize,
    /// Kinds of contexts of which the most frequent have rows: numbers of last symbols, or 0 for the letters of the word so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ngrams: Vec<usize>,
    /// Of each kind, log2 of its rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ngram_bits: Vec<usize>,
    /// Numbers of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngram_size: Option<usize>,
    /// Largest integer of a row: 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngram_levels: Option<usize>,
    /// Before which layers rows are added, the number of layers for the last norm; the first alone if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngram_layers: Option<Vec<usize>>,
    /// Largest weight of the int8 model, 1 to 63.
    #[serde(default = "default_weight_levels")]
    pub weight_levels: usize,
    /// Bytes of a stream in one step, through which gradients go.
    pub segment: usize,
}

/// `[data]`: where the bytes come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsConfig {
    /// Folder that relative paths start from; set by `--data`.
    #[serde(default)]
    pub root: PathBuf,
    /// Sources to mix; of JSON lines (`.jsonl` in the name) the field `t` of each record.
    pub train: Vec<SourceConfig>,
    /// Probability that a row starts anew elsewhere after a segment, 0 to 1.
    #[serde(default = "default_jump")]
    pub jump: f64,
    /// Bytes of training text in which contexts of n-grams are counted (8 bytes of memory for each).
    #[serde(default = "default_ngram_sample")]
    pub ngram_sample: u64,
    /// What the validation loss is measured on, in pieces of a segment, each alone; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Pieces of a validation at most, spread evenly over its data.
    #[serde(default = "default_validation_windows")]
    pub validation_windows: usize,
    /// Licence of the data, for the model card.
    #[serde(default)]
    pub licence: String,
}

/// `[optim]`: Muon for the matrices of layers, Adam for the rest, and the budget. Exactly one of `steps`, `bytes` and
/// `seconds` is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuonConfig {
    /// Streams that a step goes on with.
    pub rows: usize,
    /// Whether there is Muon; else Adam for all.
    #[serde(default = "default_muon")]
    pub muon: bool,
    /// Largest learning rate of Muon.
    pub muon_lr: f64,
    /// Largest learning rate of Adam.
    pub lr: f64,
    /// The same for rows for contexts; `lr` if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_lr: Option<f64>,
    /// Decay of Adam's first and second moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Decoupled weight decay of the layers' matrices.
    pub weight_decay: f64,
    /// Largest norm of all gradients taken together; 0: no clipping.
    #[serde(default = "default_clip_norm")]
    pub clip_norm: f64,
    /// First part of the budget, in which the learning rate rises.
    #[serde(default = "default_warmup_part")]
    pub warmup_part: f64,
    /// Last part of the budget, in which it falls to nothing.
    #[serde(default = "default_decay_part")]
    pub decay_part: f64,
    /// Last part of the budget, in which weights and activations are rounded as in int8.
    #[serde(default = "default_int8_part")]
    pub int8_part: f64,
    /// Budget in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Budget in bytes trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Budget in seconds of training; such a run can't be repeated exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

fn default_taps() -> usize {
    1
}
fn default_weight_levels() -> usize {
    63
}
fn default_ngram_sample() -> u64 {
    100_000_000
}
fn default_jump() -> f64 {
    0.15
}
fn default_muon() -> bool {
    true
}
fn default_warmup_part() -> f64 {
    0.02
}
fn default_decay_part() -> f64 {
    0.5
}
fn default_int8_part() -> f64 {
    0.2
}

impl RecurrentRecipe {
    /// Reads a recipe and applies overrides `section.key=value`, the value written as in TOML (a word that is no TOML
    /// value is taken as a string).
    ///
    /// # Errors
    /// Names the key that is missing, unknown, out of range or of a model that is not trained here.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let table = parse(text, overrides)?;
        let model = table.get("model").and_then(|model| model.as_table());
        ensure!(
            model.is_none_or(|model| !model.contains_key("mixers")),
            "model.mixers: only recipes/train_recurrent.py trains such models"
        );
        let recipe: Self = table.try_into().context("recipe")?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// How long.
    pub(crate) fn budget(&self) -> Result<Budget> {
        Budget::new(self.optim.steps, self.optim.bytes, self.optim.seconds)
    }

    fn validate(&self) -> Result<()> {
        let (model, optim) = (&self.model, &self.optim);
        ensure!(
            model.mixer == "gru",
            "model.mixer = {:?}: only recipes/train_recurrent.py trains such models",
            model.mixer
        );
        ensure!(model.segment > 0, "model.segment: 0");
        self.model.config()?;
        self.data.config().validate(model.segment)?;
        ensure!(optim.rows > 0, "optim.rows: 0");
        for (key, part) in [
            ("data.jump", self.data.jump),
            ("optim.betas", optim.betas[0]),
            ("optim.betas", optim.betas[1]),
            ("optim.warmup_part", optim.warmup_part),
            ("optim.decay_part", optim.decay_part),
            ("optim.int8_part", optim.int8_part),
        ] {
            ensure!((0.0..=1.0).contains(&part), "{key}: {part}, allowed 0 to 1");
        }
        ensure!(optim.betas.iter().all(|&beta| beta < 1.0), "optim.betas: 1, must be less");
        for (key, value) in
            [("optim.lr", optim.lr), ("optim.muon_lr", optim.muon_lr), ("optim.eps", optim.eps)]
                .into_iter()
                .chain(optim.table_lr.map(|lr| ("optim.table_lr", lr)))
        {
            ensure!(value > 0.0 && value.is_finite(), "{key}: {value}");
        }
        for (key, value) in [("weight_decay", optim.weight_decay), ("clip_norm", optim.clip_norm)] {
            ensure!(value >= 0.0 && value.is_finite(), "optim.{key}: {value}");
        }
        self.budget()?;
        self.log.validate()
    }
}

impl ShapeConfig {
    /// As `lmic` has it.
    ///
    /// # Errors
    /// A size that is not supported.
    pub fn config(&self) -> Result<RecurrentConfig> {
        let mut json = json!(self);
        json["model_type"] = "lmic_recurrent".into();
        if self.state_size.is_none() {
            json["state_size"] = self.hidden_size.into();
        }
        Ok(RecurrentConfig::from_json(&json.to_string())?)
    }
}

impl StreamsConfig {
    /// As the corpus wants it.
    pub(super) fn config(&self) -> DataConfig {
        DataConfig {
            root: self.root.clone(),
            train: self.train.clone(),
            validation: self.validation.clone(),
            validation_windows: self.validation_windows,
            licence: self.licence.clone(),
            records: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RecurrentRecipe;

    const TEXT: &str = r#"
        [model]
        mixer = "gru"
        hidden_size = 32
        layers = 2
        intermediate_size = 48
        taps = 4
        segment = 64
        [data]
        train = [{ path = "a", weight = 1 }]
        [optim]
        rows = 4
        muon_lr = 0.02
        lr = 4e-3
        betas = [0.9, 0.98]
        weight_decay = 0.02
        clip_norm = 1.0
    "#;

    fn read(sets: &[&str]) -> anyhow::Result<RecurrentRecipe> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        RecurrentRecipe::from_toml(TEXT, &sets)
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let recipe = read(&["optim.steps=7", "data.validation={fraction=0.1}"]).unwrap();
        let config = recipe.model.config().unwrap();
        assert_eq!((config.state_size, config.taps, recipe.data.jump), (32, 4, 0.15));
        let text = toml::to_string(&recipe).unwrap();
        let again = RecurrentRecipe::from_toml(&text, &[]).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), text);
    }

    #[test]
    fn all_recipes_read() {
        for (name, kinds) in [("1m", 0), ("small", 7), ("default", 7), ("large", 7)] {
            let path =
                format!("{}/../../recipes/recurrent-{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let recipe = RecurrentRecipe::from_toml(&text, &["optim.steps=1".into()]).unwrap();
            let ngrams = recipe.model.config().unwrap().ngrams;
            assert_eq!(ngrams.map_or(0, |ngrams| ngrams.orders.len()), kinds, "{name}");
        }
    }

    #[test]
    fn wrong_recipes_are_reported_by_key() {
        for (set, word) in [
            ("optim.lr=0.1", "steps, bytes and seconds"), // no budget
            ("model.ngrams=[3]", "ngram_size"),
            ("model.mixers=[\"gru\", \"local\"]", "model.mixers: only recipes/train_recurrent.py"),
            ("model.conv=true", "conv"),
            ("model.mixer=delta", "delta"),
            ("model.hidden_size=40", "hidden_size"),
            ("model.heads=4", "heads"),
            ("model.segment=0", "segment"),
            ("data.jump=1.5", "jump"),
            ("optim.rows=0", "rows"),
            ("optim.betas=[0.9, 1.0]", "betas"),
            ("optim.muon_lr=nan", "muon_lr"),
            ("optim.batch=3", "batch"),
        ] {
            let sets =
                if word.starts_with("steps") { vec![set] } else { vec!["optim.steps=1", set] };
            let error = format!("{:#}", read(&sets).unwrap_err());
            assert!(error.contains(word), "{set}: {error}");
        }
    }
}
