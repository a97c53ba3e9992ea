//! What a newer lmic writes: blocks that are unknown here cost themselves and nothing around them.

use std::io::{Cursor, Read};
use std::sync::Arc;

use lmic::block::{Kind, Models, StreamModel};
use lmic::records::{PrimeOptions, Primed};
use lmic::{
    Archive, DecodeOptions, Decoder, EncodeOptions, Error, ErrorKind, compress_with, decompress,
    decompress_with,
};

use crate::by_hand::{self, Coded};
use crate::support::{log_lines, text};

/// A tag and a parameter of each sort that is unknown.
const UNKNOWN: [&[u8]; 24] = [
    &[9, 0], // no lane
    &[9, 65],
    &[11, 0],                            // parts of no byte
    &[11, 0x81, 0x80, 0x80, 0x80, 0x01], // of 2^28 + 1
    &[16, 0x80, 0x01],
    &[14, 0x29],       // 2-byte numbers in records of 5 bytes
    &[14, 0x03],       // records of no byte
    &[15, 0x0e],       // pixels of no known number of bits
    &[15, 0x14],       // pixels of 24 bits in rows of 2 bytes
    &[13, 0x82, 0x01], // no row
    &[13, 0x80, 0x08], // 8-bit numbers
    &[12, 0x60],       // 8-bit numbers of class 3
    &[12, 0x80, 0x01], // big-endian numbers of 1 byte
    &[12, 0x80, 0x10], // a shift of all bits
    &[63, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // 2^64 - 1
    &[2, 0],           // rows of 0 bytes
    &[3, 2],           // rows of less than a pixel
    &[2, 0x81, 0x80, 0x80, 0x08], // rows of 2^24 + 1
    &[2, 0x81, 0x80, 0x80, 0x80, 0x10], // rows of 2^32 + 1: 1 if cut to 32 bits
    &[4, 9],           // 9 channels
    &[5, 0x81, 0x02],  // 257 channels: 1 if cut to 8 bits
    &[7, 1],           // no record
    &[8, 4],           // networks of other numbers
    &[8, 10],
];

/// The code of a block at level 1.
fn code(content: &[u8]) -> Vec<u8> {
    code_with(content, &EncodeOptions { level: 1, ..Default::default() })
}

fn code_with(content: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let archive = compress_with(content, options).unwrap();
    let found = Archive::open(Cursor::new(&archive), DecodeOptions::default()).unwrap();
    let [block] = found.streams()[0].blocks[..] else { panic!("one block") };
    assert_ne!(block.kind, Kind::Stored);
    let check_at = archive.len() - 4;
    archive[check_at - block.coded_len as usize..check_at].to_vec()
}

fn needs_newer<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsNewer, "{error}");
    assert!(error.to_string().contains("needs a newer lmic"), "{error}");
}

/// Checks that of an archive block `unknown` cannot be decoded, and all others can, whose contents are `parts`.
fn check(archive: &[u8], parts: &[&[u8]], unknown: usize, options: &DecodeOptions) {
    for threads in [1, 3] {
        let options = DecodeOptions { threads, ..options.clone() };
        needs_newer(decompress_with(archive, &options));
        let mut decoder = Decoder::with_options(archive, options.clone());
        let mut content = Vec::new();
        let error = decoder.read_to_end(&mut content).unwrap_err();
        assert!(content == parts[..unknown].concat(), "what stands before it");
        needs_newer(Err::<(), _>(Error::from(error)));

        let mut archive = Archive::open(Cursor::new(archive), options).unwrap();
        assert_eq!(archive.raw_len(), parts.concat().len() as u64);
        let streams = archive.streams().iter();
        let found: Vec<_> = streams
            .flat_map(|stream| {
                stream.blocks.iter().map(|block| stream.model.needs_newer(block.kind))
            })
            .collect();
        assert_eq!(found, Vec::from_iter((0..parts.len()).map(|i| i == unknown)));
        let mut start = 0;
        for (i, part) in parts.iter().enumerate() {
            let (end, mut out) = (start + part.len() as u64, Vec::new());
            let result = archive.read_range(start..end, &mut out);
            match i == unknown {
                true => needs_newer(result),
                false => assert!(result.is_ok() && out == *part, "block {i}"),
            }
            start = end;
        }
        needs_newer(archive.read_range(0..start, &mut Vec::new()));
    }
}

