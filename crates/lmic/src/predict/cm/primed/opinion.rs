//! The opinion of a primed state on each bit, for `mix`.
//!
//! The histories go on learning through all of the block. What they are worth does not change, as in a record: the contexts of
//! `mix` learn what is new in a block.

use std::sync::Arc;

use super::Primed;
use super::contexts::Facts;
use super::parameters::Mixed;
use super::record_mixer::{Byte, RecordMixer};
use super::table::{Line, Table};
use crate::predict::cm::logistic::stretch;

/// A lane's past as the state sees it.
#[derive(Debug, Clone, Default)]
pub struct Past(Facts);

/// What a primed state says of the bits of a block.
#[derive(Debug)]
pub struct Opinion {
    primed: Arc<Primed>,
    mixer: RecordMixer,
    byte: Byte,
    mixed: Mixed,
}

impl Opinion {
    /// The opinions for a block: they begin with a copy of the state's histories.
    pub fn new(primed: Arc<Primed>) -> Self {
        let mut mixer = RecordMixer::new(Table::of(primed.lines.clone()), false);
        let byte = mixer.begin();
        let mixed = mixer.predict(&primed.parameters, &byte);
        Self { primed, mixer, byte, mixed }
    }

    /// Bytes that [`Opinion::new`] allocates.
    pub fn memory(primed: &Primed) -> u64 {
        (primed.lines.len() * size_of::<Line>()) as u64
    }

    /// Begins the next byte of the lane with this past. The past comes back, with the byte added, after the byte's last bit.
    #[inline(always)]
    pub fn begin(&mut self, past: &mut Past) {
        self.mixer.exchange(&mut past.0);
        self.byte = self.mixer.begin();
    }

    /// The opinion on the next bit: ln(p / (1 - p)) in units of 1/256.
    #[inline(always)]
    pub fn stretched(&mut self) -> i32 {
        match self.byte.node() {
            1 => self.mixer.first_half(&mut self.byte),
            16..32 => self.mixer.second_half(&mut self.byte),
            _ => {}
        }
        self.mixed = self.mixer.predict(&self.primed.parameters, &self.byte);
        stretch(self.mixed.p)
    }

    /// Learns that the bit was `bit`.
    #[inline(always)]
    pub fn update(&mut self, past: &mut Past, bit: bool) {
        self.mixer.update(&mut &self.primed.parameters, &mut self.byte, &self.mixed, bit);
        if self.byte.node() >= 256 {
            self.mixer.end(&self.byte);
            if self.byte.node() as u8 == self.primed.end {
                self.mixer.start();
            }
            self.mixer.exchange(&mut past.0);
        }
    }
}
