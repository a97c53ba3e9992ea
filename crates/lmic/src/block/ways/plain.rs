//! Context mixing alone, for programs with what it knows of instructions, or for samples a model made for them.

use super::{Content, Walk};
use crate::coder::Coder;
use crate::predict::cm::Cm;
use crate::predict::programs::{self, Machine};
use crate::predict::samples::Samples;
use crate::predict::teams::{Alone, Run};
use crate::progress::{Progress, Watched};
use crate::walk;

/// The model of a block that needs no files: all that a decoder must know to build it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plain {
    /// Strength of context mixing, 1 (fast) to 5 (strong); for samples also 6 (with pretrained networks).
    pub profile: u8,
    /// What the block holds.
    pub content: Content,
}

impl Plain {
    /// Bytes of memory that coding a block of `len` bytes takes in either direction, beside the block
    /// itself and its code. Computed without allocating, so that a decoder can refuse.
    pub fn memory(&self, len: usize) -> u64 {
        Walk::memory(self, len)
    }

    /// Encodes a block. `data` is left as it was. The code is raw: no length, no checksum.
    ///
    /// # Panics
    /// If the profile or the content's parameters are out of range.
    pub fn encode(&self, data: &mut [u8]) -> Vec<u8> {
        self.around(data, true, |data| Walk::encode(self, data, 1, &Progress::default()))
    }

    /// Fills `data` from `code`. A damaged code gives other bytes, never a panic.
    ///
    /// # Panics
    /// As [`Plain::encode`].
    pub fn decode(&self, code: &[u8], data: &mut [u8]) {
        // Wrong lengths in a damaged code leave the bytes as they are, which are other ones, too.
        let _ = self
            .around(data, false, |data| Walk::decode(self, code, data, 1, &Progress::default()));
    }
}

impl Plain {
    fn machine(&self) -> Option<Machine> {
        match self.content {
            Content::Program(machine) => Some(machine),
            _ => None,
        }
    }

    /// Has `walk` walk a block: of a program, what it walks are absolute distances.
    pub(super) fn around<T>(
        &self,
        data: &mut [u8],
        told: bool,
        walk: impl FnOnce(&mut [u8]) -> T,
    ) -> T {
        let Some(machine) = self.machine() else { return walk(data) };
        if told {
            programs::absolute(machine, data);
        }
        let result = walk(data);
        programs::relative(machine, data);
        result
    }
}

impl Walk for Plain {
    fn memory(&self, len: usize) -> u64 {
        match self.content {
            Content::Samples(format) => Samples::memory(self.profile, format, len),
            Content::Bytes | Content::Binary | Content::Program(_) => Cm::memory(self.profile, len),
        }
    }

    fn teams(&self, len: usize) -> usize {
        match self.content {
            Content::Samples(_) => 1,
            Content::Bytes | Content::Binary | Content::Program(_) => {
                Cm::cut(self.profile, len).teams()
            }
        }
    }

    fn walk_teams(&self, run: impl Run, data: &mut [u8], progress: &Progress) {
        Cm::walk(self.profile, self.machine(), data, run, progress);
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        match self.content {
            Content::Samples(format) => {
                let model = Samples::new(self.profile, format, data.len());
                walk::walk(&mut Watched::new(model, progress), coder, data);
            }
            _ if self.teams(data.len()) > 1 => {
                Cm::walk(self.profile, self.machine(), data, Alone(coder), progress);
            }
            _ => {
                let model = Cm::of(self.profile, self.machine(), data.len());
                walk::walk(&mut Watched::new(model, progress), coder, data);
            }
        }
    }
}
