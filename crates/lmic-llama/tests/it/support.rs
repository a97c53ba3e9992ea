//! Fixtures.

use std::path::PathBuf;

use lmic_llama::Llama;
use serde_json::Value;

/// Folders and files of `tests/fixtures`.
pub const FOLDERS: [&str; 7] =
    ["llama", "llama-linear", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"];
pub const FILES: [&str; 6] = [
    "llama-q8_0.gguf",
    "qwen2-q4_0.gguf",
    "qwen3-yarn-q4_0.gguf",
    "llama-linear-bf16.gguf",
    "gemma2-q8_0.gguf",
    "gemma3-q4_0.gguf",
];

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn open(name: &str) -> Llama {
    Llama::open(&path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What transformers found for a fixture.
pub struct Reference {
    pub text: String,
    pub tokens: Vec<u32>,
    /// Row, logits.
    pub logits: Vec<(usize, Vec<f64>)>,
    /// Sum of `-log2 p` of all tokens but the first.
    pub bits: f64,
}

pub fn reference(name: &str) -> Reference {
    let file = match name.strip_suffix(".gguf") {
        Some(stem) => path(&format!("{stem}.json")),
        None => path(name).join("logits.json"),
    };
    let json: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let rows = json["logits"].as_object().unwrap().iter();
    Reference {
        text: json["text"].as_str().unwrap().into(),
        tokens: list(&json["tokens"]).iter().map(|id| id.as_u64().unwrap() as u32).collect(),
        logits: rows
            .map(|(row, logits)| {
                let logits = list(logits).iter().map(|x| x.as_f64().unwrap()).collect();
                (row.parse().unwrap(), logits)
            })
            .collect(),
        bits: json["bits"].as_f64().unwrap(),
    }
}
