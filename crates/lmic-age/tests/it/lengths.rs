//! What lengths tell.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use lmic::{Archive, DecodeOptions, Decoder, ErrorKind};
use lmic_age::{Padding, Reader, padme};

use crate::support::{Pair, bytes, payload_at};

#[test]
fn two_encryptions_of_the_same_share_no_key_and_no_chunk() {
    let key = Pair::new();
    let archive = lmic::compress(&bytes(100_000), 1).unwrap();
    let [a, b] = [(); 2].map(|()| key.encrypt(&archive, Padding::Padme));
    // The header has something of random length that means nothing. (age puts it there, so that readers get used to new things.)
    let payloads = [&a, &b].map(|file| file.len() - payload_at(file));
    assert_eq!(payloads[0], payloads[1]);
    let shared = a.chunks(16).zip(b.chunks(16)).filter(|(a, b)| a == b).count();
    assert!(shared <= 2, "{shared}"); // "age-encryption.o", "rg/v1\n-> X25519 "
}

#[test]
fn many_lengths_are_few_lengths_of_files() {
    let key = Pair::new();
    let lens = |padding| -> BTreeSet<_> {
        let files = (1000..2000).step_by(3).map(|len| key.encrypt(&vec![7; len], padding));
        files.map(|file| file.len() - payload_at(&file)).collect()
    };
    assert_eq!(lens(Padding::None).len(), 334);
    assert_eq!(lens(Padding::Padme).len(), 17);
}

#[test]
fn padding_is_zeros_that_any_reader_of_archives_passes() {
    let key = Pair::new();
    for len in [0, 1, 100, 5000, 300_000] {
        let content = bytes(len);
        let archive = lmic::compress(&content, 1).unwrap();
        let file = key.encrypt(&archive, Padding::Padme);
        let (inside, done) = key.read(&file);
        done.unwrap();
        assert_eq!(inside.len() as u64, padme(archive.len() as u64));
        assert_eq!(inside[..archive.len()], archive);
        assert!(inside[archive.len()..].iter().all(|&byte| byte == 0));
        assert_eq!(lmic::decompress(&inside).unwrap(), content);
        let mut out = Vec::new();
        let reader = Reader::new(file.as_slice(), &key.identities).unwrap();
        Decoder::new(reader).read_to_end(&mut out).unwrap();
        assert_eq!(out, content);
        let reader = Reader::new(Cursor::new(file), &key.identities).unwrap();
        let archive = Archive::open(reader, DecodeOptions::default()).unwrap();
        assert_eq!(archive.raw_len(), len as u64);
    }
}

#[test]
fn padding_of_anything_but_zeros_is_refused() {
    let key = Pair::new();
    let archive = lmic::compress(&bytes(5000), 1).unwrap();
    let padding = 500;
    for at in [0, 1, 100, padding - 1] {
        let mut padded = archive.clone();
        padded.resize(archive.len() + padding, 0);
        padded[archive.len() + at] = 1;
        let file = key.encrypt(&padded, Padding::None);
        let reader = Reader::new(file.as_slice(), &key.identities).unwrap();
        let error = Decoder::new(reader).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(lmic::Error::from(error).kind(), ErrorKind::Corrupt, "{at}");
        let reader = Reader::new(Cursor::new(file), &key.identities).unwrap();
        let error = Archive::open(reader, DecodeOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{at}");
    }
}
