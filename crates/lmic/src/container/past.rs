//! The literals of a stream's earlier blocks, for the copies of later ones.

use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// The last literals of a stream that is decoded from its start, as far as copies reach or memory lasts.
#[derive(Debug, Default)]
pub(super) struct Past {
    bytes: Vec<u8>,
    /// Where the first of them stands among all literals of the stream.
    start: u64,
}

impl Past {
    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        self.bytes.capacity() as u64
    }

    /// Takes in a block's literals; keeps at most `memory` bytes.
    pub(super) fn push(&mut self, literals: &[u8], memory: u64) {
        let most = MAX_REACH.min(memory) as usize;
        let literals = match literals.len().checked_sub(most) {
            Some(gone) => {
                self.start += (self.bytes.len() + gone) as u64;
                self.bytes.clear();
                &literals[gone..]
            }
            None => literals,
        };
        // Something more is kept so that not all moves with every block.
        if self.bytes.len() + literals.len() > most + most / 4 {
            let gone = self.bytes.len() + literals.len() - most;
            self.bytes.drain(..gone);
            self.start += gone as u64;
        }
        self.bytes.extend_from_slice(literals);
    }

    /// Literals from `place` of the stream on.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] if they are not kept any more.
    pub(super) fn from(&self, place: u64) -> Result<&[u8]> {
        let at = place.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.bytes.get(at..)) {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(Error::new(
                ErrorKind::MemoryLimit,
                "a block copies from further back than the memory limit lets it keep",
            )),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
