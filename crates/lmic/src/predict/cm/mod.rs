//! `cm`: online context mixing. Predicts bit by bit, learns while it codes, integers only.

pub mod logistic;

use crate::coder::Coder;
use crate::quantize::BitProb;
use crate::walk::Model;

/// The context-mixing model for bytes of any kind.
#[derive(Debug)]
pub struct Cm {
    order1: Vec<u16>,
}

impl Cm {
    /// A fresh model for a block of `len` bytes.
    pub fn new(_profile: u8, _len: usize) -> Self {
        Self { order1: vec![1 << 15; 1 << 16] }
    }

    /// Bytes that [`Cm::new`] with the same arguments allocates.
    pub fn memory(_profile: u8, _len: usize) -> u64 {
        1 << 17
    }
}

impl Model for Cm {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let c1 = usize::from(past.last().copied().unwrap_or(0)) << 8;
        let mut node = 1;
        for i in (0..8).rev() {
            let p = &mut self.order1[c1 | node];
            let bit = coder.bit(BitProb::new(u32::from(*p)), next[0] >> i & 1 == 1);
            *p = if bit { *p + ((65535 - *p) >> 4) } else { *p - (*p >> 4) };
            node = node << 1 | usize::from(bit);
        }
        next[0] = node as u8;
        1
    }
}
