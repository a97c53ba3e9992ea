//! Archives of transformers: round trips, several models in one file, models that are missing, headers that lie.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Kind, Models, SampleFormat, StreamModel};
use lmic::nn::{Config, Network, Transformer, Weights, Windows};
use lmic::{
    Archive, DecodeOptions, EncodeOptions, Error, ErrorKind, compress_with, decompress_with,
};

use crate::by_hand;
use crate::support::{noise, picture, records, taught, text, tiny_config, wave};

fn transformer(config: &Config, name: &str, seed: u64) -> Arc<Transformer> {
    Arc::new(Transformer::new(&taught(config, name, seed)).unwrap())
}

/// Three transformers: f32, its int8 form, and one of another shape.
static MODELS: LazyLock<[Arc<Transformer>; 3]> = LazyLock::new(|| {
    let plain = taught(&tiny_config(), "tiny", 1);
    let int8 = Weights { name: "tiny-int8".into(), ..plain.quantize().unwrap() };
    let other = Config {
        sliding_window: Some(9),
        max_position_embeddings: 100,
        tie_word_embeddings: false,
        ..tiny_config()
    };
    [
        Arc::new(Transformer::new(&plain).unwrap()),
        Arc::new(Transformer::new(&int8).unwrap()),
        transformer(&other, "αβγ", 2),
    ]
});

fn options(model: usize, block_size: usize, threads: usize) -> EncodeOptions {
    EncodeOptions {
        model: Some(MODELS[model].clone().into()),
        alone: true,
        block_size: Some(block_size),
        threads,
        ..EncodeOptions::default()
    }
}

fn at_hand(threads: usize) -> DecodeOptions {
    DecodeOptions { threads, models: Models::of(MODELS.to_vec()), ..DecodeOptions::default() }
}

fn open(archive: &[u8]) -> Archive<Cursor<&[u8]>> {
    Archive::open(Cursor::new(archive), at_hand(1)).unwrap()
}

fn decode(archive: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_with(archive, &at_hand(1))
}

fn decode_by_index(archive: &[u8], options: DecodeOptions) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::open(Cursor::new(archive), options)?;
    let mut out = Vec::new();
    archive.read_range(0..archive.raw_len(), &mut out)?;
    Ok(out)
}

#[test]
fn any_length_round_trips_with_any_number_of_threads() {
    for model in 0..3 {
        for len in [0, 1, 2, 255, 256, 257, 1000] {
            let data = text(len);
            let archive = compress_with(&data, &options(model, 256, 1)).unwrap();
            assert!(compress_with(&data, &options(model, 256, 4)).unwrap() == archive);
            for threads in [1, 4] {
                assert!(decompress_with(&archive, &at_hand(threads)).unwrap() == data);
                assert!(decode_by_index(&archive, at_hand(threads)).unwrap() == data);
            }
            let coded = open(&archive).blocks().filter(|b| b.kind != Kind::Stored).count();
            assert!(coded >= (len + 1) / 256, "{len} bytes are coded");
        }
    }
}

#[test]
fn a_stream_says_how_it_was_coded() {
    for windows in [
        Windows::chunks(&MODELS[0]),
        Windows::sliding(&MODELS[0]),
        Windows { context: 2, overlap: 1, lanes: 64 },
        Windows { context: 40, overlap: 3, lanes: 1 },
    ] {
        let data = [text(900), noise(300), records(300)].concat();
        let options = EncodeOptions { windows: Some(windows), ..options(0, 700, 1) };
        let archive = compress_with(&data, &options).unwrap();
        assert!(decode(&archive).unwrap() == data);
        let archive = open(&archive);
        let StreamModel::Network(model) = &archive.streams()[0].model else { panic!("no model") };
        assert_eq!(model.name, "tiny");
        assert_eq!(model.identity, MODELS[0].identity());
        assert_eq!(model.windows, windows);
    }
    let chunks = Windows::chunks(&MODELS[0]);
    assert_eq!((chunks.context, chunks.overlap), (64, 0));
    let sliding = Windows::sliding(&MODELS[0]);
    assert!(sliding.overlap > 0 && Windows { overlap: 0, ..sliding } == chunks);
}

