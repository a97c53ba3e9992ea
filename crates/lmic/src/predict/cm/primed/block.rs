//! A block of a file that is coded by a primed state alone. In a block everything goes on learning: the histories, and the
//! parameters that say what they are worth.

use super::parameters::Learner;
use super::record_mixer::RecordMixer;
use super::table::{Line, Table};
use super::{MAX_BLOCK_LINE_BITS, Primed};
use crate::coder::Coder;
use crate::predict::cm::primed::contexts::CONTEXTS;
use crate::walk::Model;

/// The model of one block.
#[derive(Debug)]
pub struct PrimedBlock {
    mixer: RecordMixer,
    learner: Learner,
    end: u8,
}

impl PrimedBlock {
    /// A model for a block of `len` bytes.
    pub fn new(primed: &Primed, len: usize) -> Self {
        // A larger table has as many copies of the primed one: each context finds its histories in
        // the copy that its hash leads to.
        let copies = lines(primed, len) / primed.lines.len();
        let table = Table::of(primed.lines.repeat(copies));
        let learner = Learner::primed(primed.parameters.clone());
        Self { mixer: RecordMixer::new(table, false), learner, end: primed.end }
    }

    /// Bytes that [`PrimedBlock::new`] allocates.
    pub fn memory(primed: &Primed, len: usize) -> u64 {
        (lines(primed, len) * size_of::<Line>() + Learner::MEMORY) as u64
    }
}

/// Lines of the table: two slots for each byte and context, at most 256 MiB.
fn lines(primed: &Primed, len: usize) -> usize {
    let wanted = (len.min(1 << 28) * CONTEXTS / 16).next_power_of_two();
    wanted.min(1 << MAX_BLOCK_LINE_BITS).max(primed.lines.len())
}

impl Model for PrimedBlock {
    fn code<C: Coder>(&mut self, coder: &mut C, _past: &[u8], next: &mut [u8]) -> usize {
        next[0] = self.mixer.code(&mut self.learner, coder, next[0]);
        if next[0] == self.end {
            self.mixer.start();
        }
        1
    }
}
