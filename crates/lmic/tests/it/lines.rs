//! Archives of lines, each coded alone.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Kind, Models};
use lmic::records::{PrimeOptions, Primed};
use lmic::{
    Archive, DecodeOptions, EncodeOptions, Error, ErrorKind, compress_with, decompress_with,
};
use proptest::prelude::*;

use crate::by_hand;
use crate::support::{log_lines as log, noise};

fn learn(samples: usize) -> Arc<Primed> {
    let samples = log(0, samples);
    let samples: Vec<&[u8]> = samples.split(|&byte| byte == b'\n').collect();
    Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() })
            .unwrap(),
    )
}

static PRIMED: LazyLock<Arc<Primed>> = LazyLock::new(|| learn(400));

fn options(block_size: Option<usize>, threads: usize) -> EncodeOptions {
    let primed = Some(("logs".into(), Arc::clone(&PRIMED)));
    EncodeOptions { primed, records: true, block_size, threads, ..Default::default() }
}

fn decode_options(threads: usize) -> DecodeOptions {
    let models = Models::default().with_primed(|_| Ok(Some(Arc::clone(&PRIMED))));
    DecodeOptions { threads, models, ..Default::default() }
}

fn open(archive: &[u8]) -> Result<Archive<Cursor<&[u8]>>, Error> {
    Archive::open(Cursor::new(archive), decode_options(1))
}

/// Lines without line feed, as a reader counts them.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect()
}

/// All records, one by one and in ranges, against the lines of the content.
fn check(content: &[u8], block_size: usize) {
    let archive = compress_with(content, &options(Some(block_size), 2)).unwrap();
    assert!(archive == compress_with(content, &options(Some(block_size), 1)).unwrap());
    assert!(decompress_with(&archive, &decode_options(2)).unwrap() == content);
    let mut archive = open(&archive).unwrap();
    let lines = lines(content);
    assert_eq!(archive.records().unwrap(), lines.len() as u64);
    for (i, line) in lines.iter().enumerate().rev() {
        assert!(archive.record(i as u64).unwrap() == *line, "record {i} of {}", lines.len());
    }
    for (start, end) in [(0, lines.len()), (1, lines.len()), (0, lines.len() / 2), (2, 2)] {
        if start > end || end > lines.len() {
            continue;
        }
        let mut part = Vec::new();
        archive.read_records(start as u64..end as u64, &mut part).unwrap();
        let expected = content.split_inclusive(|&byte| byte == b'\n').skip(start).take(end - start);
        assert!(part == expected.flatten().copied().collect::<Vec<_>>(), "{start}..{end}");
    }
}

