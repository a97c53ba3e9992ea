//! Muon for the matrices of layers, Adam for the rest, and the course of their learning rates.

use burn::tensor::Tensor;

use super::recipe::MuonConfig;
use crate::adam::{Adam, clip_scale, clipped, global_norm};
use crate::network::Gradients;

/// Share of the momentum that stays, and of it in the update (Nesterov's).
const MOMENTUM: f64 = 0.95;

/// Steps to the orthogonal matrix and their polynomial: the singular values end within 0.7 to 1.2.
const STEPS: usize = 5;
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Moments of all parameters (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024).
pub struct Optimizer {
    /// First moments, or Muon's momentum.
    pub first: Vec<Tensor<2>>,
    /// Second moments; of one zero where there is Muon.
    pub second: Vec<Tensor<2>>,
    layer_matrices: Vec<bool>,
    table: Option<usize>,
    config: MuonConfig,
}

impl Optimizer {
    /// Moments of zero; `layer_matrices` says which of the parameters are such, `table` which one has the rows for contexts.
    pub fn new(
        config: &MuonConfig,
        parameters: &[Tensor<2>],
        layer_matrices: Vec<bool>,
        table: Option<usize>,
    ) -> Self {
        let second = |(p, &is_matrix): (&Tensor<2>, &bool)| match config.muon && is_matrix {
            true => Tensor::zeros([1, 1], &p.device()),
            false => p.zeros_like(),
        };
        Self {
            first: parameters.iter().map(Tensor::zeros_like).collect(),
            second: parameters.iter().zip(&layer_matrices).map(second).collect(),
            layer_matrices,
            table,
            config: config.clone(),
        }
    }

    /// Changes the parameters by clipped `gradients`, at `rate` of the full learning rates; `step` counts from 1. Returns
    /// the gradients' norm before clipping.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor<2>],
        gradients: Gradients,
        rate: f64,
        step: u64,
    ) -> Tensor<1> {
        let norm = global_norm(&gradients.tensors);
        let scale = clip_scale(norm.clone(), self.config.clip_norm);
        let (lr, muon_lr) = (self.config.lr * rate, self.config.muon_lr * rate);
        let adam = |lr| Adam::at(self.config.betas, self.config.eps, lr, step);
        let (of_table, adam) = (adam(self.config.table_lr.map_or(lr, |lr| lr * rate)), adam(lr));
        for (i, gradient) in gradients.tensors.into_iter().enumerate() {
            let gradient = clipped(gradient, scale.as_ref());
            let (first, second) = (&mut self.first[i], &mut self.second[i]);
            let (change, lr) = match self.config.muon && self.layer_matrices[i] {
                true => (muon(first, gradient) * muon_lr, muon_lr),
                false if self.table == Some(i) => (of_table.change(first, second, gradient), lr),
                false => (adam.change(first, second, gradient), lr),
            };
            let decay = if self.layer_matrices[i] { lr * self.config.weight_decay } else { 0.0 };
            parameters[i].inplace(|w| w * (1.0 - decay) - change);
        }
        norm
    }
}

/// Adds `gradient` to the momentum; returns what to subtract, at a learning rate of 1.
fn muon(momentum: &mut Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
    momentum.inplace(|m| m * MOMENTUM + gradient.clone() * (1.0 - MOMENTUM));
    let [rows, columns] = gradient.dims();
    let direction = gradient * (1.0 - MOMENTUM) + momentum.clone() * MOMENTUM;
    orthogonal(direction) * (rows as f64 / columns as f64).max(1.0).sqrt()
}

/// Nearly the orthogonal matrix nearest to `x`, by Newton and Schulz's iteration.
fn orthogonal(x: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let flip = |x: Tensor<2>| if rows > columns { x.transpose() } else { x };
    let norm = x.clone().square().sum().sqrt() + 1e-7;
    let mut x = flip(x) / norm.unsqueeze();
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..STEPS {
        let square = x.clone().matmul(x.clone().transpose());
        let factor = square.clone() * b + square.clone().matmul(square) * c;
        x = x.clone() * a + factor.matmul(x);
    }
    flip(x)
}

/// Share of the learning rates when `done` of the budget is used up: up, flat, down to nothing.
pub fn learning_rate(config: &MuonConfig, done: f64) -> f64 {
    let up = (done + 1e-4) / config.warmup_part.max(1e-9);
    let down = (1.0 - done) / config.decay_part.max(1e-9) + 0.005;
    up.min(down).min(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::random::Normal;
    use crate::tensors::values;

    fn config() -> MuonConfig {
        let text = "rows = 1\nmuon_lr = 0.1\nlr = 0.01\nbetas = [0.9, 0.98]\nweight_decay = 0.0";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn updates_are_nearly_orthogonal() {
        for shape in [[16, 16], [8, 24], [24, 8]] {
            let mut normal = Normal::new(5);
            let numbers = (0..shape[0] * shape[1]).map(|_| normal.draw() as f32).collect();
            let x: Tensor<2> = Tensor::from_data(TensorData::new(numbers, shape), &Device::flex());
            let y = orthogonal(x.clone());
            // Squares of singular values are the eigenvalues of the product: their mean is the trace's.
            let y = if shape[0] > shape[1] { y.transpose() } else { y };
            let product = values(&y.clone().matmul(y.transpose()));
            let n = shape[0].min(shape[1]);
            let trace: f32 = (0..n).map(|i| product[i * n + i]).sum();
            assert!((0.6..1.3).contains(&(trace / n as f32)), "{shape:?}: {trace}");
            let off: f32 =
                (0..n * n).filter(|i| i % (n + 1) != 0).map(|i| product[i].powi(2)).sum();
            assert!(off.sqrt() < 0.35 * trace, "{shape:?}: {off}");
        }
    }

    #[test]
    fn matrices_move_by_muon_and_others_by_adam() {
        let device = Device::flex();
        let start = [Tensor::zeros([2, 2], &device), Tensor::zeros([1, 2], &device)];
        let mut parameters = start.to_vec();
        let mut optimizer = Optimizer::new(&config(), &parameters, vec![true, false], None);
        let tensors = vec![
            Tensor::from_floats([[3.0, 0.0], [0.0, 3.0]], &device),
            Tensor::from_floats([[0.5, -1e-5]], &device),
        ];
        let nats = Tensor::zeros([1], &device);
        optimizer.step(&mut parameters, Gradients { nats, tensors }, 1.0, 1);
        // A multiple of an orthogonal matrix becomes that matrix, to the accuracy of the iteration.
        let [a, b, c, d] = values(&parameters[0])[..] else { unreachable!() };
        assert!(b == 0.0 && c == 0.0 && a == d && (-0.13..-0.06).contains(&a), "{a} {b} {c} {d}");
        // Adam's first step is its learning rate, whatever the gradient.
        for (x, e) in values(&parameters[1]).iter().zip([-0.01, 0.01]) {
            assert!((x - e).abs() < 1e-4, "{x}");
        }
        assert_eq!(optimizer.second[0].dims(), [1, 1]);
    }

    #[test]
    fn learning_rate_rises_stays_and_falls() {
        let config = config();
        for (done, rate) in [(0.0, 0.005), (0.01, 0.505), (0.3, 1.0), (0.75, 0.505), (1.0, 0.005)] {
            let found = learning_rate(&config, done);
            assert!((found - rate).abs() < 1e-9, "{done}: {found}");
        }
    }
}
