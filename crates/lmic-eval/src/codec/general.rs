//! Codecs for bytes of any kind.

use anyhow::Result;
use lmic_baselines::Baseline;

use super::Codec;
use crate::item::{Item, Told};

impl Codec for Baseline {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(self.coder()?.encode(&item.bytes)?)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        Ok(self.coder()?.decode(coded, told.len)?)
    }

    fn version(&self) -> String {
        Baseline::version(self).into()
    }
}
