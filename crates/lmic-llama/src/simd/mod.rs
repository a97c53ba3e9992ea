//! Kernels for what the CPU has: the only `unsafe` beside the mapping of files.
//!
//! Every kernel has the same bits at every level. A sum along k runs in 16 virtual lanes, element i in lane `i % 16`, product and
//! sum rounded one after the other (no fused multiply-add: scalar CPUs would have to imitate it, and where weights come from memory
//! it is no faster); then the lanes add up as a tree, the upper half onto the lower. So rows of a matrix are read as they lie in
//! the file, and neither level, number of rows nor threads can change a bit.

#![allow(unsafe_code, reason = "this module is where vector instructions are called")]
#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and pointers to 16 numbers"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

use lmic::exact::Level;

/// Runs one portable body, which the compiler vectorises, compiled for a level.
macro_rules! at_level {
    ($level:expr, $body:path, ($($arg:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $type),*) { $body($($arg),*) }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
        fn avx512($($arg: $type),*) { $body($($arg),*) }
        match $level {
            Level::Scalar => $body($($arg),*),
            // SAFETY: a level exists only where the CPU has what it stands for.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512($($arg),*) },
        }
    }};
}
mod activation;
mod format;

pub use activation::{gelu_mul, soft_cap};
pub use format::Format;

mod stream;

pub use stream::add_streamed;

/// Lanes of a sum.
pub const LANES: usize = 16;

/// Rows of the matrix that are multiplied together.
pub const TILE: usize = 4;

