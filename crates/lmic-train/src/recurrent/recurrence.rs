//! The recurrence of a layer on the CPU as one operation with its own backward pass.
//!
//! For each position, from candidates `c`, gates `g` and output gates `o`:
//!
//! ```text
//! k = sigmoid(g + bias)    h = k h + (1 - k) c    output = h silu(o)
//! ```
//!
//! Positions depend on one another, channels do not: a walk over the positions in vectors of channels does the least work
//! and touches everything once. Its gradient is the same walk backwards. Scans composed of tensor operations
//! are slower by far (docs/design.md); one is kept in the tests as the oracle.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor, TensorData};
use pulp::{Simd, WithSimd};

use crate::math::sigmoid;

/// Outputs `(positions, state)` of `inputs` `(positions, 3 state)`, which are candidates, gates and output gates side by
/// side; `bias` is `(1, state)`. `state` is read before the first position and left as after the last; no gradient goes
/// through it.
///
/// # Panics
/// If the tensors aren't on the CPU, or the shapes do not fit.
pub fn recurrence(inputs: Tensor<2>, bias: &Tensor<2>, state: &mut [f32]) -> Tensor<2> {
    let bias = bias.clone();
    if !inputs.is_autodiff() {
        let [inputs, bias] = [inputs, bias]
            .map(|x| x.try_into_primitive::<Flex>().expect("a tensor of the CPU").to_contiguous());
        return Tensor::from_primitive::<Flex>(forward(&inputs, &bias, state).0);
    }
    let [(x, x_node), (b, b_node)] = [inputs, bias].map(|x| {
        x.try_into_primitive::<Autodiff<Flex>>().expect("a tensor of the CPU").into_parts()
    });
    let (inputs, bias) = (x.to_contiguous(), b.to_contiguous());
    let first = state.to_vec();
    let (output, states) = forward(&inputs, &bias, state);
    let operation = Recurrence.prepare::<NoCheckpointing>([x_node, b_node]).compute_bound();
    let output = match operation.stateful() {
        OpsKind::Tracked(operation) => {
            operation.finish(Kept { inputs, bias, first, states }, output)
        }
        OpsKind::UnTracked(operation) => operation.finish(output),
    };
    Tensor::<2, Float>::from_primitive::<Autodiff<Flex>>(output)
}

/// The operation as the gradient graph sees it.
#[derive(Debug)]
struct Recurrence;

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct Kept {
    inputs: FlexTensor, // (positions, 3 state)
    bias: FlexTensor,   // (1, state)
    first: Vec<f32>,    // (state): before the first position
    states: Vec<f32>,   // (positions, state): after each
}

impl Backward<Flex, 2> for Recurrence {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let kept = &ops.state;
        let (width, inputs) = (kept.first.len(), kept.inputs.storage::<f32>());
        let mut changes = vec![0.0; inputs.len()];
        let mut bias_changes = vec![0.0; width];
        pulp::Arch::new().dispatch(Back {
            inputs,
            bias: kept.bias.storage(),
            first: &kept.first,
            states: &kept.states,
            grad: grad.storage(),
            changes: &mut changes,
            bias_changes: &mut bias_changes,
        });
        let positions = inputs.len() / (3 * width);
        let results = [(changes, [positions, 3 * width]), (bias_changes, [1, width])];
        for (parent, (values, shape)) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                let result = FlexTensor::from_data(TensorData::new(values, shape));
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// The outputs, and the state after each position.
fn forward(inputs: &FlexTensor, bias: &FlexTensor, state: &mut [f32]) -> (FlexTensor, Vec<f32>) {
    let (width, inputs, bias) = (state.len(), inputs.storage::<f32>(), bias.storage::<f32>());
    assert_eq!((bias.len(), inputs.len() % (3 * width)), (width, 0), "shapes of a recurrence");
    let mut states = vec![0.0; inputs.len() / 3];
    let mut outputs = vec![0.0; inputs.len() / 3];
    pulp::Arch::new().dispatch(Forward {
        inputs,
        bias,
        state,
        states: &mut states,
        outputs: &mut outputs,
    });
    let shape = [outputs.len() / width, width];
    (FlexTensor::from_data(TensorData::new(outputs, shape)), states)
}

struct Forward<'a> {
    inputs: &'a [f32],
    bias: &'a [f32],
    state: &'a mut [f32],
    states: &'a mut [f32],
    outputs: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let n = self.state.len();
        let (h, bias) = (self.state, &self.bias[..n]);
        let rows = self.inputs.chunks_exact(3 * n);
        let results = self.states.chunks_exact_mut(n).zip(self.outputs.chunks_exact_mut(n));
        for (row, (states, outputs)) in rows.zip(results) {
            let (c, row) = row.split_at(n);
            let (g, o) = row.split_at(n);
            for j in 0..n {
                let keep = sigmoid(g[j] + bias[j]);
                h[j] = keep * h[j] + (1.0 - keep) * c[j];
                states[j] = h[j];
                outputs[j] = h[j] * o[j] * sigmoid(o[j]);
            }
        }
    }
}

