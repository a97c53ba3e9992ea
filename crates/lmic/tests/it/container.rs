//! Archives from the outside: round trips, streaming, threads, limits, random access.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use lmic::block::{Content, Kind, Machine, SampleFormat};
use lmic::progress::Progress;
use lmic::{
    Archive, DecodeOptions, Decoder, EncodeOptions, Encoder, ErrorKind, compress, compress_with,
    decompress, decompress_with,
};

use proptest::prelude::*;

use crate::support::{arm64_code, elf, noise, text, x86_code};

fn small_blocks(block_size: usize, threads: usize) -> EncodeOptions {
    EncodeOptions { level: 1, block_size: Some(block_size), threads, ..EncodeOptions::default() }
}

fn round_trip(data: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let archive = compress_with(data, options).unwrap();
    for threads in [1, 3] {
        let options = DecodeOptions { threads, ..DecodeOptions::default() };
        assert!(decompress_with(&archive, &options).unwrap() == data, "{} bytes", data.len());
    }
    archive
}

#[test]
fn any_length_round_trips_at_block_borders() {
    for blocks in 0..4 {
        for around in [-1, 0, 1] {
            let Ok(len) = usize::try_from(256 * blocks + around) else { continue };
            round_trip(&text(len), &small_blocks(256, 1));
            round_trip(&noise(len), &small_blocks(256, 3));
        }
    }
}

#[test]
fn every_level_round_trips() {
    for level in 1..=lmic::BEST_LEVEL {
        round_trip(&text(3000), &EncodeOptions { level, ..EncodeOptions::default() });
    }
}

/// Content for three teams of different length, in which nothing long enough for a copy repeats.
fn for_teams() -> Vec<u8> {
    text(6_000_001)
}

#[test]
fn teams_code_the_same_on_any_number_of_threads() {
    let data = for_teams();
    let encode = |threads| {
        let options = EncodeOptions { level: 1, threads, ..EncodeOptions::default() };
        compress_with(&data, &options).unwrap()
    };
    let archive = encode(1);
    for threads in [2, 16] {
        assert!(encode(threads) == archive, "{threads} threads");
        let options = DecodeOptions { threads, ..DecodeOptions::default() };
        assert!(decompress_with(&archive, &options).unwrap() == data, "{threads} threads");
    }
    // Two blocks, of which the second has one team.
    let data = &data[..4_001_000];
    let options = EncodeOptions { block_size: Some(4_000_000), level: 1, ..Default::default() };
    round_trip(data, &options);
}

