//! A carry-propagating range coder with 64 bits of state, encoder beside decoder.
//!
//! The code is a binary fraction inside `[low, low + range)`. Coding a symbol narrows the interval;
//! once `range < 2^48`, the top 16 bits of `low` leave as one big-endian word and both shift.
//!
//! Invariants
//! - `range >= 2^48` before each symbol, so `range >> bits` with at most 24 bits loses at most a 2^-24
//!   part of the interval: nothing that can be measured.
//! - `low` may overflow 64 bits. Each interval lies inside the one before, so the code stays below 1
//!   and the carry stops within the words already emitted; the encoder keeps its output in memory and
//!   adds 1 there.
//! - The code is the shortest byte string that lies in the last interval when zeros are appended; the
//!   decoder reads zeros past the end.
//!
//! After G. N. N. Martin, "Range encoding" (1979), and A. Moffat, R. M. Neal, I. H. Witten, "Arithmetic
//! coding revisited" (1998).

use super::Coder;
use crate::quantize::{BIT_BITS, BitProb, Distribution};

const RENORM: u64 = 1 << 48; // frozen

/// Where `[start, start + size)` out of `1 << bits` lies in an interval of length `range`: the distance
/// from its low end, and the length. The one place where intervals are computed, for both directions.
#[inline]
fn narrow(range: u64, start: u32, size: u32, bits: u32) -> (u64, u64) {
    let unit = range >> bits;
    let skip = unit * u64::from(start);
    // The last symbol takes the remainder that truncation left over, so no code space is lost.
    let is_last = start + size == 1 << bits;
    (skip, if is_last { range - skip } else { unit * u64::from(size) })
}

/// Most bits of a distribution's total: truncation then loses at most a 2^-18 part of the interval.
pub const MAX_BITS: u32 = 30; // frozen

/// Writes the code. Build with [`RangeEncoder::new`], end with [`RangeEncoder::finish`].
#[derive(Debug, Clone)]
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

    /// Bits of the code so far, rounded down.
    pub(crate) fn bits(&self) -> u64 {
        8 * self.out.len() as u64 + u64::from(self.range.leading_zeros())
    }

    /// Narrows the interval to `[start, start + size)` out of `1 << bits`.
    #[inline]
    fn encode(&mut self, start: u32, size: u32, bits: u32) {
        let (skip, range) = narrow(self.range, start, size, bits);
        let (low, carry) = self.low.overflowing_add(skip);
        self.low = low;
        self.range = range;
        if carry {
            self.propagate_carry();
        }
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
        // The value in [low, low + range) with the most trailing zero bytes: round `low` up to 8 of them
        // (the next multiple of 2^64, always a carry unless `low` is 0), to 7, ... until it is inside.
        for zeros in (0..=64u32).rev().step_by(8) {
            let mask = u64::MAX.checked_shr(64 - zeros).unwrap_or(0);
            let (sum, carry) = self.low.overflowing_add(mask);
            let value = sum & !mask;
            // The distance is right modulo 2^64, and less than that, so a carry does not disturb it.
            if value.wrapping_sub(self.low) < self.range {
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
    const TOLD: bool = true;

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
    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        const { assert!(D::BITS <= MAX_BITS) };
        let (start, size) = distribution.interval(symbol);
        self.encode(start, size, D::BITS);
        symbol
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

    /// Mirrors [`RangeEncoder::encode`]. The caller has found the symbol, so `offset` is at or above its
    /// start and the subtraction cannot wrap, whatever the code says.
    #[inline]
    fn consume(&mut self, start: u32, size: u32, bits: u32) {
        let (skip, range) = narrow(self.range, start, size, bits);
        self.offset -= skip;
        self.range = range;
        self.renormalize();
    }

    #[inline]
    fn renormalize(&mut self) {
        while self.range < RENORM {
            self.offset = (self.offset << 16) | u64::from(self.next_word());
            self.range <<= 16;
        }
    }
}

impl Coder for RangeDecoder<'_> {
    const TOLD: bool = false;

    #[inline]
    fn bit(&mut self, p1: BitProb, _bit: bool) -> bool {
        // As `narrow` has it for both values of the bit, but chosen without a branch, which would be
        // guessed wrong as often as the model is.
        let split = (self.range >> BIT_BITS) * u64::from(p1.get());
        let bit = self.offset < split;
        let (skip, range) =
            std::hint::select_unpredictable(bit, (0, split), (split, self.range - split));
        self.offset -= skip;
        self.range = range;
        self.renormalize();
        bit
    }

    #[inline]
    fn symbol<D: Distribution>(&mut self, distribution: &D, _symbol: usize) -> usize {
        const { assert!(D::BITS <= MAX_BITS) };
        let unit = self.range >> D::BITS;
        // The remainder of the division that made `unit` belongs to the last symbol, and so does a
        // damaged code that points past the interval.
        let target = (self.offset / unit).min((1 << D::BITS) - 1) as u32;
        let symbol = distribution.symbol_at(target);
        let (start, size) = distribution.interval(symbol);
        self.consume(start, size, D::BITS);
        symbol
    }
}
