//! Causal attention on the CPU as one operation with its own backward pass.
//!
//! Composed of tensor operations, attention reads and writes each block of scores a dozen times and keeps
//! most of these for the backward pass, 600 MB for 2048 positions of the smallest model. Here a block of rows
//! stays in the cache from its scores to its output, only the logarithm of each row's sum is kept, and the
//! backward pass computes the block again (Dao et al., "FlashAttention", 2022).
//!
//! Everything has the shape `(streams, positions, head_dim)`, a stream being one head of one sequence.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor, TensorData};
use pulp::{Simd, WithSimd};

use crate::math::exp;

/// Rows computed at a time; their scores over 2048 keys of 4 heads take 2 MB.
const ROWS: usize = 64;
/// Lanes of the sums over a row. A fixed number, so that every CPU adds in one order.
const LANES: usize = 16;

/// Attention of `queries` (scaled already) over `keys` and `values`; a row sees at most `window` positions,
/// its own included.
///
/// # Panics
/// If the tensors aren't on the CPU.
pub fn attention(
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    window: usize,
) -> Tensor<3> {
    if !queries.is_autodiff() {
        let inputs = [queries, keys, values]
            .map(|x| x.try_into_primitive::<Flex>().expect("a tensor of the CPU").to_contiguous());
        return Tensor::from_primitive::<Flex>(forward(&inputs, window).0);
    }
    let inputs = [queries, keys, values].map(|x| {
        x.try_into_primitive::<Autodiff<Flex>>().expect("a tensor of the CPU").into_parts()
    });
    let [(q, q_node), (k, k_node), (v, v_node)] = inputs;
    let inputs = [q, k, v].map(|x| x.to_contiguous());
    let (output, log_sums) = forward(&inputs, window);
    let operation = Attention.prepare::<NoCheckpointing>([q_node, k_node, v_node]).compute_bound();
    let output = match operation.stateful() {
        OpsKind::Tracked(operation) => {
            let state = State { inputs, output: output.clone(), log_sums, window };
            operation.finish(state, output)
        }
        OpsKind::UnTracked(operation) => operation.finish(output),
    };
    Tensor::<3, Float>::from_primitive::<Autodiff<Flex>>(output)
}

/// The operation as the gradient graph sees it.
#[derive(Debug)]
struct Attention;

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct State {
    inputs: [FlexTensor; 3],
    output: FlexTensor,
    log_sums: Vec<f32>, // (streams, positions)
    window: usize,
}

impl Backward<Flex, 3> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let results = backward(&ops.state, &grad);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// The output, and for each row the logarithm of the sum of its exponentials.
fn forward([queries, keys, values]: &[FlexTensor; 3], window: usize) -> (FlexTensor, Vec<f32>) {
    let [streams, length, _] = shape(queries);
    let mut output = Sum::new(shape(queries));
    let mut log_sums = vec![0.0; streams * length];
    for rows in blocks(length) {
        let columns = (rows.start + 1).saturating_sub(window)..rows.end;
        let mut scores =
            Flex::float_matmul(part(queries, &rows), part(keys, &columns).transpose(1, 2));
        pulp::Arch::new().dispatch(Softmax {
            scores: scores.storage_mut(),
            log_sums: &mut log_sums,
            part: Part { rows: rows.clone(), columns: columns.clone(), length, window },
        });
        output.add(&rows, &Flex::float_matmul(scores, part(values, &columns)));
    }
    (output.finish(), log_sums)
}

/// Gradients of queries, keys and values.
fn backward(state: &State, grad: &FlexTensor) -> [FlexTensor; 3] {
    let [queries, keys, values] = &state.inputs;
    let [_, length, head_dim] = shape(queries);
    // With P the weights, dS = P * (dP - rowsum(P * dP)), and that sum is the product of a row's output and
    // its gradient.
    let products: Vec<f32> = grad
        .storage::<f32>()
        .chunks_exact(head_dim)
        .zip(state.output.storage::<f32>().chunks_exact(head_dim))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
        .collect();
    let mut results = [queries, keys, values].map(|x| Sum::new(shape(x)));
    for rows in blocks(length) {
        let columns = (rows.start + 1).saturating_sub(state.window)..rows.end;
        let (q, k, v) = (part(queries, &rows), part(keys, &columns), part(values, &columns));
        let grad = part(grad, &rows);
        let mut weights = Flex::float_matmul(q.clone(), k.transpose(1, 2));
        let mut changes = Flex::float_matmul(grad.clone(), v.transpose(1, 2));
        pulp::Arch::new().dispatch(SoftmaxBackward {
            scores: weights.storage_mut(),
            gradients: changes.storage_mut(),
            log_sums: &state.log_sums,
            products: &products,
            part: Part {
                rows: rows.clone(),
                columns: columns.clone(),
                length,
                window: state.window,
            },
        });
        results[0].add(&rows, &Flex::float_matmul(changes.clone(), k));
        results[1].add(&columns, &Flex::float_matmul(changes.transpose(1, 2), q));
        results[2].add(&columns, &Flex::float_matmul(weights.transpose(1, 2), grad));
    }
    results.map(Sum::finish)
}