#[test]
fn damaged_lengths_of_codes_are_errors() {
    let archive = compress(&for_teams(), 1).unwrap();
    // 6 bytes of stream header, tag, raw length of 4 bytes, coded length of 3, CRC; then two lengths.
    let payload = 15;
    for (at, bit) in [(0, 0), (0, 7), (1, 7), (2, 3), (3, 7)] {
        let mut damaged = archive.clone();
        damaged[payload + at] ^= 1 << bit;
        let error = decompress(&damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}, bit {bit}: {error}");
    }
    for len in payload..payload + 5 {
        let error = decompress(&archive[..len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{len} bytes: {error}");
    }
}

#[test]
fn a_small_archive_has_little_overhead() {
    // 6 stream header, 1 tag, 1 length, 1 CRC, 4 block check
    assert_eq!(compress(b"", 5).unwrap().len(), 13);
    assert_eq!(compress(&noise(100), 5).unwrap().len(), 113);
    // Lengths from 128 take 2 bytes, from 16384 on 3.
    assert_eq!(compress(&noise(1000), 5).unwrap().len(), 1014);
    for level in [1, 5, 7] {
        assert_eq!(compress(&noise(100_000), level).unwrap().len(), 100_015);
    }
}

#[test]
fn the_example_in_the_specification_is_true() {
    let archive = b"\xb1LMC\x01\x01\x80\x03\x32abc\xae\x27\x10\x67";
    assert_eq!(compress(b"abc", 1).unwrap(), archive);
    assert_eq!(decompress(archive).unwrap(), b"abc");
}

#[test]
fn the_archive_is_the_same_for_any_thread_count_and_any_pieces() {
    let data = text(20_000);
    let expected = round_trip(&data, &small_blocks(1000, 1));
    for threads in [2, 5, 64] {
        assert!(compress_with(&data, &small_blocks(1000, threads)).unwrap() == expected);
    }
    for piece in [1, 7, 1000, 1001] {
        let mut encoder = Encoder::with_options(Vec::new(), small_blocks(1000, 2)).unwrap();
        data.chunks(piece).for_each(|part| encoder.write_all(part).unwrap());
        assert!(encoder.finish().unwrap() == expected, "pieces of {piece}");
    }
}

#[test]
fn archives_that_follow_one_another_decode_as_one() {
    let parts = [text(10), text(700), Vec::new(), noise(900), text(300)];
    let archive: Vec<u8> =
        parts.iter().flat_map(|part| compress_with(part, &small_blocks(256, 1)).unwrap()).collect();
    assert!(decompress(&archive).unwrap() == parts.concat());

    let archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
    assert_eq!(archive.streams().len(), 5);
    assert_eq!(archive.raw_len(), parts.concat().len() as u64);
    let lens: Vec<_> = archive.streams().iter().map(|s| s.raw_len as usize).collect();
    assert_eq!(lens, parts.map(|p| p.len()));
}

#[test]
fn a_decoder_can_be_read_in_pieces_of_any_size() {
    let data = text(5000);
    let archive = compress_with(&data, &small_blocks(512, 2)).unwrap();
    for piece in [1, 511, 513, 6000] {
        let mut decoder = Decoder::new(archive.as_slice());
        let mut out = Vec::new();
        let mut buf = vec![0; piece];
        loop {
            match decoder.read(&mut buf).unwrap() {
                0 => break,
                n => out.extend_from_slice(&buf[..n]),
            }
        }
        assert!(out == data, "pieces of {piece}");
    }
}

#[test]
fn ranges_are_the_content_at_that_place() {
    let data: Vec<u8> = [text(3000), noise(500), text(700)].concat();
    let (head, tail) = data.split_at(3700);
    let archive = [
        compress_with(head, &small_blocks(256, 1)).unwrap(),
        compress_with(tail, &small_blocks(1000, 1)).unwrap(),
    ]
    .concat();
    for threads in [1, 3] {
        let options = DecodeOptions { threads, ..DecodeOptions::default() };
        let mut archive = Archive::open(Cursor::new(&archive), options).unwrap();
        assert_eq!(archive.raw_len(), data.len() as u64);
        for start in (0..=data.len()).step_by(100) {
            for end in [start, start + 1, start + 255, start + 257, start + 1100, data.len()] {
                let range = start..end.min(data.len()).max(start);
                let mut out = Vec::new();
                archive.read_range(range.start as u64..range.end as u64, &mut out).unwrap();
                assert!(out == data[range.clone()], "{range:?}");
            }
        }
    }
}

#[test]
fn ranges_outside_the_content_are_refused() {
    let archive = compress(b"0123456789", 1).unwrap();
    let mut archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
    for range in [0..11, 10..11, 11..11, 5..4, u64::MAX..u64::MAX] {
        let error = archive.read_range(range, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    archive.read_range(10..10, &mut Vec::new()).unwrap();
}

#[test]
fn a_search_for_streams_can_be_stopped() {
    let mut archive = compress(b"0123456789", 1).unwrap();
    archive.resize(100_000, 0);
    let open = |progress: &Progress| {
        let file = Cursor::new(&archive);
        Archive::open_watched(file, DecodeOptions::default(), progress.clone())
    };
    let progress = Progress::default();
    open(&progress).unwrap();
    progress.stop();
    assert_eq!(open(&progress).unwrap_err().kind(), ErrorKind::Stopped);
}

#[test]
fn blocks_of_an_image_are_cut_between_rows() {
    let rows = vec![90; 100 * 61]; // no block is stored
    for (content, unit) in [
        (Content::Samples(SampleFormat::Gray { row: 61 }), 61),
        (Content::Samples(SampleFormat::Rgb { row: 183 }), 183),
        (Content::Samples(SampleFormat::Pcm8 { channels: 3 }), 3),
        (Content::Samples(SampleFormat::Pcm16 { channels: 5 }), 10),
    ] {
        let options = EncodeOptions { content: Some(content), ..small_blocks(1000, 2) };
        let archive = round_trip(&rows, &options);
        let archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
        for block in archive.blocks() {
            assert_eq!(block.raw_offset % unit, 0, "{content:?}");
            let Content::Samples(format) = content else { panic!("{content:?}") };
            assert_eq!(block.kind, Kind::Samples(format));
        }
    }
}

/// What the blocks of `file` were coded as, and where they start.
fn blocks_of(file: &[u8], block_size: usize) -> Vec<(u64, Kind)> {
    let archive = round_trip(file, &small_blocks(block_size, 1));
    let archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
    let kind = |b: &lmic::BlockInfo| match b.kind {
        Kind::Stored => Kind::Bytes, // of a few bytes
        kind => kind,
    };
    archive.blocks().map(|b| (b.raw_offset, kind(b))).collect()
}

#[test]
fn a_recognised_file_is_cut_where_its_samples_are() {
    let gray = Kind::Samples(SampleFormat::Gray { row: 50 });
    let header = b"P5 50 20 255\n".to_vec(); // 13 bytes, then 1000
    let pixels: Vec<u8> = (0..1000u32).map(|i| (i % 50 * 3 + i / 50) as u8).collect();
    let image = [header, pixels].concat();
    // The header; 12, then 8 of the 20 rows.
    let blocks = vec![(0, Kind::Bytes), (13, gray), (613, gray)];
    assert_eq!(blocks_of(&image, 640), blocks);
    // Bytes after the image, and an image that ends early.
    let longer = [image.clone(), text(300)].concat();
    assert_eq!(blocks_of(&longer, 640), [blocks.clone(), vec![(1013, Kind::Bytes)]].concat());
    assert_eq!(blocks_of(&image[..700], 640), blocks);
}

#[test]
fn files_inside_of_an_input_are_cut_out() {
    let (x64, arm64) = (Kind::Program(Machine::X64), Kind::Program(Machine::Arm64));
    let pixels: Vec<u8> = (0..40_000u32).map(|i| (i % 200 * 3 + i / 200) as u8).collect();
    let image = [b"P5 200 200 255\n".to_vec(), pixels].concat();
    let mut file = text(5 * 512);
    let mut expected = vec![(0, Kind::Bytes)];
    for (inner, kind, header) in [
        (elf(62, &x86_code(40_000), &text(700)), x64, 512),
        (image, Kind::Samples(SampleFormat::Gray { row: 200 }), 15),
        (elf(183, &arm64_code(33_000), b""), arm64, 512),
    ] {
        let (start, len) = (file.len() as u64 + header, inner.len() as u64 - header);
        let code = if kind == x64 { len - 700 } else { len };
        expected.extend([(start, kind), (start + code, Kind::Bytes)]);
        file.extend(inner);
        file.resize(file.len().next_multiple_of(512), 0);
        file.extend(text(2 * 512));
    }
    assert_eq!(blocks_of(&file, 1 << 20), expected);
    // However the input comes, and where a header begins right at the start or behind the end of a block.
    let whole = compress_with(&file, &small_blocks(1 << 20, 2)).unwrap();
    for piece in [1, 100, 4096, 70_000] {
        let mut encoder = Encoder::with_options(Vec::new(), small_blocks(1 << 20, 2)).unwrap();
        file.chunks(piece).for_each(|piece| encoder.write_all(piece).unwrap());
        assert!(encoder.finish().unwrap() == whole, "{piece} bytes at once");
    }
    for block_size in [256, 1000, 5000, 66_000] {
        round_trip(&file, &small_blocks(block_size, 2));
    }
    // A short one, and one that stands anywhere.
    let short = [text(1024), elf(62, &x86_code(20_000), b"")].concat();
    assert_eq!(blocks_of(&short, 1 << 20), [(0, Kind::Bytes)]);
    let anywhere = [text(1000), elf(62, &x86_code(40_000), b"")].concat();
    assert_eq!(blocks_of(&anywhere, 1 << 20), [(0, Kind::Bytes)]);
}

#[test]
fn a_program_of_several_teams_round_trips_on_any_number_of_threads() {
    // The second part does not begin with a whole word.
    let data = arm64_code(4_000_006);
    let options = |threads| EncodeOptions {
        content: Some(Content::Program(Machine::Arm64)),
        ..EncodeOptions { level: 1, threads, ..EncodeOptions::default() }
    };
    let archive = round_trip(&data, &options(3));
    assert!(archive == compress_with(&data, &options(1)).unwrap());
}

#[test]
fn a_row_longer_than_a_block_round_trips() {
    let content = Some(Content::Samples(SampleFormat::Gray { row: SampleFormat::MAX_ROW }));
    round_trip(&text(3000), &EncodeOptions { content, ..small_blocks(1000, 1) });
}

#[test]
fn options_outside_their_range_are_refused() {
    let ok = EncodeOptions::default();
    for bad in [
        EncodeOptions { level: 0, ..ok.clone() },
        EncodeOptions { level: 10, ..ok.clone() },
        EncodeOptions { block_size: Some(255), ..ok.clone() },
        EncodeOptions { block_size: Some(lmic::MAX_BLOCK_LEN + 1), ..ok.clone() },
        EncodeOptions { content: Some(Content::Samples(SampleFormat::Rgb { row: 2 })), ..ok },
    ] {
        let error = compress_with(b"x", &bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad:?}");
    }
}

fn any_content() -> impl Strategy<Value = Option<Content>> {
    let content = prop_oneof![
        Just(Content::Bytes),
        (1..200u32).prop_map(|row| Content::Samples(SampleFormat::Gray { row })),
        (3..400u32).prop_map(|row| Content::Samples(SampleFormat::Rgb { row })),
        (1..=8u8).prop_map(|channels| Content::Samples(SampleFormat::Pcm8 { channels })),
        (1..=8u8).prop_map(|channels| Content::Samples(SampleFormat::Pcm16 { channels })),
    ];
    proptest::option::of(content)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn any_bytes_under_any_options_come_back(
        noisy in proptest::collection::vec(any::<u8>(), 0..600),
        plain in 0..1200usize,
        level in 1..=5u8,
        block_size in 256..900usize,
        threads in 1..4usize,
        content in any_content(),
    ) {
        let data = [noisy, text(plain)].concat();
        let options = EncodeOptions {
            level,
            block_size: Some(block_size),
            threads,
            content,
            ..EncodeOptions::default()
        };
        round_trip(&data, &options);
    }
}

#[test]
fn the_content_is_a_file_that_seeks() {
    // What occurs again is copied from earlier blocks.
    let data = [text(9000), text(2500), text(7000)].concat();
    let mut archive = compress_with(&data, &small_blocks(2048, 2)).unwrap();
    archive.extend(compress(b"", 1).unwrap());
    archive.extend(compress_with(&data, &small_blocks(700, 1)).unwrap());
    let data = data.repeat(2);
    for threads in [1, 3] {
        let options = DecodeOptions { threads, ..DecodeOptions::default() };
        let mut content = Archive::open(Cursor::new(&archive), options).unwrap().into_reader();
        let mut all = Vec::new();
        content.read_to_end(&mut all).unwrap();
        assert!(all == data);
        // Near and far, on and within blocks, to and fro.
        for step in 0..200 {
            let place = step * 7919 % data.len();
            assert_eq!(content.seek(SeekFrom::Start(place as u64)).unwrap(), place as u64);
            let mut piece = vec![0; (step * 131 % 3000).min(data.len() - place)];
            content.read_exact(&mut piece).unwrap();
            assert!(piece == data[place..place + piece.len()], "at {place}");
        }
        content.seek(SeekFrom::End(5)).unwrap();
        assert_eq!(content.read(&mut [0; 9]).unwrap(), 0);
        assert!(content.seek(SeekFrom::Current(-(data.len() as i64) - 6)).is_err());
    }
}

#[test]
fn an_archive_that_is_stopped_reads_no_more() {
    let archive = compress_with(&text(9000), &small_blocks(2048, 1)).unwrap();
    let mut archive = Archive::open(Cursor::new(archive), DecodeOptions::default()).unwrap();
    archive.progress().stop();
    let error = archive.read_range(0..9000, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
}
