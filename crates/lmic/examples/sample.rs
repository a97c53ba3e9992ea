//! What has a predictor learned: which text does it find likely, and what does it write itself?
//!
//! ```text
//! cargo run --release -p lmic --example sample [FILE [SEED]]
//! ```
//!
//! Scores FILE byte by byte as it would be coded, then lets the predictor go on by itself.

use lmic::predict::{OrderK, Predictor};
use lmic::walk::{code_length, sample};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let data = match args.next() {
        Some(path) => std::fs::read(path)?,
        None => include_bytes!("../src/walk.rs").to_vec(),
    };
    let seed = args.next().map_or(Ok(1), |seed| seed.parse())?;

    for order in 0..=4 {
        let bits = code_length(OrderK::new(order), &data) / data.len() as f64;
        println!("order {order}: {bits:.3} bits per byte (estimate: nothing was coded)");
    }

    let mut predictor = OrderK::new(4);
    for &byte in &data {
        predictor.update(byte);
    }
    println!("\norder 4 goes on, seed {seed}:\n{}", sample(predictor, 300, seed).escape_ascii());
    Ok(())
}
