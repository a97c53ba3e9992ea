//! Archives coded with a checkpoint.

use std::sync::Arc;

use lmic::block::{Kind, Models, StreamModel};
use lmic::nn::{TokenModel, Windows};
use lmic::{DecodeOptions, EncodeOptions, ErrorKind};
use lmic_llama::{Llama, ScoreOptions};

use crate::support::{FILES, FOLDERS, open};

fn shared(name: &str) -> Arc<dyn TokenModel> {
    Arc::new(open(name))
}

fn encode(model: &Arc<dyn TokenModel>, data: &[u8], windows: Option<Windows>) -> Vec<u8> {
    let options = EncodeOptions {
        model: Some(Arc::clone(model).into()),
        windows,
        ..EncodeOptions::default()
    };
    lmic::compress_with(data, &options).unwrap()
}

fn decode(model: &Arc<dyn TokenModel>, archive: &[u8], threads: usize) -> lmic::Result<Vec<u8>> {
    let models = Models::of(vec![Arc::clone(model)]);
    lmic::decompress_with(archive, &DecodeOptions { models, threads, ..DecodeOptions::default() })
}

/// Text that random weights make shorter: of few different tokens. And what no tokenizer likes.
fn inputs() -> Vec<Vec<u8>> {
    let mut hard = b"<s> </s><|begin_of_text|><0x41> \xe2\x96\x81x \xff\xfe\xe2\x82".to_vec();
    hard.extend("e\u{301} ﬁ \u{fffd} \r\n\t\0 日本語 🦀 ".repeat(3).as_bytes());
    hard.extend((0..=255u8).rev());
    vec![Vec::new(), b"a".to_vec(), b" ".to_vec(), b"the quick brown fox ".repeat(12), hard]
}

#[test]
fn what_is_coded_is_restored_with_every_model() {
    for name in FOLDERS.into_iter().chain(FILES) {
        let model = shared(name);
        for data in inputs() {
            let archive = encode(&model, &data, None);
            assert_eq!(decode(&model, &archive, 2).unwrap(), data, "{name}");
            // Random weights know nothing: code what they would store.
            let windows = model.windows();
            let code = model.encode(windows, 2, &data, &Default::default());
            let mut out = vec![0; data.len()];
            model.decode(windows, 1, &code, &mut out, &Default::default()).unwrap();
            assert_eq!(out, data, "{name}");
        }
    }
}

#[test]
fn windows_and_lanes_of_any_kind_decode() {
    let data: Vec<u8> = b"one two three, ".iter().copied().cycle().take(7000).collect();
    for name in ["llama", "mistral", "qwen2-q4_0.gguf"] {
        let model = open(name);
        for (context, overlap, lanes) in
            [(2, 0, 1), (16, 8, 1), (128, 0, 4), (128, 32, 3), (5, 1, 64)]
        {
            let windows = Windows { context, overlap, lanes };
            let code = model.encode(windows, 2, &data, &Default::default());
            let mut out = vec![0; data.len()];
            model.decode(windows, 2, &code, &mut out, &Default::default()).unwrap();
            assert!(out == data, "{name} {windows:?}");
        }
    }
}

#[test]
fn an_archive_names_its_model_and_no_other_opens_it() {
    let model = shared("qwen2");
    // Few tokens, so that even this model saves a byte.
    let data = vec![b'!'; 5000];
    let windows = Windows { context: 64, overlap: 16, lanes: 1 };
    let archive = encode(&model, &data, Some(windows));
    let info = lmic::Archive::open(std::io::Cursor::new(&archive), DecodeOptions::default());
    let info = info.unwrap();
    let StreamModel::Tokens(named) = &info.streams()[0].model else { panic!("no tokens") };
    assert_eq!(
        (named.name.as_str(), named.identity, named.windows),
        ("qwen2", model.identity(), windows)
    );
    assert_eq!(decode(&model, &archive, 1).unwrap(), data);
    if info.streams()[0].blocks[0].kind == Kind::Stored {
        return; // stored
    }
    let error = decode(&shared("qwen3"), &archive, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongModel);
    assert!(error.to_string().contains("\"qwen2\""), "{error}");
}

#[test]
fn damaged_codes_end_without_panic() {
    let model = open("mistral");
    let data = b"It was the best of times, it was the worst of times. ".repeat(8);
    let windows = model.windows();
    let code = model.encode(windows, 1, &data, &Default::default());
    for i in 0..code.len().min(60) {
        let mut bad = code.clone();
        bad[i] ^= 1 << (i % 8);
        let mut out = vec![0; data.len()];
        let _ = model.decode(windows, 1, &bad, &mut out, &Default::default());
        let _ = model.decode(windows, 1, &bad[..i], &mut out, &Default::default());
    }
}

#[test]
fn identities_differ_and_do_not_depend_on_the_level() {
    let all: Vec<[u8; 32]> =
        FOLDERS.into_iter().chain(FILES).map(|name| open(name).identity()).collect();
    for (i, identity) in all.iter().enumerate() {
        assert!(!all[..i].contains(identity));
    }
    let again = Llama::open_at(&crate::support::path("llama"), lmic::exact::Level::available()[0]);
    assert_eq!(again.unwrap().identity(), all[0]);
}

/// Special tokens have no part of the probability in a code, but have it in a score: there it is the model's own.
#[test]
fn codes_spend_no_bits_on_tokens_that_stand_for_nothing() {
    for name in FOLDERS.into_iter().chain(FILES) {
        let model = open(name);
        let data = b"It was the best of times, it was the worst of times. ".repeat(20);
        let windows = Windows { lanes: 1, ..model.windows() };
        let code = model.encode(windows, 2, &data, &Default::default());
        let bits = |as_coded| {
            let options = ScoreOptions { windows: Some(windows), as_coded, ..Default::default() };
            model.score(&data, &options, &Default::default()).bits
        };
        let (coded, own) = (bits(true), bits(false));
        // The coder's last bytes, and a millionth for its integers.
        assert!((8.0 * code.len() as f64 - coded).abs() < 48.0, "{name}: {coded} bits");
        assert!(coded < own, "{name}: {coded} bits, {own} by the model's own softmax");
    }
}

/// What noise decodes to is text: hardly anything but the end of a lane can be wrong.
#[test]
fn noise_decodes_to_no_token_that_stands_for_nothing() {
    let model = open("llama");
    for seed in 1..40u64 {
        let noise: Vec<u8> =
            (0..400).map(|i: u64| (((i * i + 7) * seed * 0x9e37_79b9) >> 13) as u8).collect();
        let mut out = [0; 300];
        if let Err(error) = model.decode(model.windows(), 1, &noise, &mut out, &Default::default())
        {
            assert!(error.to_string().contains("passes the end of its lane"), "{error}");
        }
    }
}
