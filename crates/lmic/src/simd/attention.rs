//! Attention of the query heads that share one key/value head, over a window of positions, as two matrix
//! products with the caches of [`super::cache`] and a softmax between them. What lies outside the window
//! contributes exactly nothing, and how many heads or positions are computed at once changes no bit.

use super::{
    Level,
    cache::{KeyCacheF32, KeyCacheI8, ValueCacheF32, ValueCacheI8},
    elementwise::{ROUND, exp, max, sum},
    gemm_f32, gemm_i8,
    gemm_i8::stride,
    quantize::SMALLEST,
};

/// Memory for [`Level::attend_i8`] and [`Level::attend_f32`], kept from call to call.
#[derive(Default)]
pub struct Scratch {
    q: Vec<i8>,         // (rows, group, head_dim up to a multiple of 4)
    q_scales: Vec<f32>, // (rows, group)
    dots: Vec<i32>,     // (rows, group, positions)
    scores: Vec<f32>,   // (rows, group, positions); in 8 bits one head at a time
    bytes: Vec<u8>,     // (rows, group, 2, positions): upper and lower bytes of the weights
    factors: Vec<f32>,  // (rows, group); in f32 one row at a time
    sums: Vec<i32>,     // (rows, group, 2, head_dim up to a multiple of 16)
}

/// Positions that the queries of one call look at: row r sees those before `len + r`, at most `window` of them.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Positions that the first row sees, but for the window.
    pub len: usize,
    /// Consecutive positions that ask.
    pub rows: usize,
    /// Most positions that a row sees.
    pub window: usize,
}

impl Span {
    /// The blocks that all rows touch, `held` positions being there.
    fn windows(self, held: usize) -> Windows {
        let Self { len, rows, window } = self;
        let last = len + rows - 1;
        assert!(rows > 0 && window > 0 && 0 < len && last <= held, "{self:?} of {held} positions");
        let first = len.saturating_sub(window) / 16 * 16;
        Windows { span: self, first, padded: last.next_multiple_of(16) - first }
    }
}

/// The blocks of 16 positions that a span touches.
#[derive(Clone, Copy)]
struct Windows {
    span: Span,
    first: usize,
    padded: usize, // positions
}

impl Windows {
    fn row(self, r: usize) -> Window {
        let len = self.span.len + r;
        let Self { first, padded, .. } = self;
        Window { start: len.saturating_sub(self.span.window), len, first, padded }
    }
}

/// What one row sees of the blocks.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    len: usize,
    first: usize,
    padded: usize,
}

impl Window {
    /// Scores outside the window become negative infinity: their exponentials are 0.
    #[inline(always)]
    fn mask(self, scores: &mut [f32]) {
        scores[..self.start - self.first].fill(f32::NEG_INFINITY);
        scores[self.len - self.first..].fill(f32::NEG_INFINITY);
    }
}

/// `1 / sqrt(head_dim)`.
fn softmax_scale(head_dim: usize) -> f32 {
    1.0 / (head_dim as f32).sqrt()
}

impl Level {
    /// Attention in 8 bits: `q` is (rows, group, head_dim), `out` the same. How many rows come at once changes no bit.
    ///
    /// For each head: q becomes integers as [`Level::quantize_i8`]. With `dot` the integer product of q and
    /// the key of position p, `s[p] = dot * ((q_scale * (1 / sqrt(head_dim))) * k_scale[p])`; m their maximum;
    /// `e[p] = exp(s[p] - m)`; Z the sum of e, position p in lane `p % 16`. `w[p] = e[p] * v_scale[p]`, t their
    /// maximum, `u[p] = w[p] * (65535 / t)` rounded to the nearest integer, ties to even. The exact integer sums
    /// of `u[p] * v[p][d]`, each rounded to f32, times `(t / 65535) / Z` are the output; if t is below 2^-100,
    /// it is 0.
    ///
    /// # Panics
    /// If the span is empty or not held by both caches, or the lengths aren't whole heads for each row.
    pub fn attend_i8(
        self,
        q: &[f32],
        keys: &KeyCacheI8,
        values: &ValueCacheI8,
        span: Span,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let windows = span.windows(keys.len().min(values.len()));
        assert!(q.len() == out.len() && q.len().is_multiple_of(span.rows * keys.head_dim()));
        assert_eq!(keys.head_dim(), values.head_dim());
        self.dots_i8(q, keys, windows, scratch);
        self.weights_i8(keys, values, windows, scratch);
        self.sums_i8(values, windows, scratch, out);
    }