#[test]
fn streams_of_other_models_and_profiles_can_follow_one_another() {
    let plain = |block_size| EncodeOptions { model: None, level: 2, ..options(0, block_size, 1) };
    // One block and several, of each kind, in an order in which each stands behind each other.
    let streams = [
        (text(300), options(0, 1000, 1)),
        (text(700), options(1, 256, 2)),
        (records(500), plain(256)),
        (text(900), options(2, 300, 1)),
        (Vec::new(), options(1, 256, 1)),
        (text(200), plain(256)),
        (records(400), options(1, 1000, 1)),
        (text(600), options(0, 256, 1)),
        (noise(600), options(2, 256, 1)),
    ];
    let archive: Vec<u8> =
        streams.iter().flat_map(|(data, options)| compress_with(data, options).unwrap()).collect();
    let content: Vec<u8> = streams.iter().flat_map(|(data, _)| data.clone()).collect();
    assert!(decode(&archive).unwrap() == content);
    let mut archive = open(&archive);
    assert_eq!(archive.streams().len(), streams.len());
    let lens: Vec<_> = archive.streams().iter().map(|s| s.raw_len as usize).collect();
    assert_eq!(lens, streams.each_ref().map(|(data, _)| data.len()));
    for start in (0..content.len()).step_by(333) {
        for end in [start + 1, start + 400, content.len()] {
            let end = end.min(content.len());
            let mut part = Vec::new();
            archive.read_range(start as u64..end as u64, &mut part).unwrap();
            assert!(part == content[start..end], "{start}..{end}");
        }
    }
}

#[test]
fn samples_beside_a_transformer_are_mixed() {
    let cases = [
        (None, [b"P6\n41 20\n255\n".to_vec(), picture(41, 20, 3), text(500)].concat()),
        (Some(Content::Samples(SampleFormat::Gray { row: 61 })), picture(61, 20, 1)),
        (Some(Content::Samples(SampleFormat::Pcm16 { channels: 2 })), wave(500, 2)),
    ];
    for (content, data) in cases {
        let named = EncodeOptions { content, ..options(1, 1 << 16, 1) };
        let archive = compress_with(&data, &named).unwrap();
        assert!(decode(&archive).unwrap() == data);
        // The same code as at level 5; and only bytes need the transformer.
        let mixed = EncodeOptions { model: None, level: 5, ..named };
        let mixed = compress_with(&data, &mixed).unwrap();
        let samples = |archive: &[u8]| -> Vec<_> {
            let blocks = open(archive).blocks().copied().collect::<Vec<_>>();
            blocks.into_iter().filter(|b| matches!(b.kind, Kind::Samples(_))).collect()
        };
        let (ours, theirs) = (samples(&archive), samples(&mixed));
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].coded_len, theirs[0].coded_len);
        let without = DecodeOptions { threads: 1, ..DecodeOptions::default() };
        let only_samples = decompress_with(&archive, &without);
        assert_eq!(only_samples.is_ok(), content.is_some(), "{content:?}");
        let mut part = Vec::new();
        let place = ours[0].raw_offset..ours[0].raw_offset + ours[0].raw_len;
        let mut archive = Archive::open(Cursor::new(&archive), without).unwrap();
        archive.read_range(place.clone(), &mut part).unwrap();
        assert!(part == data[place.start as usize..place.end as usize]);
    }
}

#[test]
fn a_model_that_is_not_at_hand_is_named() {
    let data = text(600);
    let archive = compress_with(&data, &options(1, 256, 1)).unwrap();
    let hex: String = MODELS[1].identity().iter().map(|byte| format!("{byte:02x}")).collect();
    let impostor = Arc::clone(&MODELS[0]);
    for models in [
        Models::default(),
        Models::of(Vec::<Network>::new()),
        Models::of(vec![MODELS[0].clone(), MODELS[2].clone()]),
        Models::found_by(|_| Ok(None)),
        Models::found_by(move |_| Ok(Some(impostor.clone().into()))),
    ] {
        let options = DecodeOptions { models, threads: 2, ..DecodeOptions::default() };
        // What is in it can be seen without.
        let index = Archive::open(Cursor::new(&archive), options.clone()).unwrap();
        assert_eq!(index.raw_len(), 600);
        for result in
            [decompress_with(&archive, &options), decode_by_index(&archive, options.clone())]
        {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongModel);
            let said = error.to_string();
            assert!(said.contains("tiny-int8") && said.contains(&hex), "{said}");
        }
    }
    let broken = Models::found_by(|_| Err(Error::new(ErrorKind::Truncated, "half a model")));
    let options = DecodeOptions { models: broken, ..DecodeOptions::default() };
    let error = decompress_with(&archive, &options).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Truncated, "half a model"));
}

