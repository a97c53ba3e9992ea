//! Token mixers of recurrent models: what carries state from byte to byte.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

use super::{Level, gates, lanes::F32x16};

/// Most heads of a matrix state.
pub const MAX_HEADS: usize = 64;

impl Level {
    /// A gated vector state over rows of one stream. Each row of x, (R, 3, d), has candidates, update gates, output
    /// gates: `s += sigmoid(z) * (c - s)`; the candidates become `s * silu(g)`.
    pub fn min_gru(self, x: &mut [f32], state: &mut [f32]) {
        let d = state.len();
        assert!(d.is_multiple_of(16) && d > 0 && x.len().is_multiple_of(3 * d));
        let (rows, x, s) = (x.len() / (3 * d), x.as_mut_ptr(), state.as_mut_ptr());
        at_level!(
            self,
            [min_gru::<[f32; 16]>, min_gru::<[__m256; 2]>, min_gru::<__m512>],
            (x: *mut f32, s: *mut f32, rows: usize, d: usize)
        );
    }

    /// A short causal convolution over rows of one stream, then silu, in place on the first `c` numbers of each row of
    /// x, (R, width): `x = silu(w_0 x[t-3] + w_1 x[t-2] + w_2 x[t-1] + w_3 x[t])`. `weights` is (4, c), `state`, (3, c), the
    /// last inputs, oldest first.
    pub fn convolve(self, x: &mut [f32], width: usize, weights: &[f32], state: &mut [f32]) {
        let c = weights.len() / 4;
        assert!(c.is_multiple_of(16) && c <= width && x.len().is_multiple_of(width));
        assert_eq!((weights.len(), state.len()), (4 * c, 3 * c));
        let (rows, x, state) = (x.len() / width, x.as_mut_ptr(), state.as_mut_ptr());
        let weights = weights.as_ptr();
        at_level!(
            self,
            [convolve::<[f32; 16]>, convolve::<[__m256; 2]>, convolve::<__m512>],
            (x: *mut f32, rows: usize, width: usize, weights: *const f32, state: *mut f32, c: usize)
        );
    }

    /// Bench form of linear attention; delta: gated delta rule. x: rows of q | k | v | gate | a, beta raw (16 each).
    pub fn linear_attention(self, x: &mut [f32], shape: Heads, delta: bool, norm: &[f32], state: &mut [f32]) {
        let Heads { heads, dk, dv } = shape;
        let width = shape.width();
        assert!(heads <= MAX_HEADS && dk.is_multiple_of(16) && dv.is_multiple_of(16));
        assert!(x.len().is_multiple_of(width) && state.len() == heads * dk * dv && norm.len() == dv);
        let (rows, x, state, norm) = (x.len() / width, x.as_mut_ptr(), state.as_mut_ptr(), norm.as_ptr());
        at_level!(
            self,
            [attention::<[f32; 16]>, attention::<[__m256; 2]>, attention::<__m512>],
            (x: *mut f32, rows: usize, shape: Heads, delta: bool, norm: *const f32, state: *mut f32)
        );
    }
}

/// Heads of a matrix state.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub heads: usize,
    pub dk: usize,
    pub dv: usize,
}

impl Heads {
    pub fn width(self) -> usize {
        let Self { heads, dk, dv } = self;
        2 * heads * dk + 2 * heads * dv + 2 * heads.next_multiple_of(16)
    }
}

#[inline(always)]
unsafe fn min_gru<V: F32x16>(x: *mut f32, s: *mut f32, rows: usize, d: usize) {
    for r in 0..rows {
        let x = x.add(r * 3 * d);
        for i in (0..d).step_by(16) {
            let (c, z, g) =
                (V::load(x.add(i)), V::load(x.add(d + i)), V::load(x.add(2 * d + i)));
            let old = V::load(s.add(i));
            let new = old.add_product(gates::sigmoid(z), c.sub(old));
            new.store(s.add(i));
            new.mul(gates::silu(g)).store(x.add(i));
        }
    }
}

#[inline(always)]
unsafe fn convolve<V: F32x16>(
    x: *mut f32,
    rows: usize,
    width: usize,
    weights: *const f32,
    state: *mut f32,
    c: usize,
) {
    for i in (0..c).step_by(16) {
        let w = [0, 1, 2, 3].map(|t| V::load(weights.add(t * c + i)));
        let [mut a, mut b, mut d] = [0, 1, 2].map(|t| V::load(state.add(t * c + i)));
        for r in 0..rows {
            let x = x.add(r * width + i);
            let now = V::load(x);
            let sum = w[0].mul(a).add_product(w[1], b).add_product(w[2], d).add_product(w[3], now);
            gates::silu(sum).store(x);
            (a, b, d) = (b, d, now);
        }
        a.store(state.add(i));
        b.store(state.add(c + i));
        d.store(state.add(2 * c + i));
    }
}

