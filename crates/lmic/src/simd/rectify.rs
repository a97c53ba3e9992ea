//! What stands between two layers of integers: sums to clipped rectifiers.

use super::Level;

#[inline(always)]
fn rectify(sums: &[i32], multipliers: &[i32], biases: &[i32], most: i32, out: &mut [i16]) {
    let rows = sums.iter().zip(multipliers).zip(biases);
    for (((&sum, &multiplier), &bias), out) in rows.zip(out) {
        let scaled = ((i64::from(sum) * i64::from(multiplier)) >> 24) as i32;
        *out = scaled.wrapping_add(bias).clamp(0, most) as i16;
    }
}

impl Level {
    /// `out = clamp((sum * multiplier >> 24) + bias, 0, most)`, the middle modulo 2^32; `most` is below 2^15.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn rectify(
        self,
        sums: &[i32],
        multipliers: &[i32],
        biases: &[i32],
        most: i32,
        out: &mut [i16],
    ) {
        assert_eq!([sums.len(), multipliers.len(), biases.len()], [out.len(); 3]);
        vectorize!(
            self,
            rectify,
            (sums: &[i32], multipliers: &[i32], biases: &[i32], most: i32, out: &mut [i16])
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::random;

    #[test]
    fn every_level_rectifies_alike() {
        for n in [0, 1, 12, 31, 96, 192] {
            let wide = |seed| -> Vec<i32> {
                let halves = random(2 * n, seed);
                halves.chunks(2).map(|x| i32::from(x[0]) << 16 | i32::from(x[1] as u16)).collect()
            };
            let (sums, multipliers, biases) = (wide(1), wide(2), wide(3));
            let expected: Vec<i16> = (0..n)
                .map(|i| {
                    let product = (i128::from(sums[i]) * i128::from(multipliers[i])) >> 24;
                    (product as i32).wrapping_add(biases[i]).clamp(0, 31_744) as i16
                })
                .collect();
            for level in Level::available() {
                let mut out = vec![-1; n];
                level.rectify(&sums, &multipliers, &biases, 31_744, &mut out);
                assert_eq!(out, expected, "{level:?}");
            }
        }
    }
}
