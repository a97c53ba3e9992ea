//! What does a transformer predict after this text?
//!
//! ```text
//! cargo run --release -p lmic --example logits -- MODEL [FILE] [--json]
//! ```
//!
//! MODEL is a Hugging Face directory or a .safetensors file; without FILE the text comes from stdin, and of a long
//! one the last bytes that fit into the model's context are read. Prints the likeliest next bytes; with `--json`
//! the logits of the 256 bytes at every position: an array of rows, the first of which has seen no byte at all.

use std::io::{Read, Write, stdin, stdout};
use std::path::Path;

use lmic::nn::{START_SYMBOL, Stream, Transformer, Weights, Workspace};

const SHOWN: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, paths): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let (json, paths) = match (&flags[..], &paths[..]) {
        ([], [_] | [_, _]) => (false, paths),
        ([flag], [_] | [_, _]) if flag == "--json" => (true, paths),
        _ => return Err("usage: logits MODEL [FILE] [--json]".into()),
    };
    let model = Transformer::new(&Weights::load(Path::new(&paths[0]))?)?;
    let mut text = Vec::new();
    match paths.get(1) {
        Some(path) => text = std::fs::read(path)?,
        None => _ = stdin().read_to_end(&mut text)?,
    }

    // A window is the start symbol and then bytes.
    let seen = &text[(text.len() + 1).saturating_sub(model.context())..];
    let symbols: Vec<u16> =
        [START_SYMBOL as u16].into_iter().chain(seen.iter().map(|&byte| byte.into())).collect();
    let wanted = if json { symbols.len() } else { 1 };
    let (mut cache, mut work) = (model.cache(), Workspace::default());
    let stream = Stream { cache: &mut cache, symbols: &symbols, wanted };
    // From here one could go on: the cache holds what was fed, and more symbols may follow.
    let logits = model.forward(&mut [stream], &mut work); // (wanted, 256)

    if json {
        let rows: Vec<&[f32]> = logits.chunks(256).collect();
        serde_json::to_writer(stdout().lock(), &rows)?;
        return Ok(stdout().write_all(b"\n")?);
    }
    let mut bytes: Vec<u8> = (0..=255).collect();
    let logit = |byte: u8| logits[usize::from(byte)];
    bytes.sort_by(|&a, &b| logit(b).total_cmp(&logit(a)));
    let weight = |byte: u8| (logit(byte) - logit(bytes[0])).exp(); // in proportion to the probability
    let sum: f32 = bytes.iter().map(|&byte| weight(byte)).sum();
    println!("byte         logit  probability");
    for &byte in &bytes[..SHOWN] {
        let name = byte.escape_ascii().to_string();
        println!("{name:8} {:9.4} {:12.4}", logit(byte), weight(byte) / sum);
    }
    Ok(())
}
