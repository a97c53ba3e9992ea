//! A model of tokens, which codes a block in its own symbols.

use std::sync::Arc;

use super::{another, check_context};
use crate::error::Result;
use crate::nn::{Network, TokenModel, Windows};
use crate::progress::Progress;

#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    model: Arc<dyn TokenModel>,
    windows: Windows,
    pub(super) threads: usize,
}

impl Tokens {
    pub(super) fn new(network: Network, windows: Windows) -> Result<Self> {
        let Network::Tokens(model) = network else { return another("a model of tokens") };
        check_context(model.context(), windows)?;
        Ok(Self { model, windows, threads: 1 })
    }

    pub(super) fn memory(&self, len: usize) -> u64 {
        self.model.memory(self.windows, len)
    }

    pub(super) fn encode(&self, data: &[u8], progress: &Progress) -> Vec<u8> {
        self.model.encode(self.windows, self.threads, data, progress)
    }

    pub(super) fn decode(&self, code: &[u8], data: &mut [u8], progress: &Progress) -> Result<()> {
        self.model.decode(self.windows, self.threads, code, data, progress)
    }
}
