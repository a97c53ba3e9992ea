//! Blocks whose deflate streams are undone: what comes back, what is left alone, and payloads that no encoder writes.

use std::io::Cursor;

use lmic::block::{Content, Kind};
use lmic::container::{Planner, StreamWriter, Task};
use lmic::progress::Progress;
use lmic::{
    Archive, DecodeOptions, EncodeOptions, ErrorKind, compress, compress_with, decompress,
    decompress_with,
};

use crate::by_hand::{self, Coded, varint};
use crate::support::text;

/// Streams of zlib at all of its settings: scripts/deflate_fixtures.py.
const STREAMS: &[u8] = include_bytes!("../golden/v1_deflate.streams");

/// Those of zip, gzip and zlib, without images.
const FEW: usize = 9000;

fn kinds(archive: &[u8]) -> Vec<Kind> {
    let archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
    archive.blocks().map(|block| block.kind).collect()
}

fn is_undone(archive: &[u8]) -> bool {
    kinds(archive).iter().any(|kind| matches!(kind, Kind::Undone { .. }))
}

#[test]
fn streams_are_coded_by_their_content_at_every_level() {
    for level in [1, 3, 6] {
        let data = if level == 1 { STREAMS } else { &STREAMS[..FEW] };
        let options = |threads| EncodeOptions { level, threads, ..EncodeOptions::default() };
        let archive = compress_with(data, &options(1)).unwrap();
        assert!(is_undone(&archive), "level {level}");
        assert!(archive.len() < data.len() * 3 / 5, "level {level}: {}", archive.len());
        assert!(archive == compress_with(data, &options(3)).unwrap());
        assert!(decompress(&archive).unwrap() == data, "level {level}");
    }
}

#[test]
fn blocks_are_undone_each_for_itself_and_among_copies() {
    // The second half copies most of the first.
    let data = [&STREAMS[..FEW], &text(3000), &STREAMS[..FEW], &STREAMS[FEW..2 * FEW]].concat();
    let options = EncodeOptions { level: 1, block_size: Some(FEW), ..EncodeOptions::default() };
    let archive = compress_with(&data, &options).unwrap();
    assert!(is_undone(&archive) && kinds(&archive).len() == 4);
    assert!(decompress(&archive).unwrap() == data);
    let mut opened = Archive::open(Cursor::new(&archive), DecodeOptions::default()).unwrap();
    for range in [0..40, 4000..4100, 12_000..12_001, 8990..20_000] {
        let mut out = Vec::new();
        opened.read_range(range.start as u64..range.end as u64, &mut out).unwrap();
        assert!(out == data[range]);
    }
    // On other machines the blocks are the same.
    let mut planner = Planner::new(options).unwrap();
    let (mut input, mut tasks) = (&data[..], Vec::new());
    while let Some(task) = planner.take(&mut input).unwrap() {
        tasks.push(task);
    }
    tasks.extend(planner.finish().unwrap());
    let mut writer = StreamWriter::new(Vec::new(), &planner);
    for task in tasks {
        let task = Task::from_bytes(&task.to_bytes()).unwrap();
        writer
            .write(&task.encode(&DecodeOptions::default(), &Progress::default()).unwrap())
            .unwrap();
    }
    assert!(writer.finish(planner.content_hash()).unwrap() == archive);
}

#[test]
fn content_that_is_told_and_little_memory_leave_streams_alone() {
    let data = &STREAMS[..FEW];
    let told =
        EncodeOptions { content: Some(Content::Bytes), level: 1, ..EncodeOptions::default() };
    let tight =
        EncodeOptions { memory_limit: Some(900 << 20), level: 1, ..EncodeOptions::default() };
    for options in [told, tight] {
        let archive = compress_with(data, &options).unwrap();
        assert!(!is_undone(&archive));
        assert!(decompress(&archive).unwrap() == data);
    }
}

#[test]
fn a_decoder_with_little_memory_refuses_by_the_header() {
    let archive = compress(&STREAMS[..FEW], 1).unwrap();
    let options = |limit| DecodeOptions { memory_limit: Some(limit), ..DecodeOptions::default() };
    let error = decompress_with(&archive, &options(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
    assert!(decompress_with(&archive, &options(64 << 20)).is_ok());
    // Parts of 256 MiB in a block of 9 bytes.
    let kind = [&[11][..], &varint(1 << 28)].concat();
    let block = Coded { kind: &kind, code: b"\0\0", content: b"nine bytes" };
    let archive = by_hand::coded_stream(&by_hand::stream_header(1, 1), &[block]);
    let error = decompress_with(&archive, &options(64 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
}

#[test]
fn payloads_that_no_encoder_writes_are_errors() {
    let content = [b'-'; 200];
    let part = |kind: &[u8], len: usize, code: &[u8]| {
        let coded = if kind == [0] { Vec::new() } else { varint(code.len() as u64) };
        [kind, &varint(len as u64), &coded, code].concat()
    };
    let stored = part(&[0], 200, &content);
    let decode = |parts: u64, payload: &[u8]| {
        let kind = [&[11][..], &varint(parts)].concat();
        let block = Coded { kind: &kind, code: payload, content: &content };
        let archive = by_hand::coded_stream(&by_hand::stream_header(1, 1), &[block]);
        decompress(&archive).map_err(|error| error.kind())
    };
    // Without a stream, and in such a way that the content is not longer than its code.
    let half = part(&[0], 100, &content[..100]);
    let recipe = [0];
    assert_eq!(decode(100, &[&recipe[..], &half].concat()), Err(ErrorKind::Corrupt), "too short");
    let (corrupt, newer) = (ErrorKind::Corrupt, ErrorKind::NeedsNewer);
    for (parts, payload, kind) in [
        (200, vec![], corrupt),
        (200, vec![5, 0], corrupt),
        (200, vec![0], corrupt),
        (200, vec![0x80, 0], corrupt),
        (100, [&recipe[..], &stored[..150]].concat(), corrupt),
        (99, [&recipe[..], &half].concat(), corrupt),
        (101, [&recipe[..], &half].concat(), corrupt),
        (100, [&recipe[..], &half, &[0]].concat(), corrupt),
        (100, [&recipe[..], &half, &part(&[0], 0, b"")].concat(), corrupt),
        (100, [&recipe[..], &part(&[0], 0, b""), &half].concat(), corrupt), // an image that is not used
        (100, [&recipe[..], &part(&[1], 100, b"x")].concat(), corrupt),
        (100, [&recipe[..], &part(&[6], 100, b"x")].concat(), corrupt), // in no mix
        (100, [&recipe[..], &part(&[11, 100], 100, b"x")].concat(), newer),
        (100, [&recipe[..], &part(&[7, 2], 100, b"x")].concat(), newer),
        (100, [&recipe[..], &part(&[40, 2], 100, b"x")].concat(), newer),
        (100, [&recipe[..], &part(&[3, 2], 100, b"x")].concat(), newer),
        (100, [&recipe[..], &part(&[0x81], 100, b"x")].concat(), newer),
        (100, [&[3, 255, 255, 255][..], &half].concat(), corrupt),
        (100, [&[3, 170, 1, 99][..], &half].concat(), corrupt),
    ] {
        assert_eq!(decode(parts, &payload), Err(kind), "{parts} {payload:?}");
    }
}
