//! Blocks with copies: what repeats comes back, wherever it stands, and lists that no encoder writes are errors.

use std::io::Cursor;
use std::ops::Range;

use lmic::block::{Content, Kind};
use lmic::coder::{Coder, RangeEncoder};
use lmic::quantize::BitProb;
use lmic::{
    Archive, DecodeOptions, EncodeOptions, Error, ErrorKind, compress_with, decompress,
    decompress_with,
};
use proptest::prelude::*;

use crate::by_hand;
use crate::support::{log_lines, noise, picture, text};

fn options(level: u8, block_size: usize, threads: usize) -> EncodeOptions {
    EncodeOptions { level, block_size: Some(block_size), threads, ..Default::default() }
}

fn decode_options(threads: usize, memory_limit: Option<u64>) -> DecodeOptions {
    DecodeOptions { threads, memory_limit, ..Default::default() }
}

fn open(archive: &[u8], options: DecodeOptions) -> Archive<Cursor<&[u8]>> {
    Archive::open(Cursor::new(archive), options).unwrap()
}

fn read(archive: &mut Archive<Cursor<&[u8]>>, range: Range<usize>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    archive.read_range(range.start as u64..range.end as u64, &mut out)?;
    Ok(out)
}

/// Encodes and decodes with one thread and three; returns the archive and how many bytes are literals.
fn round_trip(content: &[u8], level: u8, block_size: usize) -> (Vec<u8>, u64) {
    let archive = compress_with(content, &options(level, block_size, 1)).unwrap();
    assert!(archive == compress_with(content, &options(level, block_size, 3)).unwrap());
    for threads in [1, 3] {
        let options = decode_options(threads, None);
        assert!(decompress_with(&archive, &options).unwrap() == content, "level {level}");
        let mut by_index = open(&archive, options);
        assert!(read(&mut by_index, 0..content.len()).unwrap() == content, "level {level}");
    }
    let literals = open(&archive, decode_options(1, None)).blocks().map(|b| b.literals).sum();
    (archive, literals)
}

/// Content whose blocks of 8000 bytes copy from earlier ones and from themselves.
fn repeating() -> Vec<u8> {
    let (text, noise) = (text(6400), noise(3600));
    let parts: [&[u8]; 8] = [
        &text[..5600],                                                    // block 0: literals,
        &[b'-'; 2400],                                                    // and a run
        &[&noise[..], &text[..4400]].concat(), // block 1: stored, with a copy of block 0
        &[&text[800..4800], &noise[..3200], &noise[2000..2800]].concat(), // block 2: copies only
        &[&text[4000..], &b"0123456".repeat(800)].concat(), // block 3: a period
        &log_lines(0, 240)[..8000],            // block 4: no copy
        &[&log_lines(80, 200)[..3600], &noise[400..], &text[..1200]].concat(), // block 5
        &text[1200..3200],                     // block 6: a copy and no more
    ];
    parts.concat()
}

#[test]
fn the_content_of_these_tests_has_copies_of_each_sort() {
    let (archive, literals) = round_trip(&repeating(), 1, 8000);
    let archive = open(&archive, decode_options(1, None));
    let blocks: Vec<_> = archive.blocks().map(|b| (b.kind, b.literals)).collect();
    let [zero, one, two, .., last] = blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(zero.0, Kind::Bytes);
    assert!((5601..5610).contains(&zero.1), "{zero:?}");
    assert_eq!((one, two, last), ((Kind::Stored, 3600), (Kind::Stored, 0), (Kind::Stored, 0)));
    assert!(blocks.contains(&(Kind::Bytes, 8000)), "{blocks:?}");
    assert!(literals < 24_000, "{literals}");
}

#[test]
fn what_repeats_comes_back_at_the_settings_of_every_level() {
    for level in [1, 3, 5, 6] {
        for (block_size, most) in [(1 << 20, 26_000), (8000, 37_000), (1200, 56_000)] {
            let (_, literals) = round_trip(&repeating(), level, block_size);
            assert!(literals <= most, "level {level}, blocks of {block_size}: {literals}");
        }
    }
}

/// Longer ones of the same block a strong model codes itself.
#[test]
fn what_only_an_earlier_block_has_is_copied_from_a_kilobyte_on_at_every_level() {
    let block = noise(12_000);
    let second = [&block[8000..], &block[3000..4500], &text(2500)].concat();
    let content = [&block[..8000], &second].concat();
    for level in [1, 5, 6] {
        let (_, literals) = round_trip(&content, level, 8000);
        assert_eq!(literals, 8000 + 6500, "level {level}");
    }
}

