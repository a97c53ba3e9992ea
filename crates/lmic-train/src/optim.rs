//! AdamW, clipping by the global norm, the course of the learning rate.

use burn::tensor::Tensor;

use crate::model::{Gradients, Model, parameter_specs};
use crate::recipe::OptimConfig;

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

/// Adam at one step.
pub(crate) struct Adam {
    betas: [f64; 2],
    eps: f64,
    rate: f64,
    unbias2: f64,
}

impl Adam {
    /// `step` counts from 1.
    pub(crate) fn at(betas: [f64; 2], eps: f64, lr: f64, step: u64) -> Self {
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        let [unbias1, unbias2] = betas.map(|beta| 1.0 - beta.powi(exponent));
        Self { betas, eps, rate: lr / unbias1, unbias2 }
    }

    /// Adds `gradient` to the moments; returns what to subtract.
    pub(crate) fn change(
        &self,
        first: &mut Tensor<2>,
        second: &mut Tensor<2>,
        gradient: Tensor<2>,
    ) -> Tensor<2> {
        let [beta1, beta2] = self.betas;
        first.inplace(|m| m * beta1 + gradient.clone() * (1.0 - beta1));
        second.inplace(|v| v * beta2 + gradient.square() * (1.0 - beta2));
        let root = second.clone().div_scalar(self.unbias2).sqrt();
        first.clone() / (root + self.eps) * self.rate
    }
}

/// A gradient times what clipping asks for.
pub(crate) fn clipped(gradient: Tensor<2>, scale: Option<&Tensor<1>>) -> Tensor<2> {
    match scale {
        Some(scale) => gradient * scale.clone().unsqueeze(),
        None => gradient,
    }
}

/// Root of the sum of all squares, over all tensors together.
pub fn global_norm(gradients: &[Tensor<2>]) -> Tensor<1> {
    let squares = gradients.iter().map(|g| g.clone().square().sum());
    squares.reduce(|a, b| a + b).expect("a model has parameters").sqrt()
}

/// What to multiply gradients of this norm with so that it is at most `largest`; `None` if that is 0, for no
/// clipping. It stays on the device: reading the norm would make each step wait.
pub(crate) fn clip_scale(norm: Tensor<1>, largest: f64) -> Option<Tensor<1>> {
    (largest > 0.0).then(|| norm.clamp_min(largest).recip().mul_scalar(largest))
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
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn clipping_takes_all_gradients_together() {
        let device = Device::flex();
        // Norms 3 and 4, together 5; clipped to 1 each is divided by 5, not by its own norm.
        let gradients = [
            Tensor::from_floats([[3.0, 0.0]], &device),
            Tensor::from_floats([[0.0], [4.0]], &device),
        ];
        let norm = global_norm(&gradients);
        assert_eq!(norm.clone().into_scalar::<f32>(), 5.0);
        let scale = |largest| clip_scale(norm.clone(), largest).map(|s| s.into_scalar::<f32>());
        assert_eq!(scale(1.0), Some(0.2));
        assert_eq!(scale(10.0), Some(1.0));
        assert_eq!(scale(0.0), None);
    }

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
