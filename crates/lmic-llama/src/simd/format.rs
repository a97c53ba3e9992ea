//! Number formats of weights, and their numbers as f32: exact, or one rounded product (and difference), as the formats define it.
//!
//! Half precision becomes f32 by moving bits and one exact product. Infinities and NaN of half precision would come out as numbers
//! of 65536 and more, the same on every CPU; [`Format::not_finite`] finds them before. Block formats are those of llama.cpp's GGML.

use lmic::{exact::Level, vectorize};

/// How the numbers of a matrix are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
    /// Blocks of 32 8-bit integers with a scale.
    Q8_0,
    /// Blocks of 32 4-bit integers with a scale.
    Q4_0,
    /// Blocks of 256 4-bit integers in eight parts with scales and offsets of 6 bits.
    Q4K,
    /// Blocks of 256 6-bit integers in sixteen parts with scales of 8 bits.
    Q6K,
}

impl Format {
    /// Numbers of a block.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 => 32,
            Self::Q4K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4K => 144,
            Self::Q6K => 210,
        }
    }

    /// The name in messages, which is that in GGUF files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4K => "Q4_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// The first of whole blocks with a number, scale or offset that is infinite or NaN. Integers never are.
    pub fn not_finite(self, bytes: &[u8]) -> Option<usize> {
        const F32: u32 = 0x7f80_0000;
        let half = |low: u8, high: u8| (u16::from_le_bytes([low, high]) & 0x7c00) == 0x7c00;
        match self {
            Self::F32 => first_block(bytes, |x: &[u8; 4]| u32::from_le_bytes(*x) & F32 == F32),
            Self::F16 => first_block(bytes, |x: &[u8; 2]| half(x[0], x[1])),
            Self::Bf16 => {
                first_block(bytes, |x: &[u8; 2]| u16::from_le_bytes(*x) & 0x7f80 == 0x7f80)
            }
            Self::Q8_0 => first_block(bytes, |x: &[u8; 34]| half(x[0], x[1])),
            Self::Q4_0 => first_block(bytes, |x: &[u8; 18]| half(x[0], x[1])),
            Self::Q4K => first_block(bytes, |x: &[u8; 144]| half(x[0], x[1]) | half(x[2], x[3])),
            Self::Q6K => first_block(bytes, |x: &[u8; 210]| half(x[208], x[209])),
        }
    }

    /// The numbers of whole blocks.
    ///
    /// # Panics
    /// If `bytes` and `out` have other lengths than the same blocks ask for.
    pub fn numbers(self, level: Level, bytes: &[u8], out: &mut [f32]) {
        let blocks = out.len() / self.block();
        assert_eq!((bytes.len(), out.len()), (blocks * self.block_bytes(), blocks * self.block()));
        match self {
            Self::F32 => vectorize!(level, f32s, (bytes: &[u8], out: &mut [f32])),
            Self::F16 => vectorize!(level, f16s, (bytes: &[u8], out: &mut [f32])),
            Self::Bf16 => vectorize!(level, bf16s, (bytes: &[u8], out: &mut [f32])),
            Self::Q8_0 => vectorize!(level, q8_0, (bytes: &[u8], out: &mut [f32])),
            Self::Q4_0 => vectorize!(level, q4_0, (bytes: &[u8], out: &mut [f32])),
            Self::Q4K => vectorize!(level, q4_k, (bytes: &[u8], out: &mut [f32])),
            Self::Q6K => vectorize!(level, q6_k, (bytes: &[u8], out: &mut [f32])),
        }
    }
}

/// The first block that is bad. They are looked at in groups without a way out, which the compiler makes vectors of.
fn first_block<const N: usize>(bytes: &[u8], is_bad: impl Fn(&[u8; N]) -> bool) -> Option<usize> {
    const GROUP: usize = 512;
    let blocks = bytes.as_chunks().0;
    let has_bad = |group: &[[u8; N]]| group.iter().fold(false, |bad, block| bad | is_bad(block));
    let group = blocks.chunks(GROUP).position(has_bad)? * GROUP;
    blocks[group..].iter().position(is_bad).map(|at| group + at)
}

#[inline(always)]
fn f32s(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
        *out = f32::from_le_bytes(*bytes);
    }
}

#[inline(always)]
pub(super) fn half(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    // Exponent and significand at their place in an f32 whose exponent is 112 too low: also right for subnormals.
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[inline(always)]
fn f16s(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
        *out = half(*bytes);
    }
}

#[inline(always)]
fn bf16s(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    }
}

#[inline(always)]
fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let scale = half([block[0], block[1]]);
        for (out, q) in out.iter_mut().zip(&block[2..]) {
            *out = scale * f32::from(q.cast_signed());
        }
    }
}

#[inline(always)]
fn q4_0(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.as_chunks::<18>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let scale = half([block[0], block[1]]);
        let (low, high) = out.split_at_mut(16);
        for ((low, high), q) in low.iter_mut().zip(high).zip(&block[2..]) {
            *low = scale * (f32::from(q & 15) - 8.0);
            *high = scale * (f32::from(q >> 4) - 8.0);
        }
    }
}

/// Scales and offsets of the eight parts of a block of Q4_K as integers of 6 bits, from its first 16 bytes: four at a time, as
/// bytes of a word. Each is a multiple of one of the two halves before them.
#[inline(always)]
pub(super) fn q4_k_integers(head: &[u8; 16]) -> [[u8; 8]; 2] {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (s, m, both) = (word(4), word(8), word(12));
    let top = |word: u32| (word >> 6 & 0x0303_0303) << 4;
    let low = |word: u32| word & 0x0f0f_0f0f;
    let scales = [s & 0x3f3f_3f3f, low(both) | top(s)];
    let offsets = [m & 0x3f3f_3f3f, low(both >> 4) | top(m)];
    let bytes = |words: [u32; 2]| (u64::from(words[0]) | u64::from(words[1]) << 32).to_le_bytes();
    [bytes(scales), bytes(offsets)]
}

