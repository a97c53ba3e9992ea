use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use proptest::prelude::*;

use super::prefix::{DISTANCES, LITERALS, Lengths, codes};
use super::*;
use crate::random::SplitMix64;

/// Streams of zlib at all of its settings: scripts/deflate_fixtures.py.
const STREAMS: &[u8] = include_bytes!("../../../tests/golden/v1_deflate.streams");

const MOST: usize = 64 << 20;

fn undone(data: &[u8]) -> Option<Undone> {
    undo(data, MOST, 3, &Progress::default())
}

fn redone(undone: &Undone, len: usize) -> Result<Vec<u8>> {
    let images = undone.images.iter().map(|(_, pixels)| pixels.clone()).collect();
    redo(&undone.recipe, &undone.bytes, images, len, &Progress::default())
}

/// Words of a small vocabulary: `seed` decides which.
fn words(len: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let words = (0..).map(|_| {
        ["window ", "literal ", "a ", "match\n", "of length ", "258, "]
            [random.next_u64() as usize % 6]
    });
    words.flat_map(str::bytes).take(len).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(1);
    (0..len).map(|_| random.next_u64() as u8).collect()
}

#[test]
fn streams_of_zlib_cost_next_to_nothing() {
    let undone = undone(STREAMS).unwrap();
    assert!(redone(&undone, STREAMS.len()).unwrap() == STREAMS);
    // 23 streams of 35,000 bytes: their settings, lengths and places.
    assert!(undone.recipe.len() < 120, "{} bytes", undone.recipe.len());
    let [(SampleFormat::Rgb { row: 336 }, pixels)] = &undone.images[..] else { panic!("an image") };
    assert_eq!(pixels.len(), 33_600);
    // Of each stream, something that only its content has.
    let text = String::from_utf8_lossy(&undone.bytes);
    assert_eq!(text.matches("between the streams\n").count(), 21);
    assert!(text.matches("longer than").count() > 400);
}

#[test]
fn streams_of_another_encoder_come_back() {
    let content = words(100_000, 1);
    for level in 1..=10 {
        let stream = compress_to_vec_zlib(&content, level);
        let data = [&noise(500), &stream, b"behind it".as_slice()].concat();
        let undone = undone(&data).unwrap_or_else(|| panic!("level {level}"));
        assert!(redone(&undone, data.len()).unwrap() == data, "level {level}");
        assert_eq!(undone.bytes.len(), 500 + 2 + content.len() + 9, "level {level}");
    }
}

#[test]
fn a_stream_that_breaks_off_is_undone_up_to_its_last_whole_block() {
    let stream = compress_to_vec_zlib(&words(2_000_000, 2), 6);
    let data = &stream[..stream.len() * 2 / 3];
    let undone = undone(data).unwrap();
    assert!(undone.bytes.len() > 1_000_000, "{}", undone.bytes.len());
    assert!(redone(&undone, data.len()).unwrap() == data);
}

#[test]
fn bytes_without_streams_are_left_alone() {
    for data in [words(200_000, 3), noise(200_000), Vec::new(), b"x\x9c".repeat(5000)] {
        assert!(undone(&data).is_none());
    }
    // Stored blocks hold nothing that is hidden, and a short stream is not worth it.
    assert!(undone(&compress_to_vec_zlib(&noise(90_000), 0)).is_none());
    assert!(undone(&compress_to_vec_zlib(&words(60, 4), 9)).is_none());
}

#[test]
fn bombs_are_left_alone() {
    let bomb = compress_to_vec_zlib(&vec![0; 30 << 20], 9);
    assert!(undone(&bomb).is_none());
    // Very many of them, and what begins inside of others.
    let start = std::time::Instant::now();
    assert!(undone(&bomb.repeat(2000)).is_none());
    let nested = (0..60_000).fold(Vec::new(), |mut data: Vec<u8>, _| {
        data.extend([0x78, 1, 0, 1, 0, 0xfe, 0xff, 0]);
        data
    });
    undone(&nested);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    // Each as long as any stream may be, and together too long.
    let small = (0..60).flat_map(|seed| {
        let line = words(90, seed);
        compress_to_vec_zlib(&line.repeat(250_000 / line.len()), 9)
    });
    let small = undone(&small.collect::<Vec<_>>()).expect("the first are undone");
    assert!((4 << 20..9 << 20).contains(&small.len()), "{}", small.len());
}

#[test]
fn no_more_content_is_taken_than_allowed() {
    let stream = compress_to_vec_zlib(&words(100_000, 5), 6);
    let data = [&stream[..], &stream].concat();
    let of = |most| undo(&data, most, 3, &Progress::default()).map_or(0, |undone| undone.len());
    assert_eq!(of(data.len() + 99_999), 0);
    let one = of(150_000);
    assert!((100_000..150_000).contains(&one), "one of two: {one}");
    assert!(of(300_000) > 200_000);
}

