//! Predictors: what comes next, with what probability.
//!
//! The first station of the flow. `Uniform` and `OrderK` are the simple ones, to learn from and to test with. Files are coded
//! by `cm` (context mixing of bytes), `mix` (a network and context mixing together) and `samples` (images and audio); `programs`
//! is what `cm` knows of instructions.

mod order_k;
mod uniform;

pub mod cm;
pub mod mix;
pub mod samples;

pub(crate) mod programs;
pub(crate) mod teams;

pub use order_k::OrderK;
pub use uniform::Uniform;

/// A predictor of the next byte: the contract to implement for a model of your own.
///
/// It is walked by [`crate::walk`]: `predict`, then `update` with the byte that came, and so on. Encoder
/// and decoder run the same calls, so a predictor must compute the same numbers on both sides: no
/// randomness, no clock, no sum whose order depends on threads, and on different machines no function
/// whose rounding is not fixed by IEEE 754 (`exp` and `ln` of the standard library are not).
///
/// ```
/// use lmic::predict::Predictor;
/// use lmic::walk::{decode, encode};
///
/// /// Expects the last byte again.
/// struct Again(u8);
///
/// impl Predictor for Again {
///     fn predict(&mut self, probs: &mut [f32; 256]) {
///         probs.fill(1.0);
///         probs[usize::from(self.0)] = 1000.0;
///     }
///
///     fn update(&mut self, byte: u8) {
///         self.0 = byte;
///     }
/// }
///
/// let code = encode(Again(0), &[5; 100]);
/// assert!(code.len() < 10);
/// assert_eq!(decode(Again(0), &code, 100), [5; 100]);
/// ```
pub trait Predictor {
    /// Writes the probability of each byte value into `probs`. They need not be normalised.
    fn predict(&mut self, probs: &mut [f32; 256]);

    /// Learns the byte that came.
    fn update(&mut self, byte: u8);
}
