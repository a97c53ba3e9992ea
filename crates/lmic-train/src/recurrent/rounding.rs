//! Numbers as the int8 engine has them, with gradients as if they were not rounded.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};

/// Rounds each row to steps, `levels` of which are its largest magnitude.
///
/// # Panics
/// If the tensor isn't on the CPU.
pub fn rounded(x: Tensor<2>, levels: usize) -> Tensor<2> {
    straight(x, |x| round(x, levels))
}

/// Rounds to multiples of 1 / `steps`.
///
/// # Panics
/// If the tensor isn't on the CPU.
pub fn stepped(x: Tensor<2>, steps: f32) -> Tensor<2> {
    straight(x, |x| {
        let mut x = x.to_contiguous();
        let numbers: &mut [f32] = x.storage_mut();
        numbers.iter_mut().for_each(|x| *x = (*x * steps).round_ties_even() / steps);
        x
    })
}

/// `change` with the gradient of doing nothing.
fn straight(x: Tensor<2>, change: impl Fn(&FlexTensor) -> FlexTensor) -> Tensor<2> {
    if !x.is_autodiff() {
        let x = x.try_into_primitive::<Flex>().expect("a tensor of the CPU");
        return Tensor::from_primitive::<Flex>(change(&x));
    }
    let x = x.try_into_primitive::<Autodiff<Flex>>().expect("a tensor of the CPU");
    let (x, node) = x.into_parts();
    let output = change(&x);
    let output = match Straight.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(operation) => operation.finish((), output),
        OpsKind::UnTracked(operation) => operation.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// The operation as the gradient graph sees it: none.
#[derive(Debug)]
struct Straight;

impl Backward<Flex, 1> for Straight {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<Flex>(parent.id, grad);
        }
    }
}

fn round(x: &FlexTensor, levels: usize) -> FlexTensor {
    let mut x = x.to_contiguous();
    let width = x.layout().shape()[1];
    pulp::Arch::new().dispatch(Round { rows: x.storage_mut(), width, levels: levels as f32 });
    x
}

struct Round<'a> {
    rows: &'a mut [f32],
    width: usize,
    levels: f32,
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let mut largest = [0.0f32; 16];
            for part in row.chunks(16) {
                for (largest, x) in largest.iter_mut().zip(part) {
                    *largest = if x.abs() > *largest { x.abs() } else { *largest };
                }
            }
            let scale = largest.into_iter().fold(1e-12, f32::max) / self.levels;
            row.iter_mut().for_each(|x| *x = (*x / scale).round_ties_even() * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::tensors::values;

    #[test]
    fn rows_have_steps_of_their_own_and_gradients_go_straight_through() {
        let rows = [[127.0, -3.4, 0.6, 0.0], [0.254, 0.001, 0.0031, -0.254], [0.0; 4]];
        let x = Tensor::from_floats(rows, &Device::flex()).autodiff().require_grad();
        let y = rounded(x.clone(), 127);
        // Steps of 1, of 0.002, and of nothing.
        let expected = [127.0, -3.0, 1.0, 0.0, 0.254, 0.0, 0.004, -0.254, 0.0, 0.0, 0.0, 0.0];
        for (y, e) in values(&y.clone().inner()).iter().zip(expected) {
            assert!((y - e).abs() <= 1e-6 * e.abs(), "{y} {e}");
        }
        let weights =
            Tensor::from_inner(Tensor::from_floats([[1.0, 2.0, 3.0, 4.0]], &Device::flex()));
        let mut gradients = (y * weights).sum().backward();
        let gradient = values(&x.grad_remove(&mut gradients).unwrap());
        assert_eq!(gradient, [1.0, 2.0, 3.0, 4.0].repeat(3));
    }

    #[test]
    fn steps_are_the_same_for_all_numbers() {
        let x = Tensor::from_floats([[0.5, -1.0, 0.06, 0.08]], &Device::flex()).autodiff();
        let x = x.require_grad();
        let y = stepped(x.clone(), 7.0);
        for (y, sevenths) in values(&y.clone().inner()).iter().zip([4.0, -7.0, 0.0, 1.0]) {
            assert!((y - sevenths / 7.0).abs() < 1e-6, "{y} {sevenths}");
        }
        let mut gradients = y.sum().backward();
        assert_eq!(values(&x.grad_remove(&mut gradients).unwrap()), [1.0; 4]);
    }
}