#[test]
fn lengths_are_of_whole_codes_within_the_limit() {
    let mut random = SplitMix64::new(6);
    for case in 0..300 {
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        let (mut a, mut b) = (1u32, 1u32);
        let used = random.next_u64() as usize % LITERALS;
        for (i, count) in literals[..used].iter_mut().enumerate() {
            *count = match case % 3 {
                // Fibonacci's numbers make the longest codes.
                0 if i < 40 => {
                    (a, b) = (b, a + b);
                    a
                }
                1 => (random.next_u64() % 3) as u32,
                _ => (random.next_u64() as u32) >> (12 + random.next_u64() % 20),
            };
        }
        literals[256] = 1;
        for count in &mut distances[..random.next_u64() as usize % DISTANCES] {
            *count = (random.next_u64() % 9) as u32;
        }
        let lengths = Lengths::chosen(&literals, &distances);
        for lengths in [&lengths.literals, &lengths.distances] {
            let used: Vec<u32> =
                lengths.iter().copied().filter(|&length| length > 0).map(u32::from).collect();
            assert!(used.iter().all(|&length| length <= 15));
            assert_eq!(used.iter().map(|length| 1u32 << (15 - length)).sum::<u32>(), 1 << 15);
            assert!(codes(lengths).is_some());
        }
        assert!(
            literals
                .iter()
                .zip(&lengths.literals)
                .all(|(&count, &length)| (count > 0) <= (length > 0))
        );
        // What is written is read again.
        let mut out = BitWriter::default();
        lengths.write(&mut out);
        let bytes = out.into_bytes();
        let mut bits = bits::BitReader::new(&bytes);
        let read = Lengths::read(|count| bits.take(count)).unwrap();
        assert_eq!(read.literals[..lengths.literals.len()], lengths.literals);
        assert_eq!(read.distances[..lengths.distances.len()], lengths.distances);
    }
}

#[test]
fn damaged_recipes_are_errors_or_other_bytes() {
    let whole = undone(STREAMS).unwrap();
    let mut random = SplitMix64::new(7);
    let mut errors = 0;
    for _ in 0..300 {
        let mut damaged = whole.clone();
        for _ in 0..1 + random.next_u64() % 3 {
            let at = random.next_u64() as usize % damaged.recipe.len();
            damaged.recipe[at] = random.next_u64() as u8;
        }
        match redone(&damaged, STREAMS.len()) {
            Ok(data) => assert_eq!(data.len(), STREAMS.len()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                errors += 1;
            }
        }
    }
    assert!(errors > 100, "{errors}");
}

#[test]
fn checksums_are_those_of_the_standards() {
    assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
    assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    // Sums that overflow if they are reduced too late.
    let big = vec![255; 100_000];
    let a = (1 + 255 * 100_000u64) % 65521;
    let b = (1..=100_000u64).map(|n| 1 + 255 * n).sum::<u64>() % 65521;
    assert_eq!(u64::from(adler32(&big)), b << 16 | a);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_recipe_ends(
        recipe in prop::collection::vec(any::<u8>(), 0..300),
        bytes in prop::collection::vec(0u8..4, 0..3000),
        image in prop::collection::vec(any::<u8>(), 0..300),
        len in 0usize..9000,
    ) {
        let images = if image.is_empty() { Vec::new() } else { vec![image] };
        if let Ok(data) = redo(&recipe, &bytes, images, len, &Progress::default()) {
            prop_assert_eq!(data.len(), len);
        }
    }

    #[test]
    fn any_content_comes_back(
        pieces in prop::collection::vec((0usize..4, 1usize..3000, any::<u64>()), 1..12),
        level in 1u8..=10,
        before in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut content = Vec::new();
        for (kind, len, seed) in pieces {
            match kind {
                0 => content.extend(words(len, seed)),
                1 => content.extend(noise(len)),
                2 => content.extend(vec![seed as u8; len]),
                _ => {
                    let start = seed as usize % (content.len() + 1);
                    let end = content.len().min(start + len);
                    content.extend_from_within(start..end);
                }
            }
        }
        let local = b"PK\x03\x04\x14\0\0\0\x08\0.......................\x01\0\x02\0Nxx";
        let stream = compress_to_vec(&content, level);
        let data = [&before, &local[..], &stream, &before].concat();
        if let Some(undone) = undone(&data) {
            prop_assert!(redone(&undone, data.len()).unwrap() == data);
        }
    }
}
