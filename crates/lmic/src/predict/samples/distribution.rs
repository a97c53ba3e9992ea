//! What a predictor says of a question of [`super::value`]: a bell with heavy tails, in integers.
//!
//! A predictor says "about `mean`, give or take `scale`"; [`Bell`] turns that into the probability that
//! the sample lies at or above a boundary, given that it lies inside an interval. This is what carries
//! the first samples of a block, when nothing has been counted yet.

use crate::predict::cm::logistic::exp;

/// Fractional bits of means and scales.
pub const FRACTION: u32 = 8; // frozen

/// Steps of the table for each unit of `(x - mean) / scale`, and the number of units after which the tail is cut off.
const STEPS: i32 = 32; // frozen
const REACH: i32 = 40; // frozen
const TAIL_LEN: usize = (REACH * STEPS) as usize + 2; // frozen

/// Total mass, as an integer.
const ONE: u32 = 1 << 31; // frozen

/// Upper tail mass at `i / STEPS`: a logistic bell with a tenth of its mass three times as wide, because
/// a scale is only an estimate. Const evaluation rounds as IEEE says, so it is the same everywhere.
static TAIL: [u32; TAIL_LEN] = {
    let mut table = [0; TAIL_LEN];
    let mut i = 0;
    while i < TAIL_LEN {
        let t = i as f64 / STEPS as f64;
        let (near, far) = (exp(-t), exp(-t / 3.0));
        let mass = 0.9 * near / (1.0 + near) + 0.1 * far / (1.0 + far);
        table[i] = (mass * ONE as f64 + 0.5) as u32;
        i += 1;
    }
    table
}; // frozen

/// A boundary between two sample values, seen from one bell: the mass on either side of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edge {
    above: u32,
    below: u32,
}

impl Edge {
    /// Below every sample.
    pub const BOTTOM: Self = Self { above: ONE, below: 0 }; // frozen
    /// Above every sample.
    pub const TOP: Self = Self { above: 0, below: ONE }; // frozen
}

/// Mean and scale of one predictor, ready for [`Edge`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bell {
    mean: i64,
    inverse: u32,
    /// Bits of `inverse` beyond 28.
    wider: u32,
}

impl Bell {
    /// `mean` and `scale` have [`FRACTION`] bits; `mean` within ±2^40, `scale` is raised to at least 1/16 and below 2^40.
    pub fn new(mean: i64, scale: u64) -> Self {
        let scale = scale.clamp(1 << (FRACTION - 4), 1 << 40);
        if scale <= 1 << 24 {
            // Nearly always; 32 bits divide faster.
            return Self { mean, inverse: (1 << 28) / scale as u32, wider: 0 };
        }
        // 8 bits more for scales of numbers of more than 16 bits.
        let wider = u64::BITS - (scale - 1).leading_zeros() - 24 + 8;
        Self { mean, inverse: ((1 << (28 + wider)) / scale) as u32, wider }
    }

    /// The boundary just below the integer `sample`.
    #[inline]
    pub fn edge(&self, sample: i64) -> Edge {
        let distance = (sample << FRACTION) - (1 << (FRACTION - 1)) - self.mean;
        // distance / scale in units of 2^-16 of a table step.
        let t = (distance.unsigned_abs() * u64::from(self.inverse)) >> (28 - 16 - 5 + self.wider);
        let t = t.min(((REACH * STEPS) as u64) << 16);
        let (i, fraction) = ((t >> 16) as usize, t & 0xffff);
        let (a, b) = (TAIL[i], TAIL[i + 1]);
        let tail = a - ((u64::from(a - b) * fraction) >> 16) as u32;
        if distance >= 0 {
            Edge { above: tail, below: ONE - tail }
        } else {
            Edge { above: ONE - tail, below: tail }
        }
    }
}

/// Probability over 2^16 that a sample between `low` and `high` lies above `middle`.
#[inline]
pub fn upper_share(low: Edge, middle: Edge, high: Edge) -> u32 {
    // Tail masses are exact where they are small: measure from the side on which the interval lies.
    let (upper, all) = if low.above <= ONE / 2 {
        (middle.above.saturating_sub(high.above), low.above.saturating_sub(high.above))
    } else {
        let all = high.below.saturating_sub(low.below);
        (high.below.saturating_sub(middle.below), all)
    };
    let p = (u64::from(upper) * 65536 + 32768) / (u64::from(all) + 1);
    p.clamp(16, 65536 - 16) as u32
}

/// Bells of a [`Mixture`].
pub const MIXED: usize = 4; // frozen

/// Several bells and the share of each over 2^16, which sum to that.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixture {
    /// Bell, share.
    pub bells: [(Bell, u32); MIXED],
}

impl Mixture {
    /// As [`Bell::edge`].
    #[inline]
    pub fn edge(&self, sample: i64) -> Edge {
        let (mut above, mut below) = (0, 0);
        for (bell, share) in &self.bells {
            let edge = bell.edge(sample);
            above += u64::from(edge.above) * u64::from(*share);
            below += u64::from(edge.below) * u64::from(*share);
        }
        Edge { above: (above >> 16) as u32, below: (below >> 16) as u32 }
    }
}
