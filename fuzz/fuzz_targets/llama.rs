//! Any bytes and any changes to a small GGUF file: an error, or a model that computes; and any bytes as tokens and back.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic_llama::Llama;

static FILE: &[u8] = include_bytes!("../../crates/lmic-llama/tests/fixtures/llama-q8_0.gguf");
static MARKED: &[u8] = include_bytes!("../../crates/lmic-llama/tests/fixtures/llama-linear-bf16.gguf");

static MODELS: LazyLock<[Llama; 2]> =
    LazyLock::new(|| [FILE, MARKED].map(|file| Llama::from_gguf(file.to_vec()).expect("own file")));

/// Where the tensors of [`FILE`] begin, roughly: what is changed stands before.
const HEADER_LEN: usize = 14_000;

fn round_trip(model: &Llama, data: &[u8]) {
    assert_eq!(model.bytes(&model.tokens(data)).as_deref(), Some(data));
}

// Input: any bytes; for a file, and as repeated [place, 2 bytes][byte] to change one at.
fuzz_target!(|data: &[u8]| {
    MODELS.iter().for_each(|model| round_trip(model, data));
    let _ = Llama::from_gguf(data.to_vec());
    let mut file = FILE.to_vec();
    for change in data.as_chunks::<3>().0.iter().take(8) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        file[place % HEADER_LEN] = change[2];
    }
    if let Ok(model) = Llama::from_gguf(file) {
        model.logits(&[0, 1], 1);
        round_trip(&model, data);
    }
});
