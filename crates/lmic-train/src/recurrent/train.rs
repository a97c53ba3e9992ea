//! A recurrent model as the training loop sees it: streams that go on from step to step, checkpoints, files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};

use super::model::{Model, Segment};
use super::ngrams;
use super::optim::{Optimizer, learning_rate};
use super::recipe::RecurrentRecipe;
use crate::checkpoint::{self, Progress};
use crate::data::Corpus;
use crate::export::{CARD, Card, MODEL};
use crate::learner::{Learner, Step};
use crate::parallel::{Form, Runs};
use crate::random::SplitMix64;
use crate::replace::replace;
use crate::tensors::values;

/// Beside the model, its int8 form.
const INT8: &str = "model-int8.safetensors";

/// What a checkpoint calls the states of all rows.
const STATES: &str = "states";

/// Tells draws of jumps from those of windows.
const JUMPS: u64 = 1 << 63;

/// And those of windows from which frequent contexts are chosen.
const CONTEXTS: u64 = 1 << 62;

/// A recurrent model that learns from streams.
pub(crate) struct Streams {
    recipe: RecurrentRecipe,
    corpus: Corpus,
    model: Model,
    optimizer: Optimizer,
    rows: Vec<Row>,
    int8: bool,
}

/// A stream and what the network keeps of it.
struct Row {
    number: u64, // of the stream in the corpus
    at: usize,   // bytes read of it
    state: Vec<f32>,
}

impl Streams {
    pub(crate) fn new(recipe: &RecurrentRecipe, device: &Device, runs: Runs) -> Result<Self> {
        ensure!(
            matches!(runs.form, Form::Cpu),
            "recurrent models are trained on the CPU; on GPUs recipes/train_recurrent.py trains them"
        );
        let corpus = Corpus::load(&recipe.data.config(), recipe.model.segment)?;
        let mut model = Model::new(&recipe.model.config()?, recipe.seed, device, runs.threads);
        if let Some(c) = &model.config.ngrams {
            let sample = recipe.data.ngram_sample.min(corpus.train_bytes());
            let windows = (0..sample.div_ceil(recipe.model.segment as u64))
                .map(|number| corpus.window(recipe.seed, CONTEXTS | number));
            model.checks = ngrams::choose(c, windows);
        }
        let optimizer =
            Optimizer::new(&recipe.optim, &model.parameters, model.layer_matrices(), model.table());
        let row = || Row { number: 0, at: usize::MAX, state: model.state() };
        let rows = (0..recipe.optim.rows).map(|_| row()).collect();
        Ok(Self { recipe: recipe.clone(), corpus, model, optimizer, rows, int8: false })
    }

    /// Where rows go on in this step: some start anew, those without a whole segment left too.
    fn advance(&mut self, step: u64) {
        let (seed, segment, count) =
            (self.recipe.seed, self.recipe.model.segment, self.rows.len() as u64);
        for (number, row) in (step * count..).zip(&mut self.rows) {
            let jumps = SplitMix64::at(seed, JUMPS | number).unit() < self.recipe.data.jump;
            let ended = || row.at + segment > self.corpus.stream(seed, row.number).len();
            if row.at == usize::MAX || jumps || ended() {
                (row.number, row.at) = (number, 0);
                row.state.fill(0.0);
            }
        }
    }

    fn card(&self) -> Result<Card<'_>> {
        let recipe = &self.recipe;
        let mut shown = recipe.clone();
        shown.data.root = Default::default();
        Ok(Card {
            name: &recipe.name,
            about: "A recurrent model of bytes in the form of lmic, made by `lmic-train`.".into(),
            size: self.model.size(),
            shape: String::new(),
            estimated: format!("estimated, pieces of {} bytes", recipe.model.segment),
            files: &self.corpus.file_names,
            licence: &recipe.data.licence,
            recipe: toml::to_string(&shown)?,
        })
    }
}

impl Learner for Streams {
    fn size(&self) -> usize {
        self.model.size()
    }

    fn train_bytes(&self) -> u64 {
        self.corpus.train_bytes()
    }

    fn step_bytes(&self) -> u64 {
        (self.recipe.optim.rows * self.recipe.model.segment) as u64
    }

    fn step(&mut self, step: u64, share: f64) -> Step {
        self.advance(step);
        self.int8 = share >= 1.0 - self.recipe.optim.int8_part;
        let segment = self.recipe.model.segment;
        let segments: Vec<Segment> = self
            .rows
            .iter_mut()
            .map(|row| {
                let text = self.corpus.stream(self.recipe.seed, row.number);
                let state = std::mem::take(&mut row.state);
                Segment::of(&self.model, text, row.at..row.at + segment, state)
            })
            .collect();
        let (gradients, states) = self.model.gradients(segments, self.int8);
        for (row, state) in self.rows.iter_mut().zip(states) {
            row.state = state;
            row.at += segment;
        }
        let nats = gradients.nats.clone();
        let rate = learning_rate(&self.recipe.optim, share);
        let norm = self.optimizer.step(&mut self.model.parameters, gradients, rate, step + 1);
        Step { nats, norm, lr: rate * self.recipe.optim.lr }
    }

    fn validate(&self) -> Option<f64> {
        let pieces: Vec<&[u8]> = self.corpus.validation().iter().map(Vec::as_slice).collect();
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        (bytes > 0).then(|| self.model.bits(&pieces, self.int8) / bytes as f64)
    }

    fn save(&self, folder: &Path, progress: &Progress) -> Result<()> {
        let kinds = [&self.model.parameters, &self.optimizer.first, &self.optimizer.second];
        let names = checkpoint::tensor_names(&self.model.names());
        let states: Vec<f32> = self.rows.iter().flat_map(|row| row.state.clone()).collect();
        let shape = [self.rows.len(), states.len() / self.rows.len()];
        let states = Tensor::from_data(TensorData::new(states, shape), &Device::flex());
        let mut tensors: Vec<_> = names.into_iter().zip(kinds.into_iter().flatten()).collect();
        tensors.push((STATES.into(), &states));
        let streams = self.rows.iter().map(|row| (row.number, row.at)).collect();
        checkpoint::save(folder, &tensors, &Progress { streams, ..progress.clone() })
            .with_context(|| format!("saving a checkpoint in {}", folder.display()))?;
        let int8 = self.model.save(&folder.join(MODEL), &self.recipe.name)?;
        replace(&folder.join(INT8), &int8)?;
        let card = self.card()?.text(progress);
        replace(&folder.join(MODEL).join(CARD), card.as_bytes())
    }

    fn load(&mut self, folder: &Path) -> Result<Progress> {
        let names = checkpoint::tensor_names(&self.model.names());
        let width = self.model.state().len();
        let mut states = Tensor::zeros([self.rows.len(), width], &Device::flex());
        let kinds =
            [&mut self.model.parameters, &mut self.optimizer.first, &mut self.optimizer.second];
        let mut tensors: Vec<_> = names.into_iter().zip(kinds.into_iter().flatten()).collect();
        tensors.push((STATES.into(), &mut states));
        let progress = checkpoint::load(folder, tensors)?;
        ensure!(progress.streams.len() == self.rows.len(), "the checkpoint has other rows");
        // The data may have changed since these were chosen.
        let device = Device::flex();
        self.model.checks = Model::load(&folder.join(MODEL), &device, 1)?.checks;
        let states = values(&states);
        let states = states.chunks_exact(width);
        for ((row, &(number, at)), state) in self.rows.iter_mut().zip(&progress.streams).zip(states)
        {
            *row = Row { number, at, state: state.to_vec() };
        }
        Ok(progress)
    }
}
