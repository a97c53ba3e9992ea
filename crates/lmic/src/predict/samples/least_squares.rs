//! Linear prediction by recursive least squares, in integers.
//!
//! A predictor keeps the weighted covariance of the inputs and their correlation with the target (together: the moments)
//! over a window of what came before. Every few samples it solves the normal equations by a Cholesky factorisation in fixed
//! point. There are two windows: in [`Window::Recent`] samples count less the longer ago they came, and [`Window::Near`]
//! holds what is near in the plane of an image. After X. Li, M. T. Orchard, "Edge-directed prediction for lossless
//! compression of natural images" (2001).
//!
//! As long as the matrix is positive definite, a row of the factor is bounded by the square root of its diagonal (2^31), so
//! nothing overflows. With input made for it, rounding may break that. Arithmetic wraps then: predictions are bad, but
//! they are the same on every machine.

use super::distribution::FRACTION;

/// Inputs and targets are clamped to this and its negative.
pub const INPUT_MAX: i32 = (1 << 14) - 1; // frozen
/// Most inputs.
pub const MAX_ORDER: usize = 40; // frozen
/// The output is clamped to this and its negative; it counts with the fractional bits.
const PREDICTION_MAX: i64 = 1 << 24; // frozen
/// Fractional bits of the weights.
const WEIGHT_BITS: u32 = 16; // frozen
/// Weights stay within this and its negative; a fine one has more fractional bits.
const WEIGHT_MAX: i64 = 16 << WEIGHT_BITS; // frozen
/// The same where [`Precision`] is fine.
const FINE_INPUT_MAX: i32 = (1 << 20) - 1; // frozen
const FINE_WEIGHT_BITS: u32 = 22; // frozen
/// See [`Precision::calm`].
const FINE_CALM: u32 = 18; // frozen
/// The largest weight that [`LeastSquares::update`] takes for a sample.
pub const TRUST_MAX: i32 = 128; // frozen

/// Which samples count.
#[derive(Debug, Clone, Copy)]
pub enum Window {
    /// About the last `2^memory` samples in coding order.
    Recent {
        /// Logarithm of the length.
        memory: u32,
    },
    /// The samples of the current block of `block` columns and of the blocks beside it, in this row and the rows above.
    Near {
        /// Samples of a row.
        row: usize,
        /// Samples of a block; the last of a row may have fewer.
        block: usize,
        /// Blocks told apart: longer rows use them in turn.
        blocks: usize,
        /// Eighths of a row's weight that are left in the next row.
        fade: i64,
    },
}

impl Window {
    /// Sets of moments kept beside the current one.
    fn stored(self) -> usize {
        match self {
            Self::Recent { .. } => 0,
            Self::Near { blocks, .. } => blocks + 1,
        }
    }
}

/// How a [`LeastSquares`] learns.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// How many inputs there are.
    pub order: usize,
    /// Which samples count.
    pub window: Window,
    /// Samples between solutions.
    pub period: u32,
    /// Added to the diagonal of the matrix, so that few samples give small weights; in squared units of the inputs.
    pub ridge: i32,
    /// How exact inputs and weights are.
    pub precision: Precision,
}

/// How exact inputs and weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// For samples of 16 bits and less.
    Coarse,
    /// For wider ones: inputs of 20 bits, which take weights of samples ([`LeastSquares::update`]) of 1, and smooth signals at
    /// which more weight on the diagonal would make predictions worse.
    Fine,
}

impl Precision {
    /// Inputs and targets are clamped to this and its negative.
    fn input_max(self) -> i32 {
        match self {
            Self::Coarse => INPUT_MAX,
            Self::Fine => FINE_INPUT_MAX,
        }
    }

    /// Fractional bits of the weights.
    fn weight_bits(self) -> u32 {
        match self {
            Self::Coarse => WEIGHT_BITS,
            Self::Fine => FINE_WEIGHT_BITS,
        }
    }

    /// Binary logarithm of the share of the largest moment that is added to the diagonal, negated.
    fn calm(self) -> u32 {
        match self {
            Self::Coarse => 14,
            Self::Fine => FINE_CALM,
        }
    }
}

/// A predictor of a number from `order` others.
#[derive(Debug)]
pub struct LeastSquares {
    learning: Learning,
    inputs: [i32; MAX_ORDER + 1],
    weights: [i32; MAX_ORDER],
    /// The moments as a lower triangle by rows, of which the last row is the correlation with the target. For
    /// [`Window::Recent`] they are of all of the window, for [`Window::Near`] of the current block so far.
    moments: Vec<i64>,
    /// For [`Window::Near`]: first the moments that stay the same within the current block, then a triangle of moments for each
    /// block of the rows above.
    prior: Vec<i64>,
    factor: Vec<i64>,
    /// For [`Window::Recent`]: the weight of the newest sample, with 24 fractional bits.
    newest: u32,
    /// Samples until the next solution.
    wait: u32,
    /// Samples so far.
    seen: usize,
    /// For [`Window::Near`]: the block that `moments` are of.
    block: usize,
}

