//! Codecs behind one trait, by a name with settings such as `xz:preset=6` or `cmd: zstd -19 -c`.
//!
//! To add one: a type with [`Codec`](crate::codec::Codec), a line in [`open`](crate::codec::open).

mod audio;
mod command;
mod general;
mod images;
mod ours;
mod spec;

use anyhow::{Result, bail};

use crate::item::{Format, Item, Told};
pub use ours::Ours;
pub use spec::Spec;

/// A compressor with its settings.
pub trait Codec: Send + Sync {
    /// The code of an item, with every header.
    fn encode(&self, item: &Item) -> Result<Vec<u8>>;

    /// What [`Codec::encode`] made of an item, restored.
    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>>;

    /// What the decoder of a format must have beside its program: nothing for most.
    ///
    /// # Errors
    /// If a setting of the codec is wrong.
    fn model(&self, _format: Format) -> Result<ModelSize> {
        Ok(ModelSize::default())
    }

    /// What decides the bytes, beside the name: the version of a program, the identity of weights.
    fn version(&self) -> String;

    /// The codec as lmic's own options, if it is one of ours: its distributions can be asked for.
    fn ours(&self) -> Option<&Ours> {
        None
    }
}

/// How large a model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelSize {
    /// Bytes of its files as shipped.
    pub bytes: u64,
    /// Its parameters; the paper counts 2 bytes for each.
    pub params: u64,
}

/// The codec that `name` asks for.
///
/// # Errors
/// If there is none of that name, a setting is unknown or wrong, or a model cannot be read.
pub fn open(name: &str) -> Result<Box<dyn Codec>> {
    if let Some(template) = name.strip_prefix("cmd:") {
        return Ok(Box::new(command::Command::new(template)?));
    }
    let mut spec = Spec::parse(name)?;
    let codec: Box<dyn Codec> = match spec.family.as_str() {
        "gzip" => Box::new(general::Gzip { level: spec.take("level", 9)? }),
        "xz" => Box::new(general::Xz {
            preset: spec.take("preset", 9)?,
            extreme: spec.take("extreme", true)?,
        }),
        "zstd" => Box::new(general::Zstd { level: spec.take("level", 22)? }),
        "brotli" => Box::new(general::Brotli { quality: spec.take("quality", 11)? }),
        "bzip2" => Box::new(general::Bzip2),
        "png" => {
            Box::new(images::Png { width: spec.take("width", 0)?, fast: spec.take("fast", false)? })
        }
        "webp" => Box::new(images::Webp),
        "jxl" => Box::new(images::Jxl),
        "flac" => Box::new(audio::Flac),
        "lmic" | "cm" | "default" => Box::new(Ours::open(&mut spec)?),
        other => bail!(
            "{other}: no such codec; there are gzip, xz, zstd, brotli, bzip2, png, webp, jxl, flac, \
             cm, default, lmic, and `cmd: PROGRAM ARGUMENT...`"
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
            "zstd",
            "zstd:level=3",
            "brotli",
            "bzip2",
            "png",
            "png:width=32",
            "webp",
            "jxl",
            "flac",
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