#[test]
fn blocks_of_unknown_kinds_and_parameters_cost_only_themselves() {
    let parts: [&[u8]; 3] = [&text(300), &text(500), &text(400)];
    let codes = parts.map(code);
    let archive = |unknown: usize, kind: &'static [u8]| {
        let block = |i: usize| match i == unknown {
            true => Coded { kind, code: b"what comes later", content: parts[i] },
            false => Coded { kind: &[1], code: &codes[i], content: parts[i] },
        };
        by_hand::coded_stream(&by_hand::stream_header(1, 1), &[0, 1, 2].map(block))
    };
    assert!(decompress(&archive(3, &[1])).unwrap() == parts.concat(), "without an unknown one");
    for kind in UNKNOWN {
        for unknown in 0..3 {
            check(&archive(unknown, kind), &parts, unknown, &DecodeOptions::default());
        }
    }
    // Damage is told from it by the checks that say how long it is.
    let archive = archive(1, &[10, 5]);
    let header_len = 1 + 2 + by_hand::varint(codes[0].len() as u64).len();
    let at = 6 + header_len + 1 + codes[0].len() + 4;
    assert_eq!(archive[at..at + 2], [10, 5]);
    // Tag, parameter, two bytes of raw length, one of the code's, CRC.
    for byte in at..at + 6 {
        let mut damaged = archive.clone();
        damaged[byte] ^= 2;
        assert_eq!(decompress(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "byte {byte}");
    }
    for len in at..archive.len() {
        let kind = |result: Result<(), Error>| result.unwrap_err().kind();
        let opened = Archive::open(Cursor::new(&archive[..len]), DecodeOptions::default());
        assert_eq!(kind(opened.map(drop)), ErrorKind::Truncated, "{len}");
    }
}

#[test]
fn streams_around_an_unknown_block_are_decoded() {
    let (before, inside, after) = (text(300), text(200), text(700));
    let stream = |content: &[u8], kind, code: &[u8]| {
        by_hand::coded_stream(&by_hand::stream_header(1, 1), &[Coded { kind, code, content }])
    };
    let archive = [
        stream(&before, &[1], &code(&before)),
        stream(&inside, &[40, 3], b""),
        vec![0; 600],
        stream(&after, &[1], &code(&after)),
    ];
    let parts: [&[u8]; 3] = [&before, &inside, &after];
    check(&archive.concat(), &parts, 1, &DecodeOptions::default());
}

#[test]
fn of_a_model_of_an_unknown_number_only_stored_blocks_are_decoded() {
    let (first, last) = (text(250), text(350));
    for model in [0, 10, 11, 40] {
        let header = by_hand::stream_header(1, model);
        let stored = by_hand::stored_stream_of(&header, &[b"abc", b"de"]);
        assert_eq!(decompress(&stored).unwrap(), b"abcde");
        for kind in [&[1][..], &[2, 9], &[5, 1], &[6], &[7, 8], &[8, 6]] {
            let content = &text(200)[..];
            let coded = by_hand::coded_stream(&header, &[Coded { kind, code: b"new", content }]);
            let archive = [
                compress_with(&first, &EncodeOptions::default()).unwrap(),
                coded,
                stored.clone(),
                compress_with(&last, &EncodeOptions::default()).unwrap(),
            ];
            let parts: [&[u8]; 5] = [&first, content, b"abc", b"de", &last];
            check(&archive.concat(), &parts, 1, &DecodeOptions::default());
            let archive = Archive::open(Cursor::new(archive.concat()), DecodeOptions::default());
            assert_eq!(archive.unwrap().streams()[1].model, StreamModel::Unknown(model));
        }
    }
}

#[test]
fn an_unknown_network_beside_a_primed_state_costs_only_its_blocks() {
    let examples = log_lines(0, 100);
    let examples: Vec<&[u8]> = examples.split(|&byte| byte == b'\n').collect();
    let primed =
        Primed::learn(&examples, &PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() })
            .unwrap();
    let primed = Arc::new(primed);
    let with = |records| EncodeOptions {
        level: if records { 5 } else { 4 },
        primed: Some(("logs".into(), Arc::clone(&primed))),
        records,
        ..Default::default()
    };
    let (lines, plain) = (log_lines(200, 206), log_lines(300, 305));
    let archive = compress_with(&plain, &with(false)).unwrap();
    // 6 bytes, the name and its length, the identity, the length of the header.
    let header = &archive[..6 + 5 + 32 + 1];
    let (records, bytes) = (code_with(&lines, &with(true)), code_with(&plain, &with(false)));
    let unknown = Coded { kind: &[8, 10], code: b"new", content: b"09:17 GET\n" };
    let archive = by_hand::coded_stream(
        header,
        &[
            Coded { kind: &[7, 2 * 6], code: &records, content: &lines },
            unknown,
            Coded { kind: &[1], code: &bytes, content: &plain },
        ],
    );
    let models = Models::default().with_primed(move |_| Ok(Some(Arc::clone(&primed))));
    let options = DecodeOptions { models, ..Default::default() };
    check(&archive, &[&lines, b"09:17 GET\n", &plain], 1, &options);
    // How many records it holds, only a newer lmic can say.
    needs_newer(Archive::open(Cursor::new(archive), options).unwrap().records());
}

#[test]
fn an_unknown_version_is_refused_before_anything_behind_it_is_read() {
    let stream = by_hand::stored_stream(&[b"abc", b"de"]);
    let mut newer = stream.clone();
    newer[4] = 2;
    newer[5..].fill(0xff);
    for archive in [newer.clone(), [&stream[..], &newer].concat(), newer[..5].to_vec()] {
        needs_newer(decompress(&archive));
        needs_newer(Archive::open(Cursor::new(archive), DecodeOptions::default()).map(drop));
    }
    // What is behind it is not looked for.
    needs_newer(
        Archive::open(Cursor::new([newer, stream].concat()), DecodeOptions::default()).map(drop),
    );
}
