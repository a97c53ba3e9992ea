//! One row of numbers with rows of a matrix as they lie in memory: decoding at batch 1, whose speed memory sets.
//!
//! The formats that one most likely meets are widened in registers, in place of by way of a buffer; the numbers and the order of
//! sums are those of the other way ([`super::add_products`] of [`Format::numbers`]), bit for bit.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

use lmic::exact::Level;

use super::format::half;
use super::{Format, LANES, Sums, TILE};

/// Rows side by side, and how a block of 32 numbers becomes two vectors.
trait Widen {
    const BLOCK_BYTES: usize;
    /// # Safety
    /// As [`Sums`]; a whole block stands at `from`.
    unsafe fn block<V: Sums>(from: *const u8) -> [V; 2];
}

struct Q8;
struct Bf16;

impl Widen for Q8 {
    const BLOCK_BYTES: usize = 34;

    #[inline(always)]
    unsafe fn block<V: Sums>(from: *const u8) -> [V; 2] {
        let scale = V::splat(half(from.cast::<[u8; 2]>().read_unaligned()));
        [scale.mul(V::of_i8(from.add(2))), scale.mul(V::of_i8(from.add(18)))]
    }
}

impl Widen for Bf16 {
    const BLOCK_BYTES: usize = 64;

    #[inline(always)]
    unsafe fn block<V: Sums>(from: *const u8) -> [V; 2] {
        [V::of_bf16(from), V::of_bf16(from.add(32))]
    }
}

/// The sums of x with [`TILE`] rows of equal length that lie one after the other, (TILE, LANES), from 0; `None` if this is not
/// done for the format or length.
///
/// # Panics
/// If lengths do not fit together.
pub fn add_streamed(
    level: Level,
    format: Format,
    x: &[f32],
    rows: &[u8],
) -> Option<[[f32; LANES]; TILE]> {
    if !x.len().is_multiple_of(32) {
        return None;
    }
    match format {
        Format::Q8_0 => Some(checked::<Q8>(level, x, rows)),
        Format::Bf16 => Some(checked::<Bf16>(level, x, rows)),
        _ => None,
    }
}

fn checked<W: Widen>(level: Level, x: &[f32], rows: &[u8]) -> [[f32; LANES]; TILE] {
    assert_eq!(rows.len(), TILE * (x.len() / 32) * W::BLOCK_BYTES);
    let mut sums = [[0.0; LANES]; TILE];
    match level {
        // SAFETY: lengths were asserted.
        Level::Scalar => unsafe { run::<[f32; LANES], W>(x, rows, &mut sums) },
        // SAFETY: a level exists only where the CPU has what it stands for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { run_avx2::<W>(x, rows, &mut sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { run_avx512::<W>(x, rows, &mut sums) },
    }
    sums
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<W: Widen>(x: &[f32], rows: &[u8], sums: &mut [[f32; LANES]; TILE]) {
    run::<[__m256; 2], W>(x, rows, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn run_avx512<W: Widen>(x: &[f32], rows: &[u8], sums: &mut [[f32; LANES]; TILE]) {
    run::<__m512, W>(x, rows, sums);
}

#[inline(always)]
unsafe fn run<V: Sums, W: Widen>(x: &[f32], rows: &[u8], out: &mut [[f32; LANES]; TILE]) {
    let row_bytes = rows.len() / TILE;
    let mut sums = [V::splat(0.0); TILE];
    for (b, x) in x.chunks_exact(32).enumerate() {
        let x = [V::load(x.as_ptr()), V::load(x.as_ptr().add(LANES))];
        for (p, sum) in sums.iter_mut().enumerate() {
            let block = rows.as_ptr().add(p * row_bytes + b * W::BLOCK_BYTES);
            // The same place of the next rows.
            prefetch(block.wrapping_add(rows.len()));
            let numbers = W::block::<V>(block);
            *sum = sum.add_product(x[0], numbers[0]).add_product(x[1], numbers[1]);
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        sum.store(out.as_mut_ptr());
    }
}

/// Asks for the cache line at an address, of which nothing is asked: not even that something is there.
#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, and SSE is part of the x86-64 baseline.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{add_products, tests::random};

    #[test]
    fn streamed_rows_have_the_bits_of_widened_ones() {
        for format in [Format::Q8_0, Format::Bf16] {
            for blocks in [1, 2, 7] {
                let row_bytes = 32 * blocks / format.block() * format.block_bytes();
                let mut rows: Vec<u8> =
                    random(TILE * row_bytes, 4).iter().map(|x| (x * 100.0) as i8 as u8).collect();
                // Exponents of bf16 and of scales that are no nonsense.
                rows.iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 0xbf);
                let x = random(32 * blocks, 5);
                let mut numbers = vec![0.0; TILE * x.len()];
                format.numbers(Level::Scalar, &rows, &mut numbers);
                let mut expected = vec![0.0; TILE * LANES];
                add_products(Level::Scalar, &x, x.len(), &numbers, &mut expected);
                for level in Level::available() {
                    let found = add_streamed(level, format, &x, &rows).unwrap();
                    assert_eq!(found.as_flattened(), expected, "{format:?} {level:?}");
                }
            }
        }
        assert!(add_streamed(Level::Scalar, Format::F32, &[0.0; 32], &[0; 512]).is_none());
        assert!(add_streamed(Level::Scalar, Format::Bf16, &[0.0; 8], &[0; 64]).is_none());
    }
}
