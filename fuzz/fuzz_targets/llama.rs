//! Any bytes as the header of a GGUF file: an error, or a model that computes, codes, and keeps any bytes as tokens.
//!
//! Seeds: the headers of the GGUF files in crates/lmic-llama/tests/fixtures (`make fuzz-seeds`).
#![no_main]

#[path = "llama_model.rs"]
mod llama_model;

use libfuzzer_sys::fuzz_target;
use lmic_llama::Llama;

/// Bytes for tensors, behind the header: small numbers in all formats.
const TENSORS: [u8; 96 << 10] = [0x38; 96 << 10];

fuzz_target!(|header: &[u8]| {
    let file = [header, &vec![0; header.len().next_multiple_of(32) - header.len()], &TENSORS].concat();
    if let Ok(model) = Llama::from_gguf(file) {
        llama_model::check(&model, &header[..header.len().min(64)]);
        llama_model::check(&model, "the caf\u{e9} </s>\u{2581} \u{fffd}".as_bytes());
    }
});
