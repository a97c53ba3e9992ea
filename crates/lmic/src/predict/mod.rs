//! Predictors: what comes next, with what probability.

pub mod cm;
pub mod samples;

/// A predictor of the next byte: the contract to implement for a model of your own.
///
/// It is walked by [`crate::walk`]: `predict`, then `update` with the byte that came, and so on. Encoder
/// and decoder run the same calls, so a predictor must compute the same numbers on both sides: no
/// randomness, no clock, no sum whose order depends on threads.
pub trait Predictor {
    /// Writes the probability of each byte value into `probs`. They need not be normalised.
    fn predict(&mut self, probs: &mut [f32; 256]);

    /// Learns the byte that came.
    fn update(&mut self, byte: u8);
}
