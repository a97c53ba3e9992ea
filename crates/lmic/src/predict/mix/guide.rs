//! Guides: what a network, a primed state or both say of the next bit.
//!
//! A network gives weights for all values of a byte, as a tree ([`ByteTree`]). Its opinion on a bit is the logarithm of the
//! ratio of two children.

use crate::predict::cm::logistic::STRETCH_MAX;
use crate::predict::cm::primed::{Opinion, Past};
use crate::quantize::ByteTree;

/// Bits of the mantissa in the table of logarithms.
const MANTISSA: u32 = 10; // frozen

/// Gives opinions on the bits of a byte, from outside of `cm`. An opinion is ln(p / (1 - p)) in units of 1/256, within
/// `±STRETCH_MAX`.
pub trait Guide {
    /// Called before a byte is coded, so that what it needs can be fetched ahead.
    fn begin(&mut self) {}

    /// The opinion on the bit after `node`, which is the bits so far behind a leading 1. Bits are asked for in order.
    fn stretched(&mut self, node: usize) -> i32;

    /// A second opinion on the same bit, if there is one.
    fn second(&mut self) -> Option<i32> {
        None
    }

    /// Learns that the bit which was asked for was `bit`.
    fn update(&mut self, bit: bool) {
        let _ = bit;
    }
}

impl Guide for &ByteTree {
    #[inline(always)]
    fn stretched(&mut self, node: usize) -> i32 {
        let [zero, one] = self.children(node);
        (logarithm(one) - logarithm(zero)).clamp(-STRETCH_MAX, STRETCH_MAX)
    }
}

/// A primed state as the only guide.
pub struct OfState<'a> {
    pub opinion: &'a mut Opinion,
    pub past: &'a mut Past,
}

impl Guide for OfState<'_> {
    #[inline(always)]
    fn begin(&mut self) {
        self.opinion.begin(self.past);
    }

    #[inline(always)]
    fn stretched(&mut self, _: usize) -> i32 {
        self.opinion.stretched()
    }

    #[inline(always)]
    fn update(&mut self, bit: bool) {
        self.opinion.update(self.past, bit);
    }
}

/// A network as the guide, and a primed state for a second opinion.
pub struct OfBoth<'a>(pub &'a ByteTree, pub OfState<'a>);

impl Guide for OfBoth<'_> {
    #[inline(always)]
    fn begin(&mut self) {
        self.1.begin();
    }

    #[inline(always)]
    fn stretched(&mut self, node: usize) -> i32 {
        self.0.stretched(node)
    }

    #[inline(always)]
    fn second(&mut self) -> Option<i32> {
        Some(self.1.opinion.stretched())
    }

    #[inline(always)]
    fn update(&mut self, bit: bool) {
        self.1.update(bit);
    }
}

/// Opinions on the bits of a byte that is known: of each bit given those before it, the probability over 2^16 that it is 1.
#[derive(Debug, Clone, Copy)]
pub struct Path(pub [u16; 8]);

impl Guide for Path {
    fn stretched(&mut self, node: usize) -> i32 {
        let p = u32::from(self.0[node.ilog2() as usize]).max(1);
        (logarithm(p) - logarithm((1 << 16) - p)).clamp(-STRETCH_MAX, STRETCH_MAX)
    }
}

/// `256 ln x`, rounded down to a step of the mantissa; `x` is not 0.
#[inline(always)]
fn logarithm(x: u32) -> i32 {
    let zeros = x.leading_zeros();
    let mantissa = x << zeros >> (31 - MANTISSA) & ((1 << MANTISSA) - 1);
    // 256 ln 2 = 177.446
    (((31 - zeros as i32) * 181704) >> 10) + i32::from(LOGARITHMS[mantissa as usize])
}

/// `256 ln(1 + (m + 1/2) / 2^MANTISSA)`, rounded.
static LOGARITHMS: [i16; 1 << MANTISSA] = {
    let mut table = [0; 1 << MANTISSA];
    let mut m = 0;
    while m < table.len() {
        let x = (m as f64 + 0.5) / table.len() as f64;
        // ln(1 + x) = 2 (y + y^3 / 3 + y^5 / 5 ...) with y = x / (2 + x) < 1/3: only + * /, rounded as IEEE says.
        let y = x / (2.0 + x);
        let (mut power, mut sum, mut n) = (y, 0.0, 1);
        while n < 40 {
            sum += power / n as f64;
            power *= y * y;
            n += 2;
        }
        table[m] = (512.0 * sum + 0.5) as i16;
        m += 1;
    }
    table
}; // frozen

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Level;

    #[test]
    fn logarithms_are_right_to_a_unit() {
        for x in [1u32, 2, 3, 255, 256, 1000, 65535, 65536, 1 << 23, u32::MAX] {
            let exact = 256.0 * f64::from(x).ln();
            assert!((f64::from(logarithm(x)) - exact).abs() < 1.5, "{x}");
        }
    }

    #[test]
    fn a_distribution_says_what_its_sums_say() {
        let mut weights = [0.0; 256];
        weights[b'a' as usize] = 1.0;
        weights[b'b' as usize] = 0.25;
        let mut tree = ByteTree::default();
        tree.quantize(Level::detect(), &weights);
        let mut guide = &tree;
        // a = 0110 0001, b = 0110 0010: after 0110 00, a 1 is a quarter as likely as a 0.
        let stretched = guide.stretched(0b101_1000);
        assert!((stretched + 355).abs() <= 2, "{stretched}"); // 256 ln(1/4)
        assert_eq!(guide.stretched(1), -STRETCH_MAX);
    }
}