#[test]
fn runs_and_periods_become_copies() {
    for period in (1..=600).step_by(13).chain([2, 3, 4, 7, 8, 9, 255, 256, 511, 512, 513, 600]) {
        let content = [&text(77), &noise(period).repeat(4000 / period)[..], b"end"].concat();
        for level in [1, 5] {
            let (archive, literals) = round_trip(&content, level, 1 << 20);
            // Longer ones are found where there is an anchor: 1 of 64 bytes is one.
            let found = (literals as usize) < 77 + period + 3 + 700;
            assert!(period > 512 || found, "period {period}, level {level}: {literals}");
            assert!(archive.len() < content.len() / 2 + 100, "{}", archive.len());
        }
    }
}

#[test]
fn a_repeat_that_begins_and_ends_anywhere_is_copied_whole() {
    let (known, other) = (noise(12_000), noise(2000));
    for len in [4096, 5000, 6931] {
        for start in [0, 1, 2001] {
            let content = [&known, &other, &known[start..start + len]].concat();
            let (_, literals) = round_trip(&content, 5, 1 << 20);
            assert_eq!(literals, 14_000, "{len} bytes from {start}");
            // Across blocks.
            let (_, literals) = round_trip(&content, 5, 5000);
            assert!(literals <= 15_300, "{len} bytes from {start}: {literals}");
        }
    }
}

/// Kind and literals of each block.
fn blocks_of(archive: &[u8]) -> Vec<(Kind, u64)> {
    let archive = open(archive, decode_options(1, None));
    archive.blocks().map(|block| (block.kind, block.literals)).collect()
}

#[test]
fn short_repeats_of_samples_are_no_copies() {
    let pixels = picture(50, 40, 1);
    let image = [b"P5 50 40 255\n", &pixels[..]].concat();
    let text = text(3000);
    let content = [&image[..], &text, &pixels[..500], &text[100..2800]].concat();
    let (archive, literals) = round_trip(&content, 3, 1 << 20);
    assert_eq!(literals, 13 + 2000 + 3000 + 500);
    let blocks = blocks_of(&archive);
    assert!(matches!(blocks[1], (Kind::Samples(_), 2000)), "{blocks:?}");
}

#[test]
fn long_repeats_of_samples_are_copied_in_whole_rows() {
    let (mut pixels, text) = (picture(50, 400, 1), text(3000));
    pixels.extend_from_within(1000..9123);
    let image =
        [b"P5 50 700 255\n", &pixels[..], &picture(50, 700, 2)[pixels.len()..35_000]].concat();
    let content = [&image[..], &text, &image, &text].concat();
    for level in [1, 5] {
        let (archive, literals) = round_trip(&content, level, 1 << 20);
        let blocks = blocks_of(&archive);
        let gray = Kind::Samples(lmic::block::SampleFormat::Gray { row: 50 });
        assert_eq!(blocks[1], (gray, 35_000 - 8100), "level {level}");
        // All that follows is copied of it, but where what is copied of one block ends.
        assert!(literals < 14 + 26_900 + 3000 + 100, "level {level}: {literals}");
    }
}

#[test]
fn samples_that_repeat_in_short_stretches_are_bytes() {
    let noise = noise(20_000);
    let windows: Vec<u8> = (0..40)
        .flat_map(|i| (0..100).flat_map(move |row| (0..100).map(move |x| (i, row, x))))
        .map(|(i, row, x)| noise[(row * 150 + i + x) % 20_000])
        .collect();
    let content = [b"P5 100 4000 255\n", &windows[..]].concat();
    let (archive, _) = round_trip(&content, 1, 1 << 20);
    let blocks = blocks_of(&archive);
    assert_eq!(blocks[1].0, Kind::Bytes);
    let options = EncodeOptions {
        content: Some(lmic::block::SampleFormat::Gray { row: 100 }.into()),
        ..options(1, 1 << 20, 1)
    };
    let as_told = compress_with(&content, &options).unwrap();
    assert!(2 * archive.len() < as_told.len(), "{} of {}", archive.len(), as_told.len());
}

