//! What does a recurrent model say of a text? Estimated bits a byte, and, if asked, logits or bit probabilities.
//!
//! ```sh
//! cargo run --release --example recurrent -- MODEL TEXT [--int8] [--piece BYTES] [--logits FILE] [--bits FILE]
//! ```
//!
//! `--int8` rounds an f32 model first; `--piece` starts anew after that many bytes; `--logits` writes 256 little-endian
//! f32 for each byte; `--bits` writes for each bit, the highest first, the probability of a 1 over 2^16 as u16.

use std::path::PathBuf;

use lmic::nn::{ByteNetwork, Feed, Recurrent, RecurrentWeights, RecurrentWorkspace, START_SYMBOL};

/// Symbols that are fed at once.
const STRIP: usize = 128;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().map(PathBuf::from).ok_or("MODEL TEXT [options]");
    let (mut weights, text) = (RecurrentWeights::load(&next()?)?, std::fs::read(next()?)?);
    let (mut piece, mut logits_file, mut bits_file) = (usize::MAX, None, None);
    while let Ok(option) = next() {
        match option.to_str() {
            Some("--int8") => weights = weights.quantize()?,
            Some("--piece") => piece = next()?.to_str().ok_or("BYTES")?.parse()?,
            Some("--logits") => logits_file = Some(next()?),
            Some("--bits") => bits_file = Some(next()?),
            _ => return Err(format!("what is {option:?}?").into()),
        }
    }
    let model = Recurrent::new(&weights)?;
    let (mut all_logits, mut all_bits, mut cost) = (Vec::new(), Vec::new(), 0.0);
    for piece in text.chunks(piece.min(text.len().max(1))) {
        let (mut state, mut work) = (model.state(), RecurrentWorkspace::default());
        let mut before = START_SYMBOL as u16;
        for strip in piece.chunks(STRIP) {
            let mut symbols = vec![before];
            symbols.extend(strip.iter().copied().map(u16::from));
            before = symbols.pop().unwrap_or_default();
            let wanted = symbols.len();
            let mut feeds = [Feed { state: &mut state, symbols: &symbols, wanted }];
            let logits = model.forward(&mut feeds, &mut work);
            for (logits, &byte) in logits.chunks_exact(256).zip(strip) {
                let most = logits.iter().copied().fold(f32::MIN, f32::max);
                let weights: Vec<f64> =
                    logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
                cost -= (weights[usize::from(byte)] / weights.iter().sum::<f64>()).log2();
                all_logits.extend(logits.iter().flat_map(|x| x.to_le_bytes()));
                all_bits.extend(path(&weights, byte).iter().flat_map(|p| p.to_le_bytes()));
            }
        }
    }
    println!("{:.5} bits a byte, estimated", cost / text.len() as f64);
    if let Some(file) = logits_file {
        std::fs::write(file, all_logits)?;
    }
    if let Some(file) = bits_file {
        std::fs::write(file, all_bits)?;
    }
    Ok(())
}

/// Probabilities of a 1 along the bits of a byte.
fn path(weights: &[f64], byte: u8) -> [u16; 8] {
    let (mut first, mut len) = (0, 256);
    std::array::from_fn(|bit| {
        len /= 2;
        let sum = |from: usize| weights[from..from + len].iter().sum::<f64>();
        let (zero, one) = (sum(first), sum(first + len));
        if byte >> (7 - bit) & 1 == 1 {
            first += len;
        }
        (65536.0 * one / (zero + one)).round().clamp(1.0, 65535.0) as u16
    })
}
