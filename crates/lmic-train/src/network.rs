//! What networks of both kinds have: symbols, loss, gradients.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Symbols: 256 bytes and the start symbol.
pub const VOCABULARY: usize = 257;
/// The symbol before the first byte of a window.
pub const START: i32 = 256;

/// Loss and gradients of a batch.
pub struct Gradients {
    /// Sum of `-ln p` over all bytes, one number.
    pub nats: Tensor<1>,
    /// One for each parameter.
    pub tensors: Vec<Tensor<2>>,
}

impl Gradients {
    /// Those of `nats(parameters)` divided by `bytes`.
    pub(crate) fn of(
        parameters: &[Tensor<2>],
        bytes: usize,
        nats: impl FnOnce(&[Tensor<2>]) -> Tensor<1>,
    ) -> Self {
        let leaves: Vec<Tensor<2>> =
            parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
        let nats = nats(&leaves);
        let mut gradients = nats.clone().div_scalar(bytes as f32).backward();
        let tensors = leaves
            .iter()
            .map(|leaf| leaf.grad_remove(&mut gradients).expect("the loss uses every parameter"))
            .collect();
        Self { nats: nats.inner(), tensors }
    }

    /// Adds those of another part of the batch.
    pub(crate) fn add(total: &mut Option<Self>, part: Self) {
        *total = Some(match total.take() {
            None => part,
            Some(sum) => Self {
                nats: sum.nats + part.nats,
                tensors: sum.tensors.into_iter().zip(part.tensors).map(|(a, b)| a + b).collect(),
            },
        });
    }
}

/// Sum of `-ln p` over the rows of `logits`, of which `targets` are the bytes.
pub(crate) fn nats(logits: Tensor<2>, targets: &[u8], device: &Device) -> Tensor<1> {
    let targets: Vec<i32> = targets.iter().map(|&byte| byte.into()).collect();
    let shape = [targets.len(), 1];
    let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, shape), device);
    let largest = logits.clone().detach().max_dim(1);
    let sums = (logits.clone() - largest.clone()).exp().sum_dim(1);
    (sums.log() + largest - logits.gather(1, targets)).sum()
}

/// Zhang and Sennrich, "Root mean square layer normalization" (2019), of each row.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Tensor<2>, epsilon: f64) -> Tensor<2> {
    let scale = x.clone().square().mean_dim(1).add_scalar(epsilon).sqrt().recip();
    x * scale * weight.clone()
}

pub(crate) fn linear(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    x.matmul(weight.clone().transpose())
}
