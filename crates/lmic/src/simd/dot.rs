//! Dot products of small integers as each level has them: the steps of [`super::gemm_i8`].
//!
//! A step takes 4 bytes of activations (four 8-bit or two 16-bit numbers) and as many weights of each of 16
//! outputs. All sums are exact, so how a level groups them does not matter.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of `Dot`")]

use super::lanes::F32x16;

/// One form of activations at one level.
///
/// # Safety
/// All functions need a CPU with the instructions of their level; `activation` reads 4 bytes, `weights`
/// 16 outputs of one step, `start` 16 numbers, `store` writes 16.
pub trait Dot {
    /// How many sums and operands a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;
    /// Sums as floats.
    type Floats: F32x16;
    /// Sixteen sums.
    type Sum: Copy;
    type Activation: Copy;
    type Weights: Copy;

    unsafe fn zero() -> Self::Sum;
    /// Sums that start at what the form needs: `-128` times the sum of each output's weights, from `offsets`, for
    /// signed activations that are multiplied as `a + 128`; otherwise 0, and `offsets` isn't read.
    unsafe fn start(offsets: *const i32) -> Self::Sum;
    unsafe fn activation(from: *const u8) -> Self::Activation;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum;
    unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    unsafe fn store(sum: Self::Sum, to: *mut i32);
    /// Each sum, rounded to the nearest f32.
    unsafe fn floats(sum: Self::Sum) -> Self::Floats;
}

/// The scalar twins: `i8`, `u8` or `i16` activations.
pub struct Scalar<A>(std::marker::PhantomData<A>);

macro_rules! scalar {
    ($type:ty, $per_step:literal) => {
        impl Dot for Scalar<$type> {
            const REGISTERS: usize = 2;
            type Floats = [f32; 16];
            type Sum = [i32; 16];
            type Activation = [$type; $per_step];
            type Weights = [[i8; $per_step]; 16];

            #[inline(always)]
            unsafe fn zero() -> Self::Sum {
                [0; 16]
            }

            #[inline(always)]
            unsafe fn start(_: *const i32) -> Self::Sum {
                [0; 16]
            }

            #[inline(always)]
            unsafe fn activation(from: *const u8) -> Self::Activation {
                from.cast::<Self::Activation>().read_unaligned()
            }

            #[inline(always)]
            unsafe fn weights(from: *const i8) -> Self::Weights {
                from.cast::<Self::Weights>().read()
            }

            #[inline(always)]
            unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
                for (sum, w) in sum.iter_mut().zip(w) {
                    for (a, w) in a.into_iter().zip(w) {
                        *sum += i32::from(a) * i32::from(w);
                    }
                }
                sum
            }

            #[inline(always)]
            unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
                for (a, b) in a.iter_mut().zip(b) {
                    *a += b;
                }
                a
            }

            #[inline(always)]
            unsafe fn store(sum: Self::Sum, to: *mut i32) {
                to.cast::<Self::Sum>().write(sum);
            }

            #[inline(always)]
            unsafe fn floats(sum: Self::Sum) -> Self::Floats {
                sum.map(|sum| sum as f32)
            }
        }
    };
}

