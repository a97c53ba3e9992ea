//! Entropy coding: integer intervals to bytes and back.
//!
//! Below this line of the flow everything is an integer. A [`Coder`](crate::coder::Coder) is the far side of the
//! [walk](crate::walk): the encoder is told each symbol, the decoder finds it out, the scorer
//! only adds up what it would cost, the sampler draws it. All of them see the same calls in the same
//! order, so encoder and decoder cannot drift apart.

mod range;

pub use range::{MAX_BITS, RangeDecoder, RangeEncoder};

use crate::quantize::{BitProb, Cdf, Distribution};

/// The far side of a walk: encoder, decoder, scorer or sampler.
pub trait Coder {
    /// Whether the true symbols are known before they are coded (encoder, scorer). A model may then compute
    /// ahead, but must pass the same distributions in the same order as if they were not.
    const TOLD: bool;

    /// Says that the next symbols belong to the byte (or the sample of several bytes) at `at` of the block. Coders that watch need
    /// it, because lanes are walked side by side and bytes do not come in order.
    #[inline(always)]
    fn begin(&mut self, at: usize) {
        let _ = at;
    }

    /// Codes one binary decision whose probability of being 1 is `p1`. `bit` is the true bit where
    /// it is known (encoder, scorer) and meaningless otherwise; the coded bit is returned.
    fn bit(&mut self, p1: BitProb, bit: bool) -> bool;

    /// Codes one symbol of any alphabet; `symbol` as `bit` in [`Coder::bit`].
    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize;

    /// Codes one byte under `cdf`.
    #[inline(always)]
    fn byte(&mut self, cdf: &Cdf, byte: u8) -> u8 {
        self.symbol(cdf, byte.into()) as u8
    }
}
