//! Any bytes as an archive, and any bytes as the bare code of a block: errors or bytes, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmic::block::{Content, Machine, Plain, SampleFormat};
use lmic::nn::Windows;
use lmic::{EncodeOptions, compress_with};

mod common;

fuzz_target!(|data: &[u8]| {
    common::read_both_ways(data);
    // The checks of an archive keep nearly everything from the models: feed these directly.
    let [profile, kind, parameter, len, code @ ..] = data else { return };
    let parameter = parameter.saturating_add(1);
    let content = match kind % 12 {
        0 => Content::Bytes,
        1 => Content::Samples(SampleFormat::Gray { row: u32::from(parameter) }),
        2 => Content::Samples(SampleFormat::Rgb { row: 3 * u32::from(parameter) }),
        3 => Content::Samples(SampleFormat::Pcm8 { channels: 1 + parameter % 8 }),
        4 => Content::Samples(SampleFormat::Pcm16 { channels: 1 + parameter % 8 }),
        5 => common::deep(kind / 12, parameter.into()),
        6 => common::table(kind / 12, parameter.into()),
        7 => common::colours(kind / 12, parameter.into()),
        8 => Content::Program(Machine::X64),
        9 => Content::Program(Machine::X86),
        10 => Content::Program(Machine::Arm64),
        _ => common::wave(kind / 12, parameter.into()),
    };
    let mut raw = vec![0; usize::from(*len) * 4];
    Plain { profile: 1 + profile % 5, content }.decode(code, &mut raw);
    neural(*profile, *kind, parameter, code);
});

/// An archive of a transformer, as it is and with bytes changed, so that streams that name one are reached.
fn neural(model: u8, overlap: u8, lanes: u8, data: &[u8]) {
    let windows = Windows {
        context: 2 + u32::from(model >> 1) % 7,
        overlap: u32::from(overlap % 2),
        lanes: 1 + lanes % Windows::MAX_LANES,
    };
    let options = EncodeOptions {
        model: Some(common::MODELS[usize::from(model % 2)].clone().into()),
        alone: true,
        windows: Some(windows),
        block_size: Some(lmic::MIN_BLOCK_SIZE),
        threads: 1,
        ..EncodeOptions::default()
    };
    let mut archive = compress_with(data, &options).expect("nothing here may fail");
    assert!(common::decode(&archive).expect("own archive") == data);
    for change in data.as_chunks::<3>().0.iter().take(4) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % archive.len();
        archive[place] ^= change[2];
        common::read_both_ways(&archive);
    }
}
