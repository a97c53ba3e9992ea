//! How do I compress with a predictor of my own?
//!
//! ```text
//! cargo run --release -p lmic --example own_predictor [FILE]
//! ```
//!
//! Implements `Predictor` for the average of two models and compares what it is worth.

use std::collections::HashMap;

use lmic::predict::{OrderK, Predictor};
use lmic::stats::bits_per_byte;
use lmic::walk::{decode, encode};

/// Half the prediction of an order-3 model, half what came after the same 6 bytes the last time.
struct Average {
    counts: OrderK,
    recent: [u8; 6],
    followers: HashMap<[u8; 6], u8>,
}

impl Average {
    fn new() -> Self {
        Self { counts: OrderK::new(3), recent: [0; 6], followers: HashMap::new() }
    }
}

impl Predictor for Average {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        self.counts.predict(probs);
        if let Some(&byte) = self.followers.get(&self.recent) {
            // The counts sum to 1, and the total need not: as much again is half of it.
            probs[usize::from(byte)] += 1.0;
        }
    }

    fn update(&mut self, byte: u8) {
        self.counts.update(byte);
        self.followers.insert(self.recent, byte);
        self.recent.rotate_left(1);
        self.recent[5] = byte;
    }
}

fn report<P: Predictor>(name: &str, new: impl Fn() -> P, data: &[u8]) {
    let code = encode(new(), data);
    assert_eq!(decode(new(), &code, data.len()), data, "{name} does not restore the input");
    let bits = bits_per_byte(code.len() as u64, data.len() as u64);
    println!("{name:8} {:8} bytes  {bits:.3} bits per byte", code.len());
}

fn main() -> std::io::Result<()> {
    let data = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => include_bytes!("../src/walk.rs").to_vec(),
    };
    println!("{:8} {:8} bytes", "input", data.len());
    report("order 1", || OrderK::new(1), &data);
    report("order 3", || OrderK::new(3), &data);
    report("average", Average::new, &data);
    Ok(())
}
