//! Any bytes as an archive, and any bytes as the bare code of a block: errors or bytes, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmic::codec::{BlockModel, Content};

mod common;

fuzz_target!(|data: &[u8]| {
    common::read_both_ways(data);
    // The checks of an archive keep nearly everything from the models: feed these directly.
    let [profile, kind, parameter, len, code @ ..] = data else { return };
    let parameter = parameter.saturating_add(1);
    let content = match kind % 5 {
        0 => Content::Bytes,
        1 => Content::Gray { row: u32::from(parameter) },
        2 => Content::Rgb { row: 3 * u32::from(parameter) },
        3 => Content::Pcm8 { channels: 1 + parameter % 8 },
        _ => Content::Pcm16 { channels: 1 + parameter % 8 },
    };
    let mut raw = vec![0; usize::from(*len) * 4];
    BlockModel { profile: 1 + profile % 5, content }.decode(code, &mut raw);
});