#[inline(always)]
fn q4_k(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.as_chunks::<144>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let head: &[u8; 16] = block.first_chunk().expect("a block is longer");
        let [scales, offsets] = q4_k_integers(head);
        let scales = scales.map(|scale| half([head[0], head[1]]) * f32::from(scale));
        let offsets = offsets.map(|offset| half([head[2], head[3]]) * f32::from(offset));
        for (i, (qs, out)) in block[16..].chunks_exact(32).zip(out.chunks_exact_mut(64)).enumerate()
        {
            let [s0, s1] = [scales[2 * i], scales[2 * i + 1]];
            let [m0, m1] = [offsets[2 * i], offsets[2 * i + 1]];
            let (low, high) = out.split_at_mut(32);
            for ((low, high), q) in low.iter_mut().zip(high).zip(qs) {
                *low = s0 * f32::from(q & 15) - m0;
                *high = s1 * f32::from(q >> 4) - m1;
            }
        }
    }
}

#[inline(always)]
fn q6_k(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.as_chunks::<210>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let scale = half([block[208], block[209]]);
        let (low, rest) = block.split_at(128);
        let (high, scales) = rest.split_at(64);
        for h in 0..2 {
            let (low, high) = (&low[64 * h..][..64], &high[32 * h..][..32]);
            for quarter in 0..4 {
                let low = &low[32 * (quarter % 2)..][..32];
                let out = &mut out[128 * h + 32 * quarter..][..32];
                for part in 0..2 {
                    let scale = scale * f32::from(scales[8 * h + 2 * quarter + part].cast_signed());
                    let of_part = 16 * part..16 * part + 16;
                    let bits = low[of_part.clone()].iter().zip(&high[of_part.clone()]);
                    for (out, (low, high)) in out[of_part].iter_mut().zip(bits) {
                        let low = if quarter < 2 { low & 15 } else { low >> 4 };
                        let q = low | (high >> (2 * quarter) & 3) << 4;
                        *out = scale * (f32::from(q) - 32.0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let cases: [(u16, f32); 8] = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits.to_le_bytes()), value, "{bits:#x}");
        }
        assert!(half(0x8000u16.to_le_bytes()).is_sign_negative());
    }

    #[test]
    fn what_is_infinite_or_nan_is_found_wherever_it_is() {
        // In the little-endian bytes of a block: infinity and NaN, with either sign.
        let halves: [&[u8]; 4] = [&[0, 0x7c], &[0, 0xfc], &[1, 0x7c], &[0xff, 0xff]];
        let wide: [&[u8]; 3] = [&[0, 0, 0x80, 0x7f], &[0, 0, 0x80, 0xff], &[1, 0, 0x80, 0x7f]];
        let brain: [&[u8]; 3] = [&[0x80, 0x7f], &[0x80, 0xff], &[0x81, 0x7f]];
        let cases = [
            (Format::F32, &wide[..], &[0][..]),
            (Format::F16, &halves, &[0]),
            (Format::Bf16, &brain, &[0]),
            (Format::Q8_0, &halves, &[0]),
            (Format::Q4_0, &halves, &[0]),
            (Format::Q4K, &halves, &[0, 2]),
            (Format::Q6K, &halves, &[208]),
        ];
        for (format, bad, places) in cases {
            let len = format.block_bytes();
            // The largest finite numbers everywhere: of halves and scales 0x7bff, as integers 0xff are anything.
            let good = match format {
                Format::F32 => vec![0xff, 0xff, 0x7f, 0x7f],
                Format::Bf16 => vec![0x7f, 0x7f],
                _ => {
                    let mut block = vec![0xff; len];
                    places.iter().for_each(|&at| block[at..at + 2].copy_from_slice(&[0xff, 0x7b]));
                    block
                }
            };
            let whole = good.repeat(1100);
            assert_eq!(format.not_finite(&whole), None, "{format:?}");
            for at in [0, 511, 512, 1099] {
                for (place, bad) in places.iter().flat_map(|at| bad.iter().map(move |b| (at, b))) {
                    let mut bytes = whole.clone();
                    bytes[at * len + place..][..bad.len()].copy_from_slice(bad);
                    assert_eq!(format.not_finite(&bytes), Some(at), "{format:?} {bad:?}");
                }
            }
        }
    }

    /// `tests/fixtures/blocks.json` has blocks of random bytes and what the package `gguf` reads from them.
    #[test]
    fn blocks_hold_the_numbers_that_gguf_finds() {
        let json = include_str!("../../tests/fixtures/blocks.json");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        for format in [Format::Q8_0, Format::Q4_0, Format::Q4K, Format::Q6K] {
            let case = &json[format.name()];
            let list = |key: &str| case[key].as_array().unwrap().iter();
            let bytes: Vec<u8> = list("bytes").map(|x| x.as_u64().unwrap() as u8).collect();
            let numbers: Vec<f32> = list("numbers").map(|x| x.as_f64().unwrap() as f32).collect();
            for level in Level::available() {
                let mut ours = vec![0.0; numbers.len()];
                format.numbers(level, &bytes, &mut ours);
                assert_eq!(ours, numbers, "{format:?} {level:?}");
            }
        }
    }
}
