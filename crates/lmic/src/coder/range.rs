//! A carry-propagating range coder with 64 bits of state, encoder beside decoder.
//!
//! The code is a binary fraction inside `[low, low + range)`. Coding a symbol narrows the interval;
//! once `range < 2^48`, the top 16 bits of `low` leave as one big-endian word and both shift.
//!
//! Invariants
//! - `range >= 2^48` before each symbol, so `range >> bits` with at most 24 bits loses at most a 2^-24
//!   part of the interval: nothing that can be measured.
//! - `low` may overflow 64 bits. The interval always lies inside the one before, so the carry can
//!   reach only words already emitted that are all ones up to one that is not; the encoder keeps its
//!   output in memory and adds 1 there.
//! - The end of the code is the shortest byte string whose every continuation lies inside the last
//!   interval *if continued by zeros*; the decoder reads zeros past the end.
//!
//! After G. N. N. Martin, "Range encoding" (1979), and A. Moffat, R. M. Neal, I. H. Witten, "Arithmetic
//! coding revisited" (1998).

use super::Coder;
use crate::quantize::{BIT_BITS, BitProb, CDF_BITS, Cdf};

const RENORM: u64 = 1 << 48;

/// Writes the code. Build with [`RangeEncoder::new`], end with [`RangeEncoder::finish`].
#[derive(Debug)]
pub struct RangeEncoder {
    low: u64,
    range: u64,
    out: Vec<u8>,
}

impl Default for RangeEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl RangeEncoder {
    /// An encoder with empty output.
    pub fn new() -> Self {
        Self { low: 0, range: u64::MAX, out: Vec::new() }
    }

    /// Narrows the interval to `[start, start + size)` out of `1 << bits`.
    #[inline]
    fn encode(&mut self, start: u32, size: u32, bits: u32) {
        let unit = self.range >> bits;
        let (low, carry) = self.low.overflowing_add(unit * u64::from(start));
        self.low = low;
        if carry {
            self.propagate_carry();
        }
        // The last symbol takes the remainder that truncation left over, so no code space is lost.
        self.range = if u64::from(start) + u64::from(size) == 1 << bits {
            self.range - unit * u64::from(start)
        } else {
            unit * u64::from(size)
        };
        self.renormalize();
    }

    #[inline]
    fn renormalize(&mut self) {
        while self.range < RENORM {
            self.out.extend_from_slice(&((self.low >> 48) as u16).to_be_bytes());
            self.low <<= 16;
            self.range <<= 16;
        }
    }

    #[cold]
    fn propagate_carry(&mut self) {
        for byte in self.out.iter_mut().rev() {
            let (sum, carry) = byte.overflowing_add(1);
            *byte = sum;
            if !carry {
                return;
            }
        }
        unreachable!("the first interval is [0, 1): a carry out of the code cannot happen");
    }

    /// Ends the code and returns it. At most 8 bytes are added; trailing zero bytes are implied and cut.
    pub fn finish(mut self) -> Vec<u8> {
        // The value with the most trailing zeros in [low, low + range): try longer and longer heads.
        let last = self.low.wrapping_add(self.range - 1);
        for zeros in (0..=56).rev().step_by(8) {
            let mask = (1u64 << zeros) - 1;
            let (value, carry) = self.low.overflowing_add(mask);
            let value = value & !mask;
            // Inside if rounding up did not pass the end (both measured from `low`, modulo 2^64).
            if value.wrapping_sub(self.low) <= last.wrapping_sub(self.low) {
                if carry {
                    self.propagate_carry();
                }
                self.out.extend_from_slice(&value.to_be_bytes());
                break;
            }
        }
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        self.out
    }
}

impl Coder for RangeEncoder {
    #[inline]
    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        let p1 = p1.get();
        if bit {
            self.encode(0, p1, BIT_BITS);
        } else {
            self.encode(p1, (1 << BIT_BITS) - p1, BIT_BITS);
        }
        bit
    }

    #[inline]
    fn byte(&mut self, cdf: &Cdf, byte: u8) -> u8 {
        let (start, size) = cdf.interval(byte);
        self.encode(start, size, CDF_BITS);
        byte
    }
}

