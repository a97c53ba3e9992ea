//! What a level offers: the trait [`Isa`] and its two kinds of vectors. Kernels are written in these; a CPU's
//! folder implements them, and `scalar` defines the bits.
//!
//! Every operation on floats is one of IEEE 754 in each lane, or moves bits, and sums of integers are exact: so all levels
//! have the same bits, however they group what they compute.

/// A computation that is written once and compiled for each level: see [`Level::dispatch`](super::Level::dispatch).
pub trait Kernel {
    /// What comes out.
    type Output;

    /// Computes it. Implementations are `#[inline(always)]`, as code inherits the instructions only of a function
    /// that it is inlined into.
    ///
    /// # Safety
    /// The CPU has the instructions of `I`; and what else the kernel asks for.
    unsafe fn run<I: Isa>(self) -> Self::Output;
}

/// The instruction set of one level.
///
/// # Safety
/// All functions need a CPU that has it.
pub trait Isa: Sized {
    /// Sixteen `f32`.
    type F32: F32x16;
    /// Products with signed bytes.
    type DotI8: Dot;
    /// Products with unsigned bytes.
    type DotU8: Dot;
    /// Products with 16-bit numbers.
    type DotI16: Dot;
    /// Products with what [`Isa::store_rounded`] stores.
    type DotRounded: DotRounded<Floats = Self::F32>;

    /// Stores the low bits of each lane's representation, a number `a` of -127 to 127, as the byte `a + 128`.
    ///
    /// # Safety
    /// `to` has 16 bytes.
    unsafe fn store_rounded(x: Self::F32, to: *mut u8);

    /// Runs a kernel in a function that is compiled for these instructions.
    ///
    /// # Safety
    /// As [`Kernel::run`].
    unsafe fn run<K: Kernel>(kernel: K) -> K::Output;
}

/// Sixteen `f32` in registers.
///
/// # Safety
/// All functions need a CPU with the instructions of their level, and, where they take a pointer, sixteen of
/// what they read or write behind it, at any alignment.
#[expect(clippy::missing_safety_doc, reason = "one contract for all, above")]
pub trait F32x16: Copy {
    /// How many of them a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;
    /// Whether [`F32x16::lookup_nibbles`] is quicker than to work out the same from [`F32x16::load_nibbles`].
    const LOOKUP: bool;

    /// The same number sixteen times.
    unsafe fn splat(x: f32) -> Self;
    /// Sixteen numbers from memory.
    unsafe fn load(from: *const f32) -> Self;
    /// Sixteen numbers to memory.
    unsafe fn store(self, to: *mut f32);
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self / other`.
    unsafe fn div(self, other: Self) -> Self;
    /// `a * b + self`, rounded once.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self - a * b`, rounded once.
    unsafe fn sub_product(self, a: Self, b: Self) -> Self;
    /// Without the sign.
    unsafe fn abs(self) -> Self;
    /// `other` if it is larger, else `self`: by comparison, so `self` if `other` is NaN.
    unsafe fn larger(self, other: Self) -> Self;
    /// `other` if it is smaller, else `self`: by comparison, so `self` if `other` is NaN.
    unsafe fn smaller(self, other: Self) -> Self;
    /// `self * 2^n`, where the low bits of `shifted` are n: adds n to the exponent, which must stay in its range.
    unsafe fn times_two_to(self, shifted: Self) -> Self;
    /// The sum of all lanes: the upper half onto the lower, 8, 4, 2, 1.
    unsafe fn sum(self) -> f32;
    /// The largest lane, by comparison, in the same order.
    unsafe fn largest(self) -> f32;

