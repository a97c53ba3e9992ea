//! Damaged archives: cut anywhere, any bit flipped, lengths that lie. Always an error of the right
//! kind, never a panic, never wrong bytes.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Kind, Models, SampleFormat};
use lmic::nn::{Transformer, Weights, Windows};
use lmic::records::{PrimeOptions, Primed};
use lmic::{
    Archive, DecodeOptions, Decoder, EncodeOptions, Error, ErrorKind, compress_with,
    decompress_with,
};

use crate::by_hand;
use crate::support::{log_lines, noise, taught, text, tiny_config};

struct Case {
    name: &'static str,
    archive: Vec<u8>,
    content: Vec<u8>,
    /// Where each stream starts, and the end.
    borders: Vec<usize>,
}

impl Case {
    fn new(name: &'static str, streams: &[(&[u8], Option<Content>)]) -> Self {
        let mut case = Self { name, archive: Vec::new(), content: Vec::new(), borders: vec![0] };
        for &(content, kind) in streams {
            let options = EncodeOptions {
                level: 1,
                block_size: Some(256),
                content: kind,
                ..Default::default()
            };
            case.archive.extend(compress_with(content, &options).unwrap());
            case.content.extend(content);
            case.borders.push(case.archive.len());
        }
        case
    }
}

/// A tiny transformer in f32 and in int8.
static MODELS: LazyLock<[Arc<Transformer>; 2]> = LazyLock::new(|| {
    let plain = taught(&tiny_config(), "tiny", 1);
    let int8 = Weights { name: "tiny-int8".into(), ..plain.quantize().unwrap() };
    [plain, int8].map(|weights| Arc::new(Transformer::new(&weights).unwrap()))
});

/// Streams of both transformers, alone or mixed.
fn named(name: &'static str, alone: bool, content: &[u8]) -> Case {
    let mut case = Case::new(name, &[]);
    for model in &*MODELS {
        let windows = Some(Windows { context: 16, overlap: 8, lanes: 2 });
        let options = EncodeOptions {
            block_size: Some(256),
            model: Some(model.clone().into()),
            alone,
            content: Some(Content::Bytes), // in a mix: whether or not the network helps
            windows,
            ..Default::default()
        };
        case.archive.extend(compress_with(content, &options).unwrap());
        case.content.extend(content);
        case.borders.push(case.archive.len());
    }
    case
}

static PRIMED: LazyLock<Arc<Primed>> = LazyLock::new(|| {
    let samples = log_lines(0, 100);
    let samples: Vec<&[u8]> = samples.split(|&byte| byte == b'\n').collect();
    Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() })
            .unwrap(),
    )
});

/// A stream of a primed state.
fn primed(name: &'static str, level: u8, records: bool, content: &[u8]) -> Case {
    let options = EncodeOptions {
        level,
        block_size: Some(256),
        primed: Some(("logs".into(), Arc::clone(&PRIMED))),
        records,
        content: (!records).then_some(Content::Bytes),
        ..Default::default()
    };
    let archive = compress_with(content, &options).unwrap();
    let borders = vec![0, archive.len()];
    Case { name, archive, content: content.to_vec(), borders }
}

