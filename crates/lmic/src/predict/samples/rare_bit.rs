//! Bits that are nearly always the same, or noise: those below the part of a sample that is predicted.

use crate::coder::Coder;
use crate::quantize::BitProb;

/// The probability of a 1, over 2^16.
#[derive(Debug, Clone, Copy)]
pub struct RareBit(u16);

impl RareBit {
    /// A 1 is not expected.
    pub const NEW: Self = Self(1 << 12); // frozen
    /// Nothing is known.
    pub const EVEN: Self = Self(1 << 15); // frozen
    const RATE: u32 = 5; // frozen

    /// Codes a bit: `bit` where it is known.
    pub fn code<C: Coder>(&mut self, coder: &mut C, bit: bool) -> bool {
        let bit = coder.bit(BitProb::new(self.0.into()), bit);
        let target = if bit { 65535 } else { 0 };
        self.0 = (i32::from(self.0) + ((target - i32::from(self.0)) >> Self::RATE)) as u16;
        bit
    }

    /// Codes the `count` low bits of a value of which `top` is what stands above: all of `value` where it is known.
    pub fn code_low<C: Coder>(
        places: &mut [Self],
        coder: &mut C,
        count: u32,
        top: i32,
        value: i32,
    ) -> i32 {
        (0..count).rev().fold(top, |all, place| {
            all << 1 | i32::from(places[place as usize].code(coder, value >> place & 1 == 1))
        })
    }
}
