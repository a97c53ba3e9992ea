//! The token mixer of recurrent models: a gated vector state, and what becomes of logits.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

use std::ptr;

use super::{
    Level, gates,
    isa::{F32x16, Isa, Kernel},
};

/// Inputs of the convolution that a stream keeps: its width less one.
pub const KEPT: usize = 3;

/// What a mixer has learned besides its matrices. S is the width of the state.
pub struct Recurrence {
    /// Added to the gates that keep, (S).
    pub bias: Vec<f32>,
    /// A causal convolution over candidates and gates that keep: (KEPT + 1, 2 S), the oldest input first.
    pub convolution: Option<Vec<f32>>,
}

impl Recurrence {
    /// Numbers that a stream keeps: the state, (S), then the last inputs of the convolution, (KEPT, 2 S), the oldest first.
    pub fn kept(&self) -> usize {
        self.bias.len() * if self.convolution.is_some() { 1 + 2 * KEPT } else { 1 }
    }
}

/// A recurrence over rows of one stream, by pointers; that to the convolution is null without one.
struct Recur {
    x: *const f32,
    y: *mut f32,
    rows: usize,
    s: usize,
    bias: *const f32,
    convolution: *const f32,
    kept: *mut f32,
}

impl Level {
    /// Goes through rows of one stream. Each row of x, (R, 3, S), has candidates c, gates z, output gates g; y is (R, S).
    ///
    /// With a convolution, c and z are each first replaced by `w0 x[t-3] + w1 x[t-2] + w2 x[t-1] + w3 x[t]`, each channel with its own
    /// weights, summed in this order. Then `s = (s - c) * sigmoid(z + bias) + c` and `y = s * (g * sigmoid(g))`. All is rounded after
    /// each operation, and a product with a sigmoid is a division.
    ///
    /// # Panics
    /// If S isn't a multiple of 16, above 0, or the lengths don't fit together.
    pub fn recur(self, mixer: &Recurrence, x: &[f32], kept: &mut [f32], y: &mut [f32]) {
        let s = mixer.bias.len();
        let rows = y.len() / s;
        assert!(s.is_multiple_of(16) && y.len().is_multiple_of(s));
        assert_eq!((x.len(), kept.len()), (rows * 3 * s, mixer.kept()));
        let convolution = mixer.convolution.as_deref();
        assert!(convolution.is_none_or(|weights| weights.len() == (KEPT + 1) * 2 * s));
        let job = Recur {
            x: x.as_ptr(),
            y: y.as_mut_ptr(),
            rows,
            s,
            bias: mixer.bias.as_ptr(),
            convolution: convolution.map_or(ptr::null(), <[f32]>::as_ptr),
            kept: kept.as_mut_ptr(),
        };
        // SAFETY: the lengths were asserted.
        unsafe { self.dispatch(job) };
    }

    /// Logits of each row, (R, n), to weights in proportion to their probabilities, in place: `e^-(m - x)` with m the
    /// largest of the row, of at most 80 (also for NaN) as in `gates`.
    ///
    /// # Panics
    /// If n isn't a multiple of 16, above 0, or x isn't whole rows.
    pub fn weigh(self, x: &mut [f32], n: usize) {
        assert!(n.is_multiple_of(16) && x.len().is_multiple_of(n));
        // SAFETY: the lengths were asserted.
        unsafe { self.dispatch(Weigh { x: x.as_mut_ptr(), rows: x.len() / n, n }) };
    }
}

/// The last inputs of 16 channels.
struct Inputs<V> {
    weights: [V; KEPT + 1],
    last: [V; KEPT],
}

impl<V: F32x16> Inputs<V> {
    /// `from` points to the channels' oldest input, `weights` to their first weight; others are `width` apart.
    #[inline(always)]
    unsafe fn load(weights: *const f32, from: *const f32, width: usize) -> Self {
        Self {
            weights: [0, 1, 2, 3].map(|t| V::load(weights.add(t * width))),
            last: [0, 1, 2].map(|t| V::load(from.add(t * width))),
        }
    }

    #[inline(always)]
    unsafe fn next(&mut self, x: V) -> V {
        let ([w0, w1, w2, w3], [a, b, c]) = (self.weights, self.last);
        self.last = [b, c, x];
        w0.mul(a).add(w1.mul(b)).add(w2.mul(c)).add(w3.mul(x))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, width: usize) {
        for (t, last) in self.last.into_iter().enumerate() {
            last.store(to.add(t * width));
        }
    }
}

impl Kernel for Recur {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        match self.convolution.is_null() {
            true => recur::<I::F32, false>(&self),
            false => recur::<I::F32, true>(&self),
        }
    }
}

#[inline(always)]
unsafe fn recur<V: F32x16, const CONVOLUTION: bool>(job: &Recur) {
    let Recur { s, .. } = *job;
    for i in (0..s).step_by(16) {
        let bias = V::load(job.bias.add(i));
        let mut state = V::load(job.kept.add(i));
        let last = job.kept.add(s);
        let inputs = |channel: usize| {
            Inputs::<V>::load(job.convolution.add(channel), last.add(channel), 2 * s)
        };
        let mut both = if CONVOLUTION { Some((inputs(i), inputs(s + i))) } else { None };
        for r in 0..job.rows {
            let x = job.x.add(r * 3 * s + i);
            let (mut c, mut z) = (V::load(x), V::load(x.add(s)));
            if let Some((of_c, of_z)) = &mut both {
                (c, z) = (of_c.next(c), of_z.next(z));
            }
            state = gates::gated(state.sub(c), z.add(bias)).add(c);
            let y = state.mul(gates::silu(V::load(x.add(2 * s))));
            y.store(job.y.add(r * s + i));
        }
        state.store(job.kept.add(i));
        if let Some((of_c, of_z)) = both {
            of_c.store(last.add(i), 2 * s);
            of_z.store(last.add(s + i), 2 * s);
        }
    }
}

/// [`Level::weigh`], by pointers.
struct Weigh {
    x: *mut f32,
    rows: usize,
    n: usize,
}

impl Kernel for Weigh {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        let Self { x, rows, n } = self;
        for r in 0..rows {
            let x = x.add(r * n);
            let mut m = I::F32::splat(f32::NEG_INFINITY);
            for i in (0..n).step_by(16) {
                m = m.larger(I::F32::load(x.add(i)));
            }
            let m = I::F32::splat(m.largest());
            for i in (0..n).step_by(16) {
                let below = I::F32::splat(gates::LIMIT).smaller(m.sub(I::F32::load(x.add(i))));
                gates::exp_of_minus(below).store(x.add(i));
            }
        }
    }
}
