//! Codecs behind one trait, by a name with settings such as `xz:preset=6` or `cmd: zstd -19 -c`.
//!
//! To add one: a type with [`Codec`](crate::codec::Codec), a line in [`open`](crate::codec::open).

mod audio;
mod command;
mod general;
mod images;
mod numbers;
mod ours;
mod recurrent;
mod spec;
mod trained;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lmic_baselines::Baseline;
use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

use crate::item::{Format, Item, Told};
use crate::record::Cost;
pub use command::{Commands, Lines, Running};
pub use ours::Ours;
pub use spec::Spec;

/// A compressor with its settings.
pub trait Codec: Send + Sync {
    /// The code of an item, with every header.
    fn encode(&self, item: &Item) -> Result<Vec<u8>>;

    /// What [`Codec::encode`] made of an item, restored.
    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>>;

    /// [`Codec::encode`] of each, and what it took; `peak` asks for the memory of a program, which takes some time.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    fn encode_all(&self, items: &[&Item], _peak: bool) -> Result<(Vec<Vec<u8>>, Cost)> {
        timed(|| items.iter().map(|item| self.encode(item)).collect())
    }

    /// [`Codec::decode`] of each, and what it took.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    fn decode_all(
        &self,
        coded: &[Vec<u8>],
        told: &[Told],
        _peak: bool,
    ) -> Result<(Vec<Vec<u8>>, Cost)> {
        timed(|| coded.iter().zip(told).map(|(coded, &told)| self.decode(coded, told)).collect())
    }

    /// Learns from samples, if it is a codec that does.
    ///
    /// # Errors
    /// If there is too little to learn from.
    fn learn(&mut self, _train: &Train) -> Result<Option<Learned>> {
        Ok(None)
    }

    /// What the decoder of a format must have beside its program: nothing for most.
    ///
    /// # Errors
    /// If a setting of the codec is wrong.
    fn model(&self, _format: Format) -> Result<ModelSize> {
        Ok(ModelSize::default())
    }

    /// What decides the bytes, beside the name: the version of a program, the identity of weights.
    fn version(&self) -> String;

    /// Its command lines, if it is a program.
    fn lines(&self) -> Option<&Lines> {
        None
    }

    /// The codec as lmic's own options, if it is one of ours: its distributions can be asked for.
    fn ours(&self) -> Option<&Ours> {
        None
    }
}

/// What codecs may learn from before they code.
#[derive(Debug, Clone)]
pub struct Train {
    /// A file: lines are samples.
    pub bytes: Vec<u8>,
    /// What programs made of it, by their command lines: it takes long, and several codecs may need the same.
    made: Arc<Mutex<BTreeMap<String, Made>>>,
}

/// A folder with the file and what was made of it, and what that took.
type Made = Arc<(TempDir, Cost)>;

impl Train {
    /// Nothing has learned from `bytes` yet.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, made: Arc::default() }
    }

    /// The samples, as a data set of records has its items.
    pub fn samples(&self) -> Vec<Vec<u8>> {
        crate::data::lines(&self.bytes).into_iter().map(|item| item.bytes).collect()
    }
}

/// What was learned.
#[derive(Debug, Clone, Copy)]
pub struct Learned {
    /// Bytes that it is from.
    pub bytes: u64,
    /// What learning took.
    pub cost: Cost,
}

/// Does something and says what it took of this process.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (start, before) = (Instant::now(), cpu_of(UsageWho::RUSAGE_SELF));
    let done = work()?;
    let cpu = cpu_of(UsageWho::RUSAGE_SELF).saturating_sub(before).as_secs_f64();
    Ok((done, Cost { wall: start.elapsed().as_secs_f64(), cpu: Some(cpu), peak: None }))
}

/// CPU time of this process, or of the programs that it has waited for.
fn cpu_of(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else { return Duration::ZERO };
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

/// How large a model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelSize {
    /// Bytes of its files as shipped.
    pub bytes: u64,
    /// Its parameters; the paper counts 2 bytes for each.
    pub params: u64,
}

/// The codec that `name` asks for: one of `commands`, or as [`open`] has it.
///
/// # Errors
/// As [`open`].
pub fn open_in(commands: &Commands, name: &str) -> Result<Box<dyn Codec>> {
    match commands.find(name) {
        Some(lines) if !lines.codec.is_empty() => open(&lines.codec),
        Some(lines) => Ok(Box::new(command::Command::new(lines)?)),
        None => open(name),
    }
}

