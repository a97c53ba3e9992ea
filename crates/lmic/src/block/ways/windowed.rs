//! A transformer alone, in windows and lanes.

use std::sync::Arc;

use super::{Walk, another, check_context};
use crate::coder::Coder;
use crate::error::Result;
use crate::nn::{Lanes, Network, Transformer, Windows};
use crate::progress::Progress;
use crate::walk;

#[derive(Debug, Clone)]
pub(crate) struct Windowed {
    model: Arc<Transformer>,
    windows: Windows,
}

impl Windowed {
    pub(super) fn new(network: Network, windows: Windows) -> Result<Self> {
        let Network::Transformer(model) = network else { return another("a transformer of bytes") };
        check_context(model.context(), windows)?;
        Ok(Self { model, windows })
    }
}

impl Walk for Windowed {
    fn memory(&self, len: usize) -> u64 {
        Lanes::memory(&self.model, self.windows, len)
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        walk::walk(&mut Lanes::new(&self.model, self.windows, progress), coder, data);
    }
}
