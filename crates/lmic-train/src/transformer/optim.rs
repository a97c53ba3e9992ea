//! AdamW and the course of the learning rate.

use burn::tensor::Tensor;

use super::model::{Model, parameter_specs};
use super::recipe::OptimConfig;
use crate::adam::{Adam, clip_scale, clipped, global_norm};
use crate::network::Gradients;

/// Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).
pub struct AdamW {
    /// First moments, one for each parameter.
    pub first: Vec<Tensor<2>>,
    /// Second moments.
    pub second: Vec<Tensor<2>>,
    decays: Vec<bool>,
    config: OptimConfig,
}

impl AdamW {
    /// Moments of zero for `model`.
    pub fn new(config: &OptimConfig, model: &Model) -> Self {
        let zeros = || model.parameters.iter().map(Tensor::zeros_like).collect();
        let decays = parameter_specs(&model.config).iter().map(|spec| spec.decays).collect();
        Self { first: zeros(), second: zeros(), decays, config: config.clone() }
    }

    /// Changes the parameters by clipped `gradients`; `step` counts from 1. Returns the gradients' norm before
    /// clipping.
    pub fn step(
        &mut self,
        model: &mut Model,
        gradients: Gradients,
        lr: f64,
        step: u64,
    ) -> Tensor<1> {
        let norm = global_norm(&gradients.tensors);
        let scale = clip_scale(norm.clone(), self.config.clip_norm);
        let adam = Adam::at(self.config.betas, self.config.eps, lr, step);
        for (i, gradient) in gradients.tensors.into_iter().enumerate() {
            let gradient = clipped(gradient, scale.as_ref());
            let change = adam.change(&mut self.first[i], &mut self.second[i], gradient);
            let keep = if self.decays[i] { 1.0 - lr * self.config.weight_decay } else { 1.0 };
            model.parameters[i].inplace(|w| w * keep - change);
        }
        norm
    }
}

/// The learning rate of a step: linear warm-up, then a cosine from `lr` down to `lr * min_lr_ratio`.
///
/// `step` counts from 0; `share` is the share of the budget that is used up, in 0..=1.
pub fn learning_rate(config: &OptimConfig, step: u64, share: f64) -> f64 {
    if step < config.warmup_steps {
        return config.lr * (step + 1) as f64 / config.warmup_steps as f64;
    }
    // The share used up by the warm-up, at the pace so far.
    let warm = if step == 0 { 0.0 } else { share * config.warmup_steps as f64 / step as f64 };
    let progress = if warm < 1.0 { (share - warm) / (1.0 - warm) } else { 1.0 };
    let cosine = 0.5 + 0.5 * (std::f64::consts::PI * progress).cos();
    config.lr * (config.min_lr_ratio + (1.0 - config.min_lr_ratio) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rate_warms_up_and_falls() {
        let text = "lr = 1.0\nbatch = 1\nwarmup_steps = 10\nmin_lr_ratio = 0.1";
        let config: OptimConfig = toml::from_str(text).unwrap();
        // 110 steps: 10 of warm-up, 100 of the cosine.
        for (step, rate) in [(0, 0.1), (9, 1.0), (10, 1.0), (60, 0.55), (110, 0.1)] {
            let found = learning_rate(&config, step, step as f64 / 110.0);
            assert!((found - rate).abs() < 1e-12, "step {step}: {found}");
        }
    }
}
