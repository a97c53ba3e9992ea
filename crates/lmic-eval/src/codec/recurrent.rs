//! `recurrent:model=PATH`: a recurrent network by itself. No archive of lmic has that, as context mixing beside it costs next to nothing:
//! here it shows what the network's part is.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lmic::nn::{
    Recurrent, RecurrentState, RecurrentStream, RecurrentWeights, RecurrentWorkspace, START_SYMBOL,
};
use lmic::predict::Predictor;

use super::{Codec, ModelSize, Spec};
use crate::item::{Format, Item, Told};

/// The network.
pub struct Network {
    model: Recurrent,
    size: ModelSize,
    identity: String,
}

impl Network {
    /// Takes the settings out of `spec`.
    pub fn open(spec: &mut Spec) -> Result<Self> {
        let path: PathBuf = spec.get("model")?.context("recurrent: model=PATH is needed")?;
        let of = || path.display().to_string();
        let weights = RecurrentWeights::load(&path).with_context(of)?;
        let bytes = path.metadata().with_context(of)?.len();
        let identity = lmic::hex(&blake3::hash(&std::fs::read(&path)?).as_bytes()[..8]);
        Ok(Self {
            model: Recurrent::new(&weights)?,
            size: ModelSize { bytes, params: 0 },
            identity,
        })
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
