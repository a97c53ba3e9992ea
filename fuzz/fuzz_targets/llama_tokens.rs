//! Any bytes as text of models with each kind of tokenizer: back from tokens, back from a code; any code ends.
#![no_main]

#[path = "llama_model.rs"]
mod llama_model;

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic_llama::Llama;

static MODELS: LazyLock<Vec<Llama>> = LazyLock::new(|| {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lmic-llama/tests/fixtures");
    ["llama", "gemma3", "llama-linear-bf16.gguf", "qwen2-q4_0.gguf"]
        .map(|name| Llama::open(&fixtures.join(name)).expect("fixture"))
        .into()
});

/// Bytes that are coded, too, by one of the models: coding takes a thousand times as long.
const CODED: usize = 16;

fuzz_target!(|data: &[u8]| {
    for model in &*MODELS {
        assert_eq!(model.bytes(&model.tokens(data)).as_deref(), Some(data));
    }
    if data.len() <= CODED {
        llama_model::check(&MODELS[data.len() % MODELS.len()], data);
    }
});
