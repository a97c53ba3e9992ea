//! A few rows of numbers with rows of a matrix as they lie in memory: decoding a few positions at once, whose speed memory sets.
//!
//! Nearly all formats are widened in registers, in place of by way of a buffer; the numbers and the order of
//! sums are those of the other way ([`super::add_products`] of [`Format::numbers`]), bit for bit.

use std::marker::PhantomData;

use lmic::exact::{F32x16, Isa, Kernel, Level, prefetch_at};

use super::format::{half, q4_k_integers};
use super::{Format, LANES, TILE, rows_at_once};

/// How a block of numbers becomes vectors, two at a time.
trait Widen {
    /// Numbers of a block, a multiple of 32.
    const BLOCK: usize;
    const BLOCK_BYTES: usize;
    /// What parts of a block share, or each has one of.
    type Scales: Copy;
    /// # Safety
    /// As [`F32x16`], and a whole block stands at `block`.
    unsafe fn scales<V: F32x16>(block: *const u8) -> Self::Scales;
    /// The 32 numbers with index `32 * i` and up.
    ///
    /// # Safety
    /// As [`F32x16`] and [`Widen::scales`].
    unsafe fn part<V: F32x16>(block: *const u8, scales: &Self::Scales, i: usize) -> [V; 2];
}

struct F32;
struct Bf16;
struct Q8;
struct Q4;
struct Q4K;
struct Q6K;

impl Widen for F32 {
    const BLOCK: usize = 32;
    const BLOCK_BYTES: usize = 128;
    type Scales = ();

    #[inline(always)]
    unsafe fn scales<V: F32x16>(_block: *const u8) {}

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, (): &(), _i: usize) -> [V; 2] {
        // Loads do not ask for alignment.
        [V::load(block.cast()), V::load(block.add(64).cast())]
    }
}

impl Widen for Bf16 {
    const BLOCK: usize = 32;
    const BLOCK_BYTES: usize = 64;
    type Scales = ();

    #[inline(always)]
    unsafe fn scales<V: F32x16>(_block: *const u8) {}

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, (): &(), _i: usize) -> [V; 2] {
        [V::load_bf16(block), V::load_bf16(block.add(32))]
    }
}

/// All that four bits can be.
static FOUR_BITS: [f32; LANES] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// The half-precision number at an address.
#[inline(always)]
unsafe fn half_at(at: *const u8) -> f32 {
    half(at.cast::<[u8; 2]>().read_unaligned())
}

impl Widen for Q8 {
    const BLOCK: usize = 32;
    const BLOCK_BYTES: usize = 34;
    type Scales = f32;

    #[inline(always)]
    unsafe fn scales<V: F32x16>(block: *const u8) -> f32 {
        half_at(block)
    }

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, scale: &f32, _i: usize) -> [V; 2] {
        let scale = V::splat(*scale);
        [scale.mul(V::load_i8(block.add(2))), scale.mul(V::load_i8(block.add(18)))]
    }
}

impl Widen for Q4 {
    const BLOCK: usize = 32;
    const BLOCK_BYTES: usize = 18;
    type Scales = f32;

    #[inline(always)]
    unsafe fn scales<V: F32x16>(block: *const u8) -> f32 {
        half_at(block)
    }

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, scale: &f32, _i: usize) -> [V; 2] {
        let (scale, offset, from) = (V::splat(*scale), V::splat(8.0), block.add(2));
        if V::LOOKUP {
            let table = scale.mul(V::load(FOUR_BITS.as_ptr()).sub(offset));
            return [table.lookup_nibbles(from, false), table.lookup_nibbles(from, true)];
        }
        let of = |upper| scale.mul(V::load_nibbles(from, upper).sub(offset));
        [of(false), of(true)]
    }
}

impl Widen for Q4K {
    const BLOCK: usize = 256;
    const BLOCK_BYTES: usize = 144;
    /// Of each part, and the offsets.
    type Scales = [[f32; 8]; 2];