#[test]
fn any_record_is_there_by_its_number() {
    check(&log(1000, 1100), 1024);
    check(log(1000, 1050).strip_suffix(b"\n").unwrap(), 512);
    let crlf: Vec<u8> =
        log(1000, 1020).split(|&b| b == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    check(&crlf, 256);
    check(b"\n\n\r\n\n", 256);
    check(b"x", 256);
    check(b"", 256);
    // Lines that go through many blocks, coded and stored, and one that ends where a block does.
    let long = [in_one_line(log(0, 60)), b"\n".to_vec(), noise(1000), log(0, 30)].concat();
    check(&long, 256);
    check(&[&[b'a'; 255][..], b"\n", &[b'b'; 256], b"\n", b"c"].concat(), 256);
}

fn in_one_line(mut lines: Vec<u8>) -> Vec<u8> {
    lines.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    lines
}

#[test]
fn blocks_say_how_many_records_they_have() {
    let content = log(1000, 1100);
    let archive = compress_with(&content, &options(Some(1024), 1)).unwrap();
    assert!(archive.len() < content.len() / 4, "{} of {}", archive.len(), content.len());
    let archive = open(&archive).unwrap();
    let counts: Vec<u32> = archive
        .blocks()
        .map(|block| match block.kind {
            Kind::Records { count, open: false } => count,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(counts.len() > 3);
    assert_eq!(counts.iter().sum::<u32>(), 100);
}

#[test]
fn archives_that_follow_one_another_have_the_records_of_both() {
    // The second begins inside a line of the first.
    let (one, two) = (b"first\nsec".to_vec(), log(0, 30));
    let archive = [&one, &two].map(|part| compress_with(part, &options(None, 1)).unwrap()).concat();
    let content = [one, two].concat();
    let mut archive = open(&archive).unwrap();
    for (i, line) in lines(&content).into_iter().enumerate() {
        assert_eq!(archive.record(i as u64).unwrap(), line);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let wrong = |options: &EncodeOptions| compress_with(b"", options).unwrap_err().kind();
    assert_eq!(
        wrong(&EncodeOptions { primed: None, ..options(None, 1) }),
        ErrorKind::InvalidArgument
    );
    let another = EncodeOptions { content: Some(Content::Bytes), ..options(None, 1) };
    assert_eq!(wrong(&another), ErrorKind::InvalidArgument);
    let archive = compress_with(&log(0, 10), &options(None, 1)).unwrap();
    assert_eq!(open(&archive).unwrap().record(10).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let backwards = std::ops::Range { start: 3, end: 2 };
    let error = open(&archive).unwrap().read_records(backwards, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // Another state than the one that the stream names, and none.
    let other = learn(300);
    let models = Models::default().with_primed(move |_| Ok(Some(Arc::clone(&other))));
    for models in [models, Models::default()] {
        let options = DecodeOptions { models, ..Default::default() };
        let error = decompress_with(&archive, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongModel);
        let mut archive = Archive::open(Cursor::new(&archive), options).unwrap();
        assert_eq!(archive.records().unwrap(), 10);
        assert_eq!(archive.record(3).unwrap_err().kind(), ErrorKind::WrongModel);
    }
    // Not in records: coded, and stored, which looks the same.
    let bytes = compress_with(&log(0, 10), &EncodeOptions { records: false, ..options(None, 1) });
    let error = open(&bytes.unwrap()).unwrap().records().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let stored = lmic::compress(b"a\nb", 1).unwrap();
    assert_eq!(open(&stored).unwrap().record(1).unwrap(), b"b");
}

#[test]
fn a_memory_limit_holds_for_records() {
    let archive = compress_with(&log(0, 100), &options(None, 1)).unwrap();
    let options = DecodeOptions { memory_limit: Some(10_000), ..decode_options(1) };
    let mut archive = Archive::open(Cursor::new(&archive), options).unwrap();
    assert_eq!(archive.record(5).unwrap_err().kind(), ErrorKind::MemoryLimit);
    let options = EncodeOptions { memory_limit: Some(10_000), ..self::options(None, 1) };
    assert_eq!(compress_with(&log(0, 100), &options).unwrap_err().kind(), ErrorKind::MemoryLimit);
}

#[test]
fn damage_shows_where_a_record_is_read_without_its_block() {
    let content = log(0, 40);
    let archive = compress_with(&content, &options(Some(512), 1)).unwrap();
    let lines = lines(&content);
    for bit in 0..8 * archive.len() {
        let mut damaged = archive.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(mut damaged) = open(&damaged) else { continue };
        let number = bit % lines.len();
        // The check of another block, or that of this one over its content, is not looked at.
        if let Ok(record) = damaged.record(number as u64) {
            assert!(record == lines[number], "bit {bit}");
        }
    }
}

/// A stream of one block of kind 7, whatever is in it.
fn by_hand(parameter: u64, raw: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut stream = by_hand::stream_header(1, 0xa5);
    stream.extend([4]);
    stream.extend(b"logs");
    stream.extend(PRIMED.identity());
    stream.push(stream.len() as u8 + 1);
    let numbers = [parameter, raw.len() as u64, payload.len() as u64].map(by_hand::varint);
    let header = [&[0x87][..], &numbers.concat()].concat();
    let check = blake3::hash(&[&header, payload, raw].concat());
    [&stream, &by_hand::with_crc(&stream, &header)[..], payload, &check.as_bytes()[..4]].concat()
}

fn with_check(rest: &[u8]) -> Vec<u8> {
    [&blake3::hash(rest).as_bytes()[..4], rest].concat()
}

#[test]
fn counts_and_lengths_that_lie_are_corrupt() {
    let raw = log(0, 8);
    let archive = compress_with(&raw, &options(None, 1)).unwrap();
    // Stream header, then tag, 2 * 8, two bytes each for the lengths, CRC.
    let start = 4 + 2 + 1 + 4 + 32 + 1;
    let payload = &archive[start + 1 + 1 + 2 + 1 + 1..archive.len() - 4];
    assert!(by_hand(16, &raw, payload) == archive);
    let kinds = |archive: &[u8]| {
        let whole = decompress_with(archive, &decode_options(1)).unwrap_err().kind();
        let one = open(archive).and_then(|mut archive| archive.record(7)).unwrap_err().kind();
        [whole, one]
    };
    for parameter in [2 * raw.len() as u64 + 2, 1 << 32] {
        assert_eq!(kinds(&by_hand(parameter, &raw, payload)), [ErrorKind::Corrupt; 2]);
    }
    // No record, and more than the longest block has bytes: perhaps a newer lmic knows what that means.
    for parameter in [0, 1, 1 << 34, u64::MAX] {
        assert_eq!(kinds(&by_hand(parameter, &raw, payload)), [ErrorKind::NeedsNewer; 2]);
    }
    // More records than there are, fewer, and an open one that is not.
    for parameter in [14, 17, 18, 2 * raw.len() as u64] {
        let archive = by_hand(parameter, &raw, payload);
        let error = decompress_with(&archive, &decode_options(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{parameter}");
    }
    let rest = &payload[4..];
    let lengths = usize::from(rest[0]);
    let long = [&[0xff; 9][..], &[1]].concat();
    let payloads: [Vec<u8>; 7] = [
        vec![],
        vec![1, 2, 3],
        payload[..4].to_vec(),                     // no such check
        with_check(&[]),                           // no length of the lengths
        with_check(&[&long, &rest[1..]].concat()), // 2^64 - 1 bytes of lengths
        with_check(&[&[rest[0], 0][..], &rest[1..1 + lengths]].concat()), // not the lengths, no codes
        with_check(&rest[..rest.len() - 1]),                              // the last code too short
    ];
    for payload in payloads {
        assert_eq!(kinds(&by_hand(16, &raw, &payload)), [ErrorKind::Corrupt; 2], "{payload:?}");
    }
    let more = with_check(&[rest, &[0]].concat());
    let error = decompress_with(&by_hand(16, &raw, &more), &decode_options(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    // In a stream of another model.
    let stream = by_hand::stream_header(1, 1);
    let block = by_hand::with_crc(&stream, &[0x87, 2, 9, 4]);
    let archive = [&stream[..], &block, &[0; 8]].concat();
    assert_eq!(
        decompress_with(&archive, &decode_options(1)).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_lines_come_back(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..60),
        feeds in any::<bool>(),
        block_size in 256usize..2000,
    ) {
        let mut content = lines.join(&b"\n"[..]);
        if feeds {
            content.push(b'\n');
        }
        check(&content, block_size);
    }

    #[test]
    fn any_payload_gives_records_or_an_error(rest in prop::collection::vec(any::<u8>(), 0..200), count in 1u64..50) {
        let archive = by_hand(2 * count, &[b'\n'; 1000], &with_check(&rest));
        prop_assert!(decompress_with(&archive, &decode_options(1)).is_err());
        let _ = open(&archive).unwrap().record(count - 1);
    }
}