scalar!(i8, 4);
scalar!(u8, 4);
scalar!(i16, 2);

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512, Biased};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Dot;
    use std::{
        arch::{asm, x86_64::*},
        marker::PhantomData,
    };

    /// Signed 8-bit activations, stored as `a + 128`, for the instruction that wants one unsigned side.
    pub struct Biased;

    /// AVX2: `i8`, `u8` or `i16` activations.
    pub struct Avx2<A>(PhantomData<A>);

    /// AVX-512 with VNNI: `i8`, [`Biased`], `u8` or `i16` activations.
    pub struct Avx512<A>(PhantomData<A>);

    /// Zero, addition and store of sums in two vectors, in the order of the outputs.
    macro_rules! two_vectors {
        () => {
            type Floats = [__m256; 2];
            type Sum = [__m256i; 2];

            #[inline(always)]
            unsafe fn zero() -> Self::Sum {
                [_mm256_setzero_si256(); 2]
            }

            #[inline(always)]
            unsafe fn start(_: *const i32) -> Self::Sum {
                Self::zero()
            }

            #[inline(always)]
            unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
                [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
            }

            #[inline(always)]
            unsafe fn store(sum: Self::Sum, to: *mut i32) {
                _mm256_storeu_si256(to.cast(), sum[0]);
                _mm256_storeu_si256(to.add(8).cast(), sum[1]);
            }

            #[inline(always)]
            unsafe fn floats(sum: Self::Sum) -> Self::Floats {
                [_mm256_cvtepi32_ps(sum[0]), _mm256_cvtepi32_ps(sum[1])]
            }
        };
    }

    /// `|a| * (w with the sign of a)`: with both in -127..=127 the sum of two products, at most 32258, never
    /// saturates the 16 bits it is kept in.
    impl Dot for Avx2<i8> {
        const REGISTERS: usize = 6; // two of 16 each; 2 for the activation, 1 for ones
        type Activation = [__m256i; 2]; // |a|, a
        type Weights = [__m256i; 2];
        two_vectors!();

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            let a = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            [_mm256_abs_epi8(a), a]
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            let ones = _mm256_set1_epi16(1);
            let pairs = [
                _mm256_maddubs_epi16(a[0], _mm256_sign_epi8(w[0], a[1])),
                _mm256_maddubs_epi16(a[0], _mm256_sign_epi8(w[1], a[1])),
            ];
            Self::add(sum, multiply_pairs(pairs, ones))
        }
    }

    #[inline(always)]
    unsafe fn multiply_pairs(a: [__m256i; 2], by: __m256i) -> [__m256i; 2] {
        [_mm256_madd_epi16(a[0], by), _mm256_madd_epi16(a[1], by)]
    }

    /// Sums of neighbours, in the order of the outputs.
    #[inline(always)]
    unsafe fn ordered(a: __m256i, b: __m256i) -> __m256i {
        // Within 128-bit halves: outputs 0 1 4 5 | 2 3 6 7.
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b))
    }

    /// Both sides widened to 16 bits: 255 * 127 twice would saturate in [`_mm256_maddubs_epi16`]. Each output
    /// has two neighbouring sums until the end.
    impl Dot for Avx2<u8> {
        const REGISTERS: usize = 3; // four of 16 each; 1 for the activation
        type Floats = [__m256; 2];
        type Sum = [__m256i; 4];
        type Activation = __m256i;
        type Weights = [__m256i; 4];

        #[inline(always)]
        unsafe fn zero() -> Self::Sum {
            [_mm256_setzero_si256(); 4]
        }

        #[inline(always)]
        unsafe fn start(_: *const i32) -> Self::Sum {
            Self::zero()
        }

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            _mm256_cvtepu8_epi16(_mm_set1_epi32(from.cast::<i32>().read_unaligned()))
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            let mut weights = Self::zero();
            for (i, w) in weights.iter_mut().enumerate() {
                *w = _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16 * i).cast()));
            }
            weights
        }

        #[inline(always)]
        unsafe fn dot(mut sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            for (sum, w) in sum.iter_mut().zip(w) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(w, a));
            }
            sum
        }

        #[inline(always)]
        unsafe fn add(mut a: Self::Sum, b: Self::Sum) -> Self::Sum {
            for (a, b) in a.iter_mut().zip(b) {
                *a = _mm256_add_epi32(*a, b);
            }
            a
        }

        #[inline(always)]
        unsafe fn store(sum: Self::Sum, to: *mut i32) {
            _mm256_storeu_si256(to.cast(), ordered(sum[0], sum[1]));
            _mm256_storeu_si256(to.add(8).cast(), ordered(sum[2], sum[3]));
        }

        #[inline(always)]
        unsafe fn floats(sum: Self::Sum) -> Self::Floats {
            let (low, high) = (ordered(sum[0], sum[1]), ordered(sum[2], sum[3]));
            [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
        }
    }

    impl Dot for Avx2<i16> {
        const REGISTERS: usize = 8; // two of 16 each; a single row's operands come from memory
        type Activation = __m256i;
        type Weights = [__m256i; 2];
        two_vectors!();

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16).cast())),
            ]
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            Self::add(sum, multiply_pairs(w, a))
        }
    }

    /// What the three forms at AVX-512 share: 28 of 32 registers for sums and operands.
    macro_rules! one_vector {
        () => {
            const REGISTERS: usize = 28;
            type Floats = __m512;
            type Sum = __m512i;
            type Activation = __m512i;
            type Weights = __m512i;

            #[inline(always)]
            unsafe fn zero() -> Self::Sum {
                _mm512_setzero_si512()
            }

            #[inline(always)]
            unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum {
                _mm512_add_epi32(a, b)
            }

            #[inline(always)]
            unsafe fn store(sum: Self::Sum, to: *mut i32) {
                _mm512_storeu_si512(to.cast(), sum);
            }

            #[inline(always)]
            unsafe fn floats(sum: Self::Sum) -> Self::Floats {
                _mm512_cvtepi32_ps(sum)
            }
        };
    }

    /// The instruction wants one unsigned side: `a + 128`, which is `a` with its top bit turned.
    impl Dot for Avx512<i8> {
        one_vector!();

        #[inline(always)]
        unsafe fn start(offsets: *const i32) -> Self::Sum {
            _mm512_loadu_si512(offsets.cast())
        }

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            let a = _mm512_set1_epi32(from.cast::<i32>().read_unaligned());
            _mm512_xor_si512(a, _mm512_set1_epi8(i8::MIN))
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            _mm512_loadu_si512(from.cast())
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            _mm512_dpbusd_epi32(sum, a, w)
        }
    }

    impl Dot for Avx512<Biased> {
        one_vector!();

        #[inline(always)]
        unsafe fn start(offsets: *const i32) -> Self::Sum {
            _mm512_loadu_si512(offsets.cast())
        }

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            _mm512_loadu_si512(from.cast())
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            _mm512_dpbusd_epi32(sum, a, w)
        }
    }

    impl Dot for Avx512<u8> {
        one_vector!();

        #[inline(always)]
        unsafe fn start(_: *const i32) -> Self::Sum {
            Self::zero()
        }

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            _mm512_loadu_si512(from.cast())
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            _mm512_dpbusd_epi32(sum, a, w)
        }
    }

    /// `vpdpwssd`. Of the intrinsic the compiler makes a product and a sum wherever it thinks that the sums wait
    /// for each other, which costs a quarter of the speed.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn dpwssd(mut sum: __m512i, a: __m512i, w: __m512i) -> __m512i {
        // SAFETY: one instruction on registers; this function has its feature.
        unsafe {
            asm!(
                "vpdpwssd {sum}, {a}, {w}",
                sum = inout(zmm_reg) sum,
                a = in(zmm_reg) a,
                w = in(zmm_reg) w,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }

    impl Dot for Avx512<i16> {
        one_vector!();

        #[inline(always)]
        unsafe fn start(_: *const i32) -> Self::Sum {
            Self::zero()
        }

        #[inline(always)]
        unsafe fn activation(from: *const u8) -> Self::Activation {
            _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self::Weights {
            _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast()))
        }

        #[inline(always)]
        unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum {
            dpwssd(sum, a, w)
        }
    }
}