impl LeastSquares {
    /// A predictor whose weights are zero until the first solution.
    pub fn new(learning: Learning) -> Self {
        let triangle = triangle(learning.order);
        let prior = triangle * learning.window.stored();
        Self {
            learning,
            inputs: [0; MAX_ORDER + 1],
            weights: [0; MAX_ORDER],
            moments: vec![0; triangle],
            prior: vec![0; prior],
            factor: vec![0; triangle],
            newest: 1 << 24,
            wait: 0,
            seen: 0,
            block: 0,
        }
    }

    /// Begins as if `strength` samples of a signal with these autocorrelations (lag 0 first, over 2^16) had gone by, of which
    /// the last inputs from `first` on are the last values, newest first. For [`Window::Recent`].
    pub fn expect(&mut self, first: usize, autocorrelations: &[i32], strength: i64) {
        let n = self.learning.order;
        for i in first..=n {
            for j in first..=i {
                // The target, last of all, comes after the newest input.
                let lag = if i < n {
                    i - j
                } else if j < n {
                    j - first + 1
                } else {
                    0
                };
                let moment = &mut self.moments[triangle_row(i) + j];
                // Trust 64, weight 256, inputs of about 2^11: 2^36 for a sample.
                *moment = (i64::from(autocorrelations[lag]) * strength) << (36 - 16);
            }
        }
        let _ = self.solve();
    }

    /// Bytes that [`LeastSquares::new`] allocates.
    pub fn memory(learning: Learning) -> u64 {
        (triangle(learning.order) * (2 + learning.window.stored()) * size_of::<i64>()) as u64
    }

    /// The prediction from `inputs`, of which there are `order`; it has [`FRACTION`] bits.
    pub fn predict(&mut self, inputs: impl IntoIterator<Item = i32>) -> i32 {
        let mut sum = 0i64;
        let order = self.learning.order;
        for ((kept, &w), x) in self.inputs[..order].iter_mut().zip(&self.weights).zip(inputs) {
            *kept = x.clamp(-INPUT_MAX, INPUT_MAX);
            sum += i64::from(*kept) * i64::from(w);
        }
        (sum >> (WEIGHT_BITS - FRACTION)).clamp(-PREDICTION_MAX, PREDICTION_MAX) as i32
    }

    /// The prediction from what the inputs were before they were brought to the size that the moments take; it has
    /// [`FRACTION`] bits and is made with [`Precision::Fine`]. `inputs` gives both, the latter first.
    pub fn predict_exactly(&mut self, inputs: impl IntoIterator<Item = (i32, i32)>) -> i64 {
        let mut sum = 0i64;
        let order = self.learning.order;
        for ((kept, &w), (x, exact)) in
            self.inputs[..order].iter_mut().zip(&self.weights).zip(inputs)
        {
            *kept = x.clamp(-FINE_INPUT_MAX, FINE_INPUT_MAX);
            sum = sum.wrapping_add(i64::from(exact) * i64::from(w));
        }
        sum >> (FINE_WEIGHT_BITS - FRACTION)
    }

    /// Learns what came after the inputs of the last [`LeastSquares::predict`]. `trust` is the sample's
    /// weight, 1 to [`TRUST_MAX`].
    pub fn update(&mut self, target: i32, trust: i32) {
        let n = self.learning.order;
        let most = self.learning.precision.input_max();
        self.inputs[n] = target.clamp(-most, most);
        let weight = match self.learning.window {
            Window::Recent { memory } => self.age(memory),
            Window::Near { row, block, blocks, fade } => {
                let column = self.seen % row;
                if column.is_multiple_of(block) {
                    self.enter(column / block % blocks, blocks, fade);
                }
                256
            }
        };
        self.accumulate(trust * weight);
        self.seen = self.seen.wrapping_add(1);
        if self.wait == 0 {
            self.wait = self.learning.period;
            self.solve();
        }
        self.wait -= 1;
    }

    /// Makes older samples count less: instead of shrinking their moments each time, it lets the weight of new samples grow, and
    /// now and then halves everything. Returns the weight of the newest sample.
    fn age(&mut self, memory: u32) -> i32 {
        // The window grows with what was seen, so that the first samples count fully.
        let memory = memory.min(usize::BITS + 1 - self.seen.leading_zeros()).max(4);
        self.newest += self.newest >> memory;
        if self.newest >= 1 << 25 {
            self.newest >>= 1;
            self.moments.iter_mut().for_each(|moment| *moment >>= 1);
        }
        (self.newest >> 16) as i32
    }

