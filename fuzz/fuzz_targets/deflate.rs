//! Any recipe and parts of undone deflate streams, in a block whose header is believed; and any bytes, in which streams are looked for.
#![no_main]

use common::{believed, varint};
use libfuzzer_sys::fuzz_target;
use lmic::{DecodeOptions, EncodeOptions, ErrorKind, compress_with, decompress, decompress_with};

mod common;

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
    let archive = believed(1, 11, part.len(), len, &payload);
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