    /// Integer products of all heads with all keys of the window.
    fn dots_i8(self, q: &[f32], keys: &KeyCacheI8, window: Windows, scratch: &mut Scratch) {
        let head_dim = keys.head_dim();
        let (group, stride) = (q.len() / head_dim, stride(head_dim));
        scratch.q.resize(group * stride, 0);
        scratch.q_scales.resize(group, 0.0);
        self.quantize_i8(q, head_dim, &mut scratch.q, &mut scratch.q_scales);
        scratch.dots.resize(group * window.padded, 0);
        let job = gemm_i8::Job {
            x: scratch.q.as_ptr().cast(),
            x_stride: stride,
            rows: group,
            w: keys.data[window.first * stride..][..window.padded * stride].as_ptr(),
            panel_stride: 16 * stride,
            step_stride: 64,
            steps: stride / 4,
            offsets: keys.offsets[window.first..][..window.padded].as_ptr(),
            y: scratch.dots.as_mut_ptr(),
            y_stride: window.padded,
            n: window.padded,
        };
        // SAFETY: the slices above are as long as the job says, the buffers were resized to it.
        unsafe { self.dispatch(gemm_i8::Products(&job, gemm_i8::OfI8)) };
    }

    /// From products to 16-bit weights and what their sums are to be multiplied with.
    fn weights_i8(
        self,
        keys: &KeyCacheI8,
        values: &ValueCacheI8,
        window: Windows,
        scratch: &mut Scratch,
    ) {
        let Scratch { q_scales, dots, scores, bytes, factors, .. } = scratch;
        let (group, n) = (q_scales.len(), window.padded);
        scores.resize(n, 0.0);
        bytes.resize(group * 2 * n, 0);
        factors.resize(group, 0.0);
        let key_scales = &keys.scales[window.first..][..n];
        let value_scales = &values.scales[window.first..][..n];
        let scale = softmax_scale(keys.head_dim());
        let heads = dots.chunks_exact(n).zip(bytes.chunks_exact_mut(2 * n));
        let heads = factors.iter_mut().zip(q_scales).zip(heads).enumerate();
        for (i, ((factor, q_scale), (dots, bytes))) in heads {
            let window = window.row(i * window.span.rows / group);
            let head = Head { dots, scale: *q_scale * scale, key_scales, value_scales, window };
            let (head, scores): (&Head, &mut [f32]) = (&head, scores);
            *factor = vectorize!(
                self, weights, (head: &Head, scores: &mut [f32], bytes: &mut [u8]) -> f32
            );
        }
    }

    /// Weighted sums of the values.
    fn sums_i8(
        self,
        values: &ValueCacheI8,
        window: Windows,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let Scratch { bytes, factors, sums, .. } = scratch;
        let head_dim = values.head_dim();
        let width = head_dim.next_multiple_of(16);
        sums.resize(factors.len() * 2 * width, 0);
        let job = gemm_i8::Job {
            x: bytes.as_ptr(),
            x_stride: window.padded,
            rows: 2 * factors.len(),
            w: values.data[window.first * width..][..window.padded * width].as_ptr(),
            panel_stride: 64,
            step_stride: 4 * width,
            steps: window.padded / 4,
            offsets: std::ptr::null(),
            y: sums.as_mut_ptr(),
            y_stride: width,
            n: width,
        };
        // SAFETY: the slices above are as long as the job says, the buffers were resized to it.
        unsafe { self.dispatch(gemm_i8::Products(&job, gemm_i8::OfU8)) };
        let heads = sums.chunks_exact(2 * width).zip(out.chunks_exact_mut(head_dim));
        for (&factor, (sums, out)) in factors.iter().zip(heads) {
            vectorize!(self, combine, (sums: &[i32], factor: f32, out: &mut [f32]));
        }
    }

