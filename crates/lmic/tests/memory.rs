//! [`Plain::memory`] against what is really allocated. A binary of its own, because it counts every
//! allocation of the process; one test, so that nothing else allocates meanwhile.

use std::sync::Arc;

use lmic::block::{Content, Models, Number, Plain, SampleFormat};
use lmic::nn::{Config, Transformer, Weights, Windows};
use lmic::predict::samples::Samples;
use lmic::records::{PrimeOptions, Primed};
use lmic::{DecodeOptions, EncodeOptions, Error, ErrorKind, compress_with, decompress_with};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes that `work` had allocated at a time, beyond what there was before it.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (ALLOCATOR.peak_usage() - before, result)
}

/// A claim may be this much too high: it would refuse few files that fit.
const SLACK: usize = 96 << 10;

fn check(model: Plain, data: &mut [u8]) {
    let claimed = model.memory(data.len()) as usize;
    let (encoding, code) = peak_of(|| model.encode(data));
    let mut decoded = vec![0; data.len()];
    let (decoding, ()) = peak_of(|| model.decode(&code, &mut decoded));
    assert!(decoded == data, "{model:?}");
    // The code comes on top: it doubles when it is full, and the old half lives until it is copied.
    let code = 3 * code.len() + 64;
    let case = format!("{model:?}, {} bytes: {claimed} claimed, {encoding}", data.len());
    assert!(encoding <= claimed + code, "{case} to encode");
    assert!(decoding <= claimed, "{case} to encode, {decoding} to decode");
    assert!(claimed <= decoding + SLACK, "{case} to encode, {decoding} to decode");
}

/// The need in the message of an error of the memory limit.
fn need(error: Error) -> usize {
    assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
    let said = error.to_string();
    let (_, number) = said.split_once("needs ").unwrap();
    number.split_once(' ').unwrap().0.parse().unwrap()
}

/// A transformer on a block: what the encoder and decoder say they need, against what they take.
fn check_transformer(config: &Config, int8: bool, windows: Windows, len: usize) {
    let weights = Weights::random(config, 1);
    let weights = if int8 { weights.quantize().unwrap() } else { weights };
    let model = Arc::new(Transformer::new(&weights).unwrap());
    let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
    let encode = |memory_limit| {
        let (model, windows) = (Some(model.clone()), Some(windows));
        let options = EncodeOptions {
            model: model.map(Into::into),
            alone: true,
            windows,
            memory_limit,
            threads: 1,
            content: Some(Content::Bytes), // no gathering of the head
            block_size: Some(len.max(256)),
            ..EncodeOptions::default()
        };
        compress_with(&data, &options)
    };
    let claimed = need(encode(Some(2 * len as u64)).unwrap_err());
    let (taken, archive) = peak_of(|| encode(None).unwrap());
    let case = format!("{config:?}, int8 {int8}, {windows:?}, {len} bytes: {claimed} claimed");
    // The archive and some headers on top.
    let beside = 3 * archive.len() + 4096;
    assert!(taken <= claimed + beside, "{case}, {taken} to encode");
    // Of a short block it is much: rows of a whole strip are counted.
    assert!(len < 5000 || claimed <= 4 * taken + SLACK, "{case}, {taken} to encode");

    let decode = |memory_limit| {
        let models = Models::of(vec![model.clone()]);
        decompress_with(&archive, &DecodeOptions { models, memory_limit, threads: 1 })
    };
    let claimed = match decode(Some(len as u64 + 100)) {
        Ok(_) => return, // stored
        Err(error) => need(error),
    };
    let (taken, decoded) = peak_of(|| decode(None).unwrap());
    assert!(decoded == data, "{case}");
    // The reader's buffer and the content on top.
    assert!(taken <= claimed + (16 << 10) + len, "{case}, {claimed} to decode: {taken}");
}

/// A block guided by a primed state: what encoder and decoder say they need, against what they take.
fn check_guided(level: u8, primed: &Arc<Primed>, content: Option<Content>, len: usize) {
    let data: Vec<u8> = b"a line, 1234\n".iter().copied().cycle().take(len).collect();
    let encode = |memory_limit| {
        let primed = Some(("p".into(), Arc::clone(primed)));
        let block_size = Some(len.max(256));
        let options = EncodeOptions {
            level,
            primed,
            content,
            block_size,
            memory_limit,
            threads: 1,
            ..Default::default()
        };
        compress_with(&data, &options)
    };
    let case = format!("level {level}, {content:?}, {len} bytes");
    let claimed = need(encode(Some(2 * len as u64)).unwrap_err());
    let (taken, archive) = peak_of(|| encode(None).unwrap());
    // What recognises content holds the head, and the archive and some headers come on top.
    let beside = 3 * archive.len() + 4096 + if content.is_none() { len } else { 0 };
    assert!(taken <= claimed + beside, "{case}: {claimed} claimed, {taken} to encode");
    let decode = |memory_limit| {
        let primed = Arc::clone(primed);
        let models = Models::default().with_primed(move |_| Ok(Some(Arc::clone(&primed))));
        decompress_with(&archive, &DecodeOptions { models, memory_limit, threads: 1 })
    };
    let claimed = need(decode(Some(len as u64 + 100)).unwrap_err());
    let (taken, decoded) = peak_of(|| decode(None).unwrap());
    assert!(decoded == data, "{case}");
    assert!(taken <= claimed + (16 << 10) + len, "{case}: {claimed} claimed, {taken} to decode");
}

