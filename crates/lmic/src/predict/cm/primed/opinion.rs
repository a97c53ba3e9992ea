//! The state as one opinion among others: `mix` asks it of each bit.
//!
//! Histories learn, for all of the block; what they are worth stands still, as in a record: what is new in a block is for the
//! contexts of `mix` to learn.

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

/// What the state says of the bytes of a block.
#[derive(Debug)]
pub struct Opinion {
    primed: Arc<Primed>,
    mixer: RecordMixer,
    byte: Byte,
    mixed: Mixed,
}

impl Opinion {
    /// With histories of its own.
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

    /// The next byte is of the lane with this past, which comes back changed when its last bit is known.
    #[inline(always)]
    pub fn begin(&mut self, past: &mut Past) {
        self.mixer.exchange(&mut past.0);
        self.byte = self.mixer.begin();
    }

    /// Of the next bit: ln(p / (1 - p)) in units of 1/256.
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

    /// It was `bit`.
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