/// Sixteen sums in registers.
///
/// # Safety
/// All functions need a CPU with the instructions of their level, and pointers to 16 numbers.
trait Sums: Copy {
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self + a * b`, each rounded.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// Sixteen 8-bit integers.
    unsafe fn of_i8(from: *const u8) -> Self;
    /// Eight bytes as multiples of `unit`.
    unsafe fn of_eight(bytes: [u8; 8], unit: f32) -> [f32; 8];
    /// Sixteen upper halves of f32.
    unsafe fn of_bf16(from: *const u8) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// Of sixteen bytes the lower or the upper four bits.
    unsafe fn of_nibbles(from: *const u8, upper: bool) -> Self;
    /// Of sixteen bytes, what `self` has at the place that the lower or the upper four bits say.
    unsafe fn at_nibbles(self, from: *const u8, upper: bool) -> Self;
    /// Whether [`Sums::at_nibbles`] is quicker than to work out the same from [`Sums::of_nibbles`].
    const TABLES: bool;
    /// The same, and above them two bits of sixteen other bytes, of which the lower `2 * pair` are passed over.
    unsafe fn of_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self;
}

impl Sums for [f32; LANES] {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        from.cast::<Self>().read_unaligned()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<Self>().write_unaligned(self);
    }

    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
        self
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        self.iter_mut().zip(other).for_each(|(a, b)| *a *= b);
        self
    }

    #[inline(always)]
    unsafe fn of_i8(from: *const u8) -> Self {
        from.cast::<[i8; LANES]>().read_unaligned().map(f32::from)
    }

    #[inline(always)]
    unsafe fn of_eight(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        bytes.map(|byte| unit * f32::from(byte))
    }

    #[inline(always)]
    unsafe fn of_bf16(from: *const u8) -> Self {
        let halves = from.cast::<[[u8; 2]; LANES]>().read_unaligned();
        halves.map(|half| f32::from_bits(u32::from(u16::from_le_bytes(half)) << 16))
    }

    #[inline(always)]
    unsafe fn sub(mut self, other: Self) -> Self {
        self.iter_mut().zip(other).for_each(|(a, b)| *a -= b);
        self
    }

    #[inline(always)]
    unsafe fn of_nibbles(from: *const u8, upper: bool) -> Self {
        let bytes = from.cast::<[u8; LANES]>().read_unaligned();
        bytes.map(|byte| f32::from(if upper { byte >> 4 } else { byte & 15 }))
    }

    #[inline(always)]
    unsafe fn at_nibbles(self, from: *const u8, upper: bool) -> Self {
        let bytes = from.cast::<[u8; LANES]>().read_unaligned();
        bytes.map(|byte| self[usize::from(if upper { byte >> 4 } else { byte & 15 })])
    }

    const TABLES: bool = false;

    #[inline(always)]
    unsafe fn of_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
        let mut numbers = Self::of_nibbles(low, upper);
        let high = high.cast::<[u8; LANES]>().read_unaligned();
        for (number, high) in numbers.iter_mut().zip(high) {
            *number += f32::from((high >> (2 * pair) & 3) << 4);
        }
        numbers
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Sums;
    use std::arch::x86_64::*;

    /// Sixteen bytes of four bits.
    #[inline(always)]
    unsafe fn nibbles(from: *const u8, upper: bool) -> __m128i {
        let bytes = _mm_loadu_si128(from.cast());
        let bytes = if upper { _mm_srli_epi16::<4>(bytes) } else { bytes };
        _mm_and_si128(bytes, _mm_set1_epi8(15))
    }

    /// Sixteen bytes of six bits.
    #[inline(always)]
    unsafe fn six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> __m128i {
        let high = _mm_loadu_si128(high.cast());
        // The two bits come to places 4 and 5.
        let high = match pair {
            0 => _mm_slli_epi16::<4>(high),
            1 => _mm_slli_epi16::<2>(high),
            2 => high,
            _ => _mm_srli_epi16::<2>(high),
        };
        _mm_or_si128(nibbles(low, upper), _mm_and_si128(high, _mm_set1_epi8(48)))
    }

    /// Eight bytes as multiples of `unit`.
    #[inline(always)]
    unsafe fn eight(bytes: [u8; 8], unit: f32) -> [f32; 8] {
        let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(bytes));
        let numbers = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
        let mut out = [0.0; 8];
        _mm256_storeu_ps(out.as_mut_ptr(), _mm256_mul_ps(_mm256_set1_ps(unit), numbers));
        out
    }

    /// Sixteen small bytes.
    #[inline(always)]
    unsafe fn halves_of(bytes: __m128i) -> [__m256; 2] {
        [bytes, _mm_srli_si128::<8>(bytes)]
            .map(|half| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(half)))
    }

    impl Sums for [__m256; 2] {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self[0]);
            _mm256_storeu_ps(to.add(8), self[1]);
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            [
                _mm256_add_ps(self[0], _mm256_mul_ps(a[0], b[0])),
                _mm256_add_ps(self[1], _mm256_mul_ps(a[1], b[1])),
            ]
        }

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            [_mm256_set1_ps(x); 2]
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn of_i8(from: *const u8) -> Self {
            let half = |at: usize| {
                let bytes = _mm_loadl_epi64(from.add(at).cast());
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
            };
            [half(0), half(8)]
        }

        #[inline(always)]
        unsafe fn of_eight(bytes: [u8; 8], unit: f32) -> [f32; 8] {
            eight(bytes, unit)
        }

        #[inline(always)]
        unsafe fn of_bf16(from: *const u8) -> Self {
            let half = |at: usize| {
                let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(at).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words))
            };
            [half(0), half(16)]
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn of_nibbles(from: *const u8, upper: bool) -> Self {
            halves_of(nibbles(from, upper))
        }

        #[inline(always)]
        unsafe fn at_nibbles(self, from: *const u8, upper: bool) -> Self {
            let bytes = nibbles(from, upper);
            [bytes, _mm_srli_si128::<8>(bytes)].map(|half| {
                let places = _mm256_cvtepu8_epi32(half);
                // The fourth bit, as the sign, says in which half of the table.
                let upper = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(places));
                let [a, b] = self.map(|half| _mm256_permutevar8x32_ps(half, places));
                _mm256_blendv_ps(a, b, upper)
            })
        }

        const TABLES: bool = false;

        #[inline(always)]
        unsafe fn of_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
            halves_of(six_bits(low, upper, high, pair))
        }
    }

    impl Sums for __m512 {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm512_loadu_ps(from)
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self);
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm512_add_ps(self, _mm512_mul_ps(a, b))
        }

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            _mm512_set1_ps(x)
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            _mm512_mul_ps(self, other)
        }

        #[inline(always)]
        unsafe fn of_i8(from: *const u8) -> Self {
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))
        }

        #[inline(always)]
        unsafe fn of_eight(bytes: [u8; 8], unit: f32) -> [f32; 8] {
            eight(bytes, unit)
        }

        #[inline(always)]
        unsafe fn of_bf16(from: *const u8) -> Self {
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            _mm512_sub_ps(self, other)
        }

        #[inline(always)]
        unsafe fn of_nibbles(from: *const u8, upper: bool) -> Self {
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(nibbles(from, upper)))
        }

        #[inline(always)]
        unsafe fn at_nibbles(self, from: *const u8, upper: bool) -> Self {
            let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
            // The permutation looks at the lowest four bits.
            let places = if upper { _mm512_srli_epi32::<4>(bytes) } else { bytes };
            _mm512_permutexvar_ps(places, self)
        }

        const TABLES: bool = true;

        #[inline(always)]
        unsafe fn of_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self {
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(six_bits(low, upper, high, pair)))
        }
    }
}

/// Products to add: x is (rows, stride) of which k columns count, w is (TILE, k), sums (rows, TILE, LANES). k is a multiple of LANES.
struct Job<'a> {
    x: &'a [f32],
    stride: usize,
    w: &'a [f32],
    k: usize,
    sums: &'a mut [f32],
}

/// Adds the products of x, rows of `stride` numbers of which those of `w`'s columns count, with the [`TILE`] rows of `w` to `sums`,
/// (rows of x, TILE, LANES).
///
/// # Panics
/// If lengths do not fit together, or the columns are no multiple of [`LANES`].
pub fn add_products(level: Level, x: &[f32], stride: usize, w: &[f32], sums: &mut [f32]) {
    let (k, rows) = (w.len() / TILE, sums.len() / (TILE * LANES));
    assert!(k.is_multiple_of(LANES) && w.len() == k * TILE && sums.len() == rows * TILE * LANES);
    assert!(rows == 0 || (rows - 1) * stride + k <= x.len());
    let mut job = Job { x, stride, w, k, sums };
    match level {
        // SAFETY: lengths were asserted.
        Level::Scalar => unsafe { run::<[f32; LANES], 1>(&mut job) },
        // SAFETY: a level exists only where the CPU has what it stands for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { run_avx2(&mut job) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { run_avx512(&mut job) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(job: &mut Job<'_>) {
    run::<[__m256; 2], 1>(job);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn run_avx512(job: &mut Job<'_>) {
    run::<__m512, 4>(job);
}

/// R rows at a time while there are so many, then one by one.
#[inline(always)]
unsafe fn run<V: Sums, const R: usize>(job: &mut Job<'_>) {
    let rows = job.sums.len() / (TILE * LANES);
    let mut row = 0;
    while row < rows {
        if rows - row >= R {
            tile::<V, R>(job, row);
            row += R;
        } else {
            tile::<V, 1>(job, row);
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile<V: Sums, const R: usize>(job: &mut Job<'_>, row: usize) {
    let x = job.x.as_ptr().add(row * job.stride);
    let w = job.w.as_ptr();
    let out = job.sums.as_mut_ptr().add(row * TILE * LANES);
    let mut sums = [[V::load(out); TILE]; R];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (p, sum) in sums.iter_mut().enumerate() {
            *sum = V::load(out.add((r * TILE + p) * LANES));
        }
    }
    for i in (0..job.k).step_by(LANES) {
        let mut weights = [V::load(w.add(i)); TILE];
        for (p, weights) in weights.iter_mut().enumerate() {
            *weights = V::load(w.add(p * job.k + i));
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = V::load(x.add(r * job.stride + i));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = sum.add_product(x, weights);
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (p, sum) in sums.into_iter().enumerate() {
            sum.store(out.add((r * TILE + p) * LANES));
        }
    }
}

/// Sixteen lanes to one number: the upper half onto the lower, 8, 4, 2, 1.
pub fn fold(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    for half in [8, 4, 2, 1] {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
    }
    lanes[0]
}

/// `out += weights[p] * values[p]` for ascending p, of values (positions, out).
///
/// # Panics
/// If lengths do not fit together.
pub fn add_weighted(level: Level, weights: &[f32], values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), weights.len() * out.len());
    #[inline(always)]
    fn body(weights: &[f32], values: &[f32], out: &mut [f32]) {
        for (weight, value) in weights.iter().zip(values.chunks_exact(out.len())) {
            for (out, value) in out.iter_mut().zip(value) {
                *out += weight * value;
            }
        }
    }
    at_level!(level, body, (weights: &[f32], values: &[f32], out: &mut [f32]));
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 40) as f32 / 8388608.0 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_level_and_number_of_rows_gives_the_bits_of_the_formula() {
        for (rows, k, stride) in [(1, 16, 16), (3, 48, 50), (4, 32, 32), (9, 64, 70)] {
            let (x, w) = (random(rows * stride, 1), random(TILE * k, 2));
            let mut expected = random(rows * TILE * LANES, 3);
            for r in 0..rows {
                for p in 0..TILE {
                    for i in 0..k {
                        expected[(r * TILE + p) * LANES + i % LANES] +=
                            x[r * stride + i] * w[p * k + i];
                    }
                }
            }
            for level in Level::available() {
                let mut sums = random(rows * TILE * LANES, 3);
                add_products(level, &x, stride, &w, &mut sums);
                assert_eq!(sums, expected, "{level:?}");
            }
        }
    }

    #[test]
    fn every_level_adds_weighted_values_in_order() {
        let (weights, values) = (random(7, 1), random(7 * 20, 2));
        let mut expected = vec![0.0; 20];
        for p in 0..7 {
            for d in 0..20 {
                expected[d] += weights[p] * values[p * 20 + d];
            }
        }
        for level in Level::available() {
            let mut out = vec![0.0; 20];
            add_weighted(level, &weights, &values, &mut out);
            assert_eq!(out, expected);
        }
    }
}
