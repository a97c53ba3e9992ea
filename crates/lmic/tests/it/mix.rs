//! Archives of networks mixed with context mixing: round trips, what their headers say, blocks that need no network.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Kind, Models, SampleFormat, StreamModel};
use lmic::nn::{Transformer, Weights, Windows};
use lmic::records::{PrimeOptions, Primed};
use lmic::{Archive, DecodeOptions, EncodeOptions, ErrorKind, compress_with, decompress_with};
use proptest::prelude::*;

use crate::by_hand;
use crate::support::{log_lines, noise, picture, records, taught, text, tiny_config, wave};

/// f32 and int8.
static MODELS: LazyLock<[Arc<Transformer>; 2]> = LazyLock::new(|| {
    let plain = taught(&tiny_config(), "tiny", 1);
    let int8 = Weights { name: "tiny-int8".into(), ..plain.quantize().unwrap() };
    [plain, int8].map(|weights| Arc::new(Transformer::new(&weights).unwrap()))
});

fn options(model: usize, block_size: usize, threads: usize) -> EncodeOptions {
    EncodeOptions {
        model: Some(MODELS[model].clone().into()),
        block_size: Some(block_size),
        content: Some(Content::Bytes), // whether or not the network helps
        threads,
        ..EncodeOptions::default()
    }
}

fn at_hand(threads: usize) -> DecodeOptions {
    DecodeOptions { threads, models: Models::of(MODELS.to_vec()), ..DecodeOptions::default() }
}

fn kinds(archive: &[u8]) -> Vec<Kind> {
    let archive = Archive::open(Cursor::new(archive), at_hand(1)).unwrap();
    archive.blocks().map(|block| block.kind).collect()
}

#[test]
fn any_length_round_trips_with_any_number_of_threads() {
    for model in 0..2 {
        for len in [0, 1, 2, 255, 256, 257, 1000] {
            let data = text(len);
            let archive = compress_with(&data, &options(model, 256, 1)).unwrap();
            assert!(compress_with(&data, &options(model, 256, 4)).unwrap() == archive);
            for threads in [1, 4] {
                assert!(decompress_with(&archive, &at_hand(threads)).unwrap() == data);
            }
        }
    }
}

#[test]
fn lanes_of_one_block_round_trip_at_their_borders() {
    for len in [65536, 65537, 131_073] {
        let data = records(len);
        let one = compress_with(&data, &options(1, 1 << 20, 1)).unwrap();
        assert!(compress_with(&data, &options(1, 1 << 20, 3)).unwrap() == one, "{len}");
        for threads in [1, 3] {
            assert!(decompress_with(&one, &at_hand(threads)).unwrap() == data, "{len}");
        }
    }
}

#[test]
fn a_stream_says_how_it_was_mixed() {
    let windows = Windows { context: 40, overlap: 3, lanes: 5 };
    let options = EncodeOptions { windows: Some(windows), ..options(0, 700, 1) };
    let archive = compress_with(&text(900), &options).unwrap();
    assert_eq!(archive[5], 0xc3);
    assert!(decompress_with(&archive, &at_hand(1)).unwrap() == text(900));
    let archive = Archive::open(Cursor::new(archive), at_hand(1)).unwrap();
    let StreamModel::Mixed(model) = &archive.streams()[0].model else { panic!("no mix") };
    assert_eq!((model.name.as_str(), model.windows), ("tiny", windows));
    assert_eq!(model.identity, MODELS[0].identity());
}

#[test]
fn bytes_that_the_network_does_not_help_with_are_coded_without_it() {
    // Repeats of noise: the match models know them, a network of text does not. (They are too short to be copies.)
    let pieces = noise(3000);
    let binary: Vec<u8> =
        (0..180).flat_map(|i| pieces[i * i * 7 % 15 * 200..][..200].to_vec()).collect();
    let recognised = EncodeOptions { content: None, ..options(0, 1 << 20, 1) };
    let archive = compress_with(&binary, &recognised).unwrap();
    assert_eq!(kinds(&archive), [Kind::Unmixed]);
    // So they need no network to be decoded.
    assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == binary);
    let plain = EncodeOptions { model: None, level: 5, ..options(0, 1 << 20, 1) };
    let plain = compress_with(&binary, &plain).unwrap();
    assert!(archive.len() - plain.len() < 64, "{} {}", archive.len(), plain.len());
    assert_eq!(kinds(&compress_with(&noise(900), &recognised).unwrap()), [Kind::Stored]);
}

