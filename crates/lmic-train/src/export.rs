//! Model directories: their files and cards, whatever kind of model they hold.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkpoint::Progress;
use crate::replace::replace;

/// Folder of the export within a run's folder.
pub(crate) const MODEL: &str = "model";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const CARD: &str = "README.md";

/// The model directory of a run's folder, or the folder itself if it is one.
pub fn model_folder(folder: &Path) -> PathBuf {
    let inner = folder.join(MODEL);
    if inner.is_dir() { inner } else { folder.into() }
}

/// Copies a model directory.
///
/// # Errors
/// `from` is none; the file system.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for name in [WEIGHTS, CONFIG, CARD] {
        let path = from.join(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        replace(&to.join(name), &bytes)?;
    }
    Ok(())
}

/// What the cards of all models say; `about`, `shape` and `estimated` differ by their kind.
pub(crate) struct Card<'a> {
    pub name: &'a str,
    /// What the model is.
    pub about: String,
    /// Number of parameters.
    pub size: usize,
    /// Lines of the table.
    pub shape: String,
    /// How the validation was measured.
    pub estimated: String,
    /// Names of the training files.
    pub files: &'a [String],
    /// Of the data; empty: not stated.
    pub licence: &'a str,
    /// TOML without folders: these say something about a machine, nothing about the model.
    pub recipe: String,
}

impl Card<'_> {
    /// The card as Markdown.
    pub(crate) fn text(&self, progress: &Progress) -> String {
        let Self { name, about, size, shape, estimated, files, licence, recipe } = self;
        let Progress { step, bytes, validation, .. } = progress;
        let validation =
            validation.map_or("not measured".into(), |v| format!("{v:.4} bits per byte"));
        let licence = if licence.is_empty() { "not stated" } else { licence };
        let mut files = files.to_vec();
        files.sort();
        files.dedup();
        let files = files.join(", ");
        format!(
            "# {name}\n\n\
             {about}\n\n\
             | | |\n|-|-|\n\
             | parameters | {size} |\n\
             {shape}\
             | trained on | {bytes} bytes in {step} steps |\n\
             | validation | {validation} ({estimated}) |\n\
             | training files | {files} |\n\
             | licence of the data | {licence} |\n\n\
             ## Recipe\n\n```toml\n{recipe}```\n"
        )
    }
}