#[test]
fn ranges_of_blocks_with_copies_are_the_content_at_that_place() {
    let content = repeating();
    for block_size in [8000, 2000] {
        let archive = compress_with(&content, &options(1, block_size, 1)).unwrap();
        let two = [&archive[..], &archive].concat();
        let content = content.repeat(2);
        for threads in [1, 3] {
            for limit in [None, Some(60 << 20)] {
                let mut archive = open(&two, decode_options(threads, limit));
                for start in (0..content.len()).step_by(2803) {
                    for len in [0, 1, 1999, 8001, 36_000] {
                        let range = start..(start + len).min(content.len());
                        let part = read(&mut archive, range.clone()).unwrap();
                        assert!(part == content[range.clone()], "{range:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_range_reads_no_more_blocks_than_it_refers_to() {
    let content = repeating();
    let mut archive = compress_with(&content, &options(1, 8000, 1)).unwrap();
    let of = |archive: &[u8]| {
        let archive = open(archive, decode_options(1, None));
        archive.blocks().map(|block| block.file_offset as usize).collect::<Vec<_>>()
    };
    let starts = of(&archive);
    // Block 2 copies literals of blocks 0 and 1. Block 1 copies of block 0, but the last block refers to block 0 alone: it
    // is read although all others are broken.
    for start in &starts[1..6] {
        archive[start + 12] ^= 1;
    }
    let mut by_index = open(&archive, decode_options(1, None));
    assert!(read(&mut by_index, 48_000..50_000).unwrap() == content[48_000..]);
    assert!(read(&mut by_index, 0..8000).unwrap() == content[..8000]);
    assert_eq!(read(&mut by_index, 16_000..24_000).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_small_memory_limit_is_an_error_or_the_content() {
    // 12 blocks of 64 KiB of noise, each of which is copied later by one that also copies others.
    let pieces: Vec<Vec<u8>> =
        (0..12).map(|i| noise((64 << 10) + i)[..64 << 10].to_vec()).collect();
    let mixed = pieces.iter().flat_map(|piece| piece[1000..3000].to_vec());
    let content = [pieces.concat(), mixed.collect(), pieces[3].clone()].concat();
    let archive = compress_with(&content, &options(6, 64 << 10, 1)).unwrap();
    assert!(archive.len() < pieces.concat().len() + 3000, "{}", archive.len());
    let (mut whole, mut refused) = (0, 0);
    let mut kinds = Vec::new();
    for shift in 17..24 {
        for limit in [1 << shift, 3 << (shift - 1)] {
            for threads in [1, 3] {
                let options = decode_options(threads, Some(limit));
                let mut streamed = Vec::new();
                let mut decoder = lmic::Decoder::with_options(&archive[..], options.clone());
                match std::io::Read::read_to_end(&mut decoder, &mut streamed) {
                    Ok(_) => {
                        whole += 1;
                        assert!(streamed == content);
                    }
                    Err(error) => {
                        refused += 1;
                        let error = error.downcast::<Error>().unwrap();
                        assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
                        assert!(content.starts_with(&streamed));
                    }
                }
                let Ok(mut by_index) = Archive::open(Cursor::new(&archive[..]), options) else {
                    continue;
                };
                let range = content.len() - (128 << 10)..content.len();
                let result = read(&mut by_index, range.clone());
                kinds.push((limit, result.is_ok()));
                match result {
                    Ok(part) => assert!(part == content[range]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}"),
                }
            }
        }
    }
    assert!(whole > 3 && refused > 3, "{whole} and {refused}");
    // The number of threads makes no difference.
    assert!(kinds.chunks(2).all(|pair| pair[0] == pair[1]), "{kinds:?}");
    assert!(kinds.iter().any(|(_, ok)| *ok) && kinds.iter().any(|(_, ok)| !ok), "{kinds:?}");
}

#[test]
fn copies_do_not_reach_into_another_stream() {
    let part = noise(3000);
    let streams = [0, 1, 2].map(|_| compress_with(&part, &options(1, 1000, 1)).unwrap());
    assert!(streams[0].len() > part.len());
    assert!(decompress(&streams.concat()).unwrap() == part.repeat(3));
    // A stream that has copies, behind another one and without it.
    let alone = compress_with(&part.repeat(2), &options(1, 1000, 1)).unwrap();
    assert!(alone.len() < 3500);
    let both = [&streams[0][..], &alone].concat();
    assert!(decompress(&both).unwrap() == part.repeat(3));
    let mut archive = open(&both, decode_options(3, None));
    assert!(read(&mut archive, 2500..8000).unwrap() == part.repeat(3)[2500..8000]);
    // One that reaches before its own start is refused, even if there is a stream before.
    let reaching = stream(&[Block::stored(b"", &[copy(0, 50, 5)], 50)]);
    let archive = [by_hand::stored_stream(&[b"before"]), reaching].concat();
    assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2]);
}

#[test]
fn lines_and_blocks_of_a_model_that_are_coded_apart_have_no_copies() {
    // Records of an archive that has copies are none.
    let archive = compress_with(&b"a line\n".repeat(300), &options(1, 2000, 1)).unwrap();
    let mut archive = open(&archive, decode_options(1, None));
    assert_eq!(archive.records().unwrap_err().kind(), ErrorKind::InvalidArgument);
    let archive = compress_with(&[b'\n'; 2000], &options(1, 2000, 1)).unwrap();
    let mut archive = open(&archive, decode_options(1, None));
    assert!(archive.blocks().all(|block| block.kind == Kind::Stored));
    assert_eq!(archive.records().unwrap_err().kind(), ErrorKind::InvalidArgument);
}

// ---- Damage ----------------------------------------------------------------------------------

fn damaged_cases() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (text, noise) = (text(420), noise(600));
    let contents = [
        // Two blocks, of which the second is stored and has copies only; a run; a coded block of which all is copied, and more.
        ([&noise[..], &[7; 6], &noise[10..590]].concat(), 606),
        ([&text[..60], &[b'a'; 700]].concat(), 1000),
        ([&text[..], &noise[..180], &text, &noise[..180], b"and more"].concat(), 600),
    ];
    let archived = |(content, block_size): (Vec<u8>, usize)| {
        let archive = compress_with(&content, &options(1, block_size, 1)).unwrap();
        let found = open(&archive, decode_options(1, None));
        assert!(found.blocks().any(|block| block.literals < block.raw_len));
        (archive, content)
    };
    contents.map(archived).into()
}

/// All of the content by way of the index.
fn decode_by_index(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::open(Cursor::new(archive), decode_options(1, None))?;
    let len = archive.raw_len() as usize;
    read(&mut archive, 0..len)
}

/// The kinds of the errors that both ways of reading give.
fn kinds_of(archive: &[u8]) -> [ErrorKind; 2] {
    let one = decode_options(1, Some(1 << 30));
    let whole = decompress_with(archive, &one).unwrap_err().kind();
    [whole, decode_by_index(archive).unwrap_err().kind()]
}

#[test]
fn cut_anywhere_it_is_truncated() {
    for (archive, _) in damaged_cases() {
        for len in 0..archive.len() {
            assert_eq!(kinds_of(&archive[..len]), [ErrorKind::Truncated; 2], "{len}");
        }
    }
}

#[test]
fn a_flipped_bit_is_found() {
    for (archive, content) in damaged_cases() {
        assert!(decode_by_index(&archive).unwrap() == content);
        for bit in 0..8 * archive.len() {
            let mut damaged = archive.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let fine = |error: Error| match error.kind() {
                ErrorKind::Corrupt | ErrorKind::Truncated => {}
                ErrorKind::NeedsNewer => assert_eq!(bit / 8, 4, "the version"),
                _ => panic!("bit {bit}: {error}"),
            };
            fine(decompress(&damaged).unwrap_err());
            match decode_by_index(&damaged) {
                Ok(_) => panic!("bit {bit} of {}", archive.len()),
                Err(error) => fine(error),
            }
        }
    }
}

// ---- By hand: lists as docs/format/copies.md says them, which encoders do not write --------------

#[derive(Clone, Copy)]
struct Copy {
    literals: u64,
    len: u64,
    distance: u64,
}

/// A number's bits as the page has them: with the probabilities of `counters`, 22 bits and a count for each place.
fn number(coder: &mut RangeEncoder, counters: &mut [Vec<(i32, i32)>; 2], value: u64) {
    let mut bit = |place: Option<&mut (i32, i32)>, bit: u64| {
        let Some((p, count)) = place else {
            coder.bit(BitProb::HALF, bit == 1);
            return;
        };
        coder.bit(BitProb::new(*p as u32 >> 6), bit == 1);
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        *p += (((target - *p) >> 3) * (8192 / (2 * *count + 3))) >> 9;
        *count += i32::from(*count < 250);
    };
    let [sizes, heads] = counters;
    let size = u64::from(64 - value.leading_zeros());
    for i in (0..6).rev() {
        let before = 1 << (5 - i) | size >> (i + 1);
        bit(Some(&mut sizes[before as usize]), size >> i & 1);
    }
    for i in (0..size.saturating_sub(1)).rev() {
        let before = value >> (i + 1);
        let place = (before < 8).then(|| &mut heads[(8 * size + before) as usize]);
        bit(place, value >> i & 1);
    }
}

fn list(copies: &[Copy]) -> Vec<u8> {
    let mut coder = RangeEncoder::new();
    let fresh = || [64, 512].map(|len| vec![(1 << 21, 0); len]);
    let (mut literals, mut lens, mut changes) = (fresh(), fresh(), fresh());
    let mut before = 0;
    for copy in copies {
        number(&mut coder, &mut literals, copy.literals);
        number(&mut coder, &mut lens, copy.len - 1);
        let change = copy.distance.wrapping_sub(before) as i64;
        number(&mut coder, &mut changes, ((change << 1) ^ (change >> 63)) as u64);
        before = copy.distance;
    }
    coder.finish()
}

/// A block of kind 0, with copies if it has a list.
struct Block {
    header: Vec<u8>,
    payload: Vec<u8>,
    content: Vec<u8>,
}

impl Block {
    fn plain(content: &[u8]) -> Self {
        let header = [vec![0], by_hand::varint(content.len() as u64)].concat();
        Self { header, payload: content.to_vec(), content: Vec::new() }
    }

    /// `len` bytes of literals and copies. Its check is that of content of zeros: good enough for what is wrong before.
    fn stored(literals: &[u8], copies: &[Copy], len: u64) -> Self {
        Self::with_count(literals, copies, copies.len() as u64, len)
    }

    fn with_count(literals: &[u8], copies: &[Copy], count: u64, len: u64) -> Self {
        let list = list(copies);
        let numbers = [count, list.len() as u64].map(by_hand::varint).concat();
        Self::of(&[&numbers, &list, literals].concat(), literals.len() as u64, len)
    }

    fn of(payload: &[u8], literals: u64, len: u64) -> Self {
        let lengths = [len, literals, payload.len() as u64].map(by_hand::varint);
        let header = [vec![0x40], lengths.concat()].concat();
        Self { header, payload: payload.to_vec(), content: vec![0; len.min(1 << 20) as usize] }
    }

    fn whose(self, content: &[u8]) -> Self {
        Self { content: content.to_vec(), ..self }
    }
}

fn stream(blocks: &[Block]) -> Vec<u8> {
    stream_of(1, blocks)
}

fn stream_of(model: u8, blocks: &[Block]) -> Vec<u8> {
    let start = by_hand::stream_header(1, model);
    let (mut out, mut entries, mut content) = (start.clone(), Vec::new(), Vec::new());
    for (i, block) in blocks.iter().enumerate() {
        let mut header = block.header.clone();
        header[0] |= if i + 1 == blocks.len() { 0x80 } else { 0 };
        out.extend(by_hand::with_crc(if i == 0 { &start } else { &[] }, &header));
        let check = blake3::hash(&[&header, &block.payload, &block.content[..]].concat());
        out.extend([&block.payload, &check.as_bytes()[..4]].concat());
        let own = if block.content.is_empty() { &block.payload } else { &block.content };
        content.extend(own);
        entries.push(header);
    }
    if blocks.len() > 1 {
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        out.extend(by_hand::trailer(&entries, &content));
    }
    out
}

const fn copy(literals: u64, len: u64, distance: u64) -> Copy {
    Copy { literals, len, distance }
}

#[test]
fn a_list_written_from_the_page_is_that_of_the_encoder() {
    let content = [&noise(1200)[..], &[0; 3600], &noise(1200), &noise(1200)[400..1000]].concat();
    let archive = compress_with(&content, &options(1, 8000, 1)).unwrap();
    let literals = [&noise(1200)[..], &[0]].concat();
    let copies = [copy(1201, 3599, 1), copy(0, 1200, 4800), copy(0, 600, 5600)];
    let block = Block::stored(&literals, &copies, content.len() as u64).whose(&content);
    assert!(archive == stream(&[block]));
}

#[test]
fn copies_may_do_what_encoders_do_not() {
    let long = noise(300);
    let after_long = |copies: &[Copy], literals: &[u8], content: &[u8]| {
        let block = Block::stored(literals, copies, content.len() as u64).whose(content);
        let archive = stream(&[Block::plain(&long), block]);
        let all = [&long, content].concat();
        assert!(decompress(&archive).unwrap() == all);
        let mut by_index = open(&archive, decode_options(1, None));
        assert!(read(&mut by_index, 300..all.len()).unwrap() == content);
    };
    // From the literals of an earlier block on into its own content, once and as a period.
    after_long(&[copy(2, 60, 32)], b"ab", &[b"ab", &long[270..], b"ab", &long[270..298]].concat());
    let period = [&long[295..], b"xy"].concat();
    after_long(&[copy(2, 63, 7)], b"xy", &[b"xy", &period.repeat(9)[..]].concat());
    // Copies of one byte, copies of copies, literals at the end.
    let copies = [copy(1, 1, 1), copy(0, 2, 2), copy(0, 4, 4), copy(3, 1, 11), copy(0, 60, 12)];
    after_long(&copies, b"abcdefg", &[&b"aaaaaaaabcda".repeat(6)[..], b"efg"].concat());
    // Everything that there is.
    after_long(&[copy(0, 300, 300), copy(0, 300, 600)], b"", &long.repeat(2));
    // Blocks without literals stand between what is referred to.
    let again = || Block::stored(b"", &[copy(0, 60, 60)], 60).whose(&long[240..]);
    let content = [&long[220..], b"end!", &long[240..]].concat();
    let copies = [copy(0, 80, 80), copy(4, 60, 144)];
    let last = Block::stored(b"end!", &copies, 144).whose(&content);
    let archive = stream(&[Block::plain(&long), again(), again(), last]);
    let all = [&long, &long[240..], &long[240..], &content[..]].concat();
    assert!(decompress(&archive).unwrap() == all);
    assert!(decode_by_index(&archive).unwrap() == all);
}

#[test]
fn lists_that_lie_are_corrupt() {
    let huge = [1 << 20, 1 << 28, 1 << 32, (1 << 32) + 3, 1 << 60, (1 << 62) - 1];
    // 300 bytes, of which 4 are literals; what would be right is copy(4, 296, 1).
    let mut lists: Vec<(Vec<Copy>, u64)> = vec![
        (vec![copy(4, 296, 0)], 300),                  // no distance
        (vec![copy(4, 296, 5)], 300),                  // before the stream
        (vec![copy(0, 296, 1)], 300),                  // before anything is there
        (vec![copy(4, 296, 1)], 301),                  // content that is missing,
        (vec![copy(4, 296, 1)], 299),                  // and too much of it
        (vec![copy(5, 295, 1)], 300),                  // literals that are not there
        (vec![copy(2, 100, 1), copy(3, 195, 1)], 300), // the same in the second copy
        (vec![copy(4, 297, 1)], 300),                  // a copy beyond the end
        (vec![copy(4, 290, 1), copy(0, 7, 1)], 300),   // two of them
        (vec![copy(4, 290, 1), copy(0, 6, 299)], 300), // before the stream, from what is copied on
        (vec![], 300),                                 // none
    ];
    for number in huge {
        lists.extend([
            (vec![copy(number, 10, 1)], 300),
            (vec![copy(4, number, 1)], 300),
            (vec![copy(4, 296, number)], 300),
            (vec![copy(4, 5, 1), copy(0, 291, number)], 300),
            (vec![copy(4, 5, 1), copy(number, number, number)], 300),
            (vec![copy(4, 5, 1), copy(0, 291, 0u64.wrapping_sub(number / 2))], 300),
            (vec![copy(number, number, number); 3], 300),
        ]);
    }
    for (i, (copies, len)) in lists.iter().enumerate() {
        let archive = stream(&[Block::stored(b"abcd", copies, *len)]);
        assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2], "list {i}");
        let error = decompress(&archive).unwrap_err().to_string();
        assert!(error.contains("the copies of a block do not fit together"), "list {i}: {error}");
        // Behind an earlier block, whose four bytes may be reached; then the check is wrong.
        let archive = stream(&[Block::plain(b"wxyz"), Block::stored(b"abcd", copies, *len)]);
        assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2], "list {i} behind a block");
    }
}

#[test]
fn counts_and_lengths_that_lie_are_corrupt() {
    let right = [copy(4, 96, 1)];
    let content = [&b"abc"[..], &[b'd'; 97]].concat();
    let good = Block::stored(b"abcd", &right, 100).whose(&content);
    assert!(decompress(&stream(&[good])).unwrap() == content);
    for count in [0, 2, 3, 1000, 1 << 28, u64::MAX] {
        let archive = stream(&[Block::with_count(b"abcd", &right, count, 100)]);
        assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2], "{count}");
    }
    let list = list(&right);
    let k = list.len() as u8;
    let long = [0xff; 9];
    let payloads: [Vec<u8>; 9] = [
        vec![],
        vec![1],
        vec![0x81, 0],                                        // 1 in two bytes
        [&long[..], &[2], b"\0abcd"].concat(),                // more than 64 bits
        [&[1, k + 5], &list[..], b"abcd"].concat(),           // a list that passes the end
        [&[1], &long[..], &[1], &list[..], b"abcd"].concat(), // of 2^64 - 1 bytes
        [&[1, k], &list[..], b"abc"].concat(),                // a literal less
        [&[1, k], &list[..], b"abcde"].concat(),              // one more
        [&[1, 0][..], b"abcd"].concat(), // a list of zeros: its copy has no distance
    ];
    for (i, payload) in payloads.iter().enumerate() {
        let archive = stream(&[Block::of(payload, 4, 100)]);
        assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2], "payload {i}");
    }
}