    /// Sixteen signed bytes.
    unsafe fn load_i8(from: *const u8) -> Self;
    /// Sixteen upper halves of `f32`, little-endian.
    unsafe fn load_bf16(from: *const u8) -> Self;
    /// Of sixteen bytes the lower or the upper four bits.
    unsafe fn load_nibbles(from: *const u8, upper: bool) -> Self;
    /// The same, and above them two bits of sixteen other bytes, of which the lower `2 * pair` are passed over.
    unsafe fn load_six_bits(low: *const u8, upper: bool, high: *const u8, pair: usize) -> Self;
    /// Of sixteen bytes, the lane of `self` that the lower or the upper four bits number.
    unsafe fn lookup_nibbles(self, from: *const u8, upper: bool) -> Self;
    /// Eight bytes as multiples of `unit`.
    unsafe fn multiples(bytes: [u8; 8], unit: f32) -> [f32; 8];
}

/// Products of small integers: 8-bit weights with one form of activations.
///
/// A step takes 4 bytes of activations (four 8-bit or two 16-bit numbers) and as many weights of each of 16
/// outputs. All sums are exact, so how a level groups them does not matter.
///
/// # Safety
/// All functions need a CPU with the instructions of their level; `activation` reads 4 bytes, `weights`
/// 16 outputs of one step, `start` 16 numbers, `store` writes 16.
pub trait Dot {
    /// How many sums and operands a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;
    /// Sixteen sums.
    type Sum: Copy;
    type Activation: Copy;
    type Weights: Copy;

    unsafe fn zero() -> Self::Sum;
    /// Sums that start at what the form needs: `-128` times the sum of each output's weights, from `offsets`, for
    /// signed activations that are multiplied as `a + 128`; otherwise 0, and `offsets` isn't read.
    #[inline(always)]
    unsafe fn start(_offsets: *const i32) -> Self::Sum {
        // SAFETY: the caller's.
        unsafe { Self::zero() }
    }
    unsafe fn activation(from: *const u8) -> Self::Activation;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    unsafe fn dot(sum: Self::Sum, a: Self::Activation, w: Self::Weights) -> Self::Sum;
    unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    unsafe fn store(sum: Self::Sum, to: *mut i32);
}

/// Products of rounded activations, bytes of 1 to 255, with weights of -63 to 63.
///
/// A step takes four activations and as many weights of each of 16 outputs. Steps come in groups, whose sums a level may keep in
/// 16 bits: one for the first two inputs of all steps, one for the last two. Groups are small enough for that (see `linear`), so
/// all sums are exact.
///
/// # Safety
/// All functions need a CPU with the instructions of their level; `activation` reads 4 bytes, `weights` 64, `start` 16 numbers.
pub trait DotRounded {
    /// How many sums and operands a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;
    /// The most rows of a tile.
    const ROWS: usize = 8;
    /// How many vectors sixteen sums take.
    const VECTORS: usize;
    /// Whether groups matter, because their sums have 16 bits.
    const SHORT: bool;
    /// Sums as floats.
    type Floats: F32x16;
    /// Sixteen sums.
    type Sum: Copy;
    /// Sixteen sums of a group.
    type Part: Copy;
    type Activation: Copy;
    type Weights: Copy;

