//! Any bytes as one file of a Hugging Face folder, whose others are good: an error, or a model that computes.
//!
//! Input: [which file: 0 config.json, 1 tokenizer.json, 2 the header of model.safetensors, 3 the index of shards][its bytes].
//! Seeds: the files of crates/lmic-llama/tests/fixtures with that byte before them (`make fuzz-seeds`).
#![no_main]

#[path = "llama_model.rs"]
mod llama_model;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic_llama::Llama;

const FILES: [&str; 4] =
    ["config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"];

/// The folder, in memory where there is such a place, and the good files.
static FOLDER: LazyLock<(PathBuf, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/lmic-llama/tests/fixtures/llama-linear");
    let shared = PathBuf::from("/dev/shm");
    let place = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let folder = place.join(format!("lmic-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let good = FILES[..3].iter().map(|name| fs::read(fixture.join(name)).expect("fixture"));
    (folder, good.collect())
});

fuzz_target!(|data: &[u8]| {
    let Some((&which, content)) = data.split_first() else { return };
    let (folder, good) = &*FOLDER;
    let which = usize::from(which % 4);
    for (name, good) in FILES.iter().zip(good) {
        fs::write(folder.join(name), good).expect("written");
    }
    let content = match which {
        2 => {
            let old = u64::from_le_bytes(good[2][..8].try_into().expect("a length")) as usize;
            [&(content.len() as u64).to_le_bytes(), content, &good[2][8 + old..]].concat()
        }
        _ => content.to_vec(),
    };
    // An index is looked at where the whole file is not there.
    if which == 3 {
        fs::rename(folder.join(FILES[2]), folder.join("a.safetensors")).expect("renamed");
    } else {
        let _ = fs::remove_file(folder.join(FILES[3]));
    }
    fs::write(folder.join(FILES[which]), content).expect("written");
    if let Ok(model) = Llama::open(folder) {
        llama_model::check(&model, "the caf\u{e9} </s>\u{2581} \u{fffd}".as_bytes());
        llama_model::check(&model, &data[..data.len().min(64)]);
    }
});
