//! The bits of a GPU are those of the CPU. Without a GPU these tests say so and pass; `scripts/cuda.sh` is for machines with one.

mod speed;

use std::path::Path;
use std::sync::Arc;

use lmic::block::{Content, Models};
use lmic::nn::{
    AnyWeights, Engine, Feed, Network, NgramConfig, NgramContexts, NgramRows, Recurrent,
    RecurrentConfig, RecurrentWeights, START_SYMBOL,
};
use lmic::{DecodeOptions, EncodeOptions, compress_with, decompress_with};
use lmic_cuda::{Gpus, Tuning};

/// The GPUs, or `None` after saying that there are none. `LMIC_CUDA_REQUIRED=1` makes that a failure.
fn gpus(fail_after: Option<u64>) -> Option<Arc<Gpus>> {
    tuned(Tuning { fail_after, ..Tuning::default() })
}

fn tuned(tuning: Tuning) -> Option<Arc<Gpus>> {
    match Gpus::with(None, tuning) {
        Ok(gpus) => Some(gpus),
        Err(reason) => {
            assert!(std::env::var_os("LMIC_CUDA_REQUIRED").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            None
        }
    }
}

/// Numbers that look random, the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) as usize) % n
    }
}

/// An int8 network that knows nothing. Its rows for contexts are filled, so that many contexts have one.
fn network(config: &RecurrentConfig, seed: u64, text: &[u8]) -> Arc<Recurrent> {
    let mut weights = RecurrentWeights::random(config, seed).quantize().unwrap();
    if let (Some(ngrams), Some(c)) = (&mut weights.ngrams, &config.ngrams) {
        for (kind, rows) in ngrams.kinds.iter_mut().enumerate() {
            let (mut checks, pairs) = rows.split(c.size);
            let before: usize = c.bits[..kind].iter().map(|bits| 1 << bits).sum();
            checks.fill(0);
            for at in 0..text.len() {
                let key = NgramContexts::after(&text[..at]).key(c.orders[kind]);
                let (first, check) = c.bucket(kind, key);
                checks[first - before + at % 4] = check;
            }
            *rows = NgramRows::join(&checks, &pairs);
        }
    }
    Arc::new(Recurrent::new(&weights).unwrap())
}

fn config(d: usize, s: usize, f: usize, layers: usize) -> RecurrentConfig {
    RecurrentConfig {
        hidden_size: d,
        state_size: s,
        intermediate_size: f,
        layers,
        taps: 1,
        ngrams: None,
        weight_levels: 63,
    }
}

fn text() -> Vec<u8> {
    "The quick brown fox, Straße and Übermut; 0123456789 of the same the same the same."
        .repeat(8)
        .into_bytes()
}

/// Feeds both the same, in calls of odd shapes.
fn compare(network: &Arc<Recurrent>, gpus: &Arc<Gpus>, streams: usize, seed: u64) {
    let engine = gpus.engine(&Network::from(Arc::clone(network))).expect("the network fits");
    let (mut cpu, mut gpu) = (network.streams(streams), engine.streams(streams));
    let (mut random, text) = (Random(seed), text());
    let mut at = vec![0; streams];
    for call in 0..12 {
        if call == 8 {
            cpu.reset();
            gpu.reset();
            at.fill(0);
        }
        let mut symbols: Vec<Vec<u16>> = Vec::new();
        let mut wanted = Vec::new();
        for at in at.iter_mut().take(if call == 3 { streams.div_ceil(2) } else { streams }) {
            let n = match random.below(4) {
                0 => 0,
                1 => 1,
                2 => random.below(6),
                _ => random.below(40),
            };
            let symbol = |i: usize| match i {
                0 => START_SYMBOL as u16,
                i => (text[(i * 7 / 5 + seed as usize) % text.len()]).into(),
            };
            symbols.push((*at..*at + n).map(symbol).collect());
            *at += n;
            wanted.push(if random.below(3) == 0 { random.below(n + 1) } else { n });
        }
        let feeds: Vec<_> = symbols
            .iter()
            .zip(&wanted)
            .map(|(symbols, &wanted)| Feed { symbols, wanted })
            .collect();
        let (ours, theirs) = (gpu.feed(&feeds), cpu.feed(&feeds));
        assert_eq!(ours.len(), theirs.len());
        for (row, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let differ = (0..256).filter(|&b| ours[b].to_bits() != theirs[b].to_bits());
            assert_eq!(
                differ.count(),
                0,
                "call {call}, row {row}: {:?}\n{:?}",
                &ours[..8],
                &theirs[..8]
            );
        }
    }
    // It was not the CPU that went on.
    assert_eq!(gpus.failure(), None);
}

