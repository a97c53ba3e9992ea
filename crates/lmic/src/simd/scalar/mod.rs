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
    type DotRounded = dot::I16;

    const ROUNDED_BYTES: usize = 2;

    #[inline(always)]
    unsafe fn store_rounded(x: [f32; 16], to: *mut u8) {
        // SAFETY: the caller gives 32 bytes.
        unsafe { to.cast::<[i16; 16]>().write_unaligned(x.map(|x| x.to_bits() as i16)) };
    }

    #[inline(always)]
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: every CPU has it; the rest is the caller's.
        unsafe { kernel.run::<Self>() }
    }
}
