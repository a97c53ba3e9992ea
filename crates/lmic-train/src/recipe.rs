//! What to train, on what, for how long: a TOML file and overrides from the command line.
//!
//! `recipes/train_torch.py` reads the same files, `recipes/train_recurrent.py` those of recurrent models.
//!
//! A recipe is validated once, in [`Recipe::from_toml`](crate::recipe::Recipe::from_toml); everything later trusts it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::recurrent::RecurrentRecipe;

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

/// `[data]`: where the bytes come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Folder that relative paths start from; set by `--data`.
    #[serde(default)]
    pub root: PathBuf,
    /// Sources to mix.
    pub train: Vec<SourceConfig>,
    /// What the validation loss is measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Windows of a validation at most, spread evenly over its data.
    #[serde(default = "default_validation_windows")]
    pub validation_windows: usize,
    /// Licence of the data, for the model card.
    #[serde(default)]
    pub licence: String,
    /// Whether of JSON lines (`.jsonl` in a file's name) the field `t` alone is read.
    #[serde(skip)]
    pub records: bool,
}

/// A file, a folder (all files below it) or a glob; `.xz` files are decompressed. The files are joined in
/// the order of their paths.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Path, folder or glob.
    pub path: String,
    /// Share of this source among the windows, relative to the others'. Either every source has a weight
    /// or none; without, the share is that of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// What the validation loss is measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Validation {
    /// Files of their own.
    Files(Vec<ValidationFiles>),
    /// Blocks of the training sources, which training then never sees.
    HeldOut(HeldOut),
}

/// A file, folder or glob to validate on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationFiles {
    /// Path, folder or glob.
    pub path: String,
    /// Only this many bytes from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
}

/// A part of the training sources that is kept for validation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// Share of the blocks, in 0..1.
    pub fraction: f64,
    /// Bytes of a block.
    #[serde(default = "default_held_out_block")]
    pub block: usize,
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

/// `[log]`: every how many steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A line of metrics.
    pub every: u64,
    /// A validation.
    pub validate_every: u64,
    /// A checkpoint and an export.
    pub checkpoint_every: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every: 10, validate_every: 250, checkpoint_every: 250 }
    }
}

fn default_rope_theta() -> f64 {
    10000.0
}
fn default_rms_norm_eps() -> f64 {
    1e-5
}
pub(crate) fn default_validation_windows() -> usize {
    256
}
fn default_held_out_block() -> usize {
    1 << 16
}
fn default_betas() -> [f64; 2] {
    [0.9, 0.95]
}
pub(crate) fn default_eps() -> f64 {
    1e-8
}
fn default_weight_decay() -> f64 {
    0.1
}
fn default_min_lr_ratio() -> f64 {
    0.1
}
pub(crate) fn default_clip_norm() -> f64 {
    1.0
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

    /// The recipe with every default written out.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// Windows that one step learns from.
    pub fn windows_per_step(&self) -> u64 {
        (self.optim.batch * self.optim.accumulate) as u64
    }

    /// Bytes that one step learns from.
    pub fn bytes_per_step(&self) -> u64 {
        self.windows_per_step() * self.model.context as u64
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
        Budget::new(optim.steps, optim.bytes, optim.seconds)?;
        self.log.validate()
    }
}

impl DataConfig {
    /// Checks all but the paths; windows have `context` bytes.
    pub(crate) fn validate(&self, context: usize) -> Result<()> {
        ensure!(!self.train.is_empty(), "data.train names no source");
        let weights = self.train.iter().filter(|s| s.weight.is_some()).count();
        ensure!(
            weights == 0 || weights == self.train.len(),
            "data.train: give a weight to every source or to none"
        );
        for source in &self.train {
            let weight = source.weight.unwrap_or(1.0);
            ensure!(weight > 0.0 && weight.is_finite(), "weight of {}: {weight}", source.path);
        }
        if let Some(Validation::HeldOut(HeldOut { fraction, block })) = self.validation {
            ensure!(fraction > 0.0 && fraction < 1.0, "data.validation.fraction: {fraction}");
            ensure!(
                block >= context,
                "data.validation.block: {block}, less than a window of {context}"
            );
        }
        ensure!(self.validation_windows > 0, "data.validation_windows: 0");
        Ok(())
    }
}

impl LogConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        ensure!(
            self.every > 0 && self.validate_every > 0 && self.checkpoint_every > 0,
            "log.every, validate_every and checkpoint_every: at least 1"
        );
        Ok(())
    }
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many steps.
    Steps(u64),
    /// Until so many bytes were trained on.
    Bytes(u64),
    /// So many seconds of training.
    Seconds(f64),
}

