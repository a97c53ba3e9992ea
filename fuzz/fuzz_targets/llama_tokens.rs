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

fuzz_target!(|data: &[u8]| MODELS.iter().for_each(|model| llama_model::check(model, data)));
