//! Distributions over bytes.

use super::Distribution;

/// Bits of a [`Cdf`]'s total: finer than a 256-symbol model can tell apart, and coarse beside the
/// coder's range (see `coder::range`).
pub const CDF_BITS: u32 = 24; // frozen

/// Cumulative distribution over the 256 byte values: valid by construction.
#[derive(Debug, Clone)]
pub struct Cdf {
    /// `starts[b]..starts[b + 1]` is the interval of byte `b`; `starts[256] == 1 << CDF_BITS`.
    starts: [u32; 257],
}

impl Cdf {
    /// Quantizes weights that need not be normalised. Weights that are negative, NaN or infinite
    /// count as 0, and if nothing is left the result is uniform: a predictor cannot break the coder.
    ///
    /// A symbol of weight `p` gets `1 + floor(p / total * (2^24 - 256))`, so the certainty of a model
    /// costs at most 2.2e-5 bits a byte; the likeliest symbol takes the few units left by rounding down.
    pub fn quantize(probs: &[f32; 256]) -> Self {
        // f64 sums of f32 in one fixed order: IEEE addition, the same on every machine.
        let weights = probs.map(|p| if p > 0.0 && p.is_finite() { f64::from(p) } else { 0.0 });
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return Self::from_frequencies(&[1 << (CDF_BITS - 8); 256]);
        }
        let scale = f64::from((1u32 << CDF_BITS) - 256) / total;
        let mut freqs = weights.map(|w| 1 + (w * scale) as u32);
        // Never an excess: 257 roundings make the sum of the products at most 2^-44 too large, less than
        // one unit, and they are rounded down to integers.
        let left = (1 << CDF_BITS) - freqs.iter().sum::<u32>();
        // The likeliest symbol takes it, where it changes the code length least.
        let top = (0..256).fold(0, |top, b| if freqs[b] > freqs[top] { b } else { top });
        freqs[top] += left;
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
            sum = sum.saturating_add(f);
            starts[b + 1] = sum;
        }
        assert_eq!(sum, 1 << CDF_BITS, "frequencies must sum to 2^{CDF_BITS}");
        Self { starts }
    }
}

impl Distribution for Cdf {
    const BITS: u32 = CDF_BITS;

    fn symbols(&self) -> usize {
        256
    }

    #[inline]
    fn interval(&self, byte: usize) -> (u32, u32) {
        (self.starts[byte], self.starts[byte + 1] - self.starts[byte])
    }

    #[inline]
    fn symbol_at(&self, target: u32) -> usize {
        self.starts[1..256].partition_point(|&start| start <= target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every promise of a [`Cdf`] and returns the sizes.
    fn sizes(probs: &[f32; 256]) -> Vec<u32> {
        let cdf = Cdf::quantize(probs);
        let mut end = 0;
        let sizes = (0..256).map(|byte| {
            let (start, size) = cdf.interval(byte);
            assert_eq!(start, end);
            assert!(size > 0);
            assert_eq!(cdf.symbol_at(start), byte);
            assert_eq!(cdf.symbol_at(start + size - 1), byte);
            end = start + size;
            size
        });
        let sizes = sizes.collect();
        assert_eq!(end, 1 << CDF_BITS);
        sizes
    }

    fn one_hot(weight: f32) -> [f32; 256] {
        let mut probs = [0.0; 256];
        probs[65] = weight;
        probs
    }

    #[test]
    fn equal_weights_of_any_size_are_uniform() {
        // From the smallest subnormal to a sum far above f32::MAX.
        for weight in [0.0, -1.0, f32::from_bits(1), f32::MIN_POSITIVE, 1.0, f32::MAX] {
            assert_eq!(sizes(&[weight; 256]), [1 << (CDF_BITS - 8); 256], "{weight}");
        }
    }

    #[test]
    fn weights_that_are_no_probability_count_as_zero() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MAX] {
            let mut probs = one_hot(0.5);
            probs[0] = bad;
            assert_eq!(sizes(&probs), sizes(&one_hot(0.5)), "{bad}");
            assert_eq!(sizes(&[bad; 256]), sizes(&[0.0; 256]), "{bad}");
        }
    }

    #[test]
    fn certainty_leaves_one_unit_to_every_other_symbol() {
        for weight in [f32::from_bits(1), 1.0, f32::MAX] {
            let sizes = sizes(&one_hot(weight));
            assert_eq!(sizes[65], (1 << CDF_BITS) - 255, "{weight}");
        }
    }

    #[test]
    fn weights_of_any_spread_fill_the_total() {
        let mut state = 1u64;
        for _ in 0..2000 {
            let probs = std::array::from_fn(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                f32::from_bits((state >> 32) as u32) // every exponent, sign, NaN and infinity
            });
            sizes(&probs);
        }
    }

    #[test]
    fn a_target_past_the_end_is_the_last_symbol() {
        assert_eq!(Cdf::quantize(&[1.0; 256]).symbol_at(u32::MAX), 255);
    }

    #[test]
    #[should_panic(expected = "must sum to")]
    fn frequencies_that_wrap_around_are_refused() {
        // 256 * 2^24 = 2^32, and 2^24 more: the sum modulo 2^32 would be right.
        let mut freqs = [1 << 24; 256];
        freqs[0] += 1 << 24;
        Cdf::from_frequencies(&freqs);
    }
}
