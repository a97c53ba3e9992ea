//! Weights of the 256 bytes to a tree of integer sums: what stands between a network and the coding of bits.

use super::Level;

/// Truncates, clamped to 0 to 1; NaN counts as 1.
#[inline(always)]
fn leaf(weight: f32, scale: f32) -> u32 {
    let weight = if weight < 1.0 { weight } else { 1.0 };
    let weight = if weight > 0.0 { weight } else { 0.0 };
    // SAFETY: 0 to `scale`, which the caller has checked. The safe conversion would compare once more.
    1 + unsafe { (weight * scale).to_int_unchecked::<i32>() }.cast_unsigned()
}

#[inline(always)]
fn sum_tree(weights: &[f32; 256], scale: f32, sums: &mut [u32; 512]) {
    let (nodes, leaves) = sums.split_at_mut(256);
    for (sum, &weight) in leaves.iter_mut().zip(weights) {
        *sum = leaf(weight, scale);
    }
    // A loop for each level of the tree, as the compiler makes vectors of long ones only.
    pairs::<128>(&mut nodes[128..], leaves);
    level::<64>(nodes);
    level::<32>(nodes);
    level::<16>(nodes);
    for node in (1..16).rev() {
        nodes[node] = nodes[2 * node] + nodes[2 * node + 1];
    }
}

/// The nodes N to 2 N - 1 from those below.
#[inline(always)]
fn level<const N: usize>(nodes: &mut [u32]) {
    let (above, below) = nodes.split_at_mut(2 * N);
    pairs::<N>(&mut above[N..], below);
}

#[inline(always)]
fn pairs<const N: usize>(sums: &mut [u32], of: &[u32]) {
    for (sum, pair) in sums[..N].iter_mut().zip(&of.as_chunks::<2>().0[..N]) {
        *sum = pair[0] + pair[1];
    }
}

impl Level {
    /// Entry 256 + b of `sums` becomes `1 + weight * scale`, truncated, of weight b in 0 to 1 (what is below or above is clamped,
    /// NaN counts as 1), and entry n, 1 to 255, the sum of entries 2 n and 2 n + 1. Entry 0 stays.
    ///
    /// # Panics
    /// If `scale` isn't 0 to 2^23.
    pub fn sum_tree(self, weights: &[f32; 256], scale: f32, sums: &mut [u32; 512]) {
        assert!((0.0..=8_388_608.0).contains(&scale));
        vectorize!(
            self,
            sum_tree,
            (weights: &[f32; 256], scale: f32, sums: &mut [u32; 512])
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random_f32;

    #[test]
    fn every_level_has_the_sums_of_the_definition() {
        let mut weights: [f32; 256] = random_f32(256, 1).try_into().unwrap();
        weights[3] = f32::NAN;
        weights[4] = f32::INFINITY;
        weights[5] = f32::NEG_INFINITY;
        weights[6..9].copy_from_slice(&[1.0, 0.99999994, 1e-9]);
        let scale = 8_388_608.0;
        let mut expected = [0u32; 512];
        for (sum, w) in expected[256..].iter_mut().zip(weights) {
            *sum = 1 + (w.min(1.0) * scale) as u32; // which takes 1 of NaN and 1, and saturates at 0
        }
        for node in (1..256).rev() {
            expected[node] = expected[2 * node] + expected[2 * node + 1];
        }
        for level in Level::available() {
            let mut sums = [0; 512];
            level.sum_tree(&weights, scale, &mut sums);
            assert_eq!(sums, expected, "{level:?}");
        }
    }
}
