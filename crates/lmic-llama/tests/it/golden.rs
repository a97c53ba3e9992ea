//! Golden archives: coded once, decoded to the same bytes for ever, at every level and on any number of threads.
//! `tests/golden/README.md` says how they came about.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lmic::block::{Kind, Models};
use lmic::exact::Level;
use lmic::nn::{TokenModel, Windows};
use lmic::{DecodeOptions, EncodeOptions};
use lmic_llama::Llama;
use serde_json::Value;

use crate::support::{FILES, FOLDERS, k_quants, path};

/// A model, its windows, and how long the content is.
struct Case {
    name: String,
    model: &'static str,
    windows: Option<Windows>,
    len: usize,
}

/// The checkpoint `llama` without its token for the byte `q`.
const WITHOUT_Q: &str = "llama without q";

/// What [`k_quants`] writes.
const K_QUANTS: &str = "K-quants";

fn cases() -> Vec<Case> {
    let all = FOLDERS.into_iter().chain(FILES);
    let plain = |model: &'static str| {
        let name = format!("v1_{}", model.replace(['.', '-'], "_"));
        Case { name, model, windows: None, len: 500 }
    };
    let special = |name: &str, model, windows: [u32; 2], lanes, len| {
        let windows = Some(Windows { context: windows[0], overlap: windows[1], lanes });
        Case { name: format!("v1_{name}"), model, windows, len }
    };
    let others = [
        // Several windows that repeat a part, and lanes of which the last is shorter.
        special("windows", "mistral", [48, 12], 1, 900),
        special("lanes", "qwen2-q4_0.gguf", [100, 0], 3, 5000),
        special("escapes", WITHOUT_Q, [64, 16], 1, 600),
        special("k_quants", K_QUANTS, [128, 0], 2, 700),
    ];
    all.map(plain).chain(others).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn open(name: &str, level: Level) -> Llama {
    if name == K_QUANTS {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("k-quants.gguf");
        fs::write(&file, k_quants()).unwrap();
        return Llama::open_at(&file, level).unwrap();
    }
    if name != WITHOUT_Q {
        return Llama::open_at(&path(name), level).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let place = tempfile::tempdir().unwrap();
    // The archive names the model by its folder.
    let folder = place.path().join("llama-without-q");
    fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(path("llama").join(file), folder.join(file)).unwrap();
    }
    let text = fs::read_to_string(path("llama").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let model = &mut json["model"];
    model["vocab"].as_object_mut().unwrap().remove("q").unwrap();
    let merges = model["merges"].as_array_mut().unwrap();
    merges.retain(|merge| !merge.to_string().contains('q'));
    fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
    Llama::open_at(&folder, level).unwrap()
}

/// Text that the model expects: noise as a code. Where the last token is too long, other noise.
fn expected_text(model: &Llama, windows: Windows, len: usize) -> Vec<u8> {
    let text = |seed: u64| {
        let mut x = seed;
        let noise = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 56) as u8
        });
        let mut text = vec![0; len];
        let noise: Vec<u8> = noise.take(2 * len).collect();
        model.decode(windows, 1, &noise, &mut text, &Default::default()).ok().map(|()| text)
    };
    (1..).find_map(text).unwrap()
}

fn encode(case: &Case) -> (Vec<u8>, Vec<u8>) {
    let model = Arc::new(open(case.model, Level::detect()));
    let windows = case.windows.unwrap_or(model.windows());
    let mut content = expected_text(&model, windows, case.len);
    if case.model == WITHOUT_Q {
        content[100] = b'q';
    }
    let model: Arc<dyn TokenModel> = model;
    let options = EncodeOptions {
        model: Some(model.into()),
        windows: case.windows,
        threads: 1,
        ..EncodeOptions::default()
    };
    (lmic::compress_with(&content, &options).unwrap(), content)
}

fn decode(case: &Case, archive: &[u8], level: Level, threads: usize) -> Vec<u8> {
    let model: Arc<dyn TokenModel> = Arc::new(open(case.model, level));
    let options =
        DecodeOptions { models: Models::of(vec![model]), threads, ..DecodeOptions::default() };
    lmic::decompress_with(archive, &options).unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

#[test]
fn golden_archives_decode_to_the_same_bytes_at_every_level() {
    for case in cases() {
        let place = folder().join(&case.name);
        let (archive, raw) = (place.with_extension("lmic"), place.with_extension("raw"));
        if std::env::var_os("LMIC_WRITE_GOLDEN").is_some() && !archive.exists() {
            let (code, content) = encode(&case);
            fs::write(&archive, code).unwrap();
            fs::write(&raw, content).unwrap();
            eprintln!("wrote {archive:?}");
        }
        let code = fs::read(&archive).unwrap_or_else(|e| panic!("{archive:?}: {e}"));
        let content = fs::read(&raw).unwrap();
        let info =
            lmic::Archive::open(std::io::Cursor::new(&code), DecodeOptions::default()).unwrap();
        for block in &info.streams()[0].blocks {
            assert!(block.kind != Kind::Stored, "{}: a block is stored, not coded", case.name);
        }
        assert!(case.model != WITHOUT_Q || content.contains(&b'q'), "nothing to escape");
        for level in Level::available() {
            for threads in [1, 3] {
                let decoded = decode(&case, &code, level, threads);
                assert!(decoded == content, "{} {level:?} {threads}", case.name);
            }
        }
    }
}

/// The encoder of today still writes what is frozen, but for text that another version of the tokenizer cuts otherwise.
#[test]
fn golden_content_is_coded_to_the_golden_archives() {
    for case in cases() {
        let (code, content) = encode(&case);
        let place = folder().join(&case.name);
        assert!(fs::read(place.with_extension("raw")).unwrap() == content, "{}", case.name);
        assert!(fs::read(place.with_extension("lmic")).unwrap() == code, "{}", case.name);
    }
}
