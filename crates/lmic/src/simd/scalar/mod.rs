//! The scalar twins: what every level must compute, in plain Rust. These are the definition of the bits.

mod dot;
mod f32x16;
mod fused;
pub mod rows;

pub use self::f32x16::fold_lanes;
use super::isa::{Isa, Kernel};

/// Plain Rust.
pub struct Scalar;

impl Isa for Scalar {
    type F32 = [f32; 16];
    type DotI8 = dot::I8;
    type DotU8 = dot::U8;
    type DotI16 = dot::I16;
    type DotRounded = dot::U8;

    #[inline(always)]
    unsafe fn store_rounded(x: [f32; 16], to: *mut u8) {
        // SAFETY: the caller gives 16 bytes.
        unsafe { to.cast::<[u8; 16]>().write(x.map(|x| x.to_bits() as u8 ^ 128)) };
    }

    #[inline(always)]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: every CPU has it; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
