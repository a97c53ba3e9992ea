//! Codecs of short records, which learn from samples before: `primed` is lmic's, `dictionary` that of zstd.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use lmic::records::{PrimeOptions, Primed, RecordCodec};
use lmic_baselines::{Coder, Dictionary};

use super::{Codec, Learned, ModelSize, Train, timed};
use crate::item::{Format, Item, Told};

/// lmic with a primed state, its codes without container.
#[derive(Default)]
pub struct OfPrimed {
    codec: Option<(RecordCodec, u64)>,
}

impl OfPrimed {
    fn codec(&self) -> Result<&RecordCodec> {
        Ok(&self.codec.as_ref().context("nothing to learn from")?.0)
    }
}

impl Codec for OfPrimed {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(self.codec()?.compress(&item.bytes))
    }

    fn decode(&self, coded: &[u8], _told: Told) -> Result<Vec<u8>> {
        Ok(self.codec()?.decompress(coded)?)
    }

    fn learn(&mut self, train: &Train) -> Result<Option<Learned>> {
        let samples = train.samples();
        let slices: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
        let (primed, cost) = timed(|| Ok(Primed::learn(&slices, &PrimeOptions::default())?))?;
        let len = primed.to_bytes().len() as u64;
        self.codec = Some((RecordCodec::new(Arc::new(primed)), len));
        Ok(Some(Learned { bytes: train.bytes.len() as u64, cost }))
    }

    fn model(&self, _format: Format) -> Result<ModelSize> {
        let bytes = self.codec.as_ref().map_or(0, |(_, len)| *len);
        Ok(ModelSize { bytes, params: 0 })
    }

    fn version(&self) -> String {
        format!("lmic {}, commit {}", env!("CARGO_PKG_VERSION"), crate::record::commit())
    }
}

/// zstd with a dictionary; its decoder is told the length of a record.
#[derive(Default)]
pub struct OfDictionary {
    coder: Option<(Mutex<Dictionary>, u64)>,
}

impl OfDictionary {
    fn code(
        &self,
        work: impl FnOnce(&mut Dictionary) -> std::io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let (coder, _) = self.coder.as_ref().context("nothing to learn from")?;
        Ok(work(&mut coder.lock().unwrap_or_else(PoisonError::into_inner))?)
    }
}

impl Codec for OfDictionary {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        self.code(|coder| coder.encode(&item.bytes))
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        self.code(|coder| coder.decode(coded, told.len))
    }

    fn learn(&mut self, train: &Train) -> Result<Option<Learned>> {
        let samples = train.samples();
        let (dictionary, cost) = timed(|| Ok(Dictionary::train(&samples)?))?;
        let coder = Mutex::new(Dictionary::new(&dictionary)?);
        self.coder = Some((coder, dictionary.len() as u64));
        Ok(Some(Learned { bytes: train.bytes.len() as u64, cost }))
    }

    fn model(&self, _format: Format) -> Result<ModelSize> {
        let bytes = self.coder.as_ref().map_or(0, |(_, len)| *len);
        Ok(ModelSize { bytes, params: 0 })
    }

    fn version(&self) -> String {
        "libzstd, level 19, magicless".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_like_the_samples_are_a_few_bytes_and_come_back() {
        let record =
            |i: u32| format!("user={} action=login from=10.0.0.{}", i * 7919 % 1000, i % 250);
        let lines: Vec<String> = (0..2000).map(record).collect();
        let train = Train::new(lines.join("\n").into_bytes());
        let item = Item { bytes: record(5000).into_bytes(), format: Format::Bytes };
        let codecs: [Box<dyn Codec>; 2] =
            [Box::<OfPrimed>::default(), Box::<OfDictionary>::default()];
        for mut codec in codecs {
            assert!(codec.encode(&item).is_err());
            let learned = codec.learn(&train).unwrap().unwrap();
            assert_eq!(learned.bytes, train.bytes.len() as u64);
            let coded = super::super::verified(&*codec, &item).unwrap();
            assert!(coded.len() < item.bytes.len() / 2, "{}", coded.len());
            assert!(codec.model(Format::Bytes).unwrap().bytes > 1000);
        }
    }
}
