//! Products of 8-bit weights with activations rounded to 8 bits, from floats to floats: what recurrent models
//! are made of.
//!
//! Activations are bytes plus 128, because x86 multiplies unsigned bytes with signed ones; what the 128 add to a sum is known
//! beforehand. AVX2 adds two products up in 16 bits, which is why weights have at most 63: 255 * 63 * 2 = 32130. It widens sums
//! less often where weights are small, in groups of steps: packing finds out how many steps can't leave the 16 bits.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

use std::marker::PhantomData;

use super::{
    Level,
    aligned::Aligned,
    gemm_i8::pack,
    isa::{DotRounded, F32x16, Isa, Kernel},
    prefetch_at,
    rounded::Rounded,
    tiles::{self, Tiles},
};

/// Largest magnitude of a weight.
pub const MOST_WEIGHT: i8 = 63;

/// Most steps of a group.
const MOST_STEPS: usize = 16; // tunable

/// A matrix of `n` outputs by `k` inputs, packed; `weight = integer * scale of its row`.
pub struct Linear {
    level: Level,
    n: usize,
    k: usize,
    data: Aligned<i8>, // (n / 16, k / 4, 16, 4)
    groups: Vec<u8>, // (n / 16): steps whose sums of the first and of the last two inputs fit into 16 bits
    offsets: Vec<i32>, // (n): -128 * the sum of an output's weights
    scales: Vec<f32>, // (n)
}

impl Linear {
    /// Packs `rows`, (n, k), of weights in -63..=63, with their scales, (n).
    ///
    /// # Panics
    /// If n or k isn't a multiple of 16, k is above 65536 (sums might not fit), `rows` has another length than
    /// `n * k` or weights out of range.
    pub fn new(level: Level, rows: &[i8], scales: Vec<f32>, k: usize) -> Self {
        let n = scales.len();
        assert!(n.is_multiple_of(16) && k.is_multiple_of(16) && k <= 1 << 16, "{n} x {k}");
        let fits = rows.iter().all(|w| (-MOST_WEIGHT..=MOST_WEIGHT).contains(w));
        assert!(rows.len() == n * k && fits, "weights out of range");
        let sum = |row: &[i8]| row.iter().map(|&w| i32::from(w)).sum::<i32>();
        let offsets = rows.chunks_exact(k.max(1)).map(|row| -128 * sum(row)).collect();
        let groups = rows.chunks_exact((16 * k).max(1)).map(|panel| group(panel, k)).collect();
        Self { level, n, k, data: pack::<4>(n, k, rows), groups, offsets, scales }
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// A scale for each output.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// What was packed, (n, k).
    pub fn unpack(&self) -> Vec<i8> {
        let mut rows = vec![0; self.n * self.k];
        let panels = self.data.chunks_exact((16 * self.k).max(1));
        for (rows, panel) in rows.chunks_exact_mut((16 * self.k).max(1)).zip(panels) {
            for (step, outputs) in panel.chunks_exact(64).enumerate() {
                for (output, weights) in outputs.as_chunks::<4>().0.iter().enumerate() {
                    rows[output * self.k + 4 * step..][..4].copy_from_slice(weights);
                }
            }
        }
        rows
    }

    /// `out = x * w^T`, or `out += x * w^T` if `added`: x is (R, k), out is (R, n). With the exact integer sum, each
    /// is `f32(sum) * (row_scale * scale)`, or `out + f32(sum) * (row_scale * scale)`, rounded after each operation.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn apply(&self, x: &Rounded, added: bool, out: &mut [f32]) {
        let rows = x.scales.len();
        assert_eq!((x.k, out.len()), (self.k, rows * self.n), "{rows} rows");
        let job = Job { matrix: self, x, added, out: out.as_mut_ptr() };
        // SAFETY: the lengths were asserted; n and k are whole panels and steps.
        unsafe { self.level.dispatch(job) };
    }
}

/// How many steps a group of these rows may have: the largest power of two for which, whatever the activations are, none of its
/// sums leaves 16 bits.
fn group(rows: &[i8], k: usize) -> u8 {
    // Sums of the positive and of the negative weights of two inputs, for each pair of pairs.
    type Halves = [[i16; 2]; 2];
    let fits = |sums: &[i16; 2]| {
        let [up, down] = sums.map(i32::from);
        // Activations are 1 to 255.
        (255 * up - down).max(255 * down - up) <= i32::from(i16::MAX)
    };
    let mut group = MOST_STEPS;
    let mut sums: Vec<Halves> = Vec::with_capacity(k / 4);
    for row in rows.chunks_exact(k.max(1)) {
        sums.clear();
        sums.extend(row.as_chunks::<4>().0.iter().map(|w| {
            [[w[0], w[1]], [w[2], w[3]]].map(|pair| {
                let part = |sign: i16| pair.iter().map(|&w| (sign * i16::from(w)).max(0)).sum();
                [part(1), part(-1)]
            })
        }));
        let mut steps = 1;
        while steps < group {
            // To twice as many steps a group; the last may have fewer.
            for i in 0..sums.len().div_ceil(2) {
                let next = sums.get(2 * i + 1).copied().unwrap_or_default();
                sums[i] = sums[2 * i];
                for (sum, next) in sums[i].as_flattened_mut().iter_mut().zip(next.as_flattened()) {
                    *sum += next;
                }
            }
            sums.truncate(sums.len().div_ceil(2));
            if !sums.as_flattened().iter().all(fits) {
                group = steps;
            }
            steps *= 2;
        }
    }
    group as u8
}