/// A mixture of order and disorder.
fn data(len: usize) -> Vec<u8> {
    let value = |i: u32| i % 253 + (i.wrapping_mul(0x9e37_79b1) >> 29);
    (0..len as u32).map(|i| value(i) as u8).collect()
}

/// Contents with parameters that decide what their models hold.
const SAMPLES: [SampleFormat; 14] = [
    SampleFormat::Gray { row: 1 },
    SampleFormat::Gray { row: 640 },
    SampleFormat::Gray { row: SampleFormat::MAX_ROW },
    SampleFormat::Rgb { row: 3 },
    SampleFormat::Rgb { row: 1920 },
    SampleFormat::Rgb { row: SampleFormat::MAX_ROW },
    SampleFormat::Pcm8 { channels: 1 },
    SampleFormat::Pcm16 { channels: 2 },
    SampleFormat::Pcm16 { channels: 8 },
    SampleFormat::Colours { row: 100, bits: 1 },
    SampleFormat::Table { record: 24, width: 8, big_endian: false },
    SampleFormat::Deep { row: 640, step: 1, number: Number::signed(2), shift: 0 },
    SampleFormat::Deep { row: SampleFormat::MAX_ROW, step: 3, number: Number::signed(2), shift: 0 },
    SampleFormat::Wave { channels: 8, number: Number::signed(4), shift: 0 },
];

#[test]
fn no_model_takes_more_memory_than_it_says() {
    for profile in 1..=5 {
        // Up to here the table of bytes is on the heap; from 2 MiB on it is a memory map, which no allocator
        // sees. Samples have no maps.
        for len in [1, 100, 4096, 16_384] {
            check(Plain { profile, content: Content::Bytes }, &mut data(len));
        }
        for content in SAMPLES {
            for len in [1, 1000, 9000] {
                check(Plain { profile, content: content.into() }, &mut data(len));
            }
        }
    }
    // Networks stay with the program: the first model of each kind brings its own.
    for content in SAMPLES {
        Samples::new(6, content, 1);
    }
    for content in SAMPLES {
        for len in [1, 1000, 9000] {
            check(Plain { profile: 6, content: content.into() }, &mut data(len));
        }
    }
    let small = Config::from_json(
        r#"{"model_type":"llama","vocab_size":257,"hidden_size":16,"intermediate_size":40,
        "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":20,
        "max_position_embeddings":256,"rms_norm_eps":1e-5}"#,
    );
    let small = small.unwrap();
    let shapes = [
        Config { num_key_value_heads: 4, head_dim: 4, num_hidden_layers: 6, ..small.clone() },
        Config { num_key_value_heads: 1, num_attention_heads: 8, ..small.clone() },
        Config { max_position_embeddings: 2048, ..small.clone() },
        Config { intermediate_size: 500, num_hidden_layers: 1, ..small.clone() },
        small,
    ];
    for config in &shapes {
        for int8 in [false, true] {
            let context = config.max_position_embeddings as u32;
            for (context, overlap, lanes) in
                [(context, context / 2, 8), (context, 0, 1), (8, 1, 64)]
            {
                for len in [1, 700, 5000] {
                    check_transformer(config, int8, Windows { context, overlap, lanes }, len);
                }
            }
        }
    }
    let samples: Vec<String> = (0..300).map(|i| format!("a line, {}", i * i)).collect();
    let samples: Vec<&[u8]> = samples.iter().map(|line| line.as_bytes()).collect();
    let primed = Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(10), ..PrimeOptions::default() })
            .unwrap(),
    );
    lmic::compress(b"the network stays with the program", 7).unwrap();
    for level in [1, 5, 7] {
        for len in [300, 5000, 20_000] {
            check_guided(level, &primed, Some(Content::Bytes), len);
            check_guided(level, &primed, None, len);
        }
    }
    for content in [SampleFormat::Rgb { row: 120_000 }, SampleFormat::Pcm16 { channels: 1 }] {
        check(Plain { profile: 5, content: content.into() }, &mut data(150_000));
    }
}
