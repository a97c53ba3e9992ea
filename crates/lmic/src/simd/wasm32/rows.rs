//! Rows of a mixer by SIMD of WebAssembly: 16 lanes of `i16`. Sums wrap in 32 bits, so their order does not matter.

use std::arch::wasm32::*;

use crate::simd::{rows::LANES, scalar};

#[inline(always)]
fn load(data: &[i16; LANES]) -> [v128; 2] {
    let at = data.as_ptr();
    // SAFETY: `data` is 32 readable bytes.
    unsafe { [v128_load(at.cast()), v128_load(at.add(8).cast())] }
}

#[inline(always)]
pub fn dot_rows<const S: usize, const W: usize>(
    weights: &[i16],
    rows: &[usize; S],
    x: &[i16; W],
) -> [i32; S] {
    rows.map(|row| {
        let weights = &weights[row..row + W];
        let mut sums = i32x4_splat(0);
        for (w, x) in weights.as_chunks().0.iter().zip(x.as_chunks().0) {
            let (w, x) = (load(w), load(x));
            sums = i32x4_add(sums, i32x4_dot_i16x8(w[0], x[0]));
            sums = i32x4_add(sums, i32x4_dot_i16x8(w[1], x[1]));
        }
        let two = i32x4_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
        i32x4_extract_lane::<0>(two).wrapping_add(i32x4_extract_lane::<1>(two))
    })
}

#[inline(always)]
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
        let step = i16x8_splat(step);
        let weights = &mut weights[row..row + W];
        for (w, x) in weights.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
            let ([a, b], [x, y]) = (load(w), load(x));
            let at = w.as_mut_ptr();
            // SAFETY: `w` is 32 writable bytes.
            unsafe {
                v128_store(at.cast(), i16x8_add_sat(a, i16x8_q15mulr_sat(x, step)));
                v128_store(at.add(8).cast(), i16x8_add_sat(b, i16x8_q15mulr_sat(y, step)));
            }
        }
    }
}
