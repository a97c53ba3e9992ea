//! The token mixer of recurrent models: a gated vector state, and what becomes of logits.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "one contract for all: the CPU, and lengths that callers have asserted"
)]

use super::{
    Level, gates,
    isa::{F32x16, Isa, Kernel},
};

/// A recurrence over rows of one stream, by pointers.
struct Recur {
    x: *const f32,
    y: *mut f32,
    rows: usize,
    s: usize,
    bias: *const f32,
    state: *mut f32,
}

impl Level {
    /// Goes through rows of one stream. Each row of x, (R, 3, S), has candidates c, gates z, output gates g; y is (R, S), bias
    /// and state are (S).
    ///
    /// `s = (s - c) * sigmoid(z + bias) + c` and `y = s * (g * sigmoid(g))`. All is rounded after each operation, and a product
    /// with a sigmoid is a division.
    ///
    /// # Panics
    /// If S isn't a multiple of 16, above 0, or the lengths don't fit together.
    pub fn recur(self, bias: &[f32], x: &[f32], state: &mut [f32], y: &mut [f32]) {
        let s = bias.len();
        let rows = y.len() / s;
        assert!(s.is_multiple_of(16) && y.len().is_multiple_of(s));
        assert_eq!((x.len(), state.len()), (rows * 3 * s, s));
        let job = Recur {
            x: x.as_ptr(),
            y: y.as_mut_ptr(),
            rows,
            s,
            bias: bias.as_ptr(),
            state: state.as_mut_ptr(),
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

impl Kernel for Recur {
    type Output = ();

    #[inline(always)]
    unsafe fn run<I: Isa>(self) {
        let Self { s, .. } = self;
        for i in (0..s).step_by(16) {
            let bias = I::F32::load(self.bias.add(i));
            let mut state = I::F32::load(self.state.add(i));
            for r in 0..self.rows {
                let x = self.x.add(r * 3 * s + i);
                let (c, z) = (I::F32::load(x), I::F32::load(x.add(s)));
                state = gates::gated(state.sub(c), z.add(bias)).add(c);
                let y = state.mul(gates::silu(I::F32::load(x.add(2 * s))));
                y.store(self.y.add(r * s + i));
            }
            state.store(self.state.add(i));
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
