//! The compressors that people use, called as libraries: what `lmic bench` and the experiments put beside lmic.
//!
//! A crate of its own because two programs need them, `lmic` (behind its feature `bench`) and `lmic-eval`, and nothing else may
//! depend on them: most are C. To add one: a variant of [`Baseline`], its coder, its line in [`Baseline::coder`].

use std::io::{Error, Read, Result, Write};

use flate2::Compression;
use liblzma::stream::{Check, MtStreamBuilder, PRESET_EXTREME, Stream};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, DParameter, FrameFormat};

/// A compressor and its settings.
///
/// Those that are `lean` have as little around the code as their format allows, for short inputs; the others write what the program
/// of their name writes, with its checksum and a window as long as the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Baseline {
    /// Deflate with the gzip header.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
    /// Blocks of 900 KB.
    Bzip2,
    /// LZMA2 in the xz container.
    Xz {
        /// 0 to 9.
        preset: u32,
        /// The slower variant of the preset.
        extreme: bool,
        /// A check of 4 bytes, not of 8.
        lean: bool,
        /// More than one cut the input into blocks.
        threads: usize,
    },
    /// Zstandard.
    Zstd {
        /// 1 to 22.
        level: i32,
        /// Without checksum.
        lean: bool,
        /// Those of the encoder.
        threads: usize,
    },
    /// Brotli.
    Brotli {
        /// 0 to 11.
        quality: u32,
        /// The largest window of the standard for any input, whose length the encoder is not told.
        lean: bool,
    },
}

/// Codes one input after the other. What helps from one to the next is kept.
pub trait Coder {
    /// Compresses.
    ///
    /// # Errors
    /// If the library refuses.
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>>;

    /// Restores what [`Coder::encode`] made of `raw_len` bytes.
    ///
    /// # Errors
    /// If the code is damaged.
    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>>;
}

impl Baseline {
    /// What codes with these settings.
    ///
    /// # Errors
    /// If a level is not one of the compressor's, or there is no memory for it.
    pub fn coder(&self) -> Result<Box<dyn Coder>> {
        let check = |ok: bool, said: &str| if ok { Ok(()) } else { Err(Error::other(said)) };
        Ok(match *self {
            Self::Gzip { level } => {
                check((1..=9).contains(&level), "gzip: levels are 1 to 9")?;
                Box::new(Gzip(Compression::new(level)))
            }
            Self::Bzip2 => Box::new(Bzip2),
            Self::Xz { preset, extreme, lean, threads } => {
                check(preset <= 9, "xz: presets are 0 to 9")?;
                let preset = preset | if extreme { PRESET_EXTREME } else { 0 };
                Box::new(Xz {
                    preset,
                    check: if lean { Check::Crc32 } else { Check::Crc64 },
                    threads,
                })
            }
            Self::Zstd { level, lean, threads } => Box::new(Zstd::new(level, lean, threads)?),
            Self::Brotli { quality, lean } => Box::new(Brotli { quality, lean }),
        })
    }

    /// What decides the bytes beside the settings.
    pub fn version(&self) -> &'static str {
        match self {
            Self::Gzip { .. } => "zlib",
            Self::Bzip2 => "libbzip2",
            Self::Xz { lean: true, .. } => "liblzma, CRC32",
            Self::Xz { .. } => "liblzma",
            Self::Zstd { .. } => "libzstd",
            Self::Brotli { .. } => "brotli in Rust",
        }
    }
}

/// All that a decoder gives, and one byte more than expected at most.
fn read(decoder: impl Read, raw_len: usize) -> Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(raw_len);
    decoder.take(raw_len as u64 + 1).read_to_end(&mut raw)?;
    Ok(raw)
}

struct Gzip(Compression);

impl Coder for Gzip {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), self.0);
        encoder.write_all(raw)?;
        encoder.finish()
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        read(flate2::read::GzDecoder::new(coded), raw_len)
    }
}

