//! Counts of what followed the last k bytes, with the Krichevsky-Trofimov estimator.
//!
//! For teaching and tests: it shows what one fixed context is worth. [`cm`](super::cm) mixes many.
//!
//! After R. E. Krichevsky, V. K. Trofimov, "The performance of universal encoding" (1981).

use super::Predictor;
use std::collections::HashMap;

/// An adaptive order-k model: after the context `c` of the last k bytes,
///
/// ```text
/// p(b | c) = (count(c, b) + 1/2) / (count(c) + 256/2)
/// ```
///
/// where `count(c, b)` is how often `b` followed `c` so far. Contexts reach back over the start of the
/// data as zero bytes. Memory: 1 KiB for each context seen, so at most 1 KiB, 256 KiB and 64 MiB for
/// orders 0, 1 and 2; beyond that, up to 1 KiB for each byte coded.
///
/// ```
/// use lmic::{predict::OrderK, walk};
///
/// let text = b"She sells sea shells by the sea shore. ".repeat(50);
/// let order0 = walk::encode(OrderK::new(0), &text).len();
/// let order2 = walk::encode(OrderK::new(2), &text).len();
/// assert!(order2 < order0 && order0 < text.len());
/// ```
#[derive(Debug, Clone)]
pub struct OrderK {
    /// Keeps the last k bytes of `context`.
    mask: u64,
    /// The last bytes, the newest lowest.
    context: u64,
    counts: HashMap<u64, Box<[u32; 256]>>,
}

impl OrderK {
    /// Longest context in bytes.
    pub const MAX_ORDER: u32 = 8;

    /// A model that has seen nothing, with contexts of `order` bytes, 0 to [`OrderK::MAX_ORDER`].
    ///
    /// # Panics
    /// If `order` is larger.
    pub fn new(order: u32) -> Self {
        assert!(order <= Self::MAX_ORDER, "order {order} is above {}", Self::MAX_ORDER);
        let mask = u64::MAX.checked_shr(64 - 8 * order).unwrap_or(0);
        Self { mask, context: 0, counts: HashMap::new() }
    }
}

impl Predictor for OrderK {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        // Weights instead of probabilities: the quantizer divides by the total.
        match self.counts.get(&self.context) {
            Some(counts) => *probs = counts.map(|n| n as f32 + 0.5),
            None => probs.fill(0.5),
        }
    }

    fn update(&mut self, byte: u8) {
        let counts = self.counts.entry(self.context).or_insert_with(|| Box::new([0; 256]));
        let count = &mut counts[usize::from(byte)];
        *count = count.saturating_add(1);
        self.context = (self.context << 8 | u64::from(byte)) & self.mask;
    }
}
