//! The coder that only watches.

use lmic::coder::Coder;
use lmic::quantize::{BIT_BITS, BitProb, Distribution};

/// Alternatives that are kept of a byte.
const SHOWN: usize = 6;

/// What a byte cost, and what else might have come.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// `-log2` of its probability.
    pub bits: f64,
    /// First and last byte of a range, and how likely it was, the likeliest first.
    pub others: Vec<(u8, u8, f64)>,
    /// Bits of the byte so far behind a leading 1.
    node: usize,
}

impl Cost {
    /// In words: the byte, then the others.
    pub fn hint(&self, byte: u8) -> String {
        let mut text =
            format!("{} {:.2} bits, {}\n", shown(byte), self.bits, percent((-self.bits).exp2()));
        for &(first, last, p) in &self.others {
            let range = if first == last {
                shown(first)
            } else {
                format!("{} to {}", shown(first), shown(last))
            };
            text += &format!("{:>8} {range}\n", percent(p));
        }
        text
    }
}

fn shown(byte: u8) -> String {
    if byte == b' ' { "space".into() } else { byte.escape_ascii().to_string() }
}

fn percent(p: f64) -> String {
    format!("{:.2} %", 100.0 * p)
}

/// Sees all that is coded.
#[derive(Debug)]
pub struct Watch {
    costs: Vec<Cost>,
    at: usize,
}

impl Watch {
    /// For a block of `len` bytes.
    pub fn new(len: usize) -> Self {
        Self { costs: vec![Cost::default(); len], at: 0 }
    }

    /// What each byte cost.
    pub fn costs(mut self) -> Vec<Cost> {
        for cost in &mut self.costs {
            cost.others.sort_by(|a, b| b.2.total_cmp(&a.2));
            cost.others.truncate(SHOWN);
        }
        self.costs
    }
}

impl Coder for Watch {
    const TOLD: bool = true;

    fn begin(&mut self, at: usize) {
        self.at = at;
    }

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        let Some(cost) = self.costs.get_mut(self.at) else { return bit };
        let p1 = f64::from(p1.get()) / f64::from(1u32 << BIT_BITS);
        let p = if bit { p1 } else { 1.0 - p1 };
        // Models of samples ask other questions than the bits of a byte, and more of them: no ranges then.
        let node = cost.node.max(1);
        if node < 256 {
            let other = node << 1 | usize::from(!bit);
            let left = 7 - node.ilog2();
            let first = (other << left) as u8;
            let last = first | ((1u32 << left) - 1) as u8;
            cost.others.push((first, last, (-cost.bits).exp2() * (1.0 - p)));
            cost.node = node << 1 | usize::from(bit);
        }
        cost.bits -= p.log2();
        bit
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        let Some(cost) = self.costs.get_mut(self.at) else { return symbol };
        let p = |symbol| f64::from(distribution.size(symbol)) / f64::from(1u32 << D::BITS);
        cost.bits = -p(symbol).log2();
        let others = (0..distribution.symbols()).filter(|&other| other != symbol);
        cost.others = others.map(|other| (other as u8, other as u8, p(other))).collect();
        cost.others.sort_by(|a, b| b.2.total_cmp(&a.2));
        cost.others.truncate(SHOWN);
        symbol
    }
}

#[cfg(test)]
mod tests {
    use lmic::progress::Progress;
    use lmic::walk::CodeLength;

    use super::*;
    use crate::codec::open;
    use crate::item::Format;

    #[test]
    fn costs_add_up_to_the_code_length_and_alternatives_to_the_rest() {
        let mut bytes = b"to be, or not to be, that is the question. ".repeat(900); // above 16 KiB: several lanes
        for name in ["cm", "default"] {
            let codec = open(name).unwrap();
            let options = codec.ours().unwrap().options_told(Format::Bytes);
            let (mut length, mut watch) = (CodeLength::default(), Watch::new(bytes.len()));
            options.walk(&mut length, &mut bytes, &Progress::default()).unwrap();
            options.walk(&mut watch, &mut bytes, &Progress::default()).unwrap();
            let total: f64 = watch.costs.iter().map(|cost| cost.bits).sum();
            assert!(
                (total - length.bits()).abs() < 1e-6 * total,
                "{name}: {total}, {}",
                length.bits()
            );
            for cost in watch.costs.iter().step_by(777) {
                let all =
                    (-cost.bits).exp2() + cost.others.iter().map(|other| other.2).sum::<f64>();
                assert!((all - 1.0).abs() < 1e-9 && cost.others.len() == 8, "{name}: {all}");
            }
        }
    }
}
