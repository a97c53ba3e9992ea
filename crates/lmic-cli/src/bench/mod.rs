//! Codecs to measure side by side, each at its strongest. Those that are not ours are of `lmic-baselines`.
//!
//! To add one: a line in `OTHERS`.

pub mod lmic;
mod measure;
mod records;

use std::borrow::Cow;
use std::sync::Arc;

use ::lmic::DEFAULT_LEVEL;
use ::lmic::block::apart_network;
use ::lmic::records::{PrimeOptions, Primed};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use lmic_baselines::{Baseline, Coder, Dictionary};

use crate::levels;

pub use measure::{Measured, measure};

/// A compressor with its settings. State that helps from one input to the next may be kept.
pub trait Codec {
    /// Compresses.
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>>;
    /// Restores what [`Codec::encode`] made of `raw_len` bytes.
    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>>;
}

impl Codec for Box<dyn Coder> {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        Ok((**self).encode(raw)?)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        Ok((**self).decode(coded, raw_len)?)
    }
}

/// A codec by name, made when it is its turn.
#[derive(Clone)]
pub struct Entry {
    /// `zstd-22`, say: the family and the setting.
    pub name: Cow<'static, str>,
    make: Make,
}

#[derive(Clone)]
enum Make {
    Level(u8),
    Baseline(fn(threads: usize) -> Baseline),
    Neural(lmic::Neural),
    Primed(String, Arc<Primed>, u8),
    Records(Arc<Primed>),
    Dictionary(Arc<Vec<u8>>),
}

impl Entry {
    /// The codec with up to `threads` threads, if it has any use for them.
    pub fn make(&self, threads: usize) -> Result<Box<dyn Codec>> {
        match &self.make {
            Make::Baseline(settings) => Ok(Box::new(settings(threads).coder()?)),
            &Make::Level(level) => Ok(Box::new(lmic::Lmic { level, threads, neural: None })),
            Make::Neural(neural) => {
                let neural = Some(neural.clone());
                Ok(Box::new(lmic::Lmic { level: DEFAULT_LEVEL, threads, neural }))
            }
            Make::Primed(name, primed, level) => {
                let (name, primed, level) = (name.clone(), Arc::clone(primed), *level);
                Ok(Box::new(lmic::OfPrimed { name, primed, level, threads }))
            }
            Make::Records(primed) => Ok(Box::new(records::Records::new(Arc::clone(primed)))),
            Make::Dictionary(dictionary) => {
                let coder: Box<dyn Coder> = Box::new(Dictionary::new(dictionary)?);
                Ok(Box::new(coder))
            }
        }
    }

    /// lmic with a network, called as that.
    pub fn neural(neural: lmic::Neural) -> Self {
        Self { name: neural.network.name().to_owned().into(), make: Make::Neural(neural) }
    }

    /// lmic with a primed state: alone, beside context mixing, beside the default network, too.
    pub fn primed(name: &str, primed: &Arc<Primed>) -> [Self; 3] {
        [1, 5, DEFAULT_LEVEL].map(|level| Self {
            name: format!("{name}-{level}").into(),
            make: Make::Primed(name.into(), Arc::clone(primed), level),
        })
    }

    /// What short records are coded with after learning from samples: lmic primed, zstd with a dictionary.
    pub fn of_records(samples: &[Vec<u8>]) -> Result<[Self; 2]> {
        let slices: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
        let primed = Arc::new(Primed::learn(&slices, &PrimeOptions::default())?);
        let dictionary = Arc::new(records::dictionary(samples)?);
        Ok([
            Self { name: "lmic -p".into(), make: Make::Records(primed) },
            Self { name: "zstd-19 + dictionary".into(), make: Make::Dictionary(dictionary) },
        ])
    }

    fn family(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    /// Whether it needs a network that does not come with the program.
    fn is_apart(&self) -> bool {
        matches!(self.make, Make::Level(level) if apart_network(level).is_some())
    }
}

/// Every codec, in the order in which they are shown.
fn all() -> impl Iterator<Item = Entry> {
    let ours = levels::LEVELS
        .map(|level| Entry { name: format!("lmic-{level}").into(), make: Make::Level(level) });
    ours.chain(OTHERS.iter().cloned())
}

const fn entry(name: &'static str, settings: fn(threads: usize) -> Baseline) -> Entry {
    Entry { name: Cow::Borrowed(name), make: Make::Baseline(settings) }
}

static OTHERS: [Entry; 5] = [
    entry("gzip-9", |_| Baseline::Gzip { level: 9 }),
    entry("bzip2-9", |_| Baseline::Bzip2),
    entry("xz-9e", |threads| Baseline::Xz { preset: 9, extreme: true, lean: false, threads }),
    entry("zstd-22", |threads| Baseline::Zstd { level: 22, lean: false, threads }),
    entry("brotli-11", |_| Baseline::Brotli { quality: 11, lean: false }),
];

/// The codecs that the names and families in `selectors` pick; all if there are none. A level that needs a file of its own is
/// picked by its name only.
pub fn select(selectors: &[String]) -> Vec<Entry> {
    let is_named = |e: &Entry| selectors.iter().any(|s| *s == e.name);
    let is_meant = |e: &Entry| selectors.is_empty() || selectors.iter().any(|s| s == e.family());
    all().filter(|e| is_named(e) || is_meant(e) && !e.is_apart()).collect()
}

/// What `--codec` takes.
pub fn selectors() -> PossibleValuesParser {
    let mut names: Vec<String> = all().map(|entry| entry.family().to_owned()).collect();
    names.dedup();
    names.extend(all().map(|entry| entry.name.into_owned()));
    PossibleValuesParser::new(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_restores_short_and_repetitive_inputs() {
        let long = b"to be or not to be, that is the question. ".repeat(500);
        for entry in select(&[]) {
            let mut codec = entry.make(1).unwrap();
            for raw in [&b""[..], b"x", &long] {
                let coded = codec.encode(raw).unwrap();
                assert_eq!(codec.decode(&coded, raw.len()).unwrap(), raw, "{}", entry.name);
                assert!(raw.len() < 1000 || coded.len() < raw.len() / 10, "{}", entry.name);
            }
        }
    }

    #[test]
    fn selectors_are_names_or_families() {
        let names = |s: &[&str]| -> Vec<_> {
            let selectors: Vec<_> = s.iter().map(ToString::to_string).collect();
            select(&selectors).into_iter().map(|e| e.name).collect()
        };
        assert_eq!(names(&[]).len(), all().count() - 1);
        assert_eq!(names(&["lmic-9"]), ["lmic-9"]);
        assert_eq!(names(&["lmic"]).len(), 8);
        assert_eq!(names(&["xz", "lmic-2"]), ["lmic-2", "xz-9e"]);
    }
}
