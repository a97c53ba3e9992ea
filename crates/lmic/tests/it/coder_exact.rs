//! The oracle: the same intervals as the range coder's, on unbounded integers.
//!
//! `low` never loses a bit here, so there is no carry, no word that leaves, no end to get wrong. The only
//! thing shared with the fast coder is the specification of an interval (length truncated to 64 bits,
//! doubled by 16 below 2^48, remainder to the last symbol), because it decides the code.

use lmic::coder::Coder;
use lmic::quantize::{BIT_BITS, BitProb, Distribution};
use num_bigint::BigUint;

/// `[low, low + range)` in units of 2^-precision.
struct Interval {
    low: BigUint,
    range: u64,
    precision: usize,
}

impl Interval {
    fn new() -> Self {
        Self { low: BigUint::ZERO, range: u64::MAX, precision: 64 }
    }

    /// Low end and length of the part that `[start, start + size)` of `1 << bits` stands for.
    fn part(&self, start: u32, size: u32, bits: u32) -> (BigUint, u64) {
        let unit = self.range / (1 << bits);
        let skip = unit * u64::from(start);
        let is_last = start + size == 1 << bits;
        (&self.low + skip, if is_last { self.range - skip } else { unit * u64::from(size) })
    }

    fn narrow(&mut self, start: u32, size: u32, bits: u32) {
        (self.low, self.range) = self.part(start, size, bits);
        while self.range < 1 << 48 {
            self.low <<= 16;
            self.range <<= 16;
            self.precision += 16;
        }
    }
}

/// Encodes exactly, slowly.
pub struct ExactEncoder(Interval);

impl ExactEncoder {
    pub fn new() -> Self {
        Self(Interval::new())
    }

    /// The shortest byte string in the interval; of several, the smallest.
    pub fn finish(self) -> Vec<u8> {
        let Interval { low, range, precision } = self.0;
        let end = &low + range;
        for len in 0.. {
            let unit = BigUint::from(1u8) << (precision - 8 * len);
            let value = (&low + &unit - 1u8) / &unit;
            if &value * &unit < end {
                let bytes = value.to_bytes_be();
                // A number has no leading zeros, a code does (and zero itself has one digit).
                let mut code = vec![0; (len + 1).saturating_sub(bytes.len())];
                code.extend(bytes);
                return code.split_off(code.len() - len);
            }
        }
        unreachable!("8 bytes past the words that left always suffice")
    }
}

impl Coder for ExactEncoder {
    const TOLD: bool = true;

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        let p1 = p1.get();
        let (start, size) = if bit { (0, p1) } else { (p1, (1 << BIT_BITS) - p1) };
        self.0.narrow(start, size, BIT_BITS);
        bit
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        let (start, size) = distribution.interval(symbol);
        self.0.narrow(start, size, D::BITS);
        symbol
    }
}

/// Decodes exactly, slowly: tries every symbol.
pub struct ExactDecoder {
    interval: Interval,
    code: BigUint,
    code_bits: usize,
}

impl ExactDecoder {
    pub fn new(code: &[u8]) -> Self {
        Self {
            interval: Interval::new(),
            code: BigUint::from_bytes_be(code),
            code_bits: 8 * code.len(),
        }
    }

    fn holds(&self, start: u32, size: u32, bits: u32) -> bool {
        let precision = self.interval.precision;
        let value = if precision >= self.code_bits {
            &self.code << (precision - self.code_bits)
        } else {
            &self.code >> (self.code_bits - precision) // floor: the ends are whole units
        };
        let (low, range) = self.interval.part(start, size, bits);
        value >= low && value < low + range
    }
}

impl Coder for ExactDecoder {
    const TOLD: bool = false;

    fn bit(&mut self, p1: BitProb, _bit: bool) -> bool {
        let p1 = p1.get();
        let bit = self.holds(0, p1, BIT_BITS);
        let (start, size) = if bit { (0, p1) } else { (p1, (1 << BIT_BITS) - p1) };
        assert!(self.holds(start, size, BIT_BITS), "the code left the interval");
        self.interval.narrow(start, size, BIT_BITS);
        bit
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, _symbol: usize) -> usize {
        let holding = |&symbol: &usize| {
            let (start, size) = distribution.interval(symbol);
            self.holds(start, size, D::BITS)
        };
        let symbol = (0..distribution.symbols()).find(holding).expect("the code left the interval");
        let (start, size) = distribution.interval(symbol);
        self.interval.narrow(start, size, D::BITS);
        symbol
    }
}
