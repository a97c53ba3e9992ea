//! What a network takes on a GPU: time of a step of many streams, and the operations of its products in a second. In one test, so that
//! one program measures and compares:
//!
//! ```sh
//! cargo test --profile fast -p lmic-cuda --test gpu -- --ignored --nocapture speed
//! ```
//!
//! `LMIC_CUDA_THREADS` and `LMIC_CUDA_TILES` choose how kernels are launched.

use std::sync::Arc;
use std::time::Instant;

use lmic::nn::{Feed, Network, Recurrent, RecurrentConfig, RecurrentWeights};
use lmic_cuda::{Gpus, Tuning};

fn products(c: &RecurrentConfig) -> usize {
    let [d, s, f] = [c.hidden_size, c.state_size, c.intermediate_size];
    let rows = c.ngrams.as_ref().map_or(0, |n| n.layers.len() * n.width() * d);
    c.layers * (4 * d * s + 3 * d * f) + 256 * d + rows
}

fn measure(name: &str, network: &Arc<Recurrent>, gpus: &Arc<Gpus>) {
    let Some(engine) = gpus.engine(&Network::from(Arc::clone(network))) else {
        return println!("{name}: does not fit");
    };
    let products = products(network.config());
    for rows in [16, 128, 256, 512, 1024, 2048, 4096, 8192] {
        // Sets of streams as teams have them, 8 lanes each.
        let mut sets: Vec<_> = (0..rows / 8).map(|_| engine.streams(8)).collect();
        let mut times = Vec::new();
        for step in 0..23u16 {
            let symbols: Vec<_> = (0..8).map(|i| [(step * 31 + i * 7) & 255]).collect();
            let feeds: Vec<_> = symbols.iter().map(|symbols| Feed { symbols, wanted: 1 }).collect();
            let from = Instant::now();
            for set in &mut sets {
                set.begin(&feeds);
            }
            for set in &mut sets {
                std::hint::black_box(set.finish());
            }
            times.push(from.elapsed().as_secs_f64());
        }
        let mut times = times.split_off(3);
        times.sort_by(f64::total_cmp);
        let time = times[times.len() / 2];
        // The same as strips of 16 symbols.
        let symbols: Vec<u16> = (0..16).map(|i| i * 13).collect();
        let feeds = [Feed { symbols: &symbols, wanted: 16 }; 8];
        let from = Instant::now();
        for _ in 0..4 {
            sets.iter_mut().for_each(|set| set.begin(&feeds));
            for set in &mut sets {
                std::hint::black_box(set.finish());
            }
        }
        let strips = from.elapsed().as_secs_f64() / 4.0;
        println!(
            "{name} {:.1} M products, {rows} rows: {:.0} us, {:.2} MB/s, {:.0} TOP/s; strips of 16: {:.0} us, {:.2} MB/s, {:.0} TOP/s",
            products as f64 / 1e6,
            time * 1e6,
            rows as f64 / time / 1e6,
            2.0 * (rows * products) as f64 / time / 1e12,
            strips * 1e6,
            16.0 * rows as f64 / strips / 1e6,
            32.0 * (rows * products) as f64 / strips / 1e12,
        );
    }
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|n| n.parse().expect("a number"))
}

#[test]
#[ignore = "measures"]
fn speed() {
    let threads = number("LMIC_CUDA_THREADS").map_or(u32::MAX, |n| n as u32);
    let tiles = number("LMIC_CUDA_TILES");
    let tuning = Tuning { threads, tiles, ..Tuning::default() };
    let Some(gpus) = crate::tuned(tuning) else { return };
    println!("{:?}, {threads} threads a block, tiles: {tiles:?}", gpus.names());
    for level in [7, 8] {
        let network = lmic::block::level_network(level, &Default::default())
            .expect("networks")
            .expect("a network");
        measure(&format!("level {level}"), &network, &gpus);
    }
    for (name, d, s, f, layers) in [("large", 768, 768, 1024, 8), ("wide", 1024, 1024, 1536, 6)] {
        let config = RecurrentConfig {
            hidden_size: d,
            state_size: s,
            intermediate_size: f,
            layers,
            taps: 2,
            ngrams: None,
            weight_levels: 63,
        };
        let weights = RecurrentWeights::random(&config, 1).quantize().expect("f32 weights");
        measure(name, &Arc::new(Recurrent::new(&weights).expect("valid")), &gpus);
    }
}
