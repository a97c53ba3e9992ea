//! Rows of a mixer by NEON: 16 lanes of `i16`. Sums wrap in 32 bits, so their order does not matter.

use std::arch::aarch64::*;

use crate::simd::{rows::LANES, scalar};

#[inline]
#[target_feature(enable = "neon")]
fn load(data: &[i16; LANES]) -> [int16x8_t; 2] {
    let at = data.as_ptr();
    // SAFETY: `data` is 16 readable numbers.
    unsafe { [vld1q_s16(at), vld1q_s16(at.add(8))] }
}

#[target_feature(enable = "neon")]
pub fn dot_rows<const S: usize, const W: usize>(
    weights: &[i16],
    rows: &[usize; S],
    x: &[i16; W],
) -> [i32; S] {
    rows.map(|row| {
        let weights = &weights[row..row + W];
        let mut sums = [vdupq_n_s32(0); 4];
        for (w, x) in weights.as_chunks().0.iter().zip(x.as_chunks().0) {
            let (w, x) = (load(w), load(x));
            sums = [
                vmlal_s16(sums[0], vget_low_s16(w[0]), vget_low_s16(x[0])),
                vmlal_high_s16(sums[1], w[0], x[0]),
                vmlal_s16(sums[2], vget_low_s16(w[1]), vget_low_s16(x[1])),
                vmlal_high_s16(sums[3], w[1], x[1]),
            ];
        }
        vaddvq_s32(vaddq_s32(vaddq_s32(sums[0], sums[1]), vaddq_s32(sums[2], sums[3])))
    })
}

#[target_feature(enable = "neon")]
pub fn train_rows<const S: usize, const W: usize>(
    weights: &mut [i16],
    rows: &[usize; S],
    x: &[i16; W],
    steps: &[i16; S],
) {
    for (&row, &step) in rows.iter().zip(steps) {
        if step == i16::MIN {
            // Its product with itself would saturate in the instruction below, where it has to wrap.
            scalar::rows::train_rows(weights, &[row], x, &[step]);
            continue;
        }
        let weights = &mut weights[row..row + W];
        for (w, x) in weights.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            let [a, b] = load(w);
            let [x, y] = load(x);
            let at = w.as_mut_ptr();
            // SAFETY: `w` is 16 writable numbers.
            unsafe {
                vst1q_s16(at, vqaddq_s16(a, vqrdmulhq_n_s16(x, step)));
                vst1q_s16(at.add(8), vqaddq_s16(b, vqrdmulhq_n_s16(y, step)));
            }
        }
    }
}
