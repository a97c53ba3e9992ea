//! What is a network worth beside context mixing? Bits per byte of the network alone, of `cm` alone, and of both mixed.
//!
//! ```text
//! cargo run --release -p lmic --example mix_bits -- TEXT PROBABILITIES [PIECE [START]]
//! cargo run --release -p lmic --example mix_bits -- --learn TEXT PROBABILITIES PIECE START
//! ```
//!
//! PROBABILITIES has eight u16 (little-endian) for each byte of TEXT: for its bits, the highest first, the probability
//! over 2^16 that the bit is 1, given the bits before it. TEXT is cut into pieces of PIECE bytes (all of it if
//! 0 or left out), each coded alone by a fresh `cm`. START is a file that `--learn` wrote: small learned state with which each
//! mix begins. What is printed is an estimate: summed logarithms, no code.

use lmic::predict::mix::{Start, guide_bits, guided_bits, train_start, unguided_bits};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--learn", text, probabilities, piece, start] => {
            let (text, path) = read(text, probabilities)?;
            Ok(std::fs::write(start, train_start(&text, &path, piece.parse()?).to_bytes())?)
        }
        [text, probabilities] => report(text, probabilities, 0, None),
        [text, probabilities, piece] => report(text, probabilities, piece.parse()?, None),
        [text, probabilities, piece, start] => {
            let start = Start::from_bytes(&std::fs::read(start)?).ok_or("no start of this size")?;
            report(text, probabilities, piece.parse()?, Some(&start))
        }
        _ => Err("usage: mix_bits [--learn] TEXT PROBABILITIES [PIECE [START]]".into()),
    }
}

/// The text as far as the probabilities go, and these.
fn read(text: &str, probabilities: &str) -> Result<(Vec<u8>, Vec<[u16; 8]>)> {
    let (mut text, probabilities) = (std::fs::read(text)?, std::fs::read(probabilities)?);
    let row =
        |row: &[u8; 16]| std::array::from_fn(|i| u16::from_le_bytes([row[2 * i], row[2 * i + 1]]));
    let path: Vec<[u16; 8]> = probabilities.as_chunks().0.iter().map(row).collect();
    text.truncate(path.len());
    Ok((text, path))
}

fn report(text: &str, probabilities: &str, piece: usize, start: Option<&Start>) -> Result<()> {
    let (text, path) = read(text, probabilities)?;
    let piece = if piece == 0 { text.len().max(1) } else { piece };
    let (mut network, mut cm, mut mix) = (0.0, 0.0, 0.0);
    for (text, path) in text.chunks(piece).zip(path.chunks(piece)) {
        network += guide_bits(text, path);
        cm += unguided_bits(text);
        mix += guided_bits(text, path, start);
    }
    let bytes = text.len().max(1) as f64;
    println!("bytes {} in pieces of {piece}", text.len());
    for (name, bits) in [("network", network), ("cm", cm), ("mix", mix)] {
        println!("{name:8} {:8.5} bits a byte, rate {:.5}", bits / bytes, bits / bytes / 8.0);
    }
    Ok(())
}
