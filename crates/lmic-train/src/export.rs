//! Model directories: their files, whatever kind of model they hold.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
