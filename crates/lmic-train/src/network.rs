//! What networks of both kinds have: symbols, loss, gradients.

use burn::tensor::{Int, Tensor};

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

/// Sum of `-ln p` over the rows of `logits`; `targets` is (rows, 1).
pub(crate) fn nats(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    let largest = logits.clone().detach().max_dim(1);
    let sums = (logits.clone() - largest.clone()).exp().sum_dim(1);
    (sums.log() + largest - logits.gather(1, targets)).sum()
}

pub(crate) fn linear(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    x.matmul(weight.clone().transpose())
}