/// The codec that `name` asks for.
///
/// # Errors
/// If there is none of that name, a setting is unknown or wrong, or a model cannot be read.
pub fn open(name: &str) -> Result<Box<dyn Codec>> {
    if let Some(template) = name.strip_prefix("cmd:") {
        return Ok(Box::new(command::Command::from_template(template)?));
    }
    let mut spec = Spec::parse(name)?;
    let codec: Box<dyn Codec> = match spec.family.as_str() {
        "gzip" => Box::new(Baseline::Gzip { level: spec.take("level", 9)? }),
        "xz" => Box::new(Baseline::Xz {
            preset: spec.take("preset", 9)?,
            extreme: spec.take("extreme", true)?,
            lean: spec.take("lean", true)?,
            threads: 1,
        }),
        "zstd" => Box::new(Baseline::Zstd {
            level: spec.take("level", 22)?,
            lean: spec.take("lean", true)?,
            threads: 1,
        }),
        "brotli" => Box::new(Baseline::Brotli {
            quality: spec.take("quality", 11)?,
            lean: spec.take("lean", true)?,
        }),
        "bzip2" => Box::new(Baseline::Bzip2),
        "png" => {
            Box::new(images::Png { width: spec.take("width", 0)?, fast: spec.take("fast", false)? })
        }
        "webp" => Box::new(images::Webp),
        "jxl" => Box::new(images::Jxl),
        "flac" => Box::new(audio::Flac),
        "pco" => Box::new(numbers::Pco::open(&mut spec)?),
        "recurrent" => Box::new(recurrent::Network::open(&mut spec)?),
        "primed" => Box::<trained::OfPrimed>::default(),
        "dictionary" => Box::<trained::OfDictionary>::default(),
        "lmic" | "cm" | "default" => Box::new(Ours::open(&mut spec)?),
        other => bail!(
            "{other}: no such codec; there are gzip, xz, zstd, brotli, bzip2, png, webp, jxl, flac, \
             pco, cm, default, lmic, recurrent, primed, dictionary, and `cmd: PROGRAM ARGUMENT...`"
        ),
    };
    spec.finish()?;
    Ok(codec)
}

/// Encodes, decodes and compares.
///
/// # Errors
/// If either fails, or what comes back is not the item.
pub fn verified(codec: &dyn Codec, item: &Item) -> Result<Vec<u8>> {
    let coded = codec.encode(item)?;
    let restored = codec.decode(&coded, item.told())?;
    if restored != item.bytes {
        bail!("{} bytes of an item were not restored", item.bytes.len());
    }
    Ok(coded)
}

/// What a header costs by the convention of the paper's program: the code of one zero byte. Counting it once for all
/// chunks flatters formats whose header has a field for each chunk, as FLAC and PNG have.
///
/// # Errors
/// As [`Codec::encode`].
pub fn header_len(codec: &dyn Codec, format: Format) -> Result<u64> {
    let bytes = match format {
        Format::Pcm16 => vec![0, 0],
        _ => vec![0],
    };
    Ok(codec.encode(&Item { bytes, format })?.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        lmic::walk::sample(lmic::predict::Uniform, len, 7)
    }

    fn smooth(len: usize) -> Vec<u8> {
        (0..len).map(|i| (128.0 + 90.0 * (i as f64 / 23.0).sin()) as u8).collect()
    }

    #[test]
    fn every_codec_restores_every_kind_of_item() {
        let names = [
            "gzip",
            "gzip:level=6",
            "xz",
            "xz:preset=6:extreme=false",
            "xz:lean=false",
            "zstd:lean=false",
            "brotli:lean=false",
            "zstd",
            "zstd:level=3",
            "brotli",
            "bzip2",
            "png",
            "png:width=32",
            "webp",
            "jxl",
            "flac",
            "pco:type=f64",
            "pco:type=i32",
            "cm:profile=1",
            "cm:profile=5",
            "lmic:level=3",
            "cm:profile=3:bare=true",
            "lmic:level=6:bare=true",
            "cmd: cat",
            "cmd: cat {raw} > {coded}; cat {coded} > {back}",
        ];
        for name in names {
            let codec = open(name).unwrap();
            for len in [1, 2, 15, 16, 64, 2048, 5000] {
                let even = len / 2 * 2;
                for bytes in [noise(len), smooth(len)] {
                    let pcm16 = (len > 1).then(|| (bytes[..even].to_vec(), Format::Pcm16));
                    let items = [
                        (bytes.clone(), Format::Bytes),
                        (bytes.clone(), Format::Gray { row: 64 }),
                        (bytes.clone(), Format::Pcm8),
                    ];
                    for (bytes, format) in items.into_iter().chain(pcm16) {
                        let item = Item { bytes, format };
                        verified(&*codec, &item)
                            .unwrap_or_else(|e| panic!("{name}, {len} bytes, {format:?}: {e:#}"));
                    }
                }
            }
        }
    }

    #[test]
    fn codecs_for_a_kind_are_smaller_than_gzip_on_it() {
        let len = |name: &str, format| {
            let codec = open(name).unwrap();
            let mut bytes = smooth(4096);
            // A texture that no LZ finds, for filters to take away.
            bytes.iter_mut().zip(noise(4096)).for_each(|(b, n)| *b = b.wrapping_add(n & 3));
            verified(&*codec, &Item { bytes, format }).unwrap().len()
        };
        let gray = Format::Gray { row: 64 };
        for name in ["webp", "cm:profile=3"] {
            assert!(len(name, gray) < len("gzip", gray), "{name}");
        }
        assert!(len("flac", Format::Pcm8) < len("gzip", Format::Pcm8));
    }

    #[test]
    fn a_command_that_loses_bytes_is_found() {
        let codec = open("cmd: cat; head -c 1").unwrap();
        let item = Item { bytes: b"abc".to_vec(), format: Format::Bytes };
        assert!(verified(&*codec, &item).unwrap_err().to_string().contains("not restored"));
    }

    #[test]
    fn wrong_names_and_settings_are_errors() {
        for name in [
            "gzap",
            "gzip:lvel=3",
            "gzip:level=x",
            "xz:preset=10",
            "pco",
            "pco:type=u3",
            "cmd:",
            "cmd: no-such-program-here",
        ] {
            let opened = open(name);
            let failed = opened.is_err()
                || opened.unwrap().encode(&Item { bytes: vec![1], format: Format::Bytes }).is_err();
            assert!(failed, "{name}");
        }
    }
}
