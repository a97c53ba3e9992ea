//! A primed state and context mixing.

use std::sync::Arc;

use super::Walk;
use crate::coder::Coder;
use crate::predict::cm::primed::Primed;
use crate::predict::mix;
use crate::progress::{Progress, Watched};
use crate::walk;

#[derive(Debug, Clone)]
pub(crate) struct Guided(pub(in super::super) Arc<Primed>);

impl Walk for Guided {
    fn memory(&self, len: usize) -> u64 {
        mix::Guided::memory(&self.0, len)
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        let model = mix::Guided::new(Arc::clone(&self.0), data.len());
        walk::walk(&mut Watched::new(model, progress), coder, data);
    }
}