#[test]
fn random_networks_have_the_bits_of_the_cpu() {
    for tuning in all_ways() {
        let Some(gpus) = tuned(tuning) else { return };
        compare_random(&gpus);
    }
}

/// With pieces of all sizes, and few blocks of threads or many.
fn all_ways() -> Vec<Tuning> {
    let ways = [(32, None), (64, None), (32, Some(1)), (64, Some(500))];
    ways.map(|(rows, blocks)| Tuning { block_rows: Some(rows), blocks, ..Tuning::default() }).into()
}

fn compare_random(gpus: &Arc<Gpus>) {
    let text = text();
    for (i, &(d, s, f, layers)) in [
        (16, 16, 16, 1),
        (48, 80, 112, 2),
        (64, 144, 96, 3),
        (112, 240, 128, 2),
        (208, 16, 336, 1),
        (512, 512, 768, 2),
    ]
    .iter()
    .enumerate()
    {
        for streams in [1, 7, 17, 50] {
            let mut config = config(d, s, f, layers);
            config.taps = 1 + i % 8;
            if i % 2 == 1 {
                let orders = vec![0, 1, 2, 3, 4, 5, 8];
                let bits = vec![4, 6, 8, 10, 12, 9, 10];
                let layers = (0..=layers).filter(|layer| layer % 2 == i / 2 % 2).collect();
                let size = 16 + 16 * (i / 2);
                config.ngrams = Some(NgramConfig { orders, bits, size, layers });
            }
            let network = network(&config, i as u64, &text);
            compare(&network, gpus, streams, 1 + i as u64 * 100 + streams as u64);
        }
    }
}

/// Short, because sanitizers take a hundred times as long.
#[test]
fn a_small_network_for_sanitizers() {
    for tuning in all_ways() {
        let Some(gpus) = tuned(tuning) else { return };
        let mut config = config(48, 80, 112, 2);
        let (orders, bits, layers) = (vec![0, 1, 4], vec![4, 6, 10], vec![0, 2]);
        config.taps = 3;
        config.ngrams = Some(NgramConfig { orders, bits, size: 16, layers });
        compare(&network(&config, 1, &text()), &gpus, 19, 1);
    }
}

/// As wide as the network of level 9.
#[test]
fn a_network_as_wide_as_level_9_has_the_bits_of_the_cpu() {
    let Some(gpus) = gpus(None) else { return };
    let mut config = config(768, 1024, 896, 1);
    let (orders, bits, layers) = (vec![2, 3, 4, 5, 6, 8, 0], vec![4, 6, 7, 8, 8, 7, 7], vec![0, 1]);
    (config.taps, config.weight_levels) = (4, 31);
    config.ngrams = Some(NgramConfig { orders, bits, size: 16, layers });
    compare(&network(&config, 9, &text()), &gpus, 3, 9);
}

/// Models at hand: the network of level 9, if the repository has all of it.
fn models() -> Option<Models> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/lmic-9"));
    if lmic::exact::shards(folder).is_err() {
        eprintln!("skipped: models/lmic-9 is not here");
        return None;
    }
    Some(Models::of(vec![Network::new(&AnyWeights::load(folder).unwrap()).unwrap()]))
}

#[test]
fn networks_of_the_library_have_the_bits_of_the_cpu() {
    let Some(gpus) = gpus(None) else { return };
    let apart = models();
    for level in 6..=9 {
        let Ok(network) = lmic::block::level_network(level, &apart.clone().unwrap_or_default())
        else {
            assert!(level == 9 && apart.is_none(), "{level}");
            continue;
        };
        // Ten times as many products a symbol, which take long where the GPU is emulated.
        let streams = if level == 9 { 3 } else { 40 };
        compare(&network.expect("a level with a network"), &gpus, streams, level.into());
    }
}