#[inline(always)]
unsafe fn attention<V: F32x16>(
    x: *mut f32,
    rows: usize,
    shape: Heads,
    delta: bool,
    norm: *const f32,
    state: *mut f32,
) {
    let Heads { heads, dk, dv } = shape;
    let width = shape.width();
    let padded = heads.next_multiple_of(16);
    for r in 0..rows {
        let x = x.add(r * width);
        let (q, k, v) = (x, x.add(heads * dk), x.add(2 * heads * dk));
        let gate = v.add(heads * dv);
        let a = gate.add(heads * dv);
        let beta = a.add(padded);
        for i in (0..padded).step_by(16) {
            gates::sigmoid(V::load(a.add(i))).store(a.add(i));
            gates::sigmoid(V::load(beta.add(i))).store(beta.add(i));
        }
        // Dot products of each head: q q, k k, q k.
        let mut dots = [[0.0f32; MAX_HEADS]; 3];
        for h in 0..heads {
            let mut sums = [V::splat(0.0); 3];
            for i in (0..dk).step_by(16) {
                let (q, k) = (V::load(q.add(h * dk + i)), V::load(k.add(h * dk + i)));
                sums[0] = sums[0].add_product(q, q);
                sums[1] = sums[1].add_product(k, k);
                sums[2] = sums[2].add_product(q, k);
            }
            for (dots, sum) in dots.iter_mut().zip(sums) {
                dots[h] = sum.sum();
            }
        }
        if delta {
            for h in (0..padded).step_by(16) {
                for dots in &mut dots[..2] {
                    let s = V::load(dots.as_ptr().add(h)).add(V::splat(1e-6)).sqrt();
                    V::splat(1.0).div(s).store(dots.as_mut_ptr().add(h));
                }
            }
        }
        for h in 0..heads {
            let head = Head {
                q: q.add(h * dk),
                k: k.add(h * dk),
                v: v.add(h * dv),
                qn: if delta { dots[0][h] } else { 1.0 },
                kn: if delta { dots[1][h] } else { 1.0 },
                qk: dots[2][h],
                a: *a.add(h),
                beta: *beta.add(h),
                dk,
                dv,
            };
            let state = state.add(h * dk * dv);
            let mut i = 0;
            while i < dv {
                if i + 32 <= dv {
                    step::<V, 2>(&head, state.add(i), i, delta);
                    i += 32;
                } else {
                    step::<V, 1>(&head, state.add(i), i, delta);
                    i += 16;
                }
            }
        }
        let mut norms = [0.0f32; MAX_HEADS];
        for h in 0..heads {
            let mut sum = V::splat(0.0);
            for i in (0..dv).step_by(16) {
                let o = V::load(v.add(h * dv + i));
                sum = sum.add_product(o, o);
            }
            norms[h] = sum.sum();
        }
        for h in (0..padded).step_by(16) {
            let mean = V::load(norms.as_ptr().add(h)).mul(V::splat(1.0 / dv as f32));
            let s = mean.add(V::splat(1e-5)).sqrt();
            V::splat(1.0).div(s).store(norms.as_mut_ptr().add(h));
        }
        for h in 0..heads {
            let scale = V::splat(norms[h]);
            for i in (0..dv).step_by(16) {
                let at = h * dv + i;
                let o = V::load(v.add(at)).mul(scale).mul(V::load(norm.add(i)));
                o.mul(gates::silu(V::load(gate.add(at)))).store(v.add(at));
            }
        }
    }
}

struct Head {
    q: *const f32,
    k: *const f32,
    v: *mut f32,
    qn: f32,
    kn: f32,
    qk: f32,
    a: f32,
    beta: f32,
    dk: usize,
    dv: usize,
}

/// P vectors of values. Both sums of two chains: even and odd k.
#[inline(always)]
unsafe fn step<V: F32x16, const P: usize>(head: &Head, state: *mut f32, at: usize, delta: bool) {
    let zero = V::splat(0.0);
    let (mut p, mut o) = ([[zero; 2]; P], [[zero; 2]; P]);
    for i in (0..head.dk).step_by(2) {
        for e in 0..2 {
            let (q, k) = (V::splat(*head.q.add(i + e)), V::splat(*head.k.add(i + e)));
            for c in 0..P {
                let s = V::load(state.add((i + e) * head.dv + 16 * c));
                if delta {
                    p[c][e] = p[c][e].add_product(s, k);
                }
                o[c][e] = o[c][e].add_product(s, q);
            }
        }
    }
    // Of normalised q and k: factors behind the sums.
    let a = V::splat(head.a);
    let mut u = [zero; P];
    for c in 0..P {
        let v = V::load(head.v.add(at + 16 * c));
        u[c] = v;
        if delta {
            let p = p[c][0].add(p[c][1]).mul(V::splat(head.kn * head.a));
            u[c] = v.sub(p).mul(V::splat(head.beta));
        }
        let o = o[c][0].add(o[c][1]).mul(V::splat(head.qn * head.a));
        let o = o.add_product(u[c], V::splat(head.qk * head.qn * head.kn));
        o.store(head.v.add(at + 16 * c));
        u[c] = u[c].mul(V::splat(head.kn));
    }
    for i in 0..head.dk {
        let k = V::splat(*head.k.add(i));
        for (c, u) in u.iter().enumerate() {
            let s = state.add(i * head.dv + 16 * c);
            V::load(s).mul(a).add_product(k, *u).store(s);
        }
    }
}
