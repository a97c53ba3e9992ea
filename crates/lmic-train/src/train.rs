//! The training loop: draw windows, add gradients, step, now and then validate and save.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::{self, Progress};
use crate::data::Corpus;
use crate::export;
use crate::metrics::{Metrics, Row};
use crate::model::{Model, Runs};
use crate::optim::{AdamW, learning_rate};
use crate::recipe::Recipe;

/// Losses left on the device at most: a GPU works behind our back, and reading one waits for it.
const UNREAD: usize = 16;
const RECIPE: &str = "recipe.toml";
/// Folder of the export within a run's folder.
pub const MODEL: &str = "model";

/// A run in progress.
pub struct Trainer {
    recipe: Recipe,
    folder: PathBuf,
    corpus: Corpus,
    model: Model,
    optimizer: AdamW,
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
    pub fn start(recipe: Recipe, folder: &Path, device: &Device, runs: Runs) -> Result<Self> {
        ensure!(
            !folder.join("checkpoints").exists(),
            "{0} holds a run; go on with `lmic-train resume {0}` or choose another --out",
            folder.display()
        );
        let corpus = Corpus::load(&recipe.data, recipe.model.context)?;
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        export::replace(&folder.join(RECIPE), recipe.to_toml()?.as_bytes())?;
        let model = Model::new(&recipe.model, recipe.seed, device, runs);
        let optimizer = AdamW::new(&recipe.optim, &model);
        Self::assemble(recipe, folder, corpus, model, optimizer, Progress::default())
    }

    /// Goes on with the run in `folder` from its newest checkpoint, with `recipe` (see [`read_recipe`]).
    ///
    /// # Errors
    /// There is no checkpoint, it doesn't fit the recipe, or the data can't be read.
    pub fn resume(recipe: Recipe, folder: &Path, device: &Device, runs: Runs) -> Result<Self> {
        let corpus = Corpus::load(&recipe.data, recipe.model.context)?;
        let mut model = Model::new(&recipe.model, recipe.seed, device, runs);
        let mut optimizer = AdamW::new(&recipe.optim, &model);
        let progress = checkpoint::load(folder, &mut model, &mut optimizer)?;
        export::replace(&folder.join(RECIPE), recipe.to_toml()?.as_bytes())?;
        Self::assemble(recipe, folder, corpus, model, optimizer, progress)
    }

    fn assemble(
        recipe: Recipe,
        folder: &Path,
        corpus: Corpus,
        model: Model,
        optimizer: AdamW,
        progress: Progress,
    ) -> Result<Self> {
        let metrics = Metrics::open(folder, progress.step)?;
        let (folder, unread) = (folder.into(), Vec::new());
        Ok(Self { recipe, folder, corpus, model, optimizer, progress, metrics, unread })
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
            let (norm, lr) = self.step();
            if self.unread.len() == UNREAD || self.due(self.recipe.log.every) {
                self.read_losses()?;
            }
            self.progress.seconds += started.elapsed().as_secs_f64();
            let log = &self.recipe.log;
            let line = self.due(log.every);
            let (validate, save) = (self.due(log.validate_every), self.due(log.checkpoint_every));
            if validate {
                self.progress.validation = Some(self.validate());
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

    /// The network as it is now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The run's data.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Is this step one of every so many, or the last?
    fn due(&self, every: u64) -> bool {
        self.progress.step.is_multiple_of(every) || self.share() >= 1.0
    }

    /// One step; the gradients' norm and the learning rate.
    fn step(&mut self) -> (Tensor<1>, f64) {
        let lr = learning_rate(&self.recipe.optim, self.progress.step, self.share());
        let count = self.recipe.windows_per_step();
        let seed = self.recipe.seed;
        let first = self.progress.step * count;
        let windows: Vec<&[u8]> =
            (first..first + count).map(|n| self.corpus.window(seed, n)).collect();
        let gradients = self.model.gradients(&windows);
        self.unread.push(gradients.nats.clone());
        self.progress.step += 1;
        self.progress.bytes += self.recipe.bytes_per_step();
        let norm = self.optimizer.step(&mut self.model, gradients, lr, self.progress.step);
        (norm, lr)
    }

    /// Adds up the losses that are still on the device.
    fn read_losses(&mut self) -> Result<()> {
        for nats in self.unread.drain(..) {
            self.progress.unlogged.0 +=
                f64::from(nats.into_scalar::<f32>()) / std::f64::consts::LN_2;
            self.progress.unlogged.1 += self.recipe.bytes_per_step();
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

    fn validate(&self) -> f64 {
        let windows: Vec<&[u8]> = self.corpus.validation().iter().map(Vec::as_slice).collect();
        self.model.bits(&windows) / (windows.len() * self.recipe.model.context) as f64
    }

    fn save(&self) -> Result<()> {
        checkpoint::save(&self.folder, &self.model, &self.optimizer, &self.progress)
            .with_context(|| format!("saving a checkpoint in {}", self.folder.display()))?;
        let (model, files) = (&self.model, &self.corpus.file_names);
        export::save(&self.folder.join(MODEL), model, &self.recipe, files, &self.progress)?;
        if self.metrics.rows().is_empty() {
            return Ok(());
        }
        self.metrics.draw(&self.recipe.name)
    }

    fn total_steps(&self) -> Option<u64> {
        let optim = &self.recipe.optim;
        optim.steps.or(optim.bytes.map(|bytes| bytes.div_ceil(self.recipe.bytes_per_step())))
    }

    /// Share of the budget used up.
    fn share(&self) -> f64 {
        let (optim, progress) = (&self.recipe.optim, &self.progress);
        let done = match (optim.steps, optim.bytes, optim.seconds) {
            (Some(steps), ..) => progress.step as f64 / steps as f64,
            (_, Some(bytes), _) => progress.bytes as f64 / bytes as f64,
            (.., Some(seconds)) => progress.seconds / seconds,
            (None, None, None) => unreachable!("a recipe has one budget"),
        };
        done.min(1.0)
    }
}

/// The recipe that the run in `folder` was started with, after `overrides`.
///
/// # Errors
/// It can't be read, or an override is wrong.
pub fn read_recipe(folder: &Path, overrides: &[String]) -> Result<Recipe> {
    let path = folder.join(RECIPE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("reading {}: is this the folder of a run?", path.display()))?;
    Recipe::from_toml(&text, overrides)
}
