//! From probabilities to integer intervals: the only place where floats become integers.
//!
//! Both sides of a walk quantize with this code, so they agree on every interval. Invariants: every
//! symbol has an interval of at least 1, and the intervals of a distribution fill its total exactly.

mod bits;
mod bytes;
mod symbols;

pub(crate) use bits::ByteTree;
pub use bits::{BIT_BITS, BitProb};
pub use bytes::{CDF_BITS, Cdf};
pub use symbols::{SYMBOL_BITS, Symbols};

/// Integer intervals of the symbols of an alphabet, side by side from 0 to `2^BITS`, none of them empty.
pub trait Distribution {
    /// Bits of the total; the coder takes up to [`MAX_BITS`](crate::coder::MAX_BITS).
    const BITS: u32;

    /// How many symbols there are; not 0.
    fn symbols(&self) -> usize;

    /// Start and size of the interval of `symbol`.
    ///
    /// # Panics
    /// If there is no such symbol.
    fn interval(&self, symbol: usize) -> (u32, u32);

    /// Size of the interval of `symbol`.
    ///
    /// # Panics
    /// As there.
    #[inline]
    fn size(&self, symbol: usize) -> u32 {
        self.interval(symbol).1
    }

    /// The symbol whose interval contains `target`; from the total on, the last one.
    fn symbol_at(&self, target: u32) -> usize;
}

/// Bytes of which nothing is known, in 8 bits.
#[derive(Debug, Clone, Copy)]
pub struct AnyByte;

impl Distribution for AnyByte {
    const BITS: u32 = 8;

    fn symbols(&self) -> usize {
        256
    }

    fn interval(&self, byte: usize) -> (u32, u32) {
        (byte as u32, 1)
    }

    fn symbol_at(&self, target: u32) -> usize {
        target.min(255) as usize
    }
}