#[test]
fn the_name_does_not_matter_to_find_a_model() {
    let renamed = transformer(&tiny_config(), "another name", 1);
    assert_eq!(renamed.identity(), MODELS[0].identity());
    let archive = compress_with(&text(300), &options(0, 256, 1)).unwrap();
    let models = Models::of(vec![renamed]);
    let options = DecodeOptions { models, ..DecodeOptions::default() };
    assert!(decompress_with(&archive, &options).unwrap() == text(300));
}

const IDENTITY: [u8; 32] = [7; 32];

/// Kinds of error that both ways of reading give; they must agree.
fn kind_of(archive: &[u8]) -> ErrorKind {
    let kind = decode(archive).unwrap_err().kind();
    assert_eq!(decode_by_index(archive, at_hand(1)).unwrap_err().kind(), kind);
    kind
}

#[test]
fn a_stream_of_stored_blocks_needs_no_model() {
    let blocks: [&[u8]; 2] = [b"abc", b"de"];
    // The shortest and the longest header.
    let name = [b'x'; 64];
    for header in [
        by_hand::named_header(b"f", IDENTITY, 2, 0, 1),
        by_hand::named_header(&name, IDENTITY, 1 << 16, 1 << 15, 64),
    ] {
        for count in [1, 2] {
            let archive = by_hand::stored_stream_of(&header, &blocks[..count]);
            assert_eq!(decode(&archive).unwrap(), blocks[..count].concat());
            let twice = [archive.as_slice(), &archive].concat();
            let all = decode_by_index(&twice, DecodeOptions::default()).unwrap();
            assert_eq!(all, [blocks[..count].concat(), blocks[..count].concat()].concat());
        }
    }
    // As the encoder has it: noise is stored.
    let noise = noise(600);
    let windows = Some(Windows { context: 16, overlap: 4, lanes: 3 });
    let archive = compress_with(&noise, &EncodeOptions { windows, ..options(2, 256, 1) }).unwrap();
    let header = by_hand::named_header("αβγ".as_bytes(), MODELS[2].identity(), 16, 4, 3);
    let parts = [&noise[..256], &noise[256..512], &noise[512..]];
    assert!(archive == by_hand::stored_stream_of(&header, &parts));
}

#[test]
fn headers_of_named_models_out_of_range_are_corrupt() {
    let name = [b'x'; 65];
    let header = |name: &[u8], context, overlap, lanes| {
        by_hand::named_header(name, IDENTITY, context, overlap, lanes)
    };
    let good = header(b"fox", 8, 4, 1);
    let mut bad = vec![
        header(b"", 8, 4, 1),
        header(&name, 8, 4, 1),
        header(b"\xff\xfe", 8, 4, 1),
        header(b"fox", 0, 0, 1),
        header(b"fox", 1, 0, 1),
        header(b"fox", (1 << 16) + 1, 0, 1),
        header(b"fox", (1 << 32) + 8, 0, 1), // 8 if cut to 32 bits
        header(b"fox", u64::MAX, 0, 1),
        header(b"fox", 8, 5, 1),
        header(b"fox", 8, (1 << 32) + 4, 1),
        header(b"fox", 8, u64::MAX, 1),
        header(b"fox", 8, 4, 0),
        header(b"fox", 8, 4, 65),
        header(b"fox", 8, 4, 255),
    ];
    for len in [0, good.len() as u8 - 1, good.len() as u8 + 1, 255] {
        bad.push([&good[..good.len() - 1], &[len]].concat());
    }
    let mut long_varint = good.clone();
    let context_at = good.len() - 4;
    long_varint.splice(context_at..context_at + 1, [0x88, 0x00]);
    *long_varint.last_mut().unwrap() += 1;
    bad.push(long_varint);
    for header in bad {
        let one = by_hand::stored_stream_of(&header, &[b"abc"]);
        assert_eq!(kind_of(&one), ErrorKind::Corrupt, "{header:?}");
        let several = by_hand::stored_stream_of(&header, &[b"abc", b"de"]);
        assert_eq!(kind_of(&several), ErrorKind::Corrupt, "{header:?}");
    }
    for len in 6..good.len() {
        assert_eq!(kind_of(&good[..len]), ErrorKind::Truncated, "{len}");
    }
}

