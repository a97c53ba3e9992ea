//! Blocks of programs, wide audio, 16-bit images, tables and colours, both ways: what is coded comes back, a damaged archive
//! gives errors or the same bytes, and any payload below a believed header gives errors.
//!
//! `LMIC_FUZZ_KIND=10`, 12, 13, 14 or 15 keeps a run to blocks of that kind.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic::block::{Content, Machine, Plain};
use lmic::{EncodeOptions, ErrorKind, compress_with, decompress};

mod common;

const KINDS: [u8; 5] = [10, 12, 13, 14, 15];

static ASKED: LazyLock<Option<u8>> = LazyLock::new(|| {
    let kind = std::env::var("LMIC_FUZZ_KIND").ok()?;
    let kind = kind.parse().ok().filter(|kind| KINDS.contains(kind));
    Some(kind.unwrap_or_else(|| panic!("LMIC_FUZZ_KIND is one of {KINDS:?}")))
});

/// Enough for copies. More would take most of the time for what is seldom new.
const MAX_LEN: usize = 1280;

fn content(kind: u8, which: u8, parameter: u32) -> Content {
    let machines = [Machine::X64, Machine::X86, Machine::Arm64];
    match kind {
        10 => Content::Program(machines[usize::from(which) % machines.len()]),
        12 => common::wave(which, parameter),
        13 => common::deep(which, parameter),
        14 => common::table(which, parameter),
        _ => common::colours(which, parameter),
    }
}

/// Bytes as they are, or more like what the models expect, as codes that are not shorter stand in no archive.
fn shaped(shape: u8, data: &[u8]) -> Vec<u8> {
    let lag = 1 + usize::from(shape >> 2) % 16;
    let mut shaped = match shape & 3 {
        // Few values, and low bits that are zero.
        2 => {
            let (masks, rest) = data.split_at(lag.min(data.len()));
            rest.iter().zip(masks.iter().cycle()).map(|(byte, mask)| byte & mask).collect()
        }
        // Repeats, which are copies if they are long.
        3 => data.repeat(lag),
        _ => data.to_vec(),
    };
    shaped.truncate(MAX_LEN);
    if shape & 3 == 1 {
        // Numbers that change slowly.
        for at in lag..shaped.len() {
            shaped[at] = shaped[at - lag].wrapping_add((shaped[at] as i8 >> 5) as u8);
        }
    }
    shaped
}

/// Errors or the same bytes, read in both ways.
fn same_or_error(archive: &[u8], content: &[u8]) {
    let found = [common::decode(archive), common::decode_by_index(archive)];
    assert!(found.into_iter().flatten().all(|found| found == content));
}

fn there_and_back(content: Content, level: u8, blocks: u8, data: &[u8], damage: [u8; 3]) {
    let most = if matches!(content, Content::Program(_)) { 5 } else { 6 };
    let plain = Plain { profile: level.min(most), content };
    let mut raw = data.to_vec();
    let code = plain.encode(&mut raw);
    assert!(raw == data);
    raw.fill(0);
    plain.decode(&code, &mut raw);
    assert!(raw == data);

    let options = EncodeOptions {
        level,
        block_size: Some(lmic::MIN_BLOCK_SIZE + 16 * usize::from(blocks)),
        threads: 1,
        content: Some(content),
        ..EncodeOptions::default()
    };
    let mut archive = compress_with(data, &options).expect("nothing here may fail");
    assert!(decompress(&archive).expect("own archive") == data);
    let [low, high, change] = damage;
    let place = usize::from(u16::from_le_bytes([low, high])) % archive.len();
    same_or_error(&archive[..place], data);
    // Without a change it is the archive as it was.
    archive[place] ^= change;
    same_or_error(&archive, data);
}

/// Any payload, and any parameter: the next four bytes, or fewer bits of them.
fn hostile(kind: u8, level: u8, len: u16, bits: u8, data: &[u8]) {
    let Some((parameter, payload)) = data.split_first_chunk() else { return };
    let parameter = u32::from_le_bytes(*parameter) >> (bits % 32);
    let len = payload.len() + 1 + usize::from(len) % 512;
    let archive = common::believed(level, kind, parameter as usize, len, payload);
    // No check holds by chance.
    for error in [common::decode(&archive), common::decode_by_index(&archive)] {
        let error = error.expect_err("four bytes of check");
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NeedsNewer), "{error}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((head, data)) = data.split_first_chunk() else { return };
    let [kind, level, which, size, bits, shape, blocks, d0, d1, d2, low, high]: [u8; 12] = *head;
    let kind = ASKED.unwrap_or(KINDS[usize::from(kind) % KINDS.len()]);
    let level = 1 + level % 6;
    let content = content(kind, which, u32::from(size) << (bits % 17));
    there_and_back(content, level, blocks, &shaped(shape, data), [d0, d1, d2]);
    hostile(kind, level, u16::from_le_bytes([low, high]), bits, data);
});
