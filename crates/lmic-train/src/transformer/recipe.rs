//! Recipes of transformers; `recipes/train_torch.py` reads the same files.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::adam::{default_clip_norm, default_eps};
use crate::data::DataConfig;
use crate::recipe_parts::{Budget, LogConfig, parse};

/// A whole recipe; the file's sections are its fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the model, for its card and for messages; absent: that of the file.
    #[serde(default)]
    pub name: String,
    /// Seed of the weights and of the windows.
    #[serde(default)]
    pub seed: u64,
    /// `[model]`
    pub model: ModelConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[optim]`
    pub optim: OptimConfig,
    /// `[log]`
    #[serde(default)]
    pub log: LogConfig,
}

/// `[model]`: the shape of a Llama with an alphabet of 256 bytes and a start symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`; 0 or absent: as many as `heads`.
    #[serde(default)]
    pub kv_heads: usize,
    /// Size of one head, even; 0 or absent: `hidden_size / heads`.
    #[serde(default)]
    pub head_dim: usize,
    /// Width of the gated MLP; 0 or absent: `8/3 hidden_size`, rounded to a multiple of 16.
    #[serde(default)]
    pub intermediate_size: usize,
    /// Positions of a window, the start symbol among them.
    pub context: usize,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Added to the mean square before its root.
    #[serde(default = "default_rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Positions that attention sees, the present one included; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
}

/// `[optim]`: AdamW and the budget. Exactly one of `steps`, `bytes` and `seconds` is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// Largest learning rate.
    pub lr: f64,
    /// Decay of the first and second moments.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Decoupled weight decay of the projections; norms and embeddings have none.
    #[serde(default = "default_weight_decay")]
    pub weight_decay: f64,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup_steps: u64,
    /// Where the cosine ends, as a share of `lr`.
    #[serde(default = "default_min_lr_ratio")]
    pub min_lr_ratio: f64,
    /// Largest norm of all gradients taken together; 0: no clipping.
    #[serde(default = "default_clip_norm")]
    pub clip_norm: f64,
    /// Windows in one pass.
    pub batch: usize,
    /// Passes in one step; a step sees `batch * accumulate` windows.
    #[serde(default = "default_accumulate")]
    pub accumulate: usize,
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

fn default_rope_theta() -> f64 {
    10000.0
}
fn default_rms_norm_eps() -> f64 {
    1e-5
}
fn default_betas() -> [f64; 2] {
    [0.9, 0.95]
}
fn default_weight_decay() -> f64 {
    0.1
}
fn default_min_lr_ratio() -> f64 {
    0.1
}
fn default_accumulate() -> usize {
    1
}

impl Recipe {
    /// Reads a recipe and applies overrides `section.key=value`, the value written as in TOML (a word that
    /// is no TOML value is taken as a string).
    ///
    /// # Errors
    /// Names the key that is missing, unknown or out of range.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let mut recipe: Recipe = parse(text, overrides)?.try_into().context("recipe")?;
        recipe.model.fill_defaults()?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Windows that one step learns from.
    pub fn windows_per_step(&self) -> u64 {
        (self.optim.batch * self.optim.accumulate) as u64
    }

    /// Bytes that one step learns from.
    pub fn bytes_per_step(&self) -> u64 {
        self.windows_per_step() * self.model.context as u64
    }

    /// How long.
    pub(crate) fn budget(&self) -> Result<Budget> {
        Budget::new(self.optim.steps, self.optim.bytes, self.optim.seconds)
    }

