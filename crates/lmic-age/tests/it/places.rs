//! Seeking: the places of what is inside, and which chunks are touched.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use lmic::{Archive, DecodeOptions, EncodeOptions};
use lmic_age::{Padding, Reader};
use proptest::prelude::*;

use crate::support::{CHUNK, Pair, TAG, bytes, payload_at};

/// The same calls on a reader and on what is inside of the file.
fn check(len: usize, calls: &[(u8, i64, usize)]) {
    let key = Pair::new();
    let data = bytes(len);
    let file = key.encrypt(&data, Padding::None);
    let mut reader = Reader::new(Cursor::new(file), &key.identities).unwrap();
    let mut oracle = Cursor::new(data);
    for &(from, by, read) in calls {
        let to = match from {
            0 => SeekFrom::Start(by.unsigned_abs()),
            1 => SeekFrom::Current(by),
            _ => SeekFrom::End(by),
        };
        let (found, expected) = (reader.seek(to), oracle.seek(to));
        assert_eq!(found.is_ok(), expected.is_ok(), "{to:?}");
        assert_eq!(found.ok(), expected.ok(), "{to:?}");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        reader.by_ref().take(read as u64).read_to_end(&mut a).unwrap();
        oracle.by_ref().take(read as u64).read_to_end(&mut b).unwrap();
        assert!(a == b, "{to:?}, {read} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn it_reads_what_a_plain_file_would(
        len in prop_oneof![Just(1usize), Just(CHUNK - 1), Just(CHUNK), Just(CHUNK + 1), Just(2 * CHUNK), 1..4 * CHUNK],
        calls in prop::collection::vec((0u8..3, -200_000i64..200_000, 0usize..100_000), 1..12),
    ) {
        check(len, &calls);
    }
}

#[test]
fn ends_of_chunks_are_places_like_others() {
    let chunk = CHUNK as i64;
    for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
        let mut calls = Vec::new();
        for at in
            [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 3 * chunk]
        {
            calls.extend([
                (0, at, 0),
                (0, at, 1),
                (0, at, CHUNK),
                (1, 0, 3),
                (1, -chunk, 2),
                (2, 0, 1),
                (2, -1, 2),
            ]);
        }
        check(len, &calls);
    }
}

/// Counts what is read.
struct Counting(Cursor<Vec<u8>>, Rc<Cell<usize>>);

impl Read for Counting {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(out)?;
        self.1.set(self.1.get() + len);
        Ok(len)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_range_decrypts_its_chunks_only() {
    let key = Pair::new();
    let content = bytes(4 << 20); // is stored
    let options = EncodeOptions { level: 1, block_size: Some(1 << 17), ..EncodeOptions::default() };
    let archive = lmic::compress_with(&content, &options).unwrap();
    let file = key.encrypt(&archive, Padding::Padme);
    let read = Rc::new(Cell::new(0));
    let reader =
        Reader::new(Counting(Cursor::new(file.clone()), read.clone()), &key.identities).unwrap();
    let mut archive = Archive::open(reader, DecodeOptions::default()).unwrap();
    let mut out = Vec::new();
    archive.read_range(2_000_000..2_000_100, &mut out).unwrap();
    assert_eq!(out, content[2_000_000..2_000_100]);
    // A block of two chunks touches three of them, and header, last chunk, index and padding (3 % of all) take some more.
    assert!(read.get() < 12 * CHUNK + file.len() / 30, "{} of {}", read.get(), file.len());

    // So damage elsewhere does not matter, and damage there does.
    let start = payload_at(&file);
    for (chunk, is_needed) in [(10, false), (31, true), (50, false)] {
        let mut damaged = file.clone();
        damaged[start + chunk * (CHUNK + TAG) + 100] ^= 1;
        let reader = Reader::new(Cursor::new(damaged), &key.identities).unwrap();
        let mut archive = Archive::open(reader, DecodeOptions::default()).unwrap();
        let result = archive.read_range(2_000_000..2_000_100, &mut Vec::new());
        assert_eq!(result.is_err(), is_needed, "chunk {chunk}");
    }
}