#[test]
fn windows_longer_than_the_models_context_are_refused() {
    // A coded block of 9 bytes with a code of 1.
    let block = |windows: [u64; 2]| {
        let [context, overlap] = windows;
        let stream = by_hand::named_header(b"tiny", MODELS[0].identity(), context, overlap, 1);
        [&stream[..], &by_hand::with_crc(&stream, &[0x81, 9, 1]), &[0; 5]].concat()
    };
    for windows in [[65, 0], [1 << 16, 1 << 15]] {
        let error = decode(&block(windows)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("the model has 64"), "{error}");
        assert_eq!(kind_of(&block(windows)), ErrorKind::Corrupt);
    }
    let error = decode(&block([64, 32])).unwrap_err();
    assert!(error.to_string().contains("does not match its check"), "{error}");
}

#[test]
fn options_outside_their_range_are_refused() {
    let fine = Windows::sliding(&MODELS[0]);
    let with = |windows| EncodeOptions { windows: Some(windows), ..options(0, 256, 1) };
    for (windows, words) in [
        (Windows { context: 1, ..fine }, "2 to 65536"),
        (Windows { context: 66, ..fine }, "the model has 64"),
        (Windows { overlap: 33, ..fine }, "half the context of 64"),
        (Windows { lanes: 0, ..fine }, "1 to 64"),
        (Windows { lanes: 65, ..fine }, "1 to 64"),
    ] {
        let error = compress_with(b"x", &with(windows)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{windows:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let named = |name: &str| {
        let model = Some(transformer(&tiny_config(), name, 1).into());
        compress_with(b"x", &EncodeOptions { model, alone: true, ..options(0, 256, 1) })
    };
    assert_eq!(named("").unwrap_err().kind(), ErrorKind::InvalidArgument);
    // A name for which archives have no room is cut: 64 bytes, the last of which would be half a letter.
    let archive = named(&format!("{}x", "aü".repeat(22))).unwrap();
    match &open(&archive).streams()[0].model {
        StreamModel::Network(model) => assert_eq!(model.name, format!("{}a", "aü".repeat(21))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_limits_are_kept() {
    let data = text(4000);
    let archive = compress_with(&data, &options(1, 1 << 16, 1)).unwrap();
    // The need is in the message of the error.
    let need = |error: Error| -> u64 {
        assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
        let said = error.to_string();
        let (_, number) = said.split_once("needs ").unwrap();
        number.split_once(' ').unwrap().0.parse().unwrap()
    };
    let encode = |limit| {
        let options = EncodeOptions { memory_limit: Some(limit), ..options(1, 1 << 16, 4) };
        compress_with(&data, &options)
    };
    let encoding = need(encode(2 * 4000).unwrap_err());
    assert_eq!(need(encode(encoding - 1).unwrap_err()), encoding);
    assert!(encode(encoding).unwrap() == archive);

    let limited = |limit| DecodeOptions { memory_limit: Some(limit), ..at_hand(4) };
    let decoding = need(decompress_with(&archive, &limited(1000)).unwrap_err());
    assert!((decoding / 2..2 * decoding).contains(&encoding), "{encoding} and {decoding}");
    need(decompress_with(&archive, &limited(decoding - 1)).unwrap_err());
    need(decode_by_index(&archive, limited(decoding - 1)).unwrap_err());
    assert!(decompress_with(&archive, &limited(decoding)).unwrap() == data);
    assert!(decode_by_index(&archive, limited(decoding)).unwrap() == data);
}