/// [`Linear::apply`], by pointers.
struct Job<'a> {
    matrix: &'a Linear,
    x: &'a Rounded,
    added: bool,
    out: *mut f32, // (rows, n)
}

impl Kernel for Job<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        tiles::run(&Product::<I::DotRounded> { job: self, registers: PhantomData });
    }
}

/// A job in registers of D.
struct Product<'a, D> {
    job: Job<'a>,
    registers: PhantomData<D>,
}

impl<D: DotRounded> Tiles for Product<'_, D> {
    const REGISTERS: usize = D::REGISTERS;
    const ROWS: usize = D::ROWS;

    #[inline(always)]
    fn rows(&self) -> usize {
        self.job.x.scales.len()
    }

    #[inline(always)]
    fn panels(&self) -> usize {
        self.job.matrix.n / 16
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const P: usize>(&self, panel: usize, row: usize) {
        let matrix = self.job.matrix;
        let of_panels = matrix.groups[panel..panel + P].iter();
        let group = match D::SHORT {
            true => of_panels.fold(MOST_STEPS, |least, &group| least.min(group.into())),
            // Few sums of 32 bits would wait for each other; those of another group don't.
            false if R * P * D::VECTORS <= 4 => 4,
            false => matrix.k / 4,
        };
        // In functions of their own these get better registers.
        match group {
            1 => self.steps_alone::<R, P>(panel, row),
            _ => self.steps_in_groups::<R, P>(panel, row, group),
        }
    }
}

impl<D: DotRounded> Product<'_, D> {
    /// Where a tile's activations and weights are.
    #[inline(always)]
    unsafe fn operands(&self, panel: usize, row: usize) -> (*const u8, *const i8) {
        let Job { matrix, x, .. } = self.job;
        let k = matrix.k;
        (x.data.as_ptr().add(row * k), matrix.data.as_ptr().add(panel * 16 * k))
    }

    /// Sums of a tile before the first step.
    #[inline(always)]
    unsafe fn start<const R: usize, const P: usize>(&self, panel: usize) -> [[D::Sum; P]; R] {
        let offsets = self.job.matrix.offsets.as_ptr().add(panel * 16);
        let mut sums = [D::start(offsets); P];
        for (p, sum) in sums.iter_mut().enumerate().skip(1) {
            *sum = D::start(offsets.add(p * 16));
        }
        [sums; R]
    }

    /// A tile whose every step is a group.
    #[inline(always)]
    unsafe fn steps_alone<const R: usize, const P: usize>(&self, panel: usize, row: usize) {
        let k = self.job.matrix.k;
        let (x, w) = self.operands(panel, row);
        let mut sums = self.start::<R, P>(panel);
        for step in 0..k / 4 {
            let weights = weights::<D, P>(k, w.add(step * 64));
            for (r, sums) in sums.iter_mut().enumerate() {
                let a = D::activation(x.add(r * k + step * 4));
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = D::add(*sum, D::first(a, weights));
                }
            }
        }
        self.put(panel, row, sums);
    }

    /// A tile in groups of some steps.
    #[inline(always)]
    unsafe fn steps_in_groups<const R: usize, const P: usize>(
        &self,
        panel: usize,
        row: usize,
        group: usize,
    ) {
        let k = self.job.matrix.k;
        let (x, w) = self.operands(panel, row);
        let mut sums = self.start::<R, P>(panel);
        // Large networks come from afar each time: weights of the next tile are asked for during this one.
        let ahead = row == 0 && D::REGISTERS >= 16;
        for from in (0..k / 4).step_by(group) {
            let to = (from + group).min(k / 4);
            for line in if ahead { from * P..to * P } else { 0..0 } {
                prefetch_at(w.wrapping_add(P * 16 * k + line * 64));
            }
            let mut parts = first::<D, R, P>(k, x.add(from * 4), w.add(from * 64));
            for step in from + 1..to {
                let weights = weights::<D, P>(k, w.add(step * 64));
                for (r, parts) in parts.iter_mut().enumerate() {
                    let a = D::activation(x.add(r * k + step * 4));
                    for (part, &weights) in parts.iter_mut().zip(&weights) {
                        *part = D::dot(*part, a, weights);
                    }
                }
            }
            for (sum, &part) in sums.as_flattened_mut().iter_mut().zip(parts.as_flattened()) {
                *sum = D::add(*sum, part);
            }
        }
        self.put(panel, row, sums);
    }

    /// Sums to floats, times scales.
    #[inline(always)]
    unsafe fn put<const R: usize, const P: usize>(
        &self,
        panel: usize,
        row: usize,
        sums: [[D::Sum; P]; R],
    ) {
        let Job { matrix, x, added, out } = self.job;
        for p in 0..P {
            let column = (panel + p) * 16;
            let column_scales = D::Floats::load(matrix.scales.as_ptr().add(column));
            for (r, sums) in sums.iter().enumerate() {
                let scale = D::Floats::splat(*x.scales.as_ptr().add(row + r)).mul(column_scales);
                let out = out.add((row + r) * matrix.n + column);
                let y = D::floats(sums[p]).mul(scale);
                match added {
                    true => D::Floats::load(out).add(y).store(out),
                    false => y.store(out),
                }
            }
        }
    }
}

