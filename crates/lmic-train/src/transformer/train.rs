//! A transformer as the training loop sees it: windows drawn by number, AdamW, checkpoints.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;

use super::export;
use super::model::Model;
use super::optim::{AdamW, learning_rate};
use super::recipe::Recipe;
use crate::checkpoint::{self, Progress};
use crate::data::Corpus;
use crate::export::MODEL;
use crate::learner::{Learner, Step};
use crate::parallel::Runs;

/// A transformer that learns from windows, each alone.
pub(crate) struct Windows {
    recipe: Recipe,
    corpus: Corpus,
    model: Model,
    optimizer: AdamW,
}

impl Windows {
    pub(crate) fn new(recipe: &Recipe, device: &Device, runs: Runs) -> Result<Self> {
        let corpus = Corpus::load(&recipe.data, recipe.model.context)?;
        let model = Model::new(&recipe.model, recipe.seed, device, runs);
        let optimizer = AdamW::new(&recipe.optim, &model);
        Ok(Self { recipe: recipe.clone(), corpus, model, optimizer })
    }
}

impl Learner for Windows {
    fn size(&self) -> usize {
        self.model.size()
    }

    fn train_bytes(&self) -> u64 {
        self.corpus.train_bytes()
    }

    fn step_bytes(&self) -> u64 {
        self.recipe.bytes_per_step()
    }

    fn step(&mut self, step: u64, share: f64) -> Step {
        let lr = learning_rate(&self.recipe.optim, step, share);
        let count = self.recipe.windows_per_step();
        let windows: Vec<&[u8]> = (step * count..(step + 1) * count)
            .map(|n| self.corpus.window(self.recipe.seed, n))
            .collect();
        let gradients = self.model.gradients(&windows);
        let nats = gradients.nats.clone();
        let norm = self.optimizer.step(&mut self.model, gradients, lr, step + 1);
        Step { nats, norm, lr }
    }

    fn validate(&self) -> Option<f64> {
        let windows: Vec<&[u8]> = self.corpus.validation().iter().map(Vec::as_slice).collect();
        Some(self.model.bits(&windows) / (windows.len() * self.recipe.model.context) as f64)
    }

    fn save(&self, folder: &Path, progress: &Progress) -> Result<()> {
        let kinds = [&self.model.parameters, &self.optimizer.first, &self.optimizer.second];
        let names = checkpoint::tensor_names(&self.model.names());
        let tensors: Vec<_> = names.into_iter().zip(kinds.into_iter().flatten()).collect();
        checkpoint::save(folder, &tensors, progress)
            .with_context(|| format!("saving a checkpoint in {}", folder.display()))?;
        let files = &self.corpus.file_names;
        export::save(&folder.join(MODEL), &self.model, &self.recipe, files, progress)
    }

    fn load(&mut self, folder: &Path) -> Result<Progress> {
        let names = checkpoint::tensor_names(&self.model.names());
        let kinds =
            [&mut self.model.parameters, &mut self.optimizer.first, &mut self.optimizer.second];
        checkpoint::load(folder, names.into_iter().zip(kinds.into_iter().flatten()).collect())
    }
}
