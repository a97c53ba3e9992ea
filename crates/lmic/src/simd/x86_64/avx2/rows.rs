//! Rows of a mixer by AVX2: 16 lanes of `i16`. Sums wrap in 32 bits, so their order does not matter.

use std::arch::x86_64::*;

use crate::simd::rows::LANES;

#[inline]
#[target_feature(enable = "avx2")]
fn load(data: &[i16; LANES]) -> __m256i {
    // SAFETY: `data` is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(data.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
pub fn dot_rows<const S: usize, const W: usize>(
    weights: &[i16],
    rows: &[usize; S],
    x: &[i16; W],
) -> [i32; S] {
    let mut sums = [0; S];
    for (sums, rows) in sums.chunks_mut(4).zip(rows.chunks(4)) {
        let mut acc = [_mm256_setzero_si256(); 4];
        for (acc, &row) in acc.iter_mut().zip(rows) {
            let weights = &weights[row..row + W];
            let weights = weights.as_chunks().0;
            for (w, x) in weights.iter().zip(x.as_chunks().0) {
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(load(w), load(x)));
            }
        }
        // Four sums at once: two rounds of pairs within the halves, then the halves.
        let pairs = (_mm256_hadd_epi32(acc[0], acc[1]), _mm256_hadd_epi32(acc[2], acc[3]));
        let quads = _mm256_hadd_epi32(pairs.0, pairs.1);
        let four =
            _mm_add_epi32(_mm256_castsi256_si128(quads), _mm256_extracti128_si256::<1>(quads));
        let mut out = [0i32; 4];
        // SAFETY: `out` is 16 writable bytes; the store needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), four) };
        sums.copy_from_slice(&out[..sums.len()]);
    }
    sums
}

#[target_feature(enable = "avx2")]
pub fn train_rows<const S: usize, const W: usize>(
    weights: &mut [i16],
    rows: &[usize; S],
    x: &[i16; W],
    steps: &[i16; S],
) {
    for (&row, &step) in rows.iter().zip(steps) {
        let step = _mm256_set1_epi16(step);
        let weights = &mut weights[row..row + W];
        for (w, x) in weights.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            let delta = _mm256_mulhrs_epi16(load(x), step);
            let sum = _mm256_adds_epi16(load(w), delta);
            // SAFETY: `w` is 32 writable bytes; the store needs no alignment.
            unsafe { _mm256_storeu_si256(w.as_mut_ptr().cast(), sum) };
        }
    }
}
