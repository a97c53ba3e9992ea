//! A block under a primed state and `cm` together, without a network: one lane, in order.

use std::sync::Arc;

use super::guide::OfState;
use super::network::{Lane, Network};
use crate::coder::Coder;
use crate::predict::cm::matcher::View;
use crate::predict::cm::primed::{Opinion, Past, Primed};
use crate::walk::Model;

/// A network of `mix` whose guide is a primed state.
pub struct Guided {
    network: Network,
    lane: Lane,
    opinion: Opinion,
    past: Past,
}

impl Guided {
    /// For a block of `len` bytes.
    pub fn new(primed: Arc<Primed>, len: usize) -> Self {
        Self {
            network: Network::new(len),
            lane: Lane::new(),
            opinion: Opinion::new(primed),
            past: Past::default(),
        }
    }

    /// Bytes that [`Guided::new`] allocates.
    pub fn memory(primed: &Primed, len: usize) -> u64 {
        Network::memory(len) + Opinion::memory(primed)
    }
}

impl Model for Guided {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let mut guide = OfState { opinion: &mut self.opinion, past: &mut self.past };
        next[0] = self.network.code(coder, &mut self.lane, View::whole(past), &mut guide, next[0]);
        1
    }
}
