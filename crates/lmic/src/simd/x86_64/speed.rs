//! Products per second of the instructions alone, everything in registers.

use std::{
    arch::{asm, x86_64::*},
    hint::black_box,
};

use super::{Avx2, Avx512, AvxVnni};
use crate::simd::{
    Level,
    isa::{Dot, F32x16, Isa},
    speed::seconds,
};

/// Multiply-adds per second of f32, i8 and i16; 0 where it isn't measured.
pub fn peak(level: Level) -> [f64; 3] {
    match level {
        Level::Avx2 => [f32_avx2(), i8_avx2(), i16_avx2()],
        Level::AvxVnni => [f32_avx2(), i8_avx_vnni(), i16_avx_vnni()],
        Level::Avx512 => [f32_avx512(), i8_avx512(), i16_avx512()],
        _ => [0.0; 3],
    }
}

const STEPS: usize = 1 << 12;

/// Registers that the compiler can't see through: so it computes each product anew.
trait Opaque {
    /// # Safety
    /// As the instructions of the level.
    unsafe fn hide(&mut self);
}

impl<const N: usize> Opaque for [__m256i; N] {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn hide(&mut self) {
        for x in self {
            // SAFETY: no instruction.
            unsafe {
                asm!("/* {0} */", inout(ymm_reg) * x, options(nomem, nostack, preserves_flags))
            };
        }
    }
}

impl Opaque for __m512i {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn hide(&mut self) {
        // SAFETY: no instruction.
        unsafe {
            asm!("/* {0} */", inout(zmm_reg) * self, options(nomem, nostack, preserves_flags))
        };
    }
}

macro_rules! peak_of_dot {
    ($name:ident, $dot:ty, $sums:literal, $features:literal, $per_dot:literal) => {
        fn $name() -> f64 {
            #[target_feature(enable = $features)]
            unsafe fn run(bytes: &[u8; 64]) {
                // SAFETY: the caller has checked the CPU; 64 bytes are what each load reads.
                unsafe {
                    let a = <$dot>::activation(bytes.as_ptr());
                    let mut w = <$dot>::weights(bytes.as_ptr().cast());
                    let mut sums = [<$dot>::zero(); $sums];
                    for _ in 0..STEPS {
                        for sum in &mut sums {
                            w.hide();
                            *sum = <$dot>::dot(*sum, a, w);
                        }
                    }
                    for sum in sums {
                        let mut out = [0; 16];
                        <$dot>::store(sum, out.as_mut_ptr());
                        black_box(out);
                    }
                }
            }
            // SAFETY: called for a level that this CPU has.
            let time = seconds(|| unsafe { run(black_box(&[3; 64])) });
            (STEPS * $sums * $per_dot) as f64 / time
        }
    };
}

peak_of_dot!(i8_avx2, <Avx2 as Isa>::DotI8, 4, "avx2,fma", 64);
peak_of_dot!(i16_avx2, <Avx2 as Isa>::DotI16, 6, "avx2,fma", 32);
peak_of_dot!(i8_avx_vnni, <AvxVnni as Isa>::DotU8, 6, "avxvnni,avx2,fma", 64);
peak_of_dot!(i16_avx_vnni, <AvxVnni as Isa>::DotI16, 6, "avxvnni,avx2,fma", 32);
peak_of_dot!(i8_avx512, <Avx512 as Isa>::DotI8, 16, "avx512f,avx512bw,avx512vl,avx512vnni", 64);
peak_of_dot!(i16_avx512, <Avx512 as Isa>::DotI16, 16, "avx512f,avx512bw,avx512vl,avx512vnni", 32);

macro_rules! peak_of_f32 {
    ($name:ident, $vector:ty, $sums:literal, $features:literal) => {
        fn $name() -> f64 {
            #[target_feature(enable = $features)]
            unsafe fn run(x: &[f32; 16]) {
                // SAFETY: the caller has checked the CPU; 16 floats are what each load reads.
                unsafe {
                    let a = <$vector>::load(x.as_ptr());
                    let mut sums = [a; $sums];
                    for _ in 0..STEPS {
                        for sum in &mut sums {
                            *sum = sum.add_product(a, a);
                        }
                    }
                    for sum in sums {
                        let mut out = [0.0; 16];
                        sum.store(out.as_mut_ptr());
                        black_box(out);
                    }
                }
            }
            // SAFETY: called for a level that this CPU has.
            let time = seconds(|| unsafe { run(black_box(&[0.5; 16])) });
            (STEPS * $sums * 16) as f64 / time
        }
    };
}

peak_of_f32!(f32_avx2, [__m256; 2], 6, "avx2,fma");
peak_of_f32!(f32_avx512, __m512, 16, "avx512f");
