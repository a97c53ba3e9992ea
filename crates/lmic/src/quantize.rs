//! From probabilities to integer intervals: the only place where floats become integers.
//!
//! Both sides of a walk quantize with this code, so they agree on every interval. Invariants: every
//! symbol has an interval of at least 1, and the intervals sum to exactly `1 << CDF_BITS`.

/// Bits of a [`Cdf`]'s total: finer than a 256-symbol model can tell apart, and coarse beside the
/// coder's range (see `coder::range`).
pub const CDF_BITS: u32 = 24;

/// Bits of a [`BitProb`].
pub const BIT_BITS: u32 = 16;

/// Probability that a bit is 1, in units of 2^-16, between 1 and 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitProb(u32);

impl BitProb {
    /// Even odds.
    pub const HALF: Self = Self(1 << (BIT_BITS - 1));

    /// `p1 / 2^16`, clamped into `1..=65535` so that no bit is impossible.
    #[inline]
    pub fn new(p1: u32) -> Self {
        Self(p1.clamp(1, (1 << BIT_BITS) - 1))
    }

    /// The numerator over 2^16.
    #[inline]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Cumulative distribution over the 256 byte values: valid by construction.
#[derive(Debug, Clone)]
pub struct Cdf {
    /// `starts[b]..starts[b + 1]` is the interval of byte `b`; `starts[256] == 1 << CDF_BITS`.
    starts: [u32; 257],
}

impl Cdf {
    /// Quantizes weights that need not be normalised. Weights that are negative, NaN or infinite
    /// count as 0, and if nothing is left the result is uniform: a predictor cannot break the coder.
    pub fn quantize(probs: &[f32; 256]) -> Self {
        // f64 sums of f32 in one fixed order: IEEE addition, the same on every machine.
        let clean = |p: f32| if p.is_finite() && p > 0.0 { f64::from(p) } else { 0.0 };
        let total: f64 = probs.iter().fold(0.0, |sum, &p| sum + clean(p));
        if total <= 0.0 {
            return Self::from_frequencies(&[1 << (CDF_BITS - 8); 256]);
        }
        let budget = f64::from((1u32 << CDF_BITS) - 256);
        let mut freqs = probs.map(|p| 1 + (clean(p) / total * budget) as u32);
        // Rounding down leaves a remainder (or, by an ulp, an excess); the most probable symbol takes
        // it, where it changes the code length least.
        let sum: u32 = freqs.iter().sum();
        let mut top = 0;
        for (b, &f) in freqs.iter().enumerate() {
            if f > freqs[top] {
                top = b;
            }
        }
        freqs[top] = freqs[top].wrapping_add((1u32 << CDF_BITS).wrapping_sub(sum));
        Self::from_frequencies(&freqs)
    }

    /// Builds from integer frequencies.
    ///
    /// # Panics
    /// If a frequency is 0 or they do not sum to `1 << CDF_BITS`.
    pub fn from_frequencies(freqs: &[u32; 256]) -> Self {
        let mut starts = [0; 257];
        let mut sum = 0u32;
        for (b, &f) in freqs.iter().enumerate() {
            assert!(f > 0, "byte {b} has an empty interval");
            sum += f;
            starts[b + 1] = sum;
        }
        assert_eq!(sum, 1 << CDF_BITS, "frequencies must sum to 2^{CDF_BITS}");
        Self { starts }
    }

    /// Start and size of the interval of `byte`.
    #[inline]
    pub fn interval(&self, byte: u8) -> (u32, u32) {
        let b = usize::from(byte);
        (self.starts[b], self.starts[b + 1] - self.starts[b])
    }

    /// The byte whose interval contains `target < 1 << CDF_BITS`.
    #[inline]
    pub fn symbol_at(&self, target: u32) -> u8 {
        (self.starts[1..256].partition_point(|&start| start <= target)) as u8
    }
}