    #[inline(always)]
    unsafe fn scales<V: F32x16>(block: *const u8) -> Self::Scales {
        let head = block.cast::<[u8; 16]>().read_unaligned();
        let [scales, offsets] = q4_k_integers(&head);
        // Left to the compiler, those of four rows are computed side by side and scattered.
        [
            V::multiples(scales, half([head[0], head[1]])),
            V::multiples(offsets, half([head[2], head[3]])),
        ]
    }

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, scales: &Self::Scales, i: usize) -> [V; 2] {
        let [scale, offset] = [scales[0][i], scales[1][i]];
        let from = block.add(16 + i / 2 * 32);
        let upper = i % 2 == 1;
        let (scale, offset) = (V::splat(scale), V::splat(offset));
        if V::LOOKUP {
            let table = scale.mul(V::load(FOUR_BITS.as_ptr())).sub(offset);
            return [table.lookup_nibbles(from, upper), table.lookup_nibbles(from.add(16), upper)];
        }
        let of = |at| scale.mul(V::load_nibbles(from.add(at), upper)).sub(offset);
        [of(0), of(16)]
    }
}

impl Widen for Q6K {
    const BLOCK: usize = 256;
    const BLOCK_BYTES: usize = 210;
    type Scales = [f32; 16];

    #[inline(always)]
    unsafe fn scales<V: F32x16>(block: *const u8) -> Self::Scales {
        let mut scales = [0.0; 16];
        let parts = V::splat(half_at(block.add(208))).mul(V::load_i8(block.add(192)));
        parts.store(scales.as_mut_ptr());
        scales
    }

    #[inline(always)]
    unsafe fn part<V: F32x16>(block: *const u8, scales: &Self::Scales, i: usize) -> [V; 2] {
        let (h, quarter) = (i / 4, i % 4);
        let (low, high) = (block.add(64 * h + 32 * (quarter % 2)), block.add(128 + 32 * h));
        let of = |k: usize| {
            let six = V::load_six_bits(low.add(16 * k), quarter >= 2, high.add(16 * k), quarter);
            V::splat(scales[2 * i + k]).mul(six.sub(V::splat(32.0)))
        };
        [of(0), of(1)]
    }
}

/// Rows of x up to which this is faster than by way of a buffer: where registers hold the sums of four.
fn most_rows(level: Level) -> usize {
    struct MostRows;

    impl Kernel for MostRows {
        type Output = usize;

        #[inline(always)]
        unsafe fn run<I: Isa>(self) -> usize {
            if rows_at_once::<I>() == 4 { 16 } else { 1 }
        }
    }

    // SAFETY: a constant asks for nothing.
    unsafe { level.dispatch(MostRows) }
}

/// The sums of rows of x, `cols` of `stride` numbers each, with [`TILE`] rows of a matrix that lie one after the other, from 0 on;
/// `sums` are (rows of x, TILE, LANES). False, and nothing is done, if another way is faster, or this is none for the format.
///
/// # Panics
/// If lengths do not fit together.
pub fn add_streamed(
    level: Level,
    format: Format,
    x: &[f32],
    [cols, stride]: [usize; 2],
    rows: &[u8],
    sums: &mut [f32],
) -> bool {
    let count = sums.len() / (TILE * LANES);
    if count > most_rows(level) || !cols.is_multiple_of(format.block().max(32)) {
        return false;
    }
    assert!(count > 0 && sums.len() == count * TILE * LANES);
    assert!((count - 1) * stride + cols <= x.len());
    assert_eq!(rows.len(), TILE * cols / format.block() * format.block_bytes());
    let job = Job { x, stride, cols, rows, sums };
    match format {
        Format::F32 if cfg!(target_endian = "little") => at::<F32>(level, job),
        Format::Bf16 => at::<Bf16>(level, job),
        Format::Q8_0 => at::<Q8>(level, job),
        Format::Q4_0 => at::<Q4>(level, job),
        Format::Q4K => at::<Q4K>(level, job),
        Format::Q6K => at::<Q6K>(level, job),
        Format::F32 | Format::F16 => return false,
    }
    true
}

/// Products to add, with lengths that fit together.
struct Job<'a> {
    x: &'a [f32],
    stride: usize,
    cols: usize,
    rows: &'a [u8],
    sums: &'a mut [f32],
}

fn at<W: Widen>(level: Level, job: Job<'_>) {
    // SAFETY: whoever makes a job asserts its lengths.
    unsafe { level.dispatch(Streamed::<W>(job, PhantomData)) };
}

