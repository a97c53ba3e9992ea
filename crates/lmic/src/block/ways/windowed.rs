//! A transformer alone. The block is cut into lanes, which the transformer sees in windows.

use std::sync::Arc;

use super::super::models::Models;
use super::super::stream::NamedNetwork;
use super::{Walk, another, check_context};
use crate::coder::Coder;
use crate::error::Result;
use crate::nn::{Engine, Network, WindowedBlock, Windows};
use crate::progress::Progress;
use crate::walk;

#[derive(Debug, Clone)]
pub(crate) struct Windowed {
    engine: Arc<dyn Engine>,
    windows: Windows,
}

impl Windowed {
    pub(super) fn new(named: &NamedNetwork, models: &Models) -> Result<Self> {
        let (network, windows) = (models.get(named)?, named.windows);
        let engine = match &network {
            Network::Transformer(model) => {
                check_context(model.context(), windows)?;
                models.engine(&network, None)
            }
            _ => None,
        };
        let Some(engine) = engine else { return another("a transformer of bytes") };
        Ok(Self { engine, windows })
    }
}

impl Walk for Windowed {
    fn memory(&self, len: usize) -> u64 {
        WindowedBlock::memory(&*self.engine, self.windows, len)
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        walk::walk(&mut WindowedBlock::new(&*self.engine, self.windows, progress), coder, data);
    }
}