#[test]
fn blocks_that_say_they_are_long_allocate_within_the_limit() {
    // 2^28 bytes of content from one literal, which is right: some archives are small.
    let copies = [copy(1, (1 << 28) - 1, 1)];
    let archive = stream(&[Block::stored(b"a", &copies, 1 << 28)]);
    assert!(archive.len() < 60);
    for limit in [1 << 16, (1 << 28) - 1] {
        let error = decompress_with(&archive, &decode_options(1, Some(limit))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    }
    // Chains: each block is twice the one before, by copies of the literals of the first. None needs another one in between.
    let first = noise(64);
    let mut blocks = vec![Block::plain(&first)];
    let mut content = first.clone();
    for shift in 7..14 {
        let own = first.repeat(1 << (shift - 6));
        let len = own.len() as u64;
        blocks.push(Block::stored(b"", &[copy(0, 64, 64), copy(0, len - 64, 64)], len).whose(&own));
        content.extend(own);
    }
    let archive = stream(&blocks);
    let len = content.len();
    assert!(decompress(&archive).unwrap() == content);
    assert!(decode_by_index(&archive).unwrap() == content);
    let mut by_index = open(&archive, decode_options(1, Some(20_000)));
    assert!(read(&mut by_index, len - 100..len).unwrap() == content[len - 100..]);
}

#[test]
fn every_kind_but_records_may_have_copies() {
    // Samples: literals are coded as a block of that kind, of that many bytes.
    let pixels = picture(40, 30, 1);
    let coded = |content: Content| {
        let options = EncodeOptions { content: Some(content), ..options(3, 1 << 20, 1) };
        compress_with(&pixels, &options).unwrap()
    };
    for format in [
        lmic::block::SampleFormat::Gray { row: 40 },
        lmic::block::SampleFormat::Rgb { row: 120 },
        lmic::block::SampleFormat::Pcm8 { channels: 1 },
        lmic::block::SampleFormat::Pcm16 { channels: 1 },
    ] {
        let archive = coded(format.into());
        let found = open(&archive, decode_options(1, None));
        let block = *found.blocks().next().unwrap();
        assert_eq!(block.kind, Kind::Samples(format));
        let code = &archive[archive.len() - 4 - block.coded_len as usize..archive.len() - 4];
        let list = list(&[copy(1200, 600, 1000)]);
        let payload = [&[1, list.len() as u8], &list[..], code].concat();
        let content = [&pixels[..], &pixels[200..800]].concat();
        // The tag and its parameter, which is a byte, as they stand behind the stream header.
        let mut copied = Block::of(&payload, 1200, 1800).whose(&content);
        copied.header.splice(..1, [archive[6] & 0x3f | 0x40, archive[7]]);
        let made = stream_of(3, &[copied]);
        assert!(decompress(&made).unwrap() == content, "{format:?}");
        assert!(decode_by_index(&made).unwrap() == content, "{format:?}");
    }
}

#[test]
fn an_unknown_kind_with_copies_is_passed_over() {
    let first = text(100);
    let plain = Block::plain(&first);
    let unknown = {
        let lengths = [20, 6, 9].map(by_hand::varint).concat();
        let header = [&[0x40 | 10, 5][..], &lengths].concat();
        Block { header, payload: b"not known".to_vec(), content: vec![0; 20] }
    };
    // One that refers to the first block alone, and one that refers to the literals that are not known.
    let fine = Block::stored(b"", &[copy(0, 60, 106)], 60).whose(&first[..60]);
    let needs = Block::stored(b"", &[copy(0, 60, 61)], 60);
    let archive = stream(&[plain, unknown, fine, needs]);
    let newer = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::NeedsNewer, "{error}");
        assert!(error.to_string().contains("needs a newer lmic"), "{error}");
    };
    for threads in [1, 3] {
        let options = decode_options(threads, None);
        newer(decompress_with(&archive, &options).unwrap_err());
        let mut by_index = open(&archive, options);
        assert_eq!(by_index.raw_len(), 240);
        assert!(read(&mut by_index, 0..100).unwrap() == first);
        assert!(read(&mut by_index, 120..180).unwrap() == first[..60]);
        newer(read(&mut by_index, 110..111).unwrap_err());
        newer(read(&mut by_index, 180..240).unwrap_err());
    }
}

