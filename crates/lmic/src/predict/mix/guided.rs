//! A block under a primed state and `cm` together, without a network: one lane, in order.

use std::sync::Arc;

use super::guide::OfState;
use super::guided_mixer::GuidedMixer;
use crate::coder::Coder;
use crate::predict::cm::matcher::View;
use crate::predict::cm::primed::{Opinion, Past, Primed};
use crate::predict::cm::store::Whole;
use crate::walk::Model;

/// The mixer of `mix` with a primed state as its guide.
pub struct Guided {
    mixer: GuidedMixer,
    store: Whole,
    opinion: Opinion,
    past: Past,
}

impl Guided {
    /// A model for a block of `len` bytes.
    pub fn new(primed: Arc<Primed>, len: usize) -> Self {
        Self {
            mixer: GuidedMixer::new(),
            store: GuidedMixer::store(len),
            opinion: Opinion::new(primed),
            past: Past::default(),
        }
    }

    /// Bytes that [`Guided::new`] allocates.
    pub fn memory(primed: &Primed, len: usize) -> u64 {
        GuidedMixer::store_memory(len) + GuidedMixer::memory() + Opinion::memory(primed)
    }
}

impl Model for Guided {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let mut guide = OfState { opinion: &mut self.opinion, past: &mut self.past };
        next[0] = self.mixer.code(&mut self.store, coder, View::whole(past), &mut guide, next[0]);
        1
    }
}
