//! What the optimizers of both kinds share: a step of Adam, clipping by the global norm.

use burn::tensor::Tensor;

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
pub(crate) fn global_norm(gradients: &[Tensor<2>]) -> Tensor<1> {
    let squares = gradients.iter().map(|g| g.clone().square().sum());
    squares.reduce(|a, b| a + b).expect("a model has parameters").sqrt()
}

/// What to multiply gradients of this norm with so that it is at most `largest`; `None` if that is 0, for no
/// clipping. It stays on the device: reading the norm would make each step wait.
pub(crate) fn clip_scale(norm: Tensor<1>, largest: f64) -> Option<Tensor<1>> {
    (largest > 0.0).then(|| norm.clamp_min(largest).recip().mul_scalar(largest))
}

/// What recipes leave out: `eps` of [`Adam`], and the norm that gradients are clipped to.
pub(crate) fn default_eps() -> f64 {
    1e-8
}
pub(crate) fn default_clip_norm() -> f64 {
    1.0
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
}
