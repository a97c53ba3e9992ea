//! The training loop: draw windows, add gradients, step, now and then validate and save.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::Progress;
use crate::learner::{Learner, Step};
use crate::metrics::{Metrics, Row};
use crate::parallel::Runs;
use crate::recipe::AnyRecipe;
use crate::recipe_parts::Budget;
use crate::recurrent::Streams;
use crate::replace::replace;
use crate::transformer::Windows;

/// Losses left on the device at most: a GPU works behind our back, and reading one waits for it.
const UNREAD: usize = 16;
const RECIPE: &str = "recipe.toml";

/// A run in progress.
pub struct Trainer {
    recipe: AnyRecipe,
    folder: PathBuf,
    learner: Box<dyn Learner>,
    progress: Progress,
    metrics: Metrics,
    unread: Vec<Tensor<1>>,
}

/// What a run says about itself at each line of metrics.
pub struct Status<'a> {
    /// The line.
    pub row: &'a Row,
    /// Share of the budget used up, 0..=1.
    pub share: f64,
    /// Steps of the whole run, unless the budget is in seconds.
    pub steps: Option<u64>,
    /// Speed since the start or the resumption.
    pub bytes_per_second: f64,
    /// Expected rest of the training time.
    pub seconds_left: f64,
}

impl Trainer {
    /// Starts a run in `folder`.
    ///
    /// # Errors
    /// The folder holds a run already, or the data can't be read.
    pub fn start(
        recipe: impl Into<AnyRecipe>,
        folder: &Path,
        device: &Device,
        runs: Runs,
    ) -> Result<Self> {
        let recipe = recipe.into();
        ensure!(
            !folder.join("checkpoints").exists(),
            "{0} holds a run; go on with `lmic-train resume {0}` or choose another --out",
            folder.display()
        );
        let learner = learner(&recipe, device, runs)?;
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        Self::assemble(recipe, folder, learner, Progress::default())
    }

    /// Goes on with the run in `folder` from its newest checkpoint, with `recipe` (see [`read_recipe`]).
    ///
    /// # Errors
    /// There is no checkpoint, it doesn't fit the recipe, or the data can't be read.
    pub fn resume(
        recipe: impl Into<AnyRecipe>,
        folder: &Path,
        device: &Device,
        runs: Runs,
    ) -> Result<Self> {
        let recipe = recipe.into();
        let mut learner = learner(&recipe, device, runs)?;
        let progress = learner.load(folder)?;
        Self::assemble(recipe, folder, learner, progress)
    }

    fn assemble(
        recipe: AnyRecipe,
        folder: &Path,
        learner: Box<dyn Learner>,
        progress: Progress,
    ) -> Result<Self> {
        replace(&folder.join(RECIPE), recipe.to_toml()?.as_bytes())?;
        let metrics = Metrics::open(folder, progress.step)?;
        let (folder, unread) = (folder.into(), Vec::new());
        Ok(Self { recipe, folder, learner, progress, metrics, unread })
    }

