//! What does a recurrent model say of a text, and how fast? Estimated bits a byte, and, if asked, logits or probabilities.
//!
//! ```sh
//! cargo run --release --example recurrent -- MODEL TEXT [--int8] [--lanes N] [--steps N] [--logits FILE] [--bits FILE]
//! ```
//!
//! `--int8` rounds an f32 model first. `--lanes` cuts the text into so many parts that are fed side by side, `--steps` (128)
//! bytes of each at once: 1 is what a decoder does. `--logits` writes 256 little-endian f32 for each byte; `--bits`, for
//! each bit, the highest first, the probability of a 1 over 2^16 as u16 (both in the order of the text: one lane).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lmic::nn::{Recurrent, RecurrentStream, RecurrentWeights, RecurrentWorkspace, START_SYMBOL};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().map(PathBuf::from).ok_or("MODEL TEXT [options]");
    let (mut weights, text) = (RecurrentWeights::load(&next()?)?, std::fs::read(next()?)?);
    let (mut lanes, mut steps, mut logits_file, mut bits_file) = (1, 128, None, None);
    while let Ok(option) = next() {
        match option.to_str() {
            Some("--int8") => weights = weights.quantize()?,
            Some("--lanes") => lanes = next()?.to_str().ok_or("N")?.parse()?,
            Some("--steps") => steps = next()?.to_str().ok_or("N")?.parse()?,
            Some("--logits") => logits_file = Some(next()?),
            Some("--bits") => bits_file = Some(next()?),
            _ => return Err(format!("what is {option:?}?").into()),
        }
    }
    let model = Recurrent::new(&weights)?;
    let (mut all_logits, mut all_bits, mut cost) = (Vec::new(), Vec::new(), 0.0);
    let time = walk(&model, &text, lanes, steps, |logits, byte| {
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let weights: Vec<f64> = logits.iter().map(|x| f64::from(x - most).exp()).collect();
        cost -= (weights[usize::from(byte)] / weights.iter().sum::<f64>()).log2();
        if logits_file.is_some() {
            all_logits.extend(logits.iter().flat_map(|x| x.to_le_bytes()));
        }
        if bits_file.is_some() {
            all_bits.extend(path(&weights, byte).iter().flat_map(|p| p.to_le_bytes()));
        }
    });
    let len = text.len() as f64;
    println!("{:.5} bits a byte, estimated; {:.2} us a byte", cost / len, time * 1e6 / len);
    if let Some(file) = logits_file {
        std::fs::write(file, all_logits)?;
    }
    if let Some(file) = bits_file {
        std::fs::write(file, all_bits)?;
    }
    Ok(())
}

/// Shows the logits before each byte; returns the seconds that the model took.
fn walk(
    model: &Recurrent,
    text: &[u8],
    lanes: usize,
    steps: usize,
    mut show: impl FnMut(&[f32], u8),
) -> f64 {
    let lane_len = text.len().div_ceil(lanes).max(1);
    let mut states: Vec<_> = text.chunks(lane_len).map(|_| model.state()).collect();
    let (mut work, mut time) = (RecurrentWorkspace::default(), Duration::ZERO);
    for from in (0..lane_len).step_by(steps) {
        let to = (from + steps).min(lane_len);
        let strip = |lane: &[u8]| lane.get(from..to.min(lane.len())).unwrap_or_default().to_vec();
        let strips: Vec<Vec<u8>> = text.chunks(lane_len).map(strip).collect();
        let symbols = |(strip, lane): (&Vec<u8>, &[u8])| {
            let before = from.checked_sub(1).and_then(|at| lane.get(at)).copied().map(u16::from);
            let symbols = [before.unwrap_or(START_SYMBOL as u16)].into_iter();
            symbols.chain(strip.iter().copied().map(u16::from)).take(strip.len()).collect()
        };
        let symbols: Vec<Vec<u16>> =
            strips.iter().zip(text.chunks(lane_len)).map(symbols).collect();
        let feeds = states.iter_mut().zip(&symbols);
        let feed =
            |(state, symbols)| RecurrentStream { state, wanted: <[u16]>::len(symbols), symbols };
        let mut feeds: Vec<_> = feeds.map(|(state, symbols)| feed((state, symbols))).collect();
        let start = Instant::now();
        let logits = model.forward(&mut feeds, &mut work);
        time += start.elapsed();
        for (logits, &byte) in logits.chunks_exact(256).zip(strips.iter().flatten()) {
            show(logits, byte);
        }
    }
    time.as_secs_f64()
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
