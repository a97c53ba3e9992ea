//! `[data]` of a recipe: sources, and what is held out of them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

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

pub(crate) fn default_validation_windows() -> usize {
    256
}
fn default_held_out_block() -> usize {
    1 << 16
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
