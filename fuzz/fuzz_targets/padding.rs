//! Any bytes behind an archive, as padding that lies: both ways to read it agree, and only zeros and archives may stand there.
#![no_main]

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic::{Archive, DecodeOptions, Decoder, EncodeOptions};

/// Content and archive for each first byte of the input.
static ARCHIVES: [LazyLock<(Vec<u8>, Vec<u8>)>; 8] = [
    LazyLock::new(|| archive(0)),
    LazyLock::new(|| archive(1)),
    LazyLock::new(|| archive(2)),
    LazyLock::new(|| archive(3)),
    LazyLock::new(|| archive(4)),
    LazyLock::new(|| archive(5)),
    LazyLock::new(|| archive(6)),
    LazyLock::new(|| archive(7)),
];

/// Of noise, which is stored: a model would be busy with what is not asked here.
fn archive(kind: u32) -> (Vec<u8>, Vec<u8>) {
    let mut state = 1u64;
    let noise = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let content: Vec<u8> = (0..(kind >> 1) * 500).map(noise).collect();
    let block_size = (kind & 1 == 1).then_some(lmic::MIN_BLOCK_SIZE);
    let options = EncodeOptions { level: 1, threads: 1, block_size, ..EncodeOptions::default() };
    let archive = lmic::compress_with(&content, &options).unwrap();
    (content, archive)
}

fuzz_target!(|data: &[u8]| {
    let [kind, behind @ ..] = data else { return };
    let (content, archive) = &*ARCHIVES[usize::from(kind & 7)];
    let mut archive = archive.clone();
    archive.extend_from_slice(behind);

    // As little as stored blocks need: a block of a model behind them is refused, which would take most of the time.
    let options =
        || DecodeOptions { threads: 1, memory_limit: Some(1 << 20), ..DecodeOptions::default() };
    let mut front = Vec::new();
    let decoded =
        Decoder::with_options(archive.as_slice(), options()).take(1 << 20).read_to_end(&mut front);
    assert!(front.starts_with(content), "what stands behind changes nothing before it");
    let opened = Archive::open(Cursor::new(&archive), options());
    let is_padding = behind.iter().all(|&byte| byte == 0);
    if is_padding {
        assert_eq!(decoded.unwrap(), content.len());
        assert_eq!(opened.unwrap().raw_len(), content.len() as u64);
    } else if let Some(first) = behind.iter().find(|&&byte| byte != 0)
        && *first != 0xb1
    {
        assert!(decoded.is_err() && opened.is_err());
    }
});
