//! The same bytes from every vector level and every number of threads.
//!
//! The level is chosen once in a process, so a second process takes another: this test binary itself.

use std::path::PathBuf;
use std::process::Command;

use lmic::block::{Content, SampleFormat};
use lmic::{EncodeOptions, compress_with};

use crate::support::{noise, picture, records, text, wave};

/// Where the child writes what it coded; its presence makes a child.
const CHILD: &str = "LMIC_TEST_EXACT";

/// Inputs of every kind in several blocks each. Noise saturates weights, and its end is sudden.
fn inputs() -> Vec<(Option<Content>, Vec<u8>)> {
    vec![
        (None, text(40_000)),
        (None, records(24_000)),
        (None, [noise(5000), text(8000), vec![0; 3000], noise(2000)].concat()),
        (Some(Content::Samples(SampleFormat::Gray { row: 61 })), picture(61, 300, 1)),
        (Some(Content::Samples(SampleFormat::Rgb { row: 3 * 41 })), picture(41, 150, 3)),
        (Some(Content::Samples(SampleFormat::Pcm8 { channels: 1 })), wave(16_000, 1)),
        (Some(Content::Samples(SampleFormat::Pcm16 { channels: 2 })), wave(4000, 2)),
    ]
}

fn archives(threads: usize) -> Vec<Vec<u8>> {
    let options = |level, content| EncodeOptions {
        level,
        content,
        threads,
        block_size: Some(6000),
        ..EncodeOptions::default()
    };
    let mut archives = Vec::new();
    for (content, data) in inputs() {
        archives
            .extend((1..=5).map(|level| compress_with(&data, &options(level, content)).unwrap()));
    }
    archives
}

#[test]
fn vector_levels_write_the_same_archives() {
    let archives = archives(1).concat();
    if let Some(path) = std::env::var_os(CHILD) {
        return std::fs::write(path, archives).unwrap();
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("exact_scalar");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["exact::vector_levels_write_the_same_archives", "--exact"])
        .env("LMIC_SIMD", "scalar")
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(std::fs::read(&path).unwrap() == archives);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn thread_counts_write_the_same_archives() {
    let alone = archives(1);
    for threads in [2, 5] {
        assert!(archives(threads) == alone, "{threads} threads");
    }
}