/// Lines of a log: a clock, one of four nodes, one of 40 messages, a number.
fn log(len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "connection",
        "closed",
        "by",
        "remote",
        "host",
        "session",
        "opened",
        "for",
        "user",
        "failed",
        "password",
        "request",
        "finished",
        "after",
        "server",
        "started",
    ];
    let mut state = 1u32;
    let mut below = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % n
    };
    let mut message = |_| (0..9).map(|_| WORDS[below(16) as usize]).collect::<Vec<_>>().join(" ");
    let messages: Vec<String> = (0..40).map(&mut message).collect();
    let (mut log, mut clock) = (String::new(), 1_700_000_000u64);
    while log.len() < len {
        clock += u64::from(below(3));
        let (node, message) = (below(4), &messages[below(40) as usize]);
        log += &format!("{clock} node-{node} kernel: {message} {}\n", clock * 7 % 100_003);
    }
    log.truncate(len);
    log.into_bytes()
}

#[test]
fn a_long_block_that_repeats_itself_is_coded_both_ways_and_the_shorter_code_kept() {
    let recognised = EncodeOptions { content: None, level: 7, ..EncodeOptions::default() };
    let coded = |data: &[u8], content| {
        let archive =
            compress_with(data, &EncodeOptions { content, ..recognised.clone() }).unwrap();
        assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == data);
        archive
    };
    let log = log(120_000);
    let chosen = coded(&log, None);
    assert_eq!(kinds(&chosen), [Kind::Unmixed]);
    let (mixed, plain) = (coded(&log, Some(Content::Bytes)), coded(&log, Some(Content::Binary)));
    assert!(chosen == plain && plain.len() < mixed.len(), "{} {}", plain.len(), mixed.len());
    // The first lines alone, where nothing has come often yet, are for the network: so a look at some pieces says.
    let start = coded(&log[..2000], None);
    assert_eq!(kinds(&start), [Kind::Bytes]);
    // Prose is the network's at any length.
    let prose = [
        &include_bytes!("../../../../docs/format.md")[..],
        include_bytes!("../../../../docs/format/cm.md"),
        include_bytes!("../../../../docs/format/samples.md"),
    ];
    assert_eq!(kinds(&coded(&prose.concat()[..40_000], None)), [Kind::Bytes]);
}

#[test]
fn what_is_asked_for_as_binary_is_coded_without_the_network() {
    let asked = EncodeOptions { content: Some(Content::Binary), ..options(0, 1000, 1) };
    let archive = compress_with(&text(600), &asked).unwrap();
    assert_eq!(kinds(&archive), [Kind::Unmixed]);
    assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == text(600));
    // Without a network it means bytes.
    let plain = EncodeOptions { model: None, level: 5, ..asked };
    assert_eq!(kinds(&compress_with(&text(600), &plain).unwrap()), [Kind::Bytes]);
}

#[test]
fn samples_beside_a_mix_round_trip() {
    let content = Some(Content::Samples(SampleFormat::Pcm16 { channels: 1 }));
    let wave = wave(3000, 2);
    let archive =
        compress_with(&wave, &EncodeOptions { content, ..options(0, 1 << 20, 1) }).unwrap();
    assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == wave);
}

/// Recognises what blocks hold.
fn recognising(block_size: usize) -> EncodeOptions {
    EncodeOptions { content: None, ..options(1, block_size, 1) }
}

#[test]
fn small_samples_without_header_are_found_out() {
    // A tone that rises, as one that does not has rows too: its periods.
    let rising: Vec<i16> = noise(2048)
        .iter()
        .zip(0i32..)
        .map(|(noise, i)| {
            let triangle = ((i + i * i / 900) % 97 - 48).abs() * 300 - 7000;
            (triangle + i32::from(noise % 100)) as i16
        })
        .collect();
    let narrow = rising.iter().map(|sample| (sample >> 8) as u8 ^ 0x80).collect();
    let wide = rising[..1024].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    for (data, format) in [
        (picture(64, 32, 1), SampleFormat::Gray { row: 64 }),
        (narrow, SampleFormat::Pcm8 { channels: 1 }),
        (wide, SampleFormat::Pcm16 { channels: 1 }),
    ] {
        let archive = compress_with(&data, &recognising(1 << 20)).unwrap();
        assert_eq!(kinds(&archive), [Kind::Samples(format)]);
        // No network of text is needed.
        assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == data);
        let told = EncodeOptions { content: Some(format.into()), ..recognising(1 << 20) };
        assert!(compress_with(&data, &told).unwrap() == archive);
    }
    let text = compress_with(&text(2048), &recognising(1 << 20)).unwrap();
    assert!(matches!(kinds(&text)[..], [Kind::Bytes | Kind::Unmixed]));
}

/// Samples, text and noise, with a row, cut anywhere.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..5usize, 1..200u32, 1..900usize).prop_map(|(kind, row, len)| {
        let mut data = match kind {
            0 => picture(row, 900 / row + 1, 1),
            1 => wave(900, 1),
            2 => wave(300, 2),
            3 => text(900),
            _ => noise(900),
        };
        data.truncate(len);
        data
    });
    prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_guessed_bytes_come_back(data in anything(), block_size in 256..2000usize) {
        let archive = compress_with(&data, &recognising(block_size)).unwrap();
        prop_assert!(decompress_with(&archive, &at_hand(1)).unwrap() == data);
        let threads = EncodeOptions { threads: 3, ..recognising(block_size) };
        prop_assert!(compress_with(&data, &threads).unwrap() == archive);
    }
}