    /// At the start of block `next`: puts the moments of the block before away, and adds up those of the blocks around.
    fn enter(&mut self, next: usize, blocks: usize, fade: i64) {
        let size = self.moments.len();
        let (prior, rows) = self.prior.split_at_mut(size);
        let done = &mut rows[self.block * size..][..size];
        for (sum, &new) in done.iter_mut().zip(&self.moments) {
            *sum = (*sum >> 3) * fade + new;
        }
        self.block = next;
        // The block to the left has just been put away, with this row's samples in full.
        let left = if next == 0 { next } else { next - 1 };
        let right = if next + 1 == blocks { next } else { next + 1 };
        for (i, sum) in prior.iter_mut().enumerate() {
            *sum = rows[left * size + i] + rows[next * size + i] + rows[right * size + i];
        }
        self.moments.fill(0);
    }

    /// Adds one sample to the moments. It adds at most 2^44: 2^7 of trust, 2^9 of weight, and 2^28 for the product of two
    /// inputs.
    fn accumulate(&mut self, weight: i32) {
        let mut rows = self.moments.as_mut_slice();
        for i in 0..=self.learning.order {
            let (row, rest) = rows.split_at_mut(i + 1);
            let x = self.inputs[i] * weight;
            for (moment, &y) in row.iter_mut().zip(&self.inputs) {
                *moment += i64::from(x) * i64::from(y);
            }
            rows = rest;
        }
    }

    /// Solves for the weights; keeps the old ones where rounding made the matrix singular.
    fn solve(&mut self) -> Option<()> {
        let n = self.learning.order;
        let factor = self.factor.as_mut_slice();
        factor.copy_from_slice(&self.moments);
        for (sum, &more) in factor.iter_mut().zip(&self.prior) {
            *sum += more;
        }
        let largest = (0..n).map(|i| factor[i * (i + 3) / 2]).max()? + (1 << 26);
        let up = largest.leading_zeros() - 2; // the diagonal stays below 2^62
        let ridge = ((i64::from(self.learning.ridge) << 16)
            + (largest >> self.learning.precision.calm()))
            << up;
        let mut inverse = [0i64; MAX_ORDER];
        for i in 0..=n {
            let (above, rest) = factor.split_at_mut(triangle_row(i));
            let row = &mut rest[..=i];
            for j in 0..i {
                let other = &above[triangle_row(j)..][..=j];
                let rest = (row[j] << up).wrapping_sub(dot(&row[..j], &other[..j]));
                row[j] = scaled(rest, inverse[j]);
            }
            if i < n {
                let square = ((row[i] << up) + ridge).wrapping_sub(dot(&row[..i], &row[..i]));
                let root = u64::try_from(square).ok()?.isqrt() as i64;
                if root < 1 << 16 {
                    return None;
                }
                row[i] = root;
                inverse[i] = (1 << 62) / root;
            }
        }
        self.substitute(&inverse);
        Some(())
    }

    /// Back substitution: the last row of the factor is the right-hand side.
    fn substitute(&mut self, inverse: &[i64; MAX_ORDER]) {
        let n = self.learning.order;
        let bits = self.learning.precision.weight_bits();
        let most = WEIGHT_MAX << (bits - WEIGHT_BITS);
        let (factor, last) = self.factor.split_at(triangle_row(n));
        let mut rest = [0i64; MAX_ORDER];
        rest.iter_mut().zip(&last[..n]).for_each(|(rest, &y)| *rest = y << bits);
        for i in (0..n).rev() {
            let w = scaled(rest[i], inverse[i]).clamp(-most, most);
            self.weights[i] = w as i32;
            let row = &factor[triangle_row(i)..][..i];
            for (rest, &l) in rest.iter_mut().zip(row) {
                *rest = rest.wrapping_sub(l.wrapping_mul(w));
            }
        }
    }
}

/// Numbers in the lower triangle of `order` inputs and the target.
fn triangle(order: usize) -> usize {
    triangle_row(order + 1)
}

/// Where row `i` of a lower triangle begins.
fn triangle_row(i: usize) -> usize {
    i * (i + 1) / 2
}

/// `x / root`, given `2^62 / root`.
#[inline]
fn scaled(x: i64, inverse: i64) -> i64 {
    ((i128::from(x) * i128::from(inverse)) >> 62) as i64
}

#[inline]
fn dot(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).fold(0, |sum: i64, (&x, &y)| sum.wrapping_add(x.wrapping_mul(y)))
}
