//! What a network takes on a GPU: time of a step of many streams, and the operations of its products in a second. In one test, so that
//! one program measures and compares:
//!
//! ```sh
//! cargo test --profile fast -p lmic-cuda --test gpu -- --ignored --nocapture speed
//! ```
//!
//! `LMIC_CUDA_LEVEL` and `LMIC_CUDA_ROWS` choose what is measured, other variables how kernels are launched.

use std::sync::Arc;
use std::time::Instant;

use lmic::nn::{Feed, Network, Recurrent, RecurrentConfig};
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
    let only = number("LMIC_CUDA_ROWS");
    for rows in [16, 128, 256, 512, 1024, 2048, 4096, 8192] {
        if only.is_some_and(|only| rows != only) {
            continue;
        }
        // Symbols one by one and strips of 16, in one call; and the former in two sets of half the streams, of which one waits while
        // the other is computed.
        let of = |sets: usize, strip: usize| {
            let mut streams: Vec<_> = (0..sets).map(|_| engine.streams(rows / sets)).collect();
            let mut times = Vec::new();
            for step in 0..if strip == 1 { 43 } else { 7 } {
                let symbols = |i: usize| {
                    (0..strip).map(move |at| ((step * 31 + i * 7 + at * 13) & 255) as u16)
                };
                let symbols: Vec<Vec<u16>> =
                    (0..rows / sets).map(|i| symbols(i).collect()).collect();
                let feeds: Vec<_> =
                    symbols.iter().map(|symbols| Feed { symbols, wanted: strip }).collect();
                let from = Instant::now();
                for set in &mut streams {
                    if step > 0 {
                        std::hint::black_box(set.finish());
                    }
                    set.begin(&feeds);
                }
                times.push(from.elapsed().as_secs_f64());
            }
            streams.iter_mut().for_each(|set| _ = set.finish());
            let mut times = times.split_off(3);
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [one, two, strips] = [of(1, 1), of(2, 1), of(1, 16)];
        let rate = |time: f64, symbols: usize| {
            let symbols = (rows * symbols) as f64;
            let operations = 2.0 * symbols * products as f64;
            format!(
                "{:.0} us, {:.2} MB/s, {:.0} TOP/s",
                time * 1e6,
                symbols / time / 1e6,
                operations / time / 1e12
            )
        };
        println!(
            "{name} {:.1} M products, {rows} rows: {}; in two halves: {}; strips of 16: {}",
            products as f64 / 1e6,
            rate(one, 1),
            rate(two, 1),
            rate(strips, 16),
        );
    }
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|n| n.parse().expect("a number"))
}

#[test]
#[ignore = "measures"]
fn speed() {
    let (block_rows, blocks) = (number("LMIC_CUDA_BLOCK_ROWS"), number("LMIC_CUDA_BLOCKS"));
    let ptx = std::env::var("LMIC_CUDA_PTX").ok();
    let ptx = ptx.map(|path| &*std::fs::read_to_string(path).expect("PTX").leak());
    let tuning = Tuning { block_rows, blocks, ptx, ..Tuning::default() };
    let Some(gpus) = crate::tuned(tuning) else { return };
    println!("{:?}", gpus.names());
    let only = number("LMIC_CUDA_LEVEL");
    for level in [6, 7, 8, 9] {
        if only.is_some_and(|only| level != only) {
            continue;
        }
        if let Ok(network) =
            lmic::block::level_network(level as u8, &crate::models().unwrap_or_default())
        {
            measure(&format!("level {level}"), &network.expect("a network"), &gpus);
        }
    }
}