/// Weights of one step for P panels.
#[inline(always)]
unsafe fn weights<D: DotRounded, const P: usize>(k: usize, w: *const i8) -> [D::Weights; P] {
    let mut weights = [D::weights(w); P];
    for (p, weights) in weights.iter_mut().enumerate().skip(1) {
        *weights = D::weights(w.add(p * 16 * k));
    }
    weights
}

/// The first step of a group.
#[inline(always)]
unsafe fn first<D: DotRounded, const R: usize, const P: usize>(
    k: usize,
    x: *const u8,
    w: *const i8,
) -> [[D::Part; P]; R] {
    let weights = weights::<D, P>(k, w);
    let mut parts = [[D::first(D::activation(x), weights[0]); P]; R];
    for (r, parts) in parts.iter_mut().enumerate() {
        let a = D::activation(x.add(r * k));
        for (part, &weights) in parts.iter_mut().zip(&weights) {
            *part = D::first(a, weights);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{
        rounded::tests::integers,
        tests::{random, random_f32},
    };

    #[test]
    fn products_are_exact_sums_times_both_scales() {
        for (n, k) in [(16, 16), (48, 32), (80, 208), (208, 528)] {
            let scales: Vec<f32> = random_f32(n, 4);
            for (rows, most) in
                [0, 1, 2, 5, 8, 16, 23].into_iter().flat_map(|r| [63, 31, 15, 3].map(|m| (r, m)))
            {
                let clamp = |x: i16| (x >> 8).clamp(-most, most) as i8;
                let w: Vec<i8> = random(n * k, 3).into_iter().map(clamp).collect();
                let (x, before) = (random_f32(rows * k, 5), random_f32(rows * n, 6));
                for level in Level::available() {
                    let linear = Linear::new(level, &w, scales.clone(), k);
                    let mut rounded = Rounded::default();
                    rounded.round(level, &x, k);
                    let (mut set, mut added) = (before.clone(), before.clone());
                    linear.apply(&rounded, false, &mut set);
                    linear.apply(&rounded, true, &mut added);
                    let (x, row_scales) = integers(&rounded);
                    for i in 0..rows * n {
                        let (r, j) = (i / n, i % n);
                        let products = x[r * k..][..k].iter().zip(&w[j * k..][..k]);
                        let sum: i32 = products.map(|(&x, &w)| x * i32::from(w)).sum();
                        let scale = row_scales[r] * scales[j];
                        assert_eq!(set[i], sum as f32 * scale, "{level:?}");
                        assert_eq!(added[i], before[i] + sum as f32 * scale, "{level:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_sums_are_exact() {
        let (n, k) = (16, 256);
        for most in [1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63] {
            // All of one sign, halves that change, and signs that change in groups.
            for pattern in 0..10 {
                let w: Vec<i8> = (0..n * k)
                    .map(|i| if pattern < 9 && i >> pattern & 1 == 1 { -most } else { most })
                    .collect();
                let linear = Linear::new(Level::Scalar, &w, vec![1.0; n], k);
                let group = usize::from(linear.groups[0]);
                assert!(
                    group == MOST_STEPS || pattern < 9 || 510 * most as usize * 2 * group > 32767
                );
                for sign in [1, -1] {
                    let signed = |i: usize| if w[i] >= 0 { 127 * sign } else { -127 * sign };
                    let rows: [Vec<i8>; 3] = [
                        (0..k).map(signed).collect(),
                        vec![127 * sign; k],
                        (0..k).map(|i| if i % 4 < 2 { 127 * sign } else { -127 * sign }).collect(),
                    ];
                    let mut x = Rounded::default();
                    let bytes = x.integers(3, k, 1.0);
                    bytes
                        .iter_mut()
                        .zip(rows.concat())
                        .for_each(|(to, a)| *to = a.cast_unsigned() ^ 128);
                    let expected = rows.iter().flat_map(|x| {
                        let sum = move |row: &[i8]| {
                            row.iter()
                                .zip(x)
                                .map(|(&w, &x)| i32::from(w) * i32::from(x))
                                .sum::<i32>()
                        };
                        w.chunks(k).map(move |row| sum(row) as f32)
                    });
                    let expected: Vec<f32> = expected.collect();
                    for level in Level::available() {
                        let linear = Linear::new(level, &w, vec![1.0; n], k);
                        let mut y = vec![0.0; 3 * n];
                        linear.apply(&x, false, &mut y);
                        assert_eq!(y, expected, "{level:?}, {most}, {pattern}");
                    }
                }
            }
        }
    }
}
