//! Any bytes, level, block size and content: what is compressed comes back, both ways.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmic::block::{Content, Machine, SampleFormat};
use lmic::{EncodeOptions, compress_with};

mod common;

fn content(kind: u8, parameter: u8) -> Option<Content> {
    let row = 1 + u32::from(parameter);
    let channels = 1 + parameter % 8;
    match kind % 13 {
        0 => None,
        1 => Some(Content::Bytes),
        2 => Some(Content::Samples(SampleFormat::Gray { row })),
        3 => Some(Content::Samples(SampleFormat::Rgb { row: 3 * row })),
        4 => Some(Content::Samples(SampleFormat::Pcm8 { channels })),
        5 => Some(Content::Samples(SampleFormat::Pcm16 { channels })),
        6 => Some(common::deep(kind / 13, parameter.into())),
        7 => Some(common::wave(kind / 13, parameter.into())),
        8 => Some(common::table(kind / 13, parameter.into())),
        11 => Some(common::colours(kind / 13, parameter.into())),
        9 => Some(Content::Program(Machine::X64)),
        10 => Some(Content::Program(Machine::X86)),
        _ => Some(Content::Program(Machine::Arm64)),
    }
}

fuzz_target!(|data: &[u8]| {
    let [level, blocks, kind, parameter, data @ ..] = data else { return };
    let options = EncodeOptions {
        level: 1 + level % 5,
        block_size: Some(lmic::MIN_BLOCK_SIZE + 16 * usize::from(*blocks)),
        threads: 1,
        content: content(*kind, *parameter),
        ..EncodeOptions::default()
    };
    let archive = compress_with(data, &options).expect("nothing here may fail");
    assert!(lmic::decompress(&archive).expect("own archive") == data);
    common::read_both_ways(&archive);
});
