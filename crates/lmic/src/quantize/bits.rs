//! Probabilities of single bits, and of the bits of a byte whose distribution is known.

use crate::simd::Level;

/// Bits of a [`BitProb`].
pub const BIT_BITS: u32 = 16; // frozen

/// Probability that a bit is 1, in units of 2^-16, between 1 and 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitProb(u32);

impl BitProb {
    /// Even odds.
    pub const HALF: Self = Self(1 << (BIT_BITS - 1)); // frozen

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

/// Scale of the weights: the likeliest byte has about this much, and 256 of them stay below 2^32.
const SCALE: f32 = (1 << 23) as f32; // frozen

/// Weights of the 256 bytes, added up in a tree whose leaves are the bytes: the node of the bits so far has the weight of
/// all bytes that begin with them.
#[derive(Debug, Clone)]
pub(crate) struct ByteTree {
    /// Entry 256 + b is the weight of byte b, and the parent of entry `n` is `n / 2`. Entry 0 is not used.
    sums: [u32; 512],
}

impl ByteTree {
    /// Becomes the tree of weights that need not be normalised, of which the largest is about 1. They are clamped to 0 to 1; NaN
    /// counts as 1.
    pub(crate) fn quantize(&mut self, level: Level, weights: &[f32; 256]) {
        level.sum_tree(weights, SCALE, &mut self.sums);
    }

    /// Weights of a 0 and of a 1 after `node`: the bits so far behind a leading 1. Neither is 0.
    #[inline(always)]
    pub(crate) fn children(&self, node: usize) -> [u32; 2] {
        let pair = &self.sums[(2 * node) & 510..][..2];
        [pair[0], pair[1]]
    }
}

impl Default for ByteTree {
    fn default() -> Self {
        Self { sums: [0; 512] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_no_probability_do_no_harm() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MAX] {
            let mut tree = ByteTree::default();
            tree.quantize(Level::detect(), &[bad; 256]);
            for node in 1..256 {
                let [zero, one] = tree.children(node);
                assert!(zero > 0 && zero == one, "{bad} at {node}");
            }
        }
    }
}