struct Bzip2;

impl Coder for Bzip2 {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(raw)?;
        encoder.finish()
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        read(bzip2::read::BzDecoder::new(coded), raw_len)
    }
}

struct Xz {
    preset: u32,
    check: Check,
    threads: usize,
}

impl Coder for Xz {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let (preset, check) = (self.preset, self.check);
        let stream = match u32::try_from(self.threads).map_err(Error::other)? {
            1 => Stream::new_easy_encoder(preset, check)?,
            threads => {
                MtStreamBuilder::new().preset(preset).check(check).threads(threads).encoder()?
            }
        };
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(raw)?;
        encoder.finish()
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        read(liblzma::read::XzDecoder::new(coded), raw_len)
    }
}

struct Zstd {
    encoder: Compressor<'static>,
    decoder: Decompressor<'static>,
}

/// Level 22 has a window of 128 MiB on its own; longer inputs get up to 2 GiB, as `--long=31` would.
const LEVEL_WINDOW_LOG: u32 = 27;
const MAX_ZSTD_WINDOW_LOG: u32 = 31;

impl Zstd {
    fn new(level: i32, lean: bool, threads: usize) -> Result<Self> {
        let mut encoder = Compressor::new(level)?;
        encoder.include_checksum(!lean)?;
        if threads > 1 {
            encoder.multithread(u32::try_from(threads).map_err(Error::other)?)?;
        }
        let mut decoder = Decompressor::new()?;
        decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
        Ok(Self { encoder, decoder })
    }
}

impl Coder for Zstd {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        if raw.len() >> LEVEL_WINDOW_LOG > 0 {
            self.encoder.long_distance_matching(true)?;
            self.encoder.window_log((raw.len().ilog2() + 1).min(MAX_ZSTD_WINDOW_LOG))?;
        }
        self.encoder.compress(raw)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        self.decoder.decompress(coded, raw_len)
    }
}

struct Brotli {
    quality: u32,
    lean: bool,
}

/// Windows of the original format are 2^16 to 2^24 bytes here; above they are "large", up to 2^30.
const MIN_BROTLI_WINDOW_LOG: u32 = 16;
const PLAIN_BROTLI_WINDOW_LOG: u32 = 24;
const MAX_BROTLI_WINDOW_LOG: u32 = 30;
/// Bytes of a window that cannot be used.
const BROTLI_WINDOW_GAP: usize = 16;

impl Coder for Brotli {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let mut coded = Vec::new();
        if self.lean {
            let window_log = PLAIN_BROTLI_WINDOW_LOG;
            brotli::CompressorWriter::new(&mut coded, 4096, self.quality, window_log)
                .write_all(raw)?;
            return Ok(coded);
        }
        let window_log = (raw.len() + BROTLI_WINDOW_GAP).ilog2() + 1;
        let window_log = window_log.clamp(MIN_BROTLI_WINDOW_LOG, MAX_BROTLI_WINDOW_LOG);
        let params = brotli::enc::BrotliEncoderParams {
            quality: self.quality as i32,
            lgwin: window_log as i32,
            large_window: window_log > PLAIN_BROTLI_WINDOW_LOG,
            size_hint: raw.len(),
            ..Default::default()
        };
        brotli::BrotliCompress(&mut &raw[..], &mut coded, &params)?;
        Ok(coded)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        const BUFFER_LEN: usize = 64 << 10;
        read(brotli::Decompressor::new(coded, BUFFER_LEN), raw_len)
    }
}

/// zstd with a dictionary, for short records: its frames without all that they can do without, which is magic number, sizes, checksum
/// and the dictionary's number. The length of a record is given to the decoder, which costs nothing here.
pub struct Dictionary {
    encoder: Compressor<'static>,
    decoder: Decompressor<'static>,
}

