//! Watching and stopping a walk from another thread: a block may take a minute, and a progress bar, or
//! a caller that has lost interest, should not have to wait for its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::walk::Model;

/// Coding seen from another thread: how far it is, and whether it is still wanted. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    done: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    /// Of the work that this is a part of.
    whole_stopped: Option<Arc<AtomicBool>>,
}

impl Progress {
    /// Bytes of content coded so far, by all that share this.
    pub fn done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// A progress for work that is not part of what is counted, such as a code that is only tried. It stops when this one is
    /// stopped.
    pub(crate) fn unseen(&self) -> Self {
        Self { done: Arc::default(), ..self.clone() }
    }

    /// A progress for a part of the work: it counts here, and stops when this one is stopped, but can be stopped alone.
    pub(crate) fn part(&self) -> Self {
        let whole_stopped = Some(Arc::clone(&self.stopped));
        Self { done: Arc::clone(&self.done), stopped: Arc::default(), whole_stopped }
    }

    /// Counts bytes that needed no coding.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Makes coding that shares this end soon: an encoder or decoder with [`ErrorKind::Stopped`], a
    /// walk with a result that means nothing. They cannot go on afterwards.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Takes a stop back, for the next work: what was stopped does not go on.
    pub fn resume(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// Whether [`Progress::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        let is_set = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        is_set(&self.stopped) || self.whole_stopped.as_ref().is_some_and(is_set)
    }

    /// An error if [`Progress::stop`] was called.
    pub(crate) fn check(&self) -> Result<()> {
        match self.is_stopped() {
            true => Err(Error::new(ErrorKind::Stopped, "the work was stopped")),
            false => Ok(()),
        }
    }
}

/// A model that reports its progress, in steps: touching a shared counter for every byte costs time.
pub(crate) struct Watched<'a, M> {
    model: M,
    progress: &'a Progress,
    /// Bytes that are coded and not yet reported.
    pending: usize,
}

impl<'a, M> Watched<'a, M> {
    const STEP: usize = 16 << 10;

    pub(crate) fn new(model: M, progress: &'a Progress) -> Self {
        Self { model, progress, pending: 0 }
    }

    fn report(&mut self) {
        self.progress.add(self.pending as u64);
        self.pending = 0;
    }
}

impl<M: Model> Model for Watched<'_, M> {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let len = self.model.code(coder, past, next);
        self.pending += len;
        if self.pending >= Self::STEP {
            self.report();
            if self.progress.is_stopped() {
                return next.len();
            }
        }
        len
    }
}

impl<M> Drop for Watched<'_, M> {
    fn drop(&mut self) {
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::RangeEncoder;
    use crate::predict::cm::Cm;

    #[test]
    fn coding_that_is_stopped_ends_early() {
        let progress = Progress::default();
        progress.stop();
        let mut data = vec![b'a'; 1 << 20];
        let mut model = Watched::new(Cm::new(1, data.len()), &progress);
        crate::walk::walk(&mut model, &mut RangeEncoder::new(), &mut data);
        assert_eq!(progress.done().load(Ordering::Relaxed), Watched::<Cm>::STEP as u64);
        assert_eq!(data, vec![b'a'; 1 << 20]);
    }
}