struct Back<'a> {
    inputs: &'a [f32],
    bias: &'a [f32],
    first: &'a [f32],
    states: &'a [f32],
    grad: &'a [f32],
    changes: &'a mut [f32],
    bias_changes: &'a mut [f32],
}

impl WithSimd for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let n = self.first.len();
        let bias = &self.bias[..n];
        let mut carried = vec![0.0; n]; // gradient of the state after the position, from later ones
        let carried = &mut carried[..n];
        let bias_changes = &mut self.bias_changes[..n];
        for t in (0..self.states.len() / n).rev() {
            let (c, rest) = self.inputs[t * 3 * n..][..3 * n].split_at(n);
            let (g, o) = rest.split_at(n);
            let (dc, rest) = self.changes[t * 3 * n..][..3 * n].split_at_mut(n);
            let (dg, d_o) = rest.split_at_mut(n);
            let h = &self.states[t * n..][..n];
            let before = if t == 0 { self.first } else { &self.states[(t - 1) * n..][..n] };
            let grad = &self.grad[t * n..][..n];
            for j in 0..n {
                let (keep, open) = (sigmoid(g[j] + bias[j]), sigmoid(o[j]));
                let dh = carried[j] + grad[j] * o[j] * open;
                d_o[j] = grad[j] * h[j] * open * (1.0 + o[j] * (1.0 - open));
                dc[j] = dh * (1.0 - keep);
                dg[j] = dh * (before[j] - c[j]) * keep * (1.0 - keep);
                bias_changes[j] += dg[j];
                carried[j] = dh * keep;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use burn::tensor::Device;
    use burn::tensor::activation::{sigmoid, silu};

    use super::*;

    type Scan = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

    /// `h_t = a_t h_(t-1) + b_t` in as many steps as there are positions.
    fn naive(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        let row = |x: &Tensor<2>, t: usize| x.clone().slice_dim(0, t..t + 1);
        let mut h = vec![row(&b, 0)];
        for t in 1..a.dims()[0] {
            h.push(row(&a, t) * h[t - 1].clone() + row(&b, t));
        }
        Tensor::cat(h, 0)
    }

    /// The same in the logarithm of as many.
    fn doubling(mut a: Tensor<2>, mut b: Tensor<2>) -> Tensor<2> {
        let n = a.dims()[0];
        let mut shift = 1;
        while shift < n {
            let later = |x: &Tensor<2>| x.clone().slice_dim(0, shift..n);
            let earlier = |x: &Tensor<2>| x.clone().slice_dim(0, 0..n - shift);
            let start = |x: &Tensor<2>| x.clone().slice_dim(0, 0..shift);
            let joined = later(&a) * earlier(&b) + later(&b);
            let next = Tensor::cat(vec![start(&a), later(&a) * earlier(&a)], 0);
            b = Tensor::cat(vec![start(&b), joined], 0);
            a = next;
            shift *= 2;
        }
        b
    }

    /// Doubling within chunks of 32, then a step a chunk.
    fn chunked(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        const CHUNK: usize = 32;
        let [n, width] = a.dims();
        assert!(n.is_multiple_of(CHUNK));
        let split = |x: Tensor<2>| x.reshape([n / CHUNK, CHUNK, width]);
        let (mut a, mut b) = (split(a), split(b));
        let mut shift = 1;
        while shift < CHUNK {
            let later = |x: &Tensor<3>| x.clone().slice_dim(1, shift..CHUNK);
            let earlier = |x: &Tensor<3>| x.clone().slice_dim(1, 0..CHUNK - shift);
            let start = |x: &Tensor<3>| x.clone().slice_dim(1, 0..shift);
            let joined = later(&a) * earlier(&b) + later(&b);
            let next = Tensor::cat(vec![start(&a), later(&a) * earlier(&a)], 1);
            b = Tensor::cat(vec![start(&b), joined], 1);
            a = next;
            shift *= 2;
        }
        let last =
            |x: &Tensor<3>| x.clone().slice_dim(1, CHUNK - 1..CHUNK).reshape([n / CHUNK, width]);
        let ends = naive(last(&a), last(&b));
        let zeros = Tensor::zeros([1, width], &Device::flex());
        let zeros = if a.is_autodiff() { Tensor::from_inner(zeros) } else { zeros };
        let before = Tensor::cat(vec![zeros, ends.slice_dim(0, 0..n / CHUNK - 1)], 0);
        (a * before.reshape([n / CHUNK, 1, width]) + b).reshape([n, width])
    }

    /// All of the operation in tensor operations.
    fn composed(scan: Scan, inputs: Tensor<2>, bias: &Tensor<2>, state: &mut [f32]) -> Tensor<2> {
        let width = state.len();
        let [c, g, o] = [0, 1, 2].map(|i| inputs.clone().slice_dim(1, i * width..(i + 1) * width));
        let n = c.dims()[0];
        let keep = sigmoid(g + bias.clone());
        let first = Tensor::from_data(TensorData::new(state.to_vec(), [1, width]), &Device::flex());
        let first = if inputs.is_autodiff() { Tensor::from_inner(first) } else { first };
        let added = (-keep.clone() + 1.0) * c;
        let added = Tensor::cat(
            vec![
                keep.clone().slice_dim(0, 0..1) * first + added.clone().slice_dim(0, 0..1),
                added.slice_dim(0, 1..n),
            ],
            0,
        );
        let h = scan(keep, added);
        let last = h.clone().detach().slice_dim(0, n - 1..n).into_data();
        state.copy_from_slice(last.as_slice::<f32>().unwrap());
        h * silu(o)
    }

    fn random(shape: [usize; 2], seed: u64) -> Tensor<2> {
        let mut normal = crate::random::Normal::new(seed);
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| normal.draw() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    type Form = dyn Fn(Tensor<2>, &Tensor<2>, &mut [f32]) -> Tensor<2>;

    /// Inputs, bias, state, and the weights of a sum of outputs.
    fn draw(positions: usize, width: usize) -> (Tensor<2>, Tensor<2>, Vec<f32>, Tensor<2>) {
        let inputs = random([positions, 3 * width], 1) * 2.0;
        let state = crate::tensors::values(&random([1, width], 3));
        (inputs, random([1, width], 2) + 1.0, state, random([positions, width], 4))
    }

    /// Output, state and gradients of the sum.
    fn run(form: &Form, positions: usize, width: usize) -> Vec<Vec<f32>> {
        let (inputs, bias, mut state, weights) = draw(positions, width);
        let [inputs, bias] = [inputs, bias].map(|x| x.autodiff().require_grad());
        let output = form(inputs.clone(), &bias, &mut state);
        let mut gradients = (output.clone() * Tensor::from_inner(weights)).sum().backward();
        let [by_inputs, by_bias] = [inputs, bias].map(|x| x.grad_remove(&mut gradients).unwrap());
        let tensors = [output.inner(), by_inputs, by_bias];
        tensors.iter().map(crate::tensors::values).chain([state]).collect()
    }

    #[test]
    fn output_state_and_gradients_are_those_of_tensor_operations() {
        for (positions, width) in [(1, 3), (2, 16), (7, 33), (64, 16), (200, 48)] {
            let ours = run(&recurrence, positions, width);
            let mut scans: Vec<Scan> = vec![naive, doubling];
            if positions % 32 == 0 {
                scans.push(chunked);
            }
            for scan in scans {
                let expected = run(&move |x, b, s| composed(scan, x, b, s), positions, width);
                for (a, b) in ours.iter().zip(&expected) {
                    assert_eq!(a.len(), b.len());
                    let largest = b.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    for (a, b) in a.iter().zip(b) {
                        assert!((a - b).abs() <= 2e-5 * largest, "{positions} x {width}: {a} {b}");
                    }
                }
            }
        }
    }

    /// Milliseconds forwards and backwards of each form:
    ///
    /// ```sh
    /// cargo test --profile fast -p lmic-train --lib recurrence_speed -- --ignored --nocapture
    /// ```
    #[test]
    #[ignore = "a measurement"]
    fn recurrence_speed() {
        let forms: [(&str, Box<Form>); 4] = [
            ("naive", Box::new(|x, b, s| composed(naive, x, b, s))),
            ("doubling", Box::new(|x, b, s| composed(doubling, x, b, s))),
            ("chunked", Box::new(|x, b, s| composed(chunked, x, b, s))),
            ("one operation", Box::new(recurrence)),
        ];
        for (positions, width) in [(256, 112), (256, 208), (1024, 112), (1024, 208)] {
            let (inputs, bias, state, weights) = draw(positions, width);
            print!("{positions} x {width}:");
            for (name, form) in &forms {
                let pass = || {
                    let [inputs, bias] =
                        [&inputs, &bias].map(|x| x.clone().autodiff().require_grad());
                    let weights = Tensor::from_inner(weights.clone());
                    let begun = Instant::now();
                    let output = form(inputs, &bias, &mut state.clone());
                    (output * weights).sum().backward();
                    begun.elapsed().as_secs_f64()
                };
                let mut seconds: Vec<f64> = std::iter::repeat_with(pass).take(11).collect();
                seconds.sort_by(f64::total_cmp);
                print!("  {name} {:.2} ms", seconds[5] * 1e3);
            }
            println!();
        }
    }
}