impl Dictionary {
    /// Bytes that `zstd --train` makes unless told otherwise: 110 KiB.
    pub const LEN: usize = 110 << 10;
    const LEVEL: i32 = 19;

    /// A dictionary of at most [`Dictionary::LEN`] bytes, as `zstd --train` makes.
    ///
    /// # Errors
    /// If the samples are too few or too short.
    pub fn train(samples: &[Vec<u8>]) -> Result<Vec<u8>> {
        zstd::dict::from_samples(samples, Self::LEN)
    }

    /// A coder with a dictionary.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(dictionary: &[u8]) -> Result<Self> {
        // Both digest the dictionary once, with the first record.
        let mut encoder = Compressor::with_dictionary(Self::LEVEL, dictionary)?;
        encoder.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
        encoder.include_contentsize(false)?;
        encoder.include_dictid(false)?;
        encoder.include_checksum(false)?;
        let mut decoder = Decompressor::with_dictionary(dictionary)?;
        decoder.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
        Ok(Self { encoder, decoder })
    }
}

impl Coder for Dictionary {
    fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        self.encoder.compress(raw)
    }

    fn decode(&mut self, coded: &[u8], raw_len: usize) -> Result<Vec<u8>> {
        self.decoder.decompress(coded, raw_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Baseline> {
        let mut all = vec![Baseline::Gzip { level: 9 }, Baseline::Bzip2];
        for lean in [false, true] {
            all.extend([1, 2].map(|threads| Baseline::Xz {
                preset: 9,
                extreme: true,
                lean,
                threads,
            }));
            all.extend([1, 2].map(|threads| Baseline::Zstd { level: 22, lean, threads }));
            all.push(Baseline::Brotli { quality: 11, lean });
        }
        all
    }

    #[test]
    fn every_one_restores_one_input_after_the_other() {
        let long = b"to be or not to be, that is the question. ".repeat(500);
        for baseline in all() {
            let mut coder = baseline.coder().unwrap();
            for raw in [&b""[..], b"x", &long, &long[..100]] {
                let coded = coder.encode(raw).unwrap();
                assert_eq!(coder.decode(&coded, raw.len()).unwrap(), raw, "{baseline:?}");
                assert!(raw.len() < 1000 || coded.len() < raw.len() / 10, "{baseline:?}");
            }
        }
    }

    #[test]
    fn lean_codes_of_short_inputs_are_shorter() {
        let len = |baseline: Baseline| baseline.coder().unwrap().encode(b"short").unwrap().len();
        let xz = |lean| len(Baseline::Xz { preset: 9, extreme: true, lean, threads: 1 });
        let zstd = |lean| len(Baseline::Zstd { level: 22, lean, threads: 1 });
        assert_eq!(xz(true) + 4, xz(false)); // a check of 4 bytes, not of 8
        assert_eq!(zstd(true) + 4, zstd(false)); // none, not of 4
    }

    #[test]
    fn levels_that_there_are_not_are_errors() {
        for baseline in [
            Baseline::Gzip { level: 10 },
            Baseline::Xz { preset: 10, extreme: false, lean: true, threads: 1 },
        ] {
            assert!(baseline.coder().is_err(), "{baseline:?}");
        }
    }

    #[test]
    fn a_dictionary_shortens_what_is_like_its_samples() {
        let sample =
            |i: u32| format!("user={} action=login from=10.0.0.{}", i * 7919 % 1000, i % 250);
        let samples: Vec<Vec<u8>> = (0..2000).map(|i| sample(i).into_bytes()).collect();
        let mut coder = Dictionary::new(&Dictionary::train(&samples).unwrap()).unwrap();
        let raw = sample(5000).into_bytes();
        let coded = coder.encode(&raw).unwrap();
        assert_eq!(coder.decode(&coded, raw.len()).unwrap(), raw);
        assert!(coded.len() < raw.len() / 2, "{}", coded.len());
        assert!(Dictionary::train(&samples[..1]).is_err());
    }
}
