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

/// A checkpoint of one layer in the formats that want rows of 256, too large for a file in the repository: random blocks, and a token
/// a byte.
pub fn k_quants() -> Vec<u8> {
    let mut x = 1u64;
    let mut random = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 56) as u8
    };
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let whole = |n: u32| [4, n].map(u32::to_le_bytes).concat();
    let string = |string: &str| [&8u32.to_le_bytes()[..], &text(string)].concat();
    let list = |kind: u32, items: Vec<Vec<u8>>| {
        let head =
            [&[9, kind].map(u32::to_le_bytes).concat()[..], &(items.len() as u64).to_le_bytes()];
        [head.concat(), items.concat()].concat()
    };
    let names = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let names = std::iter::once("<s>".to_string()).chain(names);
    let kinds = std::iter::once(3u32).chain([6; 256]);
    let metadata = [
        ("general.architecture", string("llama")),
        ("llama.context_length", whole(128)),
        ("llama.embedding_length", whole(256)),
        ("llama.block_count", whole(1)),
        ("llama.feed_forward_length", whole(256)),
        ("llama.attention.head_count", whole(4)),
        ("llama.attention.head_count_kv", whole(2)),
        ("tokenizer.ggml.model", string("llama")),
        ("tokenizer.ggml.tokens", list(8, names.map(|name| text(&name)).collect())),
        ("tokenizer.ggml.token_type", list(5, kinds.map(|n| n.to_le_bytes().into()).collect())),
        ("tokenizer.ggml.scores", list(6, vec![0f32.to_le_bytes().into(); 257])),
        ("tokenizer.ggml.bos_token_id", whole(0)),
    ];
    const Q4_K: u32 = 12;
    const Q6_K: u32 = 14;
    let tensors = [
        ("token_embd", 257, Q6_K),
        ("blk.0.attn_q", 256, Q4_K),
        ("blk.0.attn_k", 128, Q4_K),
        ("blk.0.attn_v", 128, Q6_K),
        ("blk.0.attn_output", 256, Q4_K),
        ("blk.0.ffn_gate", 256, Q4_K),
        ("blk.0.ffn_up", 256, Q6_K),
        ("blk.0.ffn_down", 256, Q4_K),
    ];
    let norms = ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"];
    let mut data = Vec::new();
    let mut infos = Vec::new();
    for (name, rows, format) in tensors {
        infos.extend(text(&format!("{name}.weight")));
        infos.extend(2u32.to_le_bytes());
        infos.extend([256u64, rows].map(u64::to_le_bytes).concat());
        infos.extend(format.to_le_bytes());
        infos.extend((data.len() as u64).to_le_bytes());
        for _ in 0..rows {
            let mut block: Vec<u8> = std::iter::repeat_with(&mut random)
                .take(if format == Q4_K { 144 } else { 210 })
                .collect();
            match format {
                // 2e-4 and 1e-3, and 5e-5 in half precision.
                Q4_K => block[..4].copy_from_slice(&[0x8e, 0x0a, 0x19, 0x14]),
                _ => block[208..].copy_from_slice(&[0x47, 0x03]),
            }
            data.extend(block);
        }
        data.resize(data.len().next_multiple_of(32), 0);
    }
    for name in norms {
        infos.extend(text(&format!("{name}.weight")));
        infos.extend(1u32.to_le_bytes());
        infos.extend(256u64.to_le_bytes());
        infos.extend(0u32.to_le_bytes());
        infos.extend((data.len() as u64).to_le_bytes());
        data.extend(1f32.to_le_bytes().repeat(256));
    }
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend(((tensors.len() + norms.len()) as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        file.extend(text(key));
        file.extend(value);
    }
    file.extend(infos);
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}