    /// Trains until the budget is used up or `stop` is set, then saves all. `report` is called for each line
    /// of metrics.
    ///
    /// # Errors
    /// The loss is no number any more; the file system.
    pub fn run(&mut self, stop: &AtomicBool, mut report: impl FnMut(&Status)) -> Result<()> {
        let begin = (self.progress.seconds, self.progress.bytes, self.share());
        let mut saved = None;
        while self.share() < 1.0 && !stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            let Step { nats, norm, lr } = self.learner.step(self.progress.step, self.share());
            self.unread.push(nats);
            self.progress.step += 1;
            self.progress.bytes += self.learner.step_bytes();
            if self.unread.len() == UNREAD || self.due(self.recipe.log().every) {
                self.read_losses()?;
            }
            self.progress.seconds += started.elapsed().as_secs_f64();
            let log = self.recipe.log();
            let line = self.due(log.every);
            let (validate, save) = (self.due(log.validate_every), self.due(log.checkpoint_every));
            if validate {
                self.progress.validation = self.learner.validate();
            }
            if line || validate {
                self.read_losses()?;
                let row = self.line(lr, norm, validate);
                let seconds = self.progress.seconds - begin.0;
                let share = self.share();
                report(&Status {
                    row: &row,
                    share,
                    steps: self.total_steps(),
                    bytes_per_second: (row.bytes - begin.1) as f64 / seconds,
                    seconds_left: seconds * (1.0 - share) / (share - begin.2),
                });
                self.metrics.add(row)?;
            }
            if save {
                self.read_losses()?;
                self.save()?;
                saved = Some(self.progress.step);
            }
        }
        if saved != Some(self.progress.step) {
            self.read_losses()?;
            self.save()?;
        }
        Ok(())
    }

    /// Lines of metrics so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Number of the model's parameters.
    pub fn size(&self) -> usize {
        self.learner.size()
    }

    /// Bytes that training may see.
    pub fn train_bytes(&self) -> u64 {
        self.learner.train_bytes()
    }

    /// Is this step one of every so many, or the last?
    fn due(&self, every: u64) -> bool {
        self.progress.step.is_multiple_of(every) || self.share() >= 1.0
    }

    /// Adds up the losses that are still on the device.
    fn read_losses(&mut self) -> Result<()> {
        for nats in self.unread.drain(..) {
            self.progress.unlogged.0 +=
                f64::from(nats.into_scalar::<f32>()) / std::f64::consts::LN_2;
            self.progress.unlogged.1 += self.learner.step_bytes();
        }
        ensure!(
            self.progress.unlogged.0.is_finite(),
            "the loss is no number at step {}: resume with a smaller --set optim.lr=...",
            self.progress.step
        );
        Ok(())
    }

    fn line(&mut self, lr: f64, norm: Tensor<1>, validated: bool) -> Row {
        let (bits, bytes) = std::mem::take(&mut self.progress.unlogged);
        Row {
            step: self.progress.step,
            bytes: self.progress.bytes,
            seconds: self.progress.seconds,
            lr,
            train_bpb: bits / bytes as f64,
            val_bpb: self.progress.validation.filter(|_| validated),
            grad_norm: norm.into_scalar::<f32>().into(),
        }
    }

    fn save(&self) -> Result<()> {
        self.learner.save(&self.folder, &self.progress)?;
        if self.metrics.rows().is_empty() {
            return Ok(());
        }
        self.metrics.draw(self.recipe.name())
    }

    fn total_steps(&self) -> Option<u64> {
        match self.recipe.budget() {
            Budget::Steps(steps) => Some(steps),
            Budget::Bytes(bytes) => Some(bytes.div_ceil(self.learner.step_bytes())),
            Budget::Seconds(_) => None,
        }
    }

    /// Share of the budget used up.
    fn share(&self) -> f64 {
        let progress = &self.progress;
        let done = match self.recipe.budget() {
            Budget::Steps(steps) => progress.step as f64 / steps as f64,
            Budget::Bytes(bytes) => progress.bytes as f64 / bytes as f64,
            Budget::Seconds(seconds) => progress.seconds / seconds,
        };
        done.min(1.0)
    }
}

fn learner(recipe: &AnyRecipe, device: &Device, runs: Runs) -> Result<Box<dyn Learner>> {
    Ok(match recipe {
        AnyRecipe::Transformer(recipe) => Box::new(Windows::new(recipe, device, runs)?),
        AnyRecipe::Recurrent(recipe) => Box::new(Streams::new(recipe, device, runs)?),
    })
}

/// The recipe that the run in `folder` was started with, after `overrides`.
///
/// # Errors
/// It can't be read, or an override is wrong.
pub fn read_recipe(folder: &Path, overrides: &[String]) -> Result<AnyRecipe> {
    let path = folder.join(RECIPE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("reading {}: is this the folder of a run?", path.display()))?;
    AnyRecipe::from_toml(&text, overrides)
}
