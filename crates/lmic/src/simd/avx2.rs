//! AVX2 kernels. 16 lanes of `i16`; sums wrap in 32 bits, so their order does not matter.

use std::arch::x86_64::*;

use super::LANES;

#[inline]
#[target_feature(enable = "avx2")]
fn load(data: &[i16]) -> __m256i {
    let chunk: &[i16; LANES] = data[..LANES].try_into().expect("LANES values");
    // SAFETY: `chunk` is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
pub fn dot_rows<const S: usize>(weights: &[i16], rows: &[usize; S], x: &[i16]) -> [i32; S] {
    let mut sums = [0; S];
    for (sum, &row) in sums.iter_mut().zip(rows) {
        let weights = &weights[row..row + x.len()];
        let mut acc = _mm256_setzero_si256();
        for (w, x) in weights.chunks_exact(LANES).zip(x.chunks_exact(LANES)) {
            acc = _mm256_add_epi32(acc, _mm256_madd_epi16(load(w), load(x)));
        }
        let acc = _mm_add_epi32(_mm256_castsi256_si128(acc), _mm256_extracti128_si256::<1>(acc));
        let acc = _mm_add_epi32(acc, _mm_shuffle_epi32::<0b01_00_11_10>(acc));
        let acc = _mm_add_epi32(acc, _mm_shuffle_epi32::<0b10_11_00_01>(acc));
        *sum = _mm_cvtsi128_si32(acc);
    }
    sums
}

#[target_feature(enable = "avx2")]
pub fn train_rows<const S: usize>(
    weights: &mut [i16],
    rows: &[usize; S],
    x: &[i16],
    steps: &[i16; S],
) {
    for (&row, &step) in rows.iter().zip(steps) {
        let step = _mm256_set1_epi16(step);
        let weights = &mut weights[row..row + x.len()];
        for (w, x) in weights.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
            let delta = _mm256_mulhrs_epi16(load(x), step);
            let sum = _mm256_adds_epi16(load(w), delta);
            // SAFETY: `w` is 32 writable bytes; the store needs no alignment.
            unsafe { _mm256_storeu_si256(w.as_mut_ptr().cast(), sum) };
        }
    }
}
