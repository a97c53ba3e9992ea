//! `recurrent:level=N`: the network of a level by itself. No archive of lmic has that, as context mixing beside it costs next to nothing:
//! here it shows what the network's part is.

use std::sync::Arc;

use anyhow::{Context, Result};
use lmic::block::Content;
use lmic::nn::{Recurrent, RecurrentState, RecurrentStream, RecurrentWorkspace, START_SYMBOL};
use lmic::predict::Predictor;

use super::{Codec, ModelSize, Spec};
use crate::item::{Format, Item, Told};

/// The network.
pub struct Network {
    model: Arc<Recurrent>,
    size: ModelSize,
    identity: String,
}

impl Network {
    /// Takes the settings out of `spec`.
    pub fn open(spec: &mut Spec) -> Result<Self> {
        let level = spec.get("level")?.context("recurrent: level=N is needed")?;
        let model = lmic::block::level_network(level, &super::ours::models())?;
        let model = model.with_context(|| format!("recurrent: level {level} has no network"))?;
        let files = lmic::block::built_in_files(level, Content::Bytes);
        let apart = lmic::block::apart_network(level).map_or(0, |network| network.bytes);
        let bytes = apart + files.iter().map(|file| file.len() as u64).sum::<u64>();
        let identity = lmic::hex(&model.identity()[..8]);
        let size = ModelSize { bytes, params: model.config().params() };
        Ok(Self { model, size, identity })
    }

    fn walk(&self) -> Walk<'_> {
        let state = self.model.state();
        Walk {
            model: &self.model,
            state,
            work: RecurrentWorkspace::default(),
            last: START_SYMBOL as u16,
        }
    }
}

/// The network along an item.
struct Walk<'a> {
    model: &'a Recurrent,
    state: RecurrentState,
    work: RecurrentWorkspace,
    last: u16,
}

impl Predictor for Walk<'_> {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        let symbols = [self.last];
        let mut feeds = [RecurrentStream { state: &mut self.state, wanted: 1, symbols: &symbols }];
        probs.copy_from_slice(&self.model.weights(&mut feeds, &mut self.work)[0]);
    }

    fn update(&mut self, byte: u8) {
        self.last = byte.into();
    }
}

impl Codec for Network {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(lmic::walk::encode(self.walk(), &item.bytes))
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        Ok(lmic::walk::decode(self.walk(), coded, told.len))
    }

    fn model(&self, _format: Format) -> Result<ModelSize> {
        Ok(self.size)
    }

    fn version(&self) -> String {
        format!("lmic {}, {}", env!("CARGO_PKG_VERSION"), self.identity)
    }
}
