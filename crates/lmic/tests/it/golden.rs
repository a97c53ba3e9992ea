//! Golden archives: files of each format version decode to the same bytes for ever.
//!
//! `tests/golden/README.md` says how they came about and why none is ever rewritten. Their content
//! is generated here, by functions that must not change either.

use std::fs;
use std::path::PathBuf;

use lmic::codec::Content;
use lmic::{EncodeOptions, FORMAT_VERSION, compress_with, decompress};

use crate::support::{Random, noise, text};

/// One archive: the options of its streams and what they hold.
struct Case {
    name: &'static str,
    streams: Vec<(EncodeOptions, Vec<u8>)>,
}

impl Case {
    fn new(name: &'static str, level: u8, content: Option<Content>, data: Vec<u8>) -> Self {
        let options = EncodeOptions { level, content, threads: 1, ..EncodeOptions::default() };
        Self { name, streams: vec![(options, data)] }
    }

    fn blocks_of(mut self, block_size: usize) -> Self {
        self.streams.iter_mut().for_each(|(options, _)| options.block_size = Some(block_size));
        self
    }

    fn then(mut self, other: Self) -> Self {
        self.streams.extend(other.streams);
        self
    }

    fn content(&self) -> Vec<u8> {
        self.streams.iter().flat_map(|(_, data)| data.clone()).collect()
    }

    fn encode(&self) -> Vec<u8> {
        let encode =
            |(options, data): &(EncodeOptions, Vec<u8>)| compress_with(data, options).unwrap();
        self.streams.iter().flat_map(encode).collect()
    }

    fn path(&self) -> PathBuf {
        folder().join(format!("v{FORMAT_VERSION}_{}.lmic", self.name))
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// All cases of format version 1.
fn cases() -> Vec<Case> {
    let levels = ["text_1", "text_2", "text_3", "text_4", "text_5"];
    let mut cases: Vec<Case> = levels
        .iter()
        .zip(1..)
        .map(|(name, level)| Case::new(name, level, None, text(30_000)))
        .collect();
    let gray = Some(Content::Gray { row: 61 });
    let rgb = Some(Content::Rgb { row: 3 * 41 });
    cases.extend([
        Case::new("empty", 5, None, Vec::new()),
        Case::new("one_byte", 5, None, b"x".to_vec()),
        Case::new("stored", 5, None, noise(300)),
        Case::new("records", 5, None, records(20_000)),
        // Long enough for histories to crowd each other out of the table.
        Case::new("long_1", 1, None, mixture(150_000)),
        Case::new("long_5", 5, None, mixture(150_000)),
        Case::new("blocks", 3, None, [text(9000), noise(700), records(4000)].concat())
            .blocks_of(4096),
        Case::new("streams", 1, None, text(500))
            .then(Case::new("", 2, None, Vec::new()))
            .then(Case::new("", 5, None, records(3000)).blocks_of(1024)),
        Case::new("gray_3", 3, gray, picture(61, 50, 1)),
        Case::new("gray_5", 5, gray, picture(61, 50, 1)),
        Case::new("rgb_3", 3, rgb, picture(41, 40, 3)),
        Case::new("rgb_5", 5, rgb, picture(41, 40, 3)),
        Case::new("pcm8_5", 5, Some(Content::Pcm8 { channels: 1 }), wave(6000, 1)),
        Case::new("pcm16_3", 3, Some(Content::Pcm16 { channels: 2 }), wave(3000, 2)),
        Case::new("pcm16_5", 5, Some(Content::Pcm16 { channels: 2 }), wave(3000, 2)),
        Case::new("pixmap", 5, None, [b"P6\n41 40\n255\n".to_vec(), picture(41, 40, 3)].concat()),
    ]);
    cases
}

/// Text, records and noise in turn, as a file that holds several things.
fn mixture(len: usize) -> Vec<u8> {
    let parts = [text(len), records(len), noise(len / 20), text(len / 4)];
    let turns = (0..).map(|turn| (turn % parts.len(), turn / parts.len()));
    let pieces = turns.flat_map(|(part, round)| {
        let part = &parts[part];
        let start = round * 4000 % part.len();
        part[start..(start + 4000).min(part.len())].iter().copied()
    });
    pieces.take(len).collect()
}

/// Structures of 20 bytes: a counter, two drifting fields, a name, zeros.
fn records(len: usize) -> Vec<u8> {
    let mut random = Random(5);
    let (mut a, mut b) = (1000u32, 7u16);
    let mut out = Vec::new();
    for i in 0..len as u32 / 20 {
        a = a.wrapping_add((random.next() % 50) as u32);
        b = b.wrapping_sub((random.next() % 3) as u16);
        out.extend(i.to_le_bytes());
        out.extend(a.to_be_bytes());
        out.extend(b.to_le_bytes());
        out.extend([*b"north ", *b"south "][(random.next() % 2) as usize]);
        out.extend([0; 4]);
    }
    out
}

/// A slope with a disc and a little noise; `channels` bytes a pixel.
fn picture(width: u32, height: u32, channels: u32) -> Vec<u8> {
    let mut random = Random(u64::from(channels));
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
            let disc = if dx * dx + dy * dy < 150 { 60 } else { 0 };
            for channel in 0..channels {
                let value = 40 + x * (2 - channel / 2) + y + disc + (random.next() % 6) as u32;
                out.push(value as u8);
            }
        }
    }
    out
}

/// Two beating triangles with noise: 16-bit stereo, or 8-bit mono for one byte a sample.
fn wave(samples: u32, bytes: usize) -> Vec<u8> {
    let mut random = Random(9);
    let triangle = |at: u32, period: u32| (at % period).abs_diff(period / 2);
    let mut out = Vec::new();
    for i in 0..samples {
        let left = triangle(i, 97) * 120 + triangle(i, 61) * 80 + (random.next() % 40) as u32;
        let right = triangle(i + 9, 97) * 100 + (random.next() % 40) as u32;
        match bytes {
            1 => out.push((left / 64 + 30) as u8),
            _ => [left, right].iter().for_each(|v| out.extend((*v as i16 - 4000).to_le_bytes())),
        }
    }
    out
}

#[test]
fn golden_archives_decode_to_the_same_bytes() {
    if std::env::var_os("LMIC_WRITE_GOLDEN").is_some() {
        write_missing();
    }
    let any = fs::read_dir(folder()).unwrap().count() > 1; // beside the README
    if !any {
        eprintln!("skipped: no golden archives yet, see tests/golden/README.md");
        return;
    }
    for case in cases() {
        let archive = fs::read(case.path()).unwrap_or_else(|e| panic!("{:?}: {e}", case.path()));
        assert!(decompress(&archive).unwrap() == case.content(), "{}", case.name);
    }
}

/// Writes the archives of cases that have none. Never writes over one.
fn write_missing() {
    for case in cases().iter().filter(|case| !case.path().exists()) {
        fs::write(case.path(), case.encode()).unwrap();
        eprintln!("wrote {:?}", case.path());
    }
}

#[test]
fn golden_cases_round_trip() {
    for case in cases() {
        assert!(decompress(&case.encode()).unwrap() == case.content(), "{}", case.name);
    }
}