#[test]
fn a_network_that_is_not_at_hand_is_named() {
    let archive = compress_with(&text(600), &options(0, 1 << 20, 1)).unwrap();
    let error = decompress_with(&archive, &DecodeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongModel);
    assert!(error.to_string().contains("tiny"), "{error}");
}

#[test]
fn levels_with_built_in_networks_round_trip_and_need_no_file() {
    for level in [6, 7, 8] {
        // The longest has three lanes.
        for len in [0, 1, 2, 700, if level < 8 { 33_000 } else { 10 }] {
            let raw = text(len);
            let options = EncodeOptions { level, ..EncodeOptions::default() };
            let archive = compress_with(&raw, &options).unwrap();
            assert_eq!(archive[5], level);
            assert!(decompress_with(&archive, &DecodeOptions::default()).unwrap() == raw, "{len}");
            let single = EncodeOptions { threads: 1, ..options };
            assert!(compress_with(&raw, &single).unwrap() == archive, "{len}");
        }
    }
}

static STATE: LazyLock<Arc<Primed>> = LazyLock::new(|| {
    let samples = log_lines(0, 600);
    let samples: Vec<&[u8]> = samples.split(|&byte| byte == b'\n').collect();
    Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(10), ..PrimeOptions::default() })
            .unwrap(),
    )
});

fn guided(level: u8, threads: usize) -> EncodeOptions {
    let primed = Some(("logs".into(), Arc::clone(&STATE)));
    EncodeOptions { level, threads, primed, ..EncodeOptions::default() }
}

fn with_state(threads: usize) -> DecodeOptions {
    let models = Models::default().with_primed(|_| Ok(Some(Arc::clone(&STATE))));
    DecodeOptions { threads, models, ..DecodeOptions::default() }
}

#[test]
fn blocks_guided_by_a_state_round_trip_with_any_number_of_threads() {
    for level in 5..=7 {
        for len in [0, 1, 2, 700, 33_000] {
            let lines = log_lines(700, 1300);
            let raw = [lines, text(len)].concat()[..len].to_vec();
            let archive = compress_with(&raw, &guided(level, 1)).unwrap();
            assert!(compress_with(&raw, &guided(level, 3)).unwrap() == archive, "{level} {len}");
            for threads in [1, 3] {
                let back = decompress_with(&archive, &with_state(threads)).unwrap();
                assert!(back == raw, "{level} {len}");
            }
        }
    }
}

#[test]
fn a_state_beside_a_network_is_better_than_either() {
    let raw = log_lines(700, 760);
    let len = |options: &EncodeOptions| {
        let len = |raw| compress_with(raw, options).unwrap().len();
        // The name of a state costs some bytes, however much follows.
        len(&raw) - len(b"")
    };
    let both = len(&guided(7, 1));
    let network = len(&EncodeOptions { primed: None, ..guided(7, 1) });
    let state = len(&guided(4, 1));
    assert!(both < network.min(state), "{both}, {network}, {state}");
}

#[test]
fn a_guided_block_needs_a_state_and_a_network_that_exists() {
    let kind_of = |stream: &[u8], network: u8| {
        let header = by_hand::with_crc(stream, &[0x88, network, 9, 2]);
        let coded = [stream, &header, &[0; 6]].concat();
        decompress_with(&coded, &with_state(1)).unwrap_err()
    };
    let error = kind_of(&by_hand::stream_header(1, 7), 7);
    assert!(error.to_string().contains("primed state"), "{error}");
    let mut stream = by_hand::stream_header(1, 0xa5);
    stream.extend(b"\x04logs");
    stream.extend(STATE.identity());
    stream.push(stream.len() as u8 + 1);
    for network in [0, 4, 10] {
        let error = kind_of(&stream, network);
        assert_eq!(error.kind(), ErrorKind::NeedsNewer, "{network}: {error}");
    }
    assert!(kind_of(&stream, 6).to_string().contains("check"));
    // Once another test has found the network of level 9, it is kept.
    let error = kind_of(&stream, 9).to_string();
    assert!(error.contains("lmic-9") || error.contains("check"), "{error}");
}

#[test]
fn a_block_without_network_in_a_stream_that_is_no_mix_is_corrupt() {
    let stream = by_hand::stream_header(1, 5);
    let header = by_hand::with_crc(&stream, &[0x86, 9, 2]);
    let coded = [stream, header, vec![0; 6]].concat();
    let error = decompress_with(&coded, &DecodeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