fn cases() -> Vec<Case> {
    // Short, as the test of bits decodes each some hundred times; regular, to be coded and not stored.
    let (short, long) = (b"tick tock ".repeat(4), b"tick tock ".repeat(26));
    let samples: Vec<u8> = (0..60).map(|i| 100 + 3 * (i % 6)).collect();
    let audio: Vec<u8> = (0..60).flat_map(|i: i16| (1000 + i).to_le_bytes()).collect();
    vec![
        Case::new("empty", &[(b"", None)]),
        Case::new("one byte", &[(b"x", None)]),
        Case::new("one block", &[(&short, None)]),
        Case::new("two blocks", &[(&long, None)]),
        Case::new("stored", &[(&noise(60), None)]),
        Case::new("stored blocks", &[(&noise(260), None)]),
        Case::new("streams", &[(b"y", None), (b"", None), (&noise(257), None), (b"z", None)]),
        Case::new("gray", &[(&samples, Some(Content::Samples(SampleFormat::Gray { row: 6 })))]),
        Case::new("rgb", &[(&samples, Some(Content::Samples(SampleFormat::Rgb { row: 18 })))]),
        Case::new(
            "pcm8",
            &[(&samples, Some(Content::Samples(SampleFormat::Pcm8 { channels: 1 })))],
        ),
        Case::new(
            "pcm16",
            &[(&audio, Some(Content::Samples(SampleFormat::Pcm16 { channels: 1 })))],
        ),
        named("named", true, &text(24)),
        named("named blocks", true, &[noise(256), text(24)].concat()),
        named("mixed", false, &text(24)),
        named("mixed blocks", false, &[noise(256), text(24)].concat()),
        primed("primed", 4, false, &log_lines(200, 202)),
        primed("guided", 5, false, &log_lines(200, 202)),
        primed("lines", 5, true, &log_lines(200, 203)),
        primed("blocks of lines", 5, true, &log_lines(200, 208)),
    ]
}

fn one_thread() -> DecodeOptions {
    let models = Models::of(MODELS.to_vec()).with_primed(|_| Ok(Some(Arc::clone(&PRIMED))));
    DecodeOptions { threads: 1, models, ..DecodeOptions::default() }
}

fn decode(archive: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_with(archive, &one_thread())
}

/// All of the content by way of the index.
fn decode_by_index(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::open(Cursor::new(archive), one_thread())?;
    let mut out = Vec::new();
    archive.read_range(0..archive.raw_len(), &mut out)?;
    Ok(out)
}

#[test]
fn the_cases_are_what_their_names_say() {
    for case in cases() {
        let archive = Archive::open(Cursor::new(&case.archive), one_thread()).unwrap();
        let coded = archive.blocks().any(|block| block.kind != Kind::Stored);
        let stored =
            ["empty", "one byte", "stored", "stored blocks", "streams"].contains(&case.name);
        assert_eq!(coded, !stored, "{}", case.name);
        let blocks = archive.blocks().count();
        assert_eq!(
            blocks > 1,
            [
                "two blocks",
                "stored blocks",
                "streams",
                "named",
                "named blocks",
                "mixed",
                "mixed blocks",
                "blocks of lines"
            ]
            .contains(&case.name)
        );
    }
}