    unsafe fn start(from: *const i32) -> Self::Sum;
    unsafe fn activation(from: *const u8) -> Self::Activation;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// The products of a group's first step.
    unsafe fn first(a: Self::Activation, w: Self::Weights) -> Self::Part;
    /// Adds those of another step.
    unsafe fn dot(part: Self::Part, a: Self::Activation, w: Self::Weights) -> Self::Part;
    unsafe fn add(sum: Self::Sum, part: Self::Part) -> Self::Sum;
    /// Each sum, rounded to the nearest f32.
    unsafe fn floats(sum: Self::Sum) -> Self::Floats;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, tests::random};

    /// Every operation of [`F32x16`] on three vectors, and on their bytes.
    struct Operations<'a>([&'a [f32; 16]; 3]);

    impl Kernel for Operations<'_> {
        type Output = Vec<(String, Vec<f32>)>;

        #[inline(always)]
        unsafe fn run<I: Isa>(self) -> Self::Output {
            let mut found = Vec::new();
            let mut keep = |name: String, x: &[f32]| found.push((name, x.to_vec()));
            // SAFETY: the caller has the CPU; pointers are to sixteen numbers, or to 64 bytes.
            unsafe {
                let [a, b, c] = self.0.map(|x| I::F32::load(x.as_ptr()));
                let bytes = self.0[0].as_ptr().cast::<u8>();
                let vectors = [
                    ("splat", I::F32::splat(self.0[0][0])),
                    ("load", a),
                    ("add", a.add(b)),
                    ("sub", a.sub(b)),
                    ("mul", a.mul(b)),
                    ("div", a.div(b)),
                    ("add_product", a.add_product(b, c)),
                    ("sub_product", a.sub_product(b, c)),
                    ("abs", a.abs()),
                    ("larger", a.larger(b)),
                    ("smaller", a.smaller(b)),
                    ("times_two_to", a.times_two_to(b)),
                    ("load_i8", I::F32::load_i8(bytes)),
                    ("load_bf16", I::F32::load_bf16(bytes)),
                    ("load_nibbles, lower", I::F32::load_nibbles(bytes, false)),
                    ("load_nibbles, upper", I::F32::load_nibbles(bytes, true)),
                    ("lookup_nibbles, lower", a.lookup_nibbles(bytes, false)),
                    ("lookup_nibbles, upper", a.lookup_nibbles(bytes, true)),
                ];
                let mut out = [0.0; 16];
                for (name, x) in vectors {
                    x.store(out.as_mut_ptr());
                    keep(name.into(), &out);
                }
                for (pair, upper) in (0..4).flat_map(|pair| [(pair, false), (pair, true)]) {
                    I::F32::load_six_bits(bytes, upper, bytes.add(16), pair)
                        .store(out.as_mut_ptr());
                    keep(format!("load_six_bits, {upper}, {pair}"), &out);
                }
                let eight = bytes.cast::<[u8; 8]>().read_unaligned();
                keep("multiples".into(), &I::F32::multiples(eight, self.0[1][0]));
                keep("sum".into(), &[a.sum()]);
                keep("largest".into(), &[a.largest()]);
                // Integers of -127 to 127 in the low bits, anything above them.
                let rounded = self.0[0].map(|x| {
                    let low = (x.to_bits() as i8).max(-127);
                    f32::from_bits(i32::from(low).cast_unsigned())
                });
                let mut to = [0u8; 16];
                I::store_rounded(I::F32::load(rounded.as_ptr()), to.as_mut_ptr());
                keep("store_rounded".into(), &to.map(f32::from));
            }
            found
        }
    }

    #[test]
    fn every_operation_has_the_bits_of_its_scalar_twin() {
        let mut x: Vec<f32> = random(48 * 400, 1)
            .chunks(2)
            .map(|x| f32::from_bits(u32::from(x[0] as u16) << 16 | u32::from(x[1] as u16)))
            .collect();
        // Numbers of one size, which cancel and round.
        x.extend(random(48 * 200, 2).into_iter().map(|x| f32::from(x) / 8192.0));
        let edges = [0.0, 1.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::INFINITY];
        let edges = edges.into_iter().flat_map(|x| [x, -x]).chain([f32::NAN]);
        let edges: Vec<f32> = edges.collect();
        x.extend((0..48 * 13).map(|i| edges[(i + i / 48 * (i % 3)) % 13]));
        // Which NaN comes out is nobody's business.
        let bits = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
        for inputs in x.as_chunks::<16>().0.as_chunks().0 {
            let [a, b, c] = inputs;
            // SAFETY: it asks for nothing but the CPU.
            let at = |level: Level| unsafe { level.dispatch(Operations([a, b, c])) };
            let expected = at(Level::Scalar);
            for level in Level::available() {
                for ((name, ours), (_, expected)) in at(level).iter().zip(&expected) {
                    let same = ours.iter().map(bits).eq(expected.iter().map(bits));
                    assert!(same, "{level:?}, {name}: {ours:?}, not {expected:?} of {inputs:?}");
                }
            }
        }
    }
}
