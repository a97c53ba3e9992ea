//! A primed state alone.

use std::sync::Arc;

use super::Walk;
use crate::coder::Coder;
use crate::predict::cm::primed::{self, PrimedBlock};
use crate::progress::{Progress, Watched};
use crate::walk;

#[derive(Debug, Clone)]
pub(crate) struct Primed(pub(in super::super) Arc<primed::Primed>);

impl Walk for Primed {
    fn memory(&self, len: usize) -> u64 {
        PrimedBlock::memory(&self.0, len)
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        let model = PrimedBlock::new(&self.0, data.len());
        walk::walk(&mut Watched::new(model, progress), coder, data);
    }
}