impl Budget {
    /// The one that is given.
    ///
    /// # Errors
    /// None or several are.
    pub(crate) fn new(
        steps: Option<u64>,
        bytes: Option<u64>,
        seconds: Option<f64>,
    ) -> Result<Self> {
        Ok(match (steps, bytes, seconds) {
            (Some(steps), None, None) => Self::Steps(steps),
            (None, Some(bytes), None) => Self::Bytes(bytes),
            (None, None, Some(seconds)) => Self::Seconds(seconds),
            _ => bail!("optim: give exactly one of steps, bytes and seconds"),
        })
    }
}

/// A recipe of either kind, by what its `[model]` says.
#[derive(Debug, Clone)]
pub enum AnyRecipe {
    /// Of a transformer.
    Transformer(Recipe),
    /// Of a recurrent model: `mixer` is in `[model]`.
    Recurrent(RecurrentRecipe),
}

impl From<Recipe> for AnyRecipe {
    fn from(recipe: Recipe) -> Self {
        Self::Transformer(recipe)
    }
}

impl From<RecurrentRecipe> for AnyRecipe {
    fn from(recipe: RecurrentRecipe) -> Self {
        Self::Recurrent(recipe)
    }
}

impl AnyRecipe {
    /// Reads a recipe: see [`Recipe::from_toml`].
    ///
    /// # Errors
    /// As there.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let table = parse(text, overrides)?;
        Ok(match table.get("model").and_then(|model| model.get("mixer")) {
            Some(_) => Self::Recurrent(RecurrentRecipe::from_toml(text, overrides)?),
            None => Self::Transformer(Recipe::from_toml(text, overrides)?),
        })
    }

    /// The recipe with every default written out.
    pub fn to_toml(&self) -> Result<String> {
        Ok(match self {
            Self::Transformer(recipe) => toml::to_string(recipe),
            Self::Recurrent(recipe) => toml::to_string(recipe),
        }?)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Transformer(recipe) => &recipe.name,
            Self::Recurrent(recipe) => &recipe.name,
        }
    }

    /// To set the model's name.
    pub fn name_mut(&mut self) -> &mut String {
        match self {
            Self::Transformer(recipe) => &mut recipe.name,
            Self::Recurrent(recipe) => &mut recipe.name,
        }
    }

    /// Sequences of a pass.
    pub fn batch(&self) -> usize {
        match self {
            Self::Transformer(recipe) => recipe.optim.batch,
            Self::Recurrent(recipe) => recipe.optim.rows,
        }
    }

    /// Every how many steps.
    pub fn log(&self) -> &LogConfig {
        match self {
            Self::Transformer(recipe) => &recipe.log,
            Self::Recurrent(recipe) => &recipe.log,
        }
    }

    /// How long.
    pub fn budget(&self) -> Budget {
        let (steps, bytes, seconds) = match self {
            Self::Transformer(r) => (r.optim.steps, r.optim.bytes, r.optim.seconds),
            Self::Recurrent(r) => (r.optim.steps, r.optim.bytes, r.optim.seconds),
        };
        Budget::new(steps, bytes, seconds).expect("a recipe has one budget")
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

/// A table with overrides applied.
pub(crate) fn parse(text: &str, overrides: &[String]) -> Result<toml::Table> {
    let mut table: toml::Table = text.parse().context("the recipe is no TOML")?;
    for set in overrides {
        apply_override(&mut table, set)?;
    }
    Ok(table)
}

fn apply_override(table: &mut toml::Table, set: &str) -> Result<()> {
    let Some((key, value)) = set.split_once('=') else {
        bail!("`{set}`: write an override as section.key=value");
    };
    let value = format!("v = {value}")
        .parse::<toml::Table>()
        .map_or_else(|_| toml::Value::String(value.into()), |mut t| t.remove("v").expect("v"));
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().expect("split gives at least one part");
    let mut section = table;
    for part in path {
        section = section
            .entry(part)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .with_context(|| format!("`{set}`: {part} is no section"))?;
    }
    // The three budgets exclude each other: the one given last counts.
    if ["optim.steps", "optim.bytes", "optim.seconds"].contains(&key) {
        for budget in ["steps", "bytes", "seconds"] {
            section.remove(budget);
        }
    }
    section.insert(last.into(), value);
    Ok(())
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
        let text = recipe.to_toml().unwrap();
        assert_eq!(Recipe::from_toml(&text, &[]).unwrap().to_toml().unwrap(), text);
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
