//! How fast is a checkpoint on this machine? Tokens a second with one stream, whose speed the memory sets, and with known
//! tokens, whose speed the processor sets; then the first bytes of a file both ways, in one lane or in several.
//!
//! ```sh
//! cargo run --release -p lmic-llama --example speed -- MODEL FILE THREADS LANES BYTES
//! ```
//!
//! Prints what it finds as JSON (seconds, bytes, tokens, bytes a second).

use std::path::Path;
use std::time::Instant;

use lmic::nn::{TokenModel, Windows};
use lmic_llama::Llama;
use rayon::prelude::*;
use serde_json::json;

/// Bytes a second at which all threads together read `data`.
fn bandwidth(threads: usize, data: &[u64]) -> f64 {
    let (sum, seconds) = timed(|| {
        let parts = data.par_chunks(data.len() / threads);
        parts.map(|c| c.iter().fold(0, |s: u64, x| s ^ x)).sum::<u64>()
    });
    std::hint::black_box(sum);
    8.0 * data.len() as f64 / seconds
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

fn main() -> lmic::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, file, numbers @ ..] = args.as_slice() else { panic!("MODEL FILE ...") };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().expect("a number")).collect();
    let [threads, lanes, bytes] = numbers[..] else { panic!("... THREADS LANES BYTES") };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.expect("the pool is new");
    let (model, opening) = timed(|| Llama::open(Path::new(path)));
    let model = model?;

    let mut data = std::fs::read(file)?;
    data.truncate(bytes);
    let tokens = model.tokens(&data);
    let known = &tokens[..tokens.len().min(128)];
    model.logits(&known[..known.len().min(8)], threads); // weights come from the disk
    let (_, known_seconds) = timed(|| model.logits(known, threads));
    // The best of some runs in turn with those of memory: what else runs on the machine disturbs both.
    let single = &tokens[..tokens.len().min(12)];
    let field = vec![1u64; 64 << 20];
    let (mut memory, mut single_seconds) = (0.0f64, f64::INFINITY);
    for _ in 0..10 {
        memory = memory.max(bandwidth(threads, &field));
        let (_, seconds) = timed(|| model.logits_one_by_one(single, threads));
        single_seconds = single_seconds.min(seconds);
    }
    drop(field);

    let lanes = u8::try_from(lanes).expect("few lanes");
    let windows = Windows { overlap: 0, lanes, ..model.windows() };
    let (code, encoding) = timed(|| model.encode(windows, threads, &data, &Default::default()));
    let mut out = vec![0; data.len()];
    let (restored, decoding) =
        timed(|| model.decode(windows, threads, &code, &mut out, &Default::default()));
    restored?;
    assert!(out == data, "restored otherwise");

    let found = json!({
        "model": model.name(), "identity": model.identity_hex(), "shape": model.facts().summary,
        "parameters": model.params(), "model_bytes": model.byte_len(), "open_seconds": opening,
        "threads": threads, "level": format!("{:?}", lmic::exact::Level::detect()), "memory_bytes_per_second": memory,
        "known_tokens_per_second": known.len() as f64 / known_seconds,
        "single_tokens_per_second": single.len() as f64 / single_seconds,
        "lanes": lanes, "bytes": data.len(), "tokens": tokens.len(), "coded_bytes": code.len(),
        "encode_seconds": encoding, "decode_seconds": decoding,
    });
    println!("{found:#}");
    Ok(())
}