/// Reads the code that [`RangeEncoder`] wrote. Reads zeros past the end, so it never fails: whether the
/// result is right is for the container's checksum to say.
#[derive(Debug)]
pub struct RangeDecoder<'a> {
    /// Code minus `low`: where in the interval the code lies.
    offset: u64,
    range: u64,
    code: &'a [u8],
}

impl<'a> RangeDecoder<'a> {
    /// A decoder at the start of `code`.
    pub fn new(code: &'a [u8]) -> Self {
        let mut decoder = Self { offset: 0, range: u64::MAX, code };
        for _ in 0..4 {
            decoder.offset = (decoder.offset << 16) | u64::from(decoder.next_word());
        }
        decoder
    }

    #[inline]
    fn next_word(&mut self) -> u16 {
        match self.code {
            [high, low, rest @ ..] => {
                self.code = rest;
                u16::from_be_bytes([*high, *low])
            }
            [high] => {
                self.code = &[];
                u16::from_be_bytes([*high, 0])
            }
            [] => 0,
        }
    }

    #[inline]
    fn consume(&mut self, start: u32, size: u32, bits: u32, unit: u64) {
        self.offset -= unit * u64::from(start);
        self.range = if u64::from(start) + u64::from(size) == 1 << bits {
            self.range - unit * u64::from(start)
        } else {
            unit * u64::from(size)
        };
        while self.range < RENORM {
            self.offset = (self.offset << 16) | u64::from(self.next_word());
            self.range <<= 16;
        }
    }
}

impl Coder for RangeDecoder<'_> {
    #[inline]
    fn bit(&mut self, p1: BitProb, _bit: bool) -> bool {
        let p1 = p1.get();
        let unit = self.range >> BIT_BITS;
        let bit = self.offset < unit * u64::from(p1);
        if bit {
            self.consume(0, p1, BIT_BITS, unit);
        } else {
            self.consume(p1, (1 << BIT_BITS) - p1, BIT_BITS, unit);
        }
        bit
    }

    #[inline]
    fn byte(&mut self, cdf: &Cdf, _byte: u8) -> u8 {
        let unit = self.range >> CDF_BITS;
        // A damaged code may point past the last interval's nominal end; it belongs to the last symbol.
        let target = (self.offset / unit).min((1 << CDF_BITS) - 1) as u32;
        let byte = cdf.symbol_at(target);
        let (start, size) = cdf.interval(byte);
        self.consume(start, size, CDF_BITS, unit);
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(bits: &[(u32, bool)]) -> usize {
        let mut encoder = RangeEncoder::new();
        for &(p1, bit) in bits {
            encoder.bit(BitProb::new(p1), bit);
        }
        let code = encoder.finish();
        let mut decoder = RangeDecoder::new(&code);
        for &(p1, bit) in bits {
            assert_eq!(decoder.bit(BitProb::new(p1), false), bit);
        }
        code.len()
    }

    #[test]
    fn bits_round_trip_under_any_probability() {
        let mut x = 1u64;
        for n in 0..200 {
            let bits: Vec<_> = (0..n * 7)
                .map(|_| {
                    x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let p1 = match (x >> 60) & 3 {
                        0 => 1,
                        1 => 65535,
                        _ => ((x >> 20) as u32 & 0xffff).max(1),
                    };
                    (p1, (x >> 33) & 1 == 1)
                })
                .collect();
            round_trip(&bits);
        }
    }

    #[test]
    fn certain_bits_cost_almost_nothing() {
        // 65536 decisions at -log2(65535/65536) bits each: 1.44 bits in all.
        assert!(round_trip(&vec![(65535, true); 65536]) <= 2);
    }

    #[test]
    fn nothing_coded_is_no_bytes() {
        assert_eq!(round_trip(&[]), 0);
    }
}
