//! Any recipe and parts of undone deflate streams, in a block whose header is believed; and any bytes, in which streams are looked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmic::{DecodeOptions, EncodeOptions, ErrorKind, compress_with, decompress, decompress_with};

fn crc8(bytes: &[u8]) -> u8 {
    let step = |crc: u8| crc << 1 ^ if crc & 0x80 != 0 { 0x2f } else { 0 };
    !bytes.iter().fold(0xff, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| step(crc)))
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

// Input: two bytes of the content's length, a byte of the recipe's, the recipe, and a part of bytes that are stored.
fn decode(data: &[u8]) {
    let [low, high, recipe, data @ ..] = data else { return };
    let (recipe, part) = data.split_at(data.len().min(usize::from(*recipe)));
    let mut payload = Vec::new();
    varint(recipe.len(), &mut payload);
    payload.extend(recipe);
    payload.push(0);
    varint(part.len(), &mut payload);
    payload.extend(part);
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    if part.is_empty() || len <= payload.len() {
        return;
    }
    let mut archive = vec![0xb1, b'L', b'M', b'C', 1, 1, 0x8b];
    varint(part.len(), &mut archive);
    varint(len, &mut archive);
    varint(payload.len(), &mut archive);
    archive.push(crc8(&archive));
    archive.extend(payload);
    archive.extend([0; 4]);
    let options = DecodeOptions { threads: 1, memory_limit: Some(64 << 20), ..Default::default() };
    // No check holds by chance.
    let error = decompress_with(&archive, &options).expect_err("four bytes of check");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

fuzz_target!(|data: &[u8]| {
    decode(data);
    let options = EncodeOptions { level: 1, threads: 1, ..EncodeOptions::default() };
    let archive = compress_with(data, &options).expect("nothing here may fail");
    assert!(decompress(&archive).expect("own archive") == data);
});