    fn validate(&self) -> Result<()> {
        let optim = &self.optim;
        ensure!(self.data.validation.is_some(), "data.validation is missing");
        self.data.validate(self.model.context)?;
        ensure!(optim.lr > 0.0 && optim.lr.is_finite(), "optim.lr: {}", optim.lr);
        for beta in optim.betas {
            ensure!((0.0..1.0).contains(&beta), "optim.betas: {beta}, allowed 0 to 1");
        }
        ensure!(optim.eps > 0.0, "optim.eps: {}", optim.eps);
        ensure!(optim.weight_decay >= 0.0, "optim.weight_decay: {}", optim.weight_decay);
        ensure!(
            (0.0..=1.0).contains(&optim.min_lr_ratio),
            "optim.min_lr_ratio: {}, allowed 0 to 1",
            optim.min_lr_ratio
        );
        ensure!(optim.clip_norm >= 0.0, "optim.clip_norm: {}", optim.clip_norm);
        ensure!(optim.batch > 0 && optim.accumulate > 0, "optim.batch and accumulate: at least 1");
        self.budget()?;
        self.log.validate()
    }
}

impl ModelConfig {
    fn fill_defaults(&mut self) -> Result<()> {
        ensure!(
            self.hidden_size > 0 && self.layers > 0 && self.heads > 0,
            "model.hidden_size, layers and heads: at least 1"
        );
        if self.kv_heads == 0 {
            self.kv_heads = self.heads;
        }
        if self.head_dim == 0 {
            self.head_dim = self.hidden_size / self.heads;
        }
        if self.intermediate_size == 0 {
            self.intermediate_size = (self.hidden_size * 8 + 24) / 48 * 16;
        }
        ensure!(
            self.heads.is_multiple_of(self.kv_heads),
            "model.kv_heads: {}, no divisor of {} heads",
            self.kv_heads,
            self.heads
        );
        ensure!(
            self.head_dim > 0 && self.head_dim.is_multiple_of(2),
            "model.head_dim: {}, must be even",
            self.head_dim
        );
        ensure!(self.intermediate_size > 0, "model.intermediate_size: 0");
        ensure!(self.context > 1, "model.context: {}, at least 2", self.context);
        ensure!(self.sliding_window != Some(0), "model.sliding_window: 0");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "t"
        [model]
        hidden_size = 64
        layers = 4
        heads = 4
        context = 2048
        [data]
        train = [{ path = "a" }]
        validation = { fraction = 0.01 }
        [optim]
        lr = 1e-3
        batch = 2
        steps = 10
    "#;

    #[test]
    fn defaults_are_the_papers_shapes() {
        for (hidden, intermediate) in [(64, 176), (128, 336), (256, 688)] {
            let set = [format!("model.hidden_size={hidden}")];
            let model = Recipe::from_toml(TEXT, &set).unwrap().model;
            assert_eq!(model.intermediate_size, intermediate);
            assert_eq!((model.kv_heads, model.head_dim), (4, hidden / 4));
        }
    }

    #[test]
    fn overrides_replace_values_and_budgets() {
        let set = ["optim.seconds=60", "optim.lr=0.5", "name=other words"].map(String::from);
        let recipe = Recipe::from_toml(TEXT, &set).unwrap();
        assert_eq!((recipe.optim.steps, recipe.optim.seconds), (None, Some(60.0)));
        assert_eq!((recipe.optim.lr, recipe.name.as_str()), (0.5, "other words"));
    }

    #[test]
    fn written_recipe_reads_the_same() {
        let recipe = Recipe::from_toml(TEXT, &[]).unwrap();
        let text = toml::to_string(&recipe).unwrap();
        let again = Recipe::from_toml(&text, &[]).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), text);
    }

    #[test]
    fn wrong_recipes_are_reported_by_key() {
        for (set, word) in [
            ("optim.speed=1", "speed"),
            ("model.kv_heads=3", "kv_heads"),
            ("model.head_dim=7", "head_dim"),
            ("optim.batch=0", "batch"),
            ("data.train=[{path='a',weight=1},{path='b'}]", "weight"),
            ("data.validation.fraction=2", "fraction"),
        ] {
            let error = Recipe::from_toml(TEXT, &[set.into()]).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{set}: {error:#}");
        }
    }
}