#[test]
fn an_archive_cut_anywhere_is_truncated() {
    for case in cases() {
        assert!(decode(&case.archive).unwrap() == case.content, "{}", case.name);
        for len in 0..case.archive.len() {
            if len > 0 && case.borders.contains(&len) {
                continue; // whole streams are a valid archive
            }
            for result in [decode(&case.archive[..len]), decode_by_index(&case.archive[..len])] {
                let error = result.expect_err(case.name);
                assert_eq!(error.kind(), ErrorKind::Truncated, "{} at {len}: {error}", case.name);
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    for case in cases() {
        assert!(decode_by_index(&case.archive).unwrap() == case.content, "{}", case.name);
        for bit in 0..8 * case.archive.len() {
            let byte = bit / 8;
            let mut archive = case.archive.clone();
            archive[byte] ^= 1 << (bit % 8);
            let is_version = case.borders.iter().any(|start| start + 4 == byte);
            let check = |error: Error| {
                let expected = match error.kind() {
                    ErrorKind::Corrupt => true,
                    // A length that slipped past its CRC by growing a byte may point past the end.
                    ErrorKind::Truncated => true,
                    ErrorKind::NeedsNewer => is_version,
                    _ => false,
                };
                assert!(expected, "{} bit {bit}: {:?} {error}", case.name, error.kind());
            };
            check(decode(&archive).expect_err(case.name));
            // One bit a byte is enough for the second way in.
            if bit % 8 != byte % 8 {
                continue;
            }
            match decode_by_index(&archive) {
                Err(error) => check(error),
                // Random access never reads the one block of an empty stream.
                Ok(content) => assert!(content == case.content, "{} bit {bit}", case.name),
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for case in cases() {
        for tail in [&b"x"[..], b"\xb1LMD", b"\0x", b"\0\0\0\0\xb1LMD"] {
            let archive = [&case.archive, tail].concat();
            let zeros = tail.iter().take_while(|&&byte| byte == 0).count();
            let place = format!("at byte {}: ", case.archive.len() + zeros);
            for result in [decode(&archive), decode_by_index(&archive)] {
                let error = result.expect_err(case.name);
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", case.name);
                assert!(error.to_string().starts_with(&place), "{}: {error}", case.name);
            }
        }
    }
}

#[test]
fn zeros_behind_each_stream_mean_nothing() {
    for case in cases() {
        // Single, as xz has them, up to a block of tar, and more than is read at once.
        for zeros in [1, 3, 4, 512 - case.archive.len() % 512, 20_000] {
            let streams = case.borders.windows(2).map(|border| &case.archive[border[0]..border[1]]);
            let padded = streams.map(|stream| [stream, &vec![0; zeros]].concat());
            let padded: Vec<u8> = padded.collect::<Vec<_>>().concat();
            for result in [decode(&padded), decode_by_index(&padded)] {
                assert!(result.unwrap() == case.content, "{}, {zeros} zeros", case.name);
            }
        }
    }
}

#[test]
fn zeros_alone_or_in_front_are_no_archive() {
    for zeros in [1, 4, 512, 20_000] {
        assert_eq!(kind_of(&vec![0; zeros]), ErrorKind::Corrupt);
        for case in cases() {
            let archive = [&vec![0; zeros], &case.archive[..]].concat();
            assert_eq!(kind_of(&archive), ErrorKind::Corrupt, "{}, {zeros} zeros", case.name);
        }
    }
}

#[test]
fn zeros_in_place_of_a_missing_end_are_found() {
    for case in cases() {
        for len in 1..case.archive.len() {
            let next = case.borders.partition_point(|&border| border < len);
            let (start, end) = (case.borders[next - 1], case.borders[next]);
            for zeros in [1, 512] {
                // A stream may end in zeros itself: then nothing is missing.
                let is_whole = case.archive[len..end].iter().all(|&byte| byte == 0);
                if is_whole && zeros >= end - len {
                    continue;
                }
                let cut = [&case.archive[..len], &vec![0; zeros]].concat();
                // Random access never reads the one block of an empty stream, of 13 bytes.
                let by_index = (end - start != 13).then(|| decode_by_index(&cut));
                for result in by_index.into_iter().chain([decode(&cut)]) {
                    let error = result.expect_err(case.name);
                    let kinds = [ErrorKind::Truncated, ErrorKind::Corrupt];
                    assert!(kinds.contains(&error.kind()), "{} at {len}: {error}", case.name);
                }
            }
        }
    }
}

#[test]
fn an_archive_stored_in_a_stream_is_not_taken_for_one_behind_it() {
    // A check of four zeros, which one of 2^32 streams has, ends like zeros behind an archive. (Here it is wrong, but that
    // shows only when the block is read.)
    let inside = by_hand::stored_stream(&[b"ab", b"c"]);
    let mut archive = by_hand::stored_stream(&[&[b"around ", &inside[..]].concat()]);
    let check_at = archive.len() - 4;
    archive[check_at..].fill(0);
    for archive in [archive.clone(), [&archive, &[0; 600][..], &inside].concat()] {
        let found = Archive::open(Cursor::new(&archive), one_thread()).unwrap();
        assert_eq!(found.streams()[0].raw_len, 7 + inside.len() as u64);
        assert_eq!(found.streams().len(), if archive.len() > 600 { 2 } else { 1 });
        assert_eq!(kind_of(&archive), ErrorKind::Corrupt);
    }
}

/// Counts how often it is asked.
struct Asked<'a> {
    inner: Cursor<&'a [u8]>,
    times: &'a Cell<usize>,
}

impl Read for Asked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.times.set(self.times.get() + 1);
        self.inner.read(out)
    }
}

impl Seek for Asked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.times.set(self.times.get() + 1);
        self.inner.seek(to)
    }
}

#[test]
fn many_zeros_are_passed_in_large_pieces() {
    let streams = [by_hand::stored_stream(&[b"ab"]), by_hand::stored_stream(&[b"cd", b"e"])];
    let zeros = vec![0; 4 << 20];
    let archive = [&streams[0], &zeros[..], &streams[1], &zeros].concat();
    let times = Cell::new(0);
    let asked = || Asked { inner: Cursor::new(&archive), times: &times };
    assert_eq!(Archive::open(asked(), one_thread()).unwrap().raw_len(), 5);
    let mut content = Vec::new();
    Decoder::with_options(asked(), one_thread()).read_to_end(&mut content).unwrap();
    assert_eq!(content, b"abcde");
    // From the end a seek and a read of 8 KiB, over the first zeros once more from the start, and streaming.
    let most = (2 * 2 + 1 + 2) * (zeros.len() >> 13) + 100;
    assert!(times.get() <= most, "{}", times.get());
}

/// Kinds of error that both ways of reading give; they must agree.
fn kind_of(archive: &[u8]) -> ErrorKind {
    let kind = decode(archive).unwrap_err().kind();
    assert_eq!(decode_by_index(archive).unwrap_err().kind(), kind);
    kind
}

#[test]
fn an_archive_made_by_hand_is_the_same() {
    let (one, three) = (noise(100), noise(600));
    let options = EncodeOptions { level: 1, block_size: Some(256), ..Default::default() };
    let archive = by_hand::stored_stream(&[&one]);
    assert_eq!(compress_with(&one, &options).unwrap(), archive);
    let archive = by_hand::stored_stream(&[&three[..256], &three[256..512], &three[512..]]);
    assert_eq!(compress_with(&three, &options).unwrap(), archive);
}

#[test]
fn model_bytes_without_a_meaning_are_corrupt() {
    for model in [41, 0x41, 0xa4, 0xff] {
        let header = by_hand::stream_header(1, model);
        let several = by_hand::stored_stream_of(&header, &[b"abc", b"de"]);
        assert_eq!(kind_of(&several), ErrorKind::Corrupt, "model {model}");
    }
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    let stream = by_hand::stream_header(1, 1);
    let huge = [0xff; 9];
    // tag, raw length, coded length, and the rest of the block
    let cases: [(&[&[u8]], ErrorKind); 7] = [
        // 2^28 + 1 bytes, more than a block may have
        (&[&[0x81], &[0x81, 0x80, 0x80, 0x80, 0x01], &[5]], ErrorKind::Corrupt),
        // 2^63 and 2^70
        (&[&[0x81], &huge, &[0x00]], ErrorKind::Corrupt),
        (&[&[0x81], &huge, &[0x7f]], ErrorKind::Corrupt),
        // 2^28 stored bytes and 2^28 - 1 coded ones, of which none are there
        (&[&[0x80], &[0x80, 0x80, 0x80, 0x80, 0x01]], ErrorKind::Truncated),
        (
            &[&[0x81], &[0x80, 0x80, 0x80, 0x80, 0x01], &[0xff, 0xff, 0xff, 0x7f]],
            ErrorKind::Truncated,
        ),
        // a code that is as long as its block
        (&[&[0x81], &[5], &[5]], ErrorKind::Corrupt),
        // 5 written in two bytes
        (&[&[0x81], &[0x85, 0x00], &[3]], ErrorKind::Corrupt),
    ];
    for (header, kind) in cases {
        let mut archive = stream.clone();
        archive.extend(by_hand::with_crc(&stream, &header.concat()));
        assert_eq!(kind_of(&archive), kind, "{header:?}");
    }
}

#[test]
fn headers_out_of_range_are_corrupt() {
    let stream = by_hand::stream_header(1, 1);
    let headers: [&[u8]; 12] = [
        &[0xc1, 9, 9, 4],    // copies, and as many literals as bytes
        &[0xc1, 9, 10, 4],   // more literals than bytes
        &[0xc1, 9, 0, 4],    // the code of no literals
        &[0xc9, 1, 9, 0, 4], // the same, of a kind for later
        &[0xc0, 9, 4, 9],    // stored literals and copies that are as long as the block
        &[0xc7, 2, 9, 4, 4], // a block of records with copies
        &[0xc7, 1, 9, 4, 4], // the same, of no record
        &[0x87, 20, 9, 4],   // 10 records in 9 bytes
        &[0x89, 1, 9, 9],    // a code that is as long as its block, of a kind for later
        &[0x89, 1, 0, 0],    // the same, empty
        &[0x00, 0],          // empty, and not the last
        &[0x81, 0, 0],       // empty, coded
    ];
    for header in headers {
        let mut archive = stream.clone();
        archive.extend(by_hand::with_crc(&stream, header));
        archive.extend([0; 64]);
        assert_eq!(kind_of(&archive), ErrorKind::Corrupt, "{header:?}");
    }
}

#[test]
fn an_index_that_does_not_match_its_blocks_is_refused() {
    let (a, b) = (noise(10), noise(20));
    let blocks: [&[u8]; 2] = [&a, &b];
    let content = [a.as_slice(), &b].concat();
    let good = by_hand::trailer(&[&[0, 10], &[0x80, 20]], &content);
    let body = by_hand::stored_stream(&blocks);
    let body = &body[..body.len() - good.len()];
    assert_eq!(decode(&[body, &good].concat()).unwrap(), content);

    let other = noise(30);
    for bad in [
        by_hand::trailer(&[&[0, 20], &[0x80, 10]], &content), // lengths swapped
        by_hand::trailer(&[&[0, 10], &[0, 20]], &content),    // no last block
        by_hand::trailer(&[&[0x80, 10], &[0x80, 20]], &content), // two last blocks
        by_hand::trailer(&[&[0, 10], &[0, 0x14], &[0x80, 20]], &content), // one block too many
        by_hand::trailer(&[&[0x80, 30]], &content),
        by_hand::trailer(&[], &content),
    ] {
        let kind = decode(&[body, &bad].concat()).unwrap_err().kind();
        // A decoder knows how long the index must be, and takes a shorter one for a truncated one.
        assert!(
            kind == ErrorKind::Corrupt || bad.len() < good.len() && kind == ErrorKind::Truncated
        );
        let by_index = decode_by_index(&[body, &bad].concat());
        let kind = by_index.unwrap_err().kind();
        assert!(
            kind == ErrorKind::Corrupt || bad.len() < good.len() && kind == ErrorKind::Truncated
        );
    }
    // Another content hash: only reading all of it can tell.
    let bad = by_hand::trailer(&[&[0, 10], &[0x80, 20]], &other);
    assert_eq!(decode(&[body, &bad].concat()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn blocks_in_another_order_do_not_pass_for_the_content() {
    let (a, b, c) = (noise(32), noise(33)[..32].to_vec(), noise(34)[..32].to_vec());
    let stream = by_hand::stream_header(1, 1);
    let mut archive = by_hand::stored_block(&stream, &a, false);
    archive.extend(by_hand::stored_block(b"", &c, false));
    archive.extend(by_hand::stored_block(b"", &b, true));
    archive.extend(by_hand::trailer(&[&[0, 32], &[0, 32], &[0x80, 32]], &[a, b, c].concat()));
    assert_eq!(decode(&archive).unwrap_err().kind(), ErrorKind::Corrupt);
}