// ---- Properties --------------------------------------------------------------------------------

/// One step of content that repeats itself: noise, a run, a period, or what was there before.
#[derive(Debug, Clone)]
enum Step {
    Noise(usize),
    Text(usize),
    Period { period: usize, len: usize },
    Again { back: usize, len: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..900usize).prop_map(Step::Noise),
        (1..900usize).prop_map(Step::Text),
        (1..600usize, 1..3000usize).prop_map(|(period, len)| Step::Period { period, len }),
        (1..9000usize, 1..3000usize).prop_map(|(back, len)| Step::Again { back, len }),
        (1..9000usize, 1..3000usize).prop_map(|(back, len)| Step::Again { back, len }),
    ]
}

fn content_of(steps: &[Step]) -> Vec<u8> {
    let mut content = Vec::new();
    for step in steps {
        match *step {
            Step::Noise(len) => content.extend(noise(len + content.len())[content.len()..].iter()),
            Step::Text(len) => content.extend(text(len)),
            Step::Period { period, len } => {
                content.extend(noise(period).iter().cycle().take(len));
            }
            Step::Again { back, len } => {
                let from = content.len().saturating_sub(back);
                let to = content.len().min(from + len);
                content.extend_from_within(from..to);
            }
        }
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_repeats_under_any_options_come_back(
        steps in prop::collection::vec(step(), 1..9),
        level in 1..=5u8,
        block_size in prop_oneof![256..4000usize, Just(1 << 20)],
        cut in any::<prop::sample::Index>(),
        len in 1..3000usize,
    ) {
        let content = content_of(&steps);
        prop_assume!(!content.is_empty());
        let (archive, _) = round_trip(&content, level, block_size);
        let start = cut.index(content.len());
        let range = start..(start + len).min(content.len());
        let mut archive = open(&archive, decode_options(3, None));
        prop_assert!(read(&mut archive, range.clone()).unwrap() == content[range]);
    }

    #[test]
    fn any_list_gives_content_or_an_error(
        list in prop::collection::vec(any::<u8>(), 0..40),
        count in 0..9u64,
        literals in 0..30usize,
        len in 31..2000u64,
    ) {
        let literals = &noise(30)[..literals];
        let numbers = [count, list.len() as u64].map(by_hand::varint).concat();
        let payload = [&numbers, &list, literals].concat();
        prop_assume!((payload.len() as u64) < len);
        let block = Block::of(&payload, literals.len() as u64, len);
        // The check is wrong in nearly all cases.
        let archive = stream(&[Block::plain(&noise(500)), block]);
        prop_assert_eq!(kinds_of(&archive), [ErrorKind::Corrupt; 2]);
    }

    #[test]
    fn any_few_copies_are_what_the_page_says(
        numbers in prop::collection::vec((0..20u64, 1..40u64, 1..700u64), 1..8),
    ) {
        // The oracle: byte by byte.
        let past = noise(300);
        let (mut x, mut copies, mut literals) = (past.clone(), Vec::new(), Vec::new());
        for (i, &(before, len, distance)) in numbers.iter().enumerate() {
            let new = noise(i * 20 + 20)[..before as usize].to_vec();
            x.extend(&new);
            literals.extend(&new);
            let distance = 1 + (distance - 1) % x.len() as u64;
            for _ in 0..len {
                x.push(x[x.len() - distance as usize]);
            }
            copies.push(copy(before, len, distance));
        }
        let content = &x[300..];
        let block = Block::stored(&literals, &copies, content.len() as u64).whose(content);
        // The payload of a few copies may be longer than what they copy.
        prop_assume!(block.payload.len() < content.len());
        let archive = stream(&[Block::plain(&past[..100]), Block::plain(&past[100..]), block]);
        prop_assert!(decompress(&archive).unwrap() == x);
        prop_assert!(decode_by_index(&archive).unwrap() == x);
    }
}
