//! Linear prediction by recursive least squares over an exponential window, in integers.
//!
//! Keeps the decayed covariance of the inputs and their correlation with the target, and solves the normal
//! equations by a Cholesky factorisation in fixed point every few samples. The factor's rows are bounded
//! by the square roots of the diagonal (2^31 in units of 2^-16), so with a positive definite matrix nothing
//! overflows; rounding may break that on adversarial input, where wrapping arithmetic gives bad
//! predictions but the same ones on every machine. After X. Li, M. T. Orchard, "Edge-directed
//! prediction for lossless compression of natural images" (2001).

use super::distribution::FRACTION;

/// Inputs and targets are clamped to ± this.
pub const INPUT_MAX: i32 = (1 << 11) - 1;
/// Fractional bits of the weights.
const WEIGHT_BITS: u32 = 16;
const WEIGHT_MAX: i64 = 16 << WEIGHT_BITS;

/// How a [`LeastSquares`] learns.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// Inputs.
    pub order: usize,
    /// The window is about `2^memory` samples.
    pub memory: u32,
    /// Samples between solutions.
    pub period: u32,
    /// Added to the diagonal, in squared input units.
    pub ridge: i32,
}

/// A predictor of a number from `order` others.
#[derive(Debug)]
pub struct LeastSquares {
    learning: Learning,
    inputs: Vec<i32>,
    /// Lower triangle by rows, the last row being the correlation with the target.
    moments: Vec<i64>,
    /// Weight of the next sample, with 16 more fractional bits.
    newest: u32,
    factor: Vec<i64>,
    weights: Vec<i32>,
    wait: u32,
    seen: u32,
}

/// Weight of the newest sample: grows from this to twice this, then all moments are halved.
const RIDGE_MAX: i64 = 1 << 26;
const NEWEST: u32 = 1 << 8;

impl LeastSquares {
    /// Weights begin at zero.
    pub fn new(learning: Learning) -> Self {
        let n = learning.order;
        let triangle = (n + 1) * (n + 2) / 2;
        Self {
            learning,
            inputs: vec![0; n + 1],
            moments: vec![0; triangle],
            newest: NEWEST << 16,
            factor: vec![0; triangle],
            weights: vec![0; n],
            wait: 0,
            seen: 0,
        }
    }

    /// Predicts with [`FRACTION`] bits from `inputs` (`order` of them).
    pub fn predict(&mut self, inputs: impl IntoIterator<Item = i32>) -> i32 {
        let mut sum = 0i64;
        for ((kept, &w), x) in self.inputs.iter_mut().zip(&self.weights).zip(inputs) {
            *kept = x.clamp(-INPUT_MAX, INPUT_MAX);
            sum += i64::from(*kept) * i64::from(w);
        }
        (sum >> (WEIGHT_BITS - FRACTION)) as i32
    }

    /// Learns what came after the inputs of the last [`LeastSquares::predict`]. `trust` is the sample's
    /// weight, 1 to 256 out of 256.
    pub fn update(&mut self, target: i32, trust: i32) {
        let n = self.learning.order;
        self.inputs[n] = target.clamp(-INPUT_MAX, INPUT_MAX);
        // The window grows with what was seen, so that the first samples count fully.
        let memory = self.learning.memory.min(33 - self.seen.leading_zeros()).max(4);
        self.seen = self.seen.saturating_add(1);
        self.newest += self.newest >> memory;
        if self.newest >= NEWEST << 17 {
            self.newest >>= 1;
            self.moments.iter_mut().for_each(|moment| *moment >>= 1);
        }
        // 8 bits of trust, 9 of weight, 11 + 11 of inputs: 39 bits, and 2^11 samples before halving.
        let weight = trust * (self.newest >> 16) as i32;
        let mut rows = self.moments.as_mut_slice();
        for i in 0..=n {
            let (row, rest) = rows.split_at_mut(i + 1);
            let x = self.inputs[i] * weight;
            for (moment, &y) in row.iter_mut().zip(&self.inputs) {
                *moment += i64::from(x) * i64::from(y);
            }
            rows = rest;
        }
        if self.wait == 0 {
            self.wait = self.learning.period;
            self.solve();
        }
        self.wait -= 1;
    }

    /// Solves for the weights; keeps the old ones where rounding made the matrix singular.
    fn solve(&mut self) -> Option<()> {
        let n = self.learning.order;
        let diagonal = (0..n).map(|i| self.moments[i * (i + 3) / 2]);
        let largest = diagonal.max().unwrap_or(0) + RIDGE_MAX;
        let up = largest.leading_zeros() - 2; // so that the diagonal stays below 2^62
        let ridge = ((i64::from(self.learning.ridge)*65536) + (largest >> 14)) << up;
        let mut inverse = [0i64; 64];
        for i in 0..=n {
            let start = i * (i + 1) / 2;
            let (above, rest) = self.factor.split_at_mut(start);
            let row = &mut rest[..=i];
            for j in 0..i {
                let other = &above[j * (j + 1) / 2..][..=j];
                let dot = dot(&row[..j], &other[..j]);
                let rest = (self.moments[start + j] << up).wrapping_sub(dot);
                row[j] = ((i128::from(rest) * i128::from(inverse[j])) >> 62) as i64;
            }
            if i < n {
                let square = ((self.moments[start + i] << up) + ridge).wrapping_sub(dot(&row[..i], &row[..i]));
                let root = u64::try_from(square).ok()?.isqrt() as i64;
                if root < 1 << 16 {
                    return None;
                }
                row[i] = root;
                inverse[i] = (1 << 62) / root;
            }
        }
        let (factor, last) = self.factor.split_at(n * (n + 1) / 2);
        let mut solution = [0i64; 64];
        for i in (0..n).rev() {
            let mut rest = last[i] << 16;
            for k in i + 1..n {
                rest = rest.wrapping_sub(factor[k * (k + 1) / 2 + i].wrapping_mul(solution[k]));
            }
            let w = ((i128::from(rest) * i128::from(inverse[i])) >> 62) as i64;
            solution[i] = w.clamp(-WEIGHT_MAX, WEIGHT_MAX);
        }
        for (w, s) in self.weights.iter_mut().zip(solution) {
            *w = s as i32;
        }
        Some(())
    }
}

#[inline]
fn dot(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).fold(0, |sum: i64, (&x, &y)| sum.wrapping_add(x.wrapping_mul(y)))
}
