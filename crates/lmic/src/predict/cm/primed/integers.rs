//! Codes integers by adaptive bits, where a model made for them would not be worth it. The same walk through a coder writes and
//! reads them.

use crate::coder::Coder;
use crate::predict::cm::counter::Adaptive;
use crate::quantize::BitProb;

/// An adaptive bit settles at steps of about 1/60.
const LIMIT: u32 = 60; // frozen

/// Codes one bit with a probability that adapts.
#[inline(always)]
pub fn bit<C: Coder>(coder: &mut C, model: &mut Adaptive, known: bool) -> bool {
    let bit = coder.bit(BitProb::new(model.p()), known);
    model.update(bit, LIMIT);
    bit
}

/// Numbers of `BITS` bits, most significant bit first, each after those before it.
#[derive(Debug, Clone)]
pub struct Tree<const BITS: u32>(Vec<Adaptive>);

impl<const BITS: u32> Tree<BITS> {
    pub fn new() -> Self {
        Self(vec![Adaptive::new(32768, 0); 1 << BITS])
    }

    #[inline(always)]
    pub fn code<C: Coder>(&mut self, coder: &mut C, known: u32) -> u32 {
        let mut node = 1;
        for i in (0..BITS).rev() {
            let bit = bit(coder, &mut self.0[node], known >> i & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        node as u32 & ((1 << BITS) - 1)
    }
}

/// Signed numbers, small ones most likely: length of the magnitude, its bits below the first, the sign.
#[derive(Debug, Clone)]
pub struct Signed {
    len: Tree<5>,
    second: Tree<5>,
    sign: Adaptive,
}

impl Signed {
    pub fn new() -> Self {
        Self { len: Tree::new(), second: Tree::new(), sign: Adaptive::new(32768, 0) }
    }

    pub fn code<C: Coder>(&mut self, coder: &mut C, known: i32) -> i32 {
        let magnitude = known.unsigned_abs();
        let len = self.len.code(coder, 32 - magnitude.leading_zeros()).min(31);
        if len == 0 {
            return 0;
        }
        let mut value = 1u32;
        for i in (0..len - 1).rev() {
            let known = magnitude >> i & 1 == 1;
            let bit = match i + 2 == len {
                true => bit(coder, &mut self.second.0[len as usize], known),
                false => coder.bit(BitProb::HALF, known),
            };
            value = value << 1 | u32::from(bit);
        }
        match bit(coder, &mut self.sign, known < 0) {
            true => -(value as i32),
            false => value as i32,
        }
    }
}

/// Bits of which nothing is known, written as they are, most significant first. A range coder would take as much room for them,
/// and more time.
pub trait RawBits {
    /// Writes the lowest `n` bits of `known`, or reads as many; at most 8.
    fn code(&mut self, known: u8, n: u32) -> u8;
}

/// Writes bits into bytes.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    bits: u32,
    len: u32,
}

impl BitWriter {
    /// The bytes; the last one is filled with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        self.code(0, 7);
        self.bytes
    }
}

impl RawBits for BitWriter {
    fn code(&mut self, known: u8, n: u32) -> u8 {
        self.bits = self.bits << n | u32::from(known);
        self.len += n;
        if self.len >= 8 {
            self.len -= 8;
            self.bytes.push((self.bits >> self.len) as u8);
        }
        known
    }
}

/// Reads bits from bytes, and zeros after their end.
#[derive(Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    bits: u32,
    len: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bits: 0, len: 0 }
    }
}

impl RawBits for BitReader<'_> {
    #[inline(always)]
    fn code(&mut self, _known: u8, n: u32) -> u8 {
        if self.len < n {
            let (&byte, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
            self.bytes = rest;
            self.bits = self.bits << 8 | u32::from(byte);
            self.len += 8;
        }
        self.len -= n;
        (self.bits >> self.len) as u8 & (u8::MAX >> (8 - n))
    }
}

/// Lengths below 2^31. The number of bits is coded first; the three bits below the highest adapt to what came before, and the
/// rest has even odds.
#[derive(Debug, Clone)]
pub struct Lengths {
    bits: Tree<5>,
    top: Vec<Tree<3>>, // (number of bits)
}

impl Lengths {
    pub fn new() -> Self {
        Self { bits: Tree::new(), top: vec![Tree::new(); 32] }
    }

    pub fn code<C: Coder>(&mut self, coder: &mut C, known: u32) -> u32 {
        let bits = self.bits.code(coder, 32 - known.leading_zeros());
        let mut value = 1u32;
        for i in (0..bits.saturating_sub(1)).rev() {
            let known = known >> i & 1 == 1;
            let bit = match bits - i {
                2..=4 => bit(coder, &mut self.top[bits as usize].0[value as usize], known),
                _ => coder.bit(BitProb::HALF, known),
            };
            value = value << 1 | u32::from(bit);
        }
        if bits == 0 { 0 } else { value }
    }
}
