//! The predictor that knows nothing: 8 bits a byte, the baseline of all others.

use super::Predictor;

/// Every byte value is equally likely, always.
///
/// ```
/// use lmic::{predict::Uniform, walk};
///
/// assert_eq!(walk::encode(Uniform, b"any data").len(), 8);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Uniform;

impl Predictor for Uniform {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        probs.fill(1.0 / 256.0);
    }

    fn update(&mut self, _byte: u8) {}
}
