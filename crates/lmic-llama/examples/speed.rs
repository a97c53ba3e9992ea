//! How fast is a checkpoint on this machine? Tokens a second with one stream, whose speed the memory sets, and with known
//! tokens, whose speed the processor sets; then a file both ways.
//!
//! ```sh
//! cargo run --release -p lmic-llama --example speed -- MODEL FILE [THREADS]
//! ```

use std::path::Path;
use std::time::Instant;

use lmic::nn::{TokenModel, Windows};
use lmic_llama::Llama;
use rayon::prelude::*;

/// GB a second that all threads read together, the best of some runs.
fn bandwidth(threads: usize) -> f64 {
    let data = vec![1u64; 64 << 20];
    let once = || {
        let started = Instant::now();
        let part = data.len() / threads;
        let sum: u64 = data.par_chunks(part).map(|c| c.iter().fold(0, |s: u64, x| s ^ x)).sum();
        std::hint::black_box(sum);
        8e-9 * data.len() as f64 / started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| once()).fold(0.0, f64::max)
}

fn main() -> lmic::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, model, file, rest @ ..] = args.as_slice() else { panic!("MODEL FILE [THREADS]") };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = rest.first().map_or_else(cores, |n| n.parse().expect("a number of threads"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.expect("the pool is new");
    let started = Instant::now();
    let model = Llama::open(Path::new(model))?;
    println!("{}", model.summary());
    println!("opened in {:.2} s, {threads} threads", started.elapsed().as_secs_f64());
    println!("memory: {:.1} GB/s read", bandwidth(threads));

    let data = std::fs::read(file)?;
    let tokens = model.tokens(&data);
    println!("{} bytes, {} tokens", data.len(), tokens.len());
    let some = &tokens[..tokens.len().min(128)];
    for run in 0..2 {
        let started = Instant::now();
        model.logits(some, threads);
        let speed = some.len() as f64 / started.elapsed().as_secs_f64();
        println!("known tokens, run {run}: {speed:.1} a second");
    }
    let one_by_one = &some[..some.len().min(16)];
    let started = Instant::now();
    model.logits_one_by_one(one_by_one, threads);
    let speed = one_by_one.len() as f64 / started.elapsed().as_secs_f64();
    let rate = speed * 1e-9 * model.byte_len() as f64;
    println!("one stream: {speed:.2} tokens a second, {rate:.2} GB/s of weights");

    let windows = Windows { overlap: 0, lanes: 16, ..model.windows() };
    let started = Instant::now();
    let code = model.encode(windows, threads, &data, &Default::default());
    let encoding = started.elapsed().as_secs_f64();
    println!("code of {} bytes in {encoding:.1} s ({} lanes at most)", code.len(), windows.lanes);
    let mut out = vec![0; data.len()];
    let started = Instant::now();
    model.decode(windows, threads, &code, &mut out, &Default::default())?;
    let decoding = started.elapsed().as_secs_f64();
    assert!(out == data, "restored otherwise");
    println!("restored in {decoding:.1} s, {:.1} tokens a second", tokens.len() as f64 / decoding);
    Ok(())
}
