//! What reading a model file allocates, against the length of the file. A binary of its own, because it counts every
//! allocation of the process; one test, so that nothing else allocates meanwhile.

use lmic::nn::{Config, Weights};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes that reading `file` allocates at a time, and whether it is a model.
fn peak_of(file: &[u8]) -> (usize, bool) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let is_model = Weights::from_bytes(file).is_ok();
    (ALLOCATOR.peak_usage() - before, is_model)
}

fn with_header(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

#[test]
fn memory_is_proportional_to_the_file() {
    let json = r#"{"model_type":"llama","vocab_size":257,"hidden_size":64,"intermediate_size":176,
        "num_hidden_layers":4,"num_attention_heads":4,"max_position_embeddings":2048,"rms_norm_eps":1e-5}"#;
    let plain = Weights::random(&Config::from_json(json).unwrap(), 1);
    for weights in [plain.quantize().unwrap(), plain] {
        let file = weights.to_safetensors();
        let (peak, is_model) = peak_of(&file);
        assert!(is_model && peak <= file.len() + (64 << 10), "{peak} of {}", file.len());
    }
    let repeat = |begin: &str, piece: fn(usize) -> String, end: &str| {
        let pieces: Vec<_> = (0..20_000).map(piece).collect();
        with_header(&format!("{begin}{}{end}", pieces.join(",")))
    };
    let hostile = [
        with_header(
            r#"{"a":{"dtype":"F32","shape":[4611686018427387903],"data_offsets":[0,18446744073709551612]}}"#,
        ),
        with_header(&r#"{"a":"#.repeat(100_000)),
        repeat("{", |i| format!(r#""{i}":{{}}"#), "}"),
        repeat("{", |i| format!(r#""{i}":{{"":[]}}"#), "}"),
        repeat("{", |i| format!(r#""{i}":{{"a":[1],"b":"","c":""}}"#), "}"),
        repeat(r#"{"__metadata__":{"#, |i| format!(r#""{i}":"""#), "}}"),
        repeat(r#"{"a":{"shape":["#, |_| "0".into(), "]}}"),
    ];
    for (i, file) in hostile.iter().enumerate() {
        let (peak, is_model) = peak_of(file);
        println!("{i}: {:.1} bytes a byte", peak as f64 / file.len() as f64);
        assert!(!is_model);
        // An object of one entry, 9 bytes, takes a node with room for 11 (measured: 46 bytes a byte).
        assert!(peak <= 64 * file.len() + 4096, "file {i}: {peak} for {} bytes", file.len());
    }
}