/// A job with rows of one format.
struct Streamed<'a, W>(Job<'a>, PhantomData<W>);

impl<W: Widen> Kernel for Streamed<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(mut self) {
        let job = &mut self.0;
        let count = job.sums.len() / (TILE * LANES);
        let mut row = 0;
        while row < count {
            row += match (count - row).min(rows_at_once::<I>()) {
                4 => tile::<I::F32, W, 4>(job, row),
                3 => tile::<I::F32, W, 3>(job, row),
                2 => tile::<I::F32, W, 2>(job, row),
                _ => tile::<I::F32, W, 1>(job, row),
            };
        }
    }
}

/// R rows of x from `row` on; returns R.
#[inline(always)]
unsafe fn tile<V: F32x16, W: Widen, const R: usize>(job: &mut Job<'_>, row: usize) -> usize {
    let row_bytes = job.rows.len() / TILE;
    let parts = W::BLOCK / 32;
    let mut sums = [[V::splat(0.0); TILE]; R];
    for b in 0..job.cols / W::BLOCK {
        let mut blocks = [job.rows.as_ptr().add(b * W::BLOCK_BYTES); TILE];
        for (p, block) in blocks.iter_mut().enumerate() {
            *block = block.add(p * row_bytes);
        }
        let scales = blocks.map(|block| W::scales::<V>(block));
        for i in 0..parts {
            let first = job.x.as_ptr().add(row * job.stride + b * W::BLOCK + 32 * i);
            let mut x = [[V::splat(0.0); 2]; R];
            for (r, x) in x.iter_mut().enumerate() {
                let from = first.add(r * job.stride);
                *x = [V::load(from), V::load(from.add(LANES))];
            }
            for (p, (block, scales)) in blocks.iter().zip(&scales).enumerate() {
                if row == 0 {
                    // The same place of the next rows of the matrix.
                    prefetch_at(block.wrapping_add(job.rows.len() + i * (W::BLOCK_BYTES / parts)));
                }
                let numbers = W::part::<V>(*block, scales, i);
                for (sums, x) in sums.iter_mut().zip(x) {
                    sums[p] = sums[p].add(x[0].mul(numbers[0])).add(x[1].mul(numbers[1]));
                }
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (p, sum) in sums.into_iter().enumerate() {
            sum.store(job.sums.as_mut_ptr().add(((row + r) * TILE + p) * LANES));
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{add_products, tests::random};

    #[test]
    fn streamed_rows_have_the_bits_of_widened_ones() {
        use Format::*;
        for format in [F32, Bf16, Q8_0, Q4_0, Q4K, Q6K] {
            for count in [1, 2, 7] {
                let len = count * format.block().max(32);
                let row_bytes = len / format.block() * format.block_bytes();
                let mut rows: Vec<u8> =
                    random(TILE * row_bytes, 4).iter().map(|x| (x * 130.0) as i8 as u8).collect();
                // No scale or number is infinite, and none is no number.
                rows.iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 0xbf);
                let mut numbers = vec![0.0; TILE * len];
                format.numbers(Level::Scalar, &rows, &mut numbers);
                for level in Level::available() {
                    for batch in 1..=most_rows(level).min(9) {
                        let stride = len + 16;
                        let x = random(batch * stride, 5);
                        let mut expected = vec![0.0; batch * TILE * LANES];
                        add_products(Level::Scalar, &x, stride, &numbers, &mut expected);
                        assert!(expected.iter().all(|x| x.is_finite()), "{format:?}");
                        let mut found = vec![1.0; expected.len()];
                        assert!(add_streamed(level, format, &x, [len, stride], &rows, &mut found));
                        assert_eq!(found, expected, "{format:?} {level:?} {batch}");
                    }
                }
            }
        }
        let mut sums = [0.0; 64];
        let mut none = |format, len, bytes| {
            add_streamed(Level::Scalar, format, &[0.0; 32], [len, len], bytes, &mut sums)
        };
        assert!(!none(F16, 32, &[0; 256]));
        assert!(!none(Bf16, 8, &[0; 64]));
        assert!(!none(Q6K, 32, &[0; 64]));
    }
}
