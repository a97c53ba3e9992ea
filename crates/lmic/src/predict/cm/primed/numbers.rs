//! Numbers through adaptive bits, for what is not worth a model of its own: a walk through a coder writes them and
//! reads them.

use crate::coder::Coder;
use crate::predict::cm::counter::Adaptive;
use crate::quantize::BitProb;

/// An adaptive bit settles at steps of about 1/60.
const LIMIT: u32 = 60;

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

/// Lengths up to 2^31: number of bits, the three below the highest by what came before, the rest even.
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
