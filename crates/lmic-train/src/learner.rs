//! What the training loop asks of a kind of model.

use std::path::Path;

use anyhow::Result;
use burn::tensor::Tensor;

use crate::checkpoint::Progress;

/// A model, its data and its optimizer, as the loop sees them.
pub(crate) trait Learner {
    /// Number of parameters.
    fn size(&self) -> usize;

    /// Bytes that training may see.
    fn train_bytes(&self) -> u64;

    /// Bytes that a step learns from.
    fn step_bytes(&self) -> u64;

    /// Learns; `step` steps were done before, and `share` of the budget is used up.
    fn step(&mut self, step: u64, share: f64) -> Step;

    /// Bits per byte of the validation, if there is one.
    fn validate(&self) -> Option<f64>;

    /// Writes a checkpoint and the model.
    fn save(&self, folder: &Path, progress: &Progress) -> Result<()>;

    /// Reads the newest checkpoint.
    fn load(&mut self, folder: &Path) -> Result<Progress>;
}

/// What a step says.
pub(crate) struct Step {
    /// Sum of `-ln p` over its bytes.
    pub nats: Tensor<1>,
    /// Norm of its gradients before clipping.
    pub norm: Tensor<1>,
    /// The learning rate.
    pub lr: f64,
}