/// Numbers of all sizes, infinities and such that are none: what no trained network has.
#[test]
fn strange_numbers_have_the_bits_of_the_cpu() {
    let Some(gpus) = gpus(None) else { return };
    for (i, strange) in
        [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e38, -1e38, 1e-38, 1e-45, -0.0, 1e30]
            .iter()
            .enumerate()
    {
        let config = config(48, 64, 80, 3);
        let mut weights = RecurrentWeights::random(&config, i as u64).quantize().unwrap();
        let layer = &mut weights.layers[i % 3];
        layer.mixer_norm[5] = *strange;
        layer.mlp_norm[7 + i] = *strange;
        layer.bias[3] = *strange;
        weights.norm[9] = *strange;
        compare(&Arc::new(Recurrent::new(&weights).unwrap()), &gpus, 5, i as u64);
        weights.norm.fill(*strange);
        compare(&Arc::new(Recurrent::new(&weights).unwrap()), &gpus, 3, i as u64);
    }
}

/// A text of `len` bytes that is neither noise nor one line again and again.
fn content(len: usize) -> Vec<u8> {
    let words = [
        "archive", "of", "the", "same", "bytes", "on", "every", "machine", "GPU", "\n", "and",
        "lane",
    ];
    let (mut random, mut content) = (Random(len as u64), Vec::new());
    while content.len() < len {
        content.extend_from_slice(words[random.below(words.len())].as_bytes());
        content.extend_from_slice(match random.below(9) {
            0 => &b", "[..],
            1 => b"12 ",
            _ => b" ",
        });
    }
    content.truncate(len);
    content
}

fn round_trips(gpus: &Arc<Gpus>, level: u8, len: usize) {
    let content = content(len);
    // Such a text would be coded without the network, which is no help with it.
    let content_is = Some(Content::Bytes);
    let models = models().unwrap_or_default();
    let cpu =
        EncodeOptions { level, content: content_is, models: models.clone(), ..Default::default() };
    let with = EncodeOptions { engines: gpus.engines(), ..cpu.clone() };
    let archive = compress_with(&content, &with).unwrap();
    assert!(archive == compress_with(&content, &cpu).unwrap(), "level {level}, {len} bytes");
    for models in [models.clone().run_by(gpus.engines()), models] {
        let options = DecodeOptions { models, ..Default::default() };
        assert!(
            decompress_with(&archive, &options).unwrap() == content,
            "level {level}, {len} bytes"
        );
    }
}

#[test]
fn archives_are_the_same_and_each_reads_the_others() {
    let Some(gpus) = gpus(None) else { return };
    for level in 6..=8 {
        for len in [0, 1, 65_535, 65_537, 200_000] {
            round_trips(&gpus, level, len);
        }
    }
    round_trips(&gpus, 6, 3_000_001);
    if models().is_some() {
        [1, 3000].into_iter().for_each(|len| round_trips(&gpus, 9, len)); // slow on the CPU
    }
    assert_eq!(gpus.failure(), None);
}

#[test]
fn the_cpu_goes_on_where_a_gpu_fails() {
    for fail_after in [0, 1, 2, 20] {
        let Some(gpus) = gpus(Some(fail_after)) else { return };
        round_trips(&gpus, 7, 40_000);
        assert!(gpus.failure().is_some());
    }
    let Some(gpus) = gpus(Some(30)) else { return };
    round_trips(&gpus, 6, 2_100_000);
    assert!(gpus.failure().is_some());
}

#[test]
fn ptx_and_source_belong_together() {
    let source = include_bytes!("../../kernels/recurrent.cu");
    let hash = blake3::hash(source).to_hex();
    let first = include_str!("../../kernels/recurrent.ptx").lines().next().unwrap();
    assert!(first.ends_with(hash.as_str()), "run scripts/cuda_ptx.py: {first}, not {hash}");
}
