//! The state of a run on disk: weights, moments and counters in one safetensors file.
//!
//! A run's folder: `recipe.toml`, `checkpoints/<step>/state.safetensors`, `model/` (the export), `metrics.csv`,
//! `metrics.jsonl`, `curve.svg`. A checkpoint is written under another name and renamed when complete, so that
//! whatever stops the program, the newest one that has its name is whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Tensor, TensorData};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::tensors::{TensorFile, tensor_values, values};

/// Checkpoints kept; the one before the newest is for disks that lie.
const KEEP: usize = 2;
const STATE: &str = "state.safetensors";
const PROGRESS: &str = "progress";

/// Counters of a run, kept as TOML: its floats read back exactly. The windows drawn so far follow from `step`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Bytes trained on.
    pub bytes: u64,
    /// Seconds of training, validations and checkpoints left out.
    pub seconds: f64,
    /// Sum of `-log2 p` since the last line of metrics, and its bytes.
    pub unlogged: (f64, u64),
    /// The last validation, bits per byte.
    pub validation: Option<f64>,
    /// Of streams that go on from step to step: the number of each and the bytes read of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<(u64, usize)>,
}

/// What a checkpoint calls its tensors: of all `parameters` the weights, then the first moments, then the second.
pub(crate) fn tensor_names(parameters: &[String]) -> Vec<String> {
    let of = |kind| parameters.iter().map(move |name| format!("{kind}:{name}"));
    ["weight", "m", "v"].into_iter().flat_map(of).collect()
}

/// Writes a checkpoint of named tensors into the run's folder and removes old ones.
///
/// # Errors
/// Of the file system.
pub fn save(run: &Path, tensors: &[(String, &Tensor<2>)], progress: &Progress) -> Result<()> {
    let folder = run.join("checkpoints");
    let temporary = folder.join(format!("tmp-{}", progress.step));
    fs::create_dir_all(&temporary)?;
    let mut file = TensorFile::default();
    for (name, tensor) in tensors {
        file.add(name.clone(), tensor.dims().to_vec(), &values(tensor));
    }
    let metadata = HashMap::from([(PROGRESS.to_string(), toml::to_string(progress)?)]);
    file.write(&temporary.join(STATE), metadata)?;
    File::open(&temporary)?.sync_all()?;
    let target = folder.join(format!("{:08}", progress.step));
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::rename(&temporary, &target)?;
    let all = list(run)?;
    for old in &all[..all.len().saturating_sub(KEEP)] {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}

/// Reads the newest checkpoint of a run into tensors of these names, which have its shapes already.
///
/// # Errors
/// There is none, it is damaged, or it is of a model of another shape.
pub fn load(run: &Path, tensors: Vec<(String, &mut Tensor<2>)>) -> Result<Progress> {
    let newest = list(run)?.pop();
    let path = newest.with_context(|| format!("{} has no checkpoint", run.display()))?.join(STATE);
    let read = || -> Result<Progress> {
        let bytes = fs::read(&path)?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let progress = header.metadata().as_ref().and_then(|m| m.get(PROGRESS));
        let progress = toml::from_str(progress.context("no progress in it")?)?;
        let file = SafeTensors::deserialize(&bytes)?;
        for (name, tensor) in tensors {
            let shape = tensor.dims();
            let values = tensor_values(&file, &name, &shape)?;
            *tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
        }
        Ok(progress)
    };
    read().with_context(|| format!("checkpoint {}", path.display()))
}

/// Folders of complete checkpoints, oldest first.
fn list(run: &Path) -> Result<Vec<PathBuf>> {
    let folder = run.join("checkpoints");
    ensure!(folder.is_dir(), "{} is no run: it has no checkpoints", run.display());
    let mut steps: Vec<u64> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    steps.sort_unstable();
    Ok(steps.into_iter().map(|step| folder.join(format!("{step:08}"))).collect())
}
