//! Any bytes behind an archive, as padding that lies: both ways to read it agree, and only zeros and archives may stand there.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use lmic::{Archive, DecodeOptions, Decoder, EncodeOptions};

fuzz_target!(|data: &[u8]| {
    let [kind, behind @ ..] = data else { return };
    let content = b"to be or not to be, that is the question. ".repeat(usize::from(kind >> 2));
    let block_size = (kind & 1 == 1).then_some(256);
    let options = EncodeOptions { level: 1, threads: 1, block_size, ..EncodeOptions::default() };
    let mut archive = lmic::compress_with(&content, &options).unwrap();
    archive.extend_from_slice(behind);

    let options = || DecodeOptions { threads: 1, memory_limit: Some(64 << 20), ..DecodeOptions::default() };
    let mut front = Vec::new();
    let decoded = Decoder::with_options(archive.as_slice(), options()).take(1 << 20).read_to_end(&mut front);
    assert!(front.starts_with(&content), "what stands behind changes nothing before it");
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