fn blocks(length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(ROWS).map(move |start| start..length.min(start + ROWS))
}

fn part(tensor: &FlexTensor, positions: &Range<usize>) -> FlexTensor {
    tensor.narrow(1, positions.start, positions.len())
}

fn shape(tensor: &FlexTensor) -> [usize; 3] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1], shape[2]]
}

/// A tensor that blocks of positions are added to.
struct Sum {
    values: Vec<f32>,
    shape: [usize; 3],
}

impl Sum {
    fn new(shape: [usize; 3]) -> Self {
        Self { values: vec![0.0; shape.iter().product()], shape }
    }

    fn add(&mut self, positions: &Range<usize>, block: &FlexTensor) {
        let [_, length, width] = self.shape;
        let streams = self.values.chunks_exact_mut(length * width);
        let blocks = block.storage::<f32>().chunks_exact(positions.len() * width);
        for (stream, block) in streams.zip(blocks) {
            let place = &mut stream[positions.start * width..positions.end * width];
            place.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
        }
    }

    fn finish(self) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(self.values, self.shape))
    }
}

/// Which rows and columns a block of scores holds, for each stream in turn.
struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
    length: usize,
    window: usize,
}

impl Part {
    /// Of line `i` of the block: its index among all rows of all streams, and the columns that it sees.
    #[inline(always)]
    fn line(&self, i: usize) -> (usize, Range<usize>) {
        let row = self.rows.start + i % self.rows.len();
        let seen = row - self.columns.start + 1;
        (i / self.rows.len() * self.length + row, seen.saturating_sub(self.window)..seen)
    }
}

/// Scores to weights, and the logarithm of the sum of each row's exponentials.
struct Softmax<'a> {
    scores: &'a mut [f32],
    log_sums: &'a mut [f32],
    part: Part,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (i, line) in self.scores.chunks_exact_mut(self.part.columns.len()).enumerate() {
            let (at, seen) = self.part.line(i);
            line[..seen.start].fill(0.0);
            line[seen.end..].fill(0.0);
            self.log_sums[at] = softmax(&mut line[seen]);
        }
    }
}

/// Scores to weights `P`, and gradients of the weights to gradients of the scores, `P * (dP - product)`.
struct SoftmaxBackward<'a> {
    scores: &'a mut [f32],
    gradients: &'a mut [f32],
    log_sums: &'a [f32],
    products: &'a [f32],
    part: Part,
}

impl WithSimd for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.part.columns.len();
        let lines = self.scores.chunks_exact_mut(width).zip(self.gradients.chunks_exact_mut(width));
        for (i, (line, gradient)) in lines.enumerate() {
            let (at, seen) = self.part.line(i);
            for outside in [0..seen.start, seen.end..width] {
                line[outside.clone()].fill(0.0);
                gradient[outside].fill(0.0);
            }
            let (log_sum, product) = (self.log_sums[at], self.products[at]);
            let (line, gradient) = (&mut line[seen.clone()], &mut gradient[seen]);
            for j in 0..line.len().min(gradient.len()) {
                line[j] = exp(line[j] - log_sum);
                gradient[j] = line[j] * (gradient[j] - product);
            }
        }
    }
}

#[inline(always)]
fn softmax(row: &mut [f32]) -> f32 {
    let mut largest = [f32::MIN; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for lanes in whole {
        for j in 0..LANES {
            largest[j] = if lanes[j] > largest[j] { lanes[j] } else { largest[j] };
        }
    }
    let largest = largest.iter().chain(rest).fold(f32::MIN, |a, &b| a.max(b));
    let mut sums = [0.0; LANES];
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for lanes in whole {
        for j in 0..LANES {
            lanes[j] = exp(lanes[j] - largest);
            sums[j] += lanes[j];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for x in rest {
        *x = exp(*x - largest);
        sum += *x;
    }
    let scale = 1.0 / sum;
    for x in row {
        *x *= scale;
    }
    largest + sum.ln()
}