    /// Attention in strict f32: `q` is (rows, group, head_dim), `out` the same. How many rows come at once changes no bit.
    ///
    /// For each head: `s[p]`, one chain of fused multiply-adds over the head's elements in ascending order from 0,
    /// times `1 / sqrt(head_dim)`; m their maximum; `e[p] = exp(s[p] - m)`; Z the sum of e, position p in
    /// lane `p % 16`; `out[d]`, one chain over the positions in ascending order from 0, times `1 / Z`.
    ///
    /// # Panics
    /// If the span is empty or not held by both caches, or the lengths aren't whole heads for each row.
    pub fn attend_f32(
        self,
        q: &[f32],
        keys: &KeyCacheF32,
        values: &ValueCacheF32,
        span: Span,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let windows = span.windows(keys.len().min(values.len()));
        let head_dim = keys.head_dim();
        assert!(q.len() == out.len() && q.len().is_multiple_of(span.rows * head_dim));
        assert_eq!(head_dim, values.head_dim());
        let Scratch { scores, factors, .. } = scratch;
        let (heads, n) = (q.len() / head_dim, windows.padded);
        scores.resize(heads * n, 0.0);
        let job = gemm_f32::Job {
            x: q.as_ptr(),
            x_stride: head_dim,
            rows: heads,
            w: keys.data[windows.first * head_dim..][..n * head_dim].as_ptr(),
            panel_stride: 16 * head_dim,
            step_stride: 16,
            steps: head_dim,
            y: scores.as_mut_ptr(),
            y_stride: n,
            n,
        };
        // SAFETY: the slices above are as long as the job says, the buffers were resized to it.
        unsafe { self.run_f32(&job) };
        let rows = scores.chunks_exact_mut(heads / span.rows * n);
        let rows = rows.zip(out.chunks_exact_mut(q.len() / span.rows));
        for (r, (scores, out)) in rows.enumerate() {
            self.sums_f32(scores, values, windows.row(r), factors, out);
        }
    }

    /// From scores, (group, window), to the output of one row. A chain must not go on past the row's last position:
    /// even a product with 0 may change the sign of a zero.
    fn sums_f32(
        self,
        scores: &mut [f32],
        values: &ValueCacheF32,
        window: Window,
        factors: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let (n, head_dim) = (window.padded, values.head_dim());
        let scale = softmax_scale(head_dim);
        factors.clear();
        for scores in scores.chunks_exact_mut(n) {
            factors.push(vectorize!(
                self, softmax_f32, (scores: &mut [f32], scale: f32, window: Window) -> f32
            ));
        }
        let width = head_dim.next_multiple_of(16);
        let live = window.len - window.start;
        let job = gemm_f32::Job {
            x: scores[window.start - window.first..].as_ptr(),
            x_stride: n,
            rows: scores.len() / n,
            w: values.data[window.start * width..][..live * width].as_ptr(),
            panel_stride: 16,
            step_stride: width,
            steps: live,
            y: out.as_mut_ptr(),
            y_stride: head_dim,
            n: head_dim,
        };
        // SAFETY: the slices above are as long as the job says, `out` has a head for each row of scores.
        unsafe { self.run_f32(&job) };
        for (&factor, out) in factors.iter().zip(out.chunks_exact_mut(head_dim)) {
            for out in out {
                *out *= factor;
            }
        }
    }
}

/// One query head and the scales of the window.
struct Head<'a> {
    dots: &'a [i32],
    scale: f32,
    key_scales: &'a [f32],
    value_scales: &'a [f32],
    window: Window,
}

/// The softmax of [`Level::attend_i8`]: writes the weights' upper bytes, then their lower bytes.
#[inline(always)]
fn weights(head: &Head, scores: &mut [f32], bytes: &mut [u8]) -> f32 {
    for ((score, &dot), &scale) in scores.iter_mut().zip(head.dots).zip(head.key_scales) {
        *score = dot as f32 * (head.scale * scale);
    }
    head.window.mask(scores);
    let m = max(scores);
    for score in &mut *scores {
        *score = exp(*score - m);
    }
    let z = sum(scores);
    for (weight, &scale) in scores.iter_mut().zip(head.value_scales) {
        *weight *= scale;
    }
    let top = max(scores);
    if top < SMALLEST {
        bytes.fill(0);
        return 0.0;
    }
    let factor = 65535.0 / top;
    let (upper, lower) = bytes.split_at_mut(scores.len());
    for ((&weight, upper), lower) in scores.iter().zip(upper).zip(lower) {
        // At most 65535 * (1 + 2^-22), which rounds to 65535.
        let bits = (weight * factor + ROUND).to_bits();
        (*upper, *lower) = ((bits >> 8) as u8, bits as u8);
    }
    (top / 65535.0) / z
}

/// Sums of upper bytes and of lower bytes, each (width), to numbers. Below 2^53 all are exact in f64.
#[inline(always)]
fn combine(sums: &[i32], factor: f32, out: &mut [f32]) {
    let (upper, lower) = sums.split_at(sums.len() / 2);
    for ((out, &upper), &lower) in out.iter_mut().zip(upper).zip(lower) {
        *out = (f64::from(upper) * 256.0 + f64::from(lower)) as f32 * factor;
    }
}

