//! Counts of what followed the last k bytes, backed by those of shorter contexts.
//!
//! For teaching and tests: the least that predicts text, in floats. [`cm`](super::cm) mixes many contexts
//! and codes files.
//!
//! After D. J. C. MacKay, L. C. Bauman Peto, "A hierarchical Dirichlet language model" (1995).

use super::Predictor;
use std::collections::HashMap;

/// How many observations the prediction of the next shorter context is worth. At order 0 that is 1/32
/// for each byte value; the 1/2 of Krichevsky and Trofimov would be 128, far too much for the few byte
/// values that follow a long context.
const PRIOR: f32 = 8.0; // tunable

/// An adaptive model of order k. With `c_j` for the context of the last `j` bytes, and `count` for how
/// often something was seen after it,
///
/// ```text
/// p_j(b) = (count(c_j, b) + 8 p_(j-1)(b)) / (count(c_j) + 8),   p_(-1)(b) = 1 / 256
/// ```
///
/// and the prediction is `p_k`. Before the data come zero bytes. Memory: 1 KiB for each context of each
/// length, at most `k + 1` KiB for each byte coded (1 KiB in all at order 0).
///
/// ```
/// use lmic::{predict::OrderK, walk};
///
/// let text = b"She sells sea shells by the sea shore. ".repeat(10);
/// let order0 = walk::encode(OrderK::new(0), &text).len();
/// let order2 = walk::encode(OrderK::new(2), &text).len();
/// assert!(order2 < order0 && order0 < text.len());
/// ```
#[derive(Debug, Clone)]
pub struct OrderK {
    /// The last 8 bytes, the newest lowest.
    recent: u64,
    /// For each order from 0 to k: context to counts.
    tables: Vec<HashMap<u64, Counts>>,
}

#[derive(Debug, Clone)]
struct Counts {
    of: Box<[u32; 256]>,
    total: u32,
}

impl OrderK {
    /// Longest context in bytes.
    pub const MAX_ORDER: usize = 8; // tunable

    /// A model that has seen nothing, with contexts of up to `order` bytes, 0 to [`OrderK::MAX_ORDER`].
    ///
    /// # Panics
    /// If `order` is larger.
    pub fn new(order: usize) -> Self {
        assert!(order <= Self::MAX_ORDER, "order {order} is above {}", Self::MAX_ORDER);
        Self { recent: 0, tables: vec![HashMap::new(); order + 1] }
    }
}

/// The last `order` of the bytes in `recent`.
fn context(recent: u64, order: usize) -> u64 {
    recent & u64::MAX.checked_shr(64 - 8 * order as u32).unwrap_or(0)
}

impl Predictor for OrderK {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        probs.fill(1.0 / 256.0);
        for (order, table) in self.tables.iter().enumerate() {
            // Not seen: nor was any longer context.
            let Some(counts) = table.get(&context(self.recent, order)) else { return };
            let total = counts.total as f32 + PRIOR;
            for (p, &n) in probs.iter_mut().zip(counts.of.iter()) {
                *p = (n as f32 + PRIOR * *p) / total;
            }
        }
    }

    fn update(&mut self, byte: u8) {
        for (order, table) in self.tables.iter_mut().enumerate() {
            let new = || Counts { of: Box::new([0; 256]), total: 0 };
            let counts = table.entry(context(self.recent, order)).or_insert_with(new);
            // After 4 Gi observations a context stops learning.
            if let Some(total) = counts.total.checked_add(1) {
                counts.total = total;
                counts.of[usize::from(byte)] += 1;
            }
        }
        self.recent = self.recent << 8 | u64::from(byte);
    }
}