/// Scores to exponentials; returns `1 / Z`.
#[inline(always)]
fn softmax_f32(scores: &mut [f32], scale: f32, window: Window) -> f32 {
    for score in &mut *scores {
        *score *= scale;
    }
    window.mask(scores);
    let m = max(scores);
    for score in &mut *scores {
        *score = exp(*score - m);
    }
    1.0 / sum(scores)
}

/// Seconds of the three parts of [`Level::attend_i8`] over all positions, for [`super::speed`].
#[cfg(test)]
pub(super) fn parts(
    level: Level,
    q: &[f32],
    keys: &KeyCacheI8,
    values: &ValueCacheI8,
    scratch: &mut Scratch,
    out: &mut [f32],
) -> [f64; 3] {
    use super::speed::seconds;
    let window = Span { len: keys.len(), rows: 1, window: usize::MAX }.windows(keys.len());
    [
        seconds(|| level.dots_i8(q, keys, window, scratch)),
        seconds(|| level.weights_i8(keys, values, window, scratch)),
        seconds(|| level.sums_i8(values, window, scratch, out)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{elementwise::sum, tests::random_f32};

    /// A head's keys and values, (positions, head_dim), in caches and as they are.
    struct Held {
        keys: Vec<f32>,
        values: Vec<f32>,
        k8: KeyCacheI8,
        v8: ValueCacheI8,
        k32: KeyCacheF32,
        v32: ValueCacheF32,
    }

    fn hold(level: Level, head_dim: usize, len: usize) -> Held {
        let (keys, mut values) = (random_f32(len * head_dim, 1), random_f32(len * head_dim, 2));
        values[..head_dim].fill(0.0);
        let (mut k8, mut v8) = (KeyCacheI8::new(head_dim, len), ValueCacheI8::new(head_dim, len));
        let (mut k32, mut v32) =
            (KeyCacheF32::new(head_dim, len), ValueCacheF32::new(head_dim, len));
        // What was held before a reset must not show.
        for _ in 0..2 {
            k8.push(level, &vec![-9.0; head_dim]);
            v8.push(level, &vec![9.0; head_dim]);
            k32.push(&vec![9.0; head_dim]);
            v32.push(&vec![9.0; head_dim]);
            k8.reset();
            v8.reset();
            k32.reset();
            v32.reset();
        }
        for (key, value) in keys.chunks(head_dim).zip(values.chunks(head_dim)) {
            k8.push(level, key);
            v8.push(level, value);
            k32.push(key);
            v32.push(value);
        }
        Held { keys, values, k8, v8, k32, v32 }
    }

    fn quantized(x: &[f32]) -> (Vec<i64>, f32) {
        let m = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        if m == 0.0 {
            return (vec![0; x.len()], 0.0);
        }
        let numbers = x.iter().map(|x| (x * (127.0 / m)).round_ties_even() as i64);
        (numbers.collect(), m / 127.0)
    }

    fn softmax(s: &[f32], start: usize) -> (Vec<f32>, f32) {
        let m = s.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f32> = s.iter().map(|s| exp(s - m)).collect();
        let mut lanes = [0.0; 16];
        e.iter().enumerate().for_each(|(p, e)| lanes[(p + start) % 16] += e);
        (e, sum(&lanes))
    }

    /// The formulas of [`Level::attend_i8`], the long way, for one head.
    fn naive_i8(q: &[f32], held: &Held, start: usize, len: usize) -> Vec<f32> {
        let hd = q.len();
        let (q, q_scale) = quantized(q);
        let rows = |x: &[f32]| -> Vec<(Vec<i64>, f32)> {
            x.chunks(hd).take(len).skip(start).map(quantized).collect()
        };
        let (keys, values) = (rows(&held.keys), rows(&held.values));
        let score = |(k, k_scale): &(Vec<i64>, f32)| {
            let dot: i64 = q.iter().zip(k).map(|(q, k)| q * k).sum();
            dot as f32 * ((q_scale * (1.0 / (hd as f32).sqrt())) * k_scale)
        };
        let s: Vec<f32> = keys.iter().map(score).collect();
        let (e, z) = softmax(&s, start);
        let w: Vec<f32> = e.iter().zip(&values).map(|(e, (_, scale))| e * scale).collect();
        let top = w.iter().copied().fold(0.0, f32::max);
        if top == 0.0 {
            return vec![0.0; hd];
        }
        let u: Vec<i64> =
            w.iter().map(|w| (w * (65535.0 / top)).round_ties_even() as i64).collect();
        (0..hd)
            .map(|d| {
                let sum: i64 = u.iter().zip(&values).map(|(u, (v, _))| u * v[d]).sum();
                sum as f32 * ((top / 65535.0) / z)
            })
            .collect()
    }

    /// The formulas of [`Level::attend_f32`], the long way, for one head.
    fn naive_f32(q: &[f32], held: &Held, start: usize, len: usize) -> Vec<f32> {
        let hd = q.len();
        let window = |x: &'_ [f32]| x[start * hd..len * hd].to_vec();
        let (keys, values) = (window(&held.keys), window(&held.values));
        let chain = |k: &[f32]| q.iter().zip(k).fold(0.0f32, |sum, (q, k)| q.mul_add(*k, sum));
        let s: Vec<f32> = keys.chunks(hd).map(|k| chain(k) * (1.0 / (hd as f32).sqrt())).collect();
        let (e, z) = softmax(&s, start);
        let sum = |d: usize| {
            e.iter().zip(values.chunks(hd)).fold(0.0f32, |sum, (e, v)| e.mul_add(v[d], sum))
        };
        (0..hd).map(|d| sum(d) * (1.0 / z)).collect()
    }

    #[test]
    fn every_level_gives_the_bits_of_the_formulas() {
        let mut scratch = Scratch::default();
        for head_dim in [16, 32, 64, 20, 5] {
            for level in Level::available() {
                let held = hold(level, head_dim, 70);
                for len in 1..=70 {
                    let starts = [0, 1, 3, 15, 16, 17, 37, len - 1];
                    for start in starts.into_iter().filter(|&start| start < len) {
                        let group = 1 + len % 5;
                        let rows = 1 + (len / 5 % 9).min(70 - len);
                        let span = Span { len, rows, window: len - start };
                        let q = random_f32(rows * group * head_dim, len as u64);
                        let mut out = vec![f32::NAN; q.len()];
                        level.attend_i8(&q, &held.k8, &held.v8, span, &mut scratch, &mut out);
                        let heads = || {
                            let rows = q.chunks(group * head_dim).enumerate();
                            rows.flat_map(|(r, q)| q.chunks(head_dim).map(move |q| (r, q)))
                        };
                        let expected: Vec<f32> = heads()
                            .flat_map(|(r, q)| naive_i8(q, &held, start + r, len + r))
                            .collect();
                        assert_eq!(out, expected, "i8 {level:?} {head_dim} {start}..{len}");
                        level.attend_f32(&q, &held.k32, &held.v32, span, &mut scratch, &mut out);
                        let expected: Vec<f32> = heads()
                            .flat_map(|(r, q)| naive_f32(q, &held, start + r, len + r))
                            .collect();
                        assert_eq!(out, expected, "f32 {level:?} {head_dim} {start}..{len}");
                    }
                }
            }
        }
    }

    #[test]
    fn eight_bits_are_close_to_exact_attention() {
        let (head_dim, len) = (32, 500);
        let level = Level::detect();
        let held = hold(level, head_dim, len);
        let q: Vec<f32> = random_f32(head_dim, 77).iter().map(|x| x / 4.0).collect();
        let score = |k: &[f32]| -> f64 {
            let dot: f64 = q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            dot / (head_dim as f64).sqrt()
        };
        let e: Vec<f64> = held.keys.chunks(head_dim).map(|k| score(k).exp()).collect();
        let z: f64 = e.iter().sum();
        let exact = |d: usize| -> f64 {
            let rows = held.values.chunks(head_dim);
            e.iter().zip(rows).map(|(e, v)| e / z * f64::from(v[d])).sum()
        };
        let mut scratch = Scratch::default();
        let span = Span { len, rows: 1, window: len };
        let (mut i8_out, mut f32_out) = ([0.0; 32], [0.0; 32]);
        level.attend_i8(&q, &held.k8, &held.v8, span, &mut scratch, &mut i8_out);
        level.attend_f32(&q, &held.k32, &held.v32, span, &mut scratch, &mut f32_out);
        let distance = |out: &[f32]| -> f64 {
            out.iter().enumerate().map(|(d, &x)| (f64::from(x) - exact(d)).powi(2)).sum()
        };
        let norm: f64 = (0..head_dim).map(|d| exact(d).powi(2)).sum();
        let (i8_error, f32_error) =
            ((distance(&i8_out) / norm).sqrt(), (distance(&f32_out) / norm).sqrt());
        println!("relative errors: i8 {i8_error:.5}, f32 {f32_error:.1e}");
        assert!(i8_error < 0.03 && f32_error < 1e-5, "{i8_error} {f32_error}");
    }
}
