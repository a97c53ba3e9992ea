//! Whole runs with a tiny recurrent model: what it computes, that it learns, goes on after an interruption, and
//! compresses with what it exports.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lmic::block::Models;
use lmic::nn::{Network, Recurrent, RecurrentStream, RecurrentWeights, RecurrentWorkspace};
use lmic::{DecodeOptions, EncodeOptions};
use lmic_train::metrics::Row;
use lmic_train::parallel::Runs;
use lmic_train::recurrent::{Model, RecurrentRecipe, Segment};
use lmic_train::train::{Trainer, read_recipe};
use lmic_train::{eval, export};

const RECIPE: &str = r#"
    name = "tiny"
    seed = 3
    [model]
    mixer = "gru"
    hidden_size = 32
    state_size = 48
    layers = 2
    intermediate_size = 64
    taps = 3
    weight_levels = 63
    segment = 64
    [data]
    jump = 0.2
    train = [{ path = "text" }]
    validation = { fraction = 0.1, block = 256 }
    validation_windows = 16
    [optim]
    rows = 8
    muon_lr = 0.02
    lr = 1e-2
    betas = [0.9, 0.98]
    weight_decay = 0.02
    clip_norm = 1.0
    steps = 60
    [log]
    every = 1
    validate_every = 20
    checkpoint_every = 10
"#;

/// Sentences of few words in no order.
fn text() -> Vec<u8> {
    let words = ["the ", "cat ", "sat ", "on ", "a ", "mat. ", "where ", "dogs ", "ran\n"];
    let mut state = 7u64;
    let mut word = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        words[(state >> 33) as usize % words.len()]
    };
    (0..20_000).flat_map(|_| word().bytes()).collect()
}

fn recipe(folder: &Path, sets: &[&str]) -> RecurrentRecipe {
    fs::write(folder.join("text"), text()).unwrap();
    let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    sets.push(format!("data.root={}", folder.display()));
    RecurrentRecipe::from_toml(RECIPE, &sets).unwrap()
}

fn train(mut trainer: Trainer, stop_at: u64) -> Vec<Row> {
    let stop = AtomicBool::new(false);
    trainer.run(&stop, |status| stop.store(status.row.step == stop_at, Ordering::Relaxed)).unwrap();
    trainer.metrics().rows().iter().map(|row| Row { seconds: 0.0, ..row.clone() }).collect()
}

#[test]
fn a_trained_model_compresses_and_lmic_computes_its_logits() {
    train_and_compress(&[]);
}

#[test]
fn so_does_one_with_rows_for_frequent_contexts() {
    let sets = ["model.ngrams=[2, 3, 0]", "model.ngram_bits=[6, 7, 6]", "model.ngram_size=16"];
    let folder = train_and_compress(&sets);
    let weights =
        RecurrentWeights::load(&export::model_folder(&folder.path().join("whole"))).unwrap();
    let ngrams = weights.ngrams.unwrap();
    // Pairs within nine words and across their borders: more than 40, and 64 rows.
    let (checks, pairs) = ngrams.kinds[0].split(16);
    assert!(checks.iter().filter(|&&check| check != 0).count() > 30);
    let used = pairs.iter().filter(|&&pair| pair != 0).count();
    assert!(used * 2 > pairs.len(), "rows are numbers of which few are 0");
}

/// In `whole` and `part` of the folder.
fn train_and_compress(sets: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let start = |name: &str, threads| {
        let recipe = recipe(dir.path(), sets);
        let folder = dir.path().join(name);
        Trainer::start(recipe, &folder, &Device::flex(), Runs::cpu(threads)).unwrap()
    };
    let whole = train(start("whole", 1), u64::MAX);
    let (first, last) = (&whole[0], &whole[59]);
    assert!((first.train_bpb - 8.0).abs() < 0.5, "{}", first.train_bpb);
    // A word of nine carries 3.17 bits and has 4.1 bytes: .77 bits a byte at best.
    assert!(last.val_bpb.unwrap() < 2.0, "{:?}", last.val_bpb);

    // The last part is rounded, and the state is carried: both survive an interruption.
    let part = train(start("part", 2), 53);
    assert_eq!(part, whole[..53]);
    let folder = dir.path().join("part");
    let resumed = read_recipe(&folder, &[]).unwrap();
    let rest = Trainer::resume(resumed, &folder, &Device::flex(), Runs::cpu(2)).unwrap();
    assert_eq!(train(rest, u64::MAX), whole);

    let folder = dir.path().join("whole");
    let text = &text()[..3000];
    let trained = Model::load(&export::model_folder(&folder), &Device::flex(), 1).unwrap();
    let weights = RecurrentWeights::load(&export::model_folder(&folder)).unwrap();
    let exact = Recurrent::new(&weights).unwrap();
    let symbols: Vec<u16> =
        std::iter::once(256).chain(text[..299].iter().copied().map(u16::from)).collect();
    let mut work = RecurrentWorkspace::default();
    let mut state = exact.state();
    let feed = RecurrentStream { state: &mut state, symbols: &symbols, wanted: 300 };
    let exact = exact.forward(&mut [feed], &mut work);
    for (trained, exact) in trained.logits(&text[..300]).iter().zip(exact.chunks_exact(256)) {
        for (trained, exact) in trained.iter().zip(exact) {
            assert!((trained - exact).abs() < 1e-4, "{trained} {exact}");
        }
    }
    let estimate = eval::estimate_recurrent(&trained, text, None).unwrap();
    assert!(estimate.bytes == 3000 && estimate.bits_per_byte() < 2.0, "{estimate:?}");

    let int8 = RecurrentWeights::load(&folder.join("model-int8.safetensors")).unwrap();
    assert!(int8 == RecurrentWeights { name: "tiny".into(), ..weights.quantize().unwrap() });
    let network = Network::Recurrent(Arc::new(Recurrent::new(&int8).unwrap()));
    let options = EncodeOptions { model: Some(network.clone()), ..EncodeOptions::default() };
    let archive = lmic::compress_with(text, &options).unwrap();
    let models = Models::of(vec![network]);
    let options = DecodeOptions { models, ..DecodeOptions::default() };
    assert_eq!(lmic::decompress_with(&archive, &options).unwrap(), text);
    let without = lmic::compress(text, 5).unwrap().len();
    assert!(archive.len() < without && archive.len() < text.len() / 4, "{}", archive.len());

    // What training imitates is what the int8 engine does, but for rounded embeddings.
    let imitated = trained.bits(&[&text[..299]], true);
    let int8 = Recurrent::new(&int8).unwrap();
    let mut state = int8.state();
    let feed = RecurrentStream { state: &mut state, symbols: &symbols[..299], wanted: 299 };
    let logits = int8.forward(&mut [feed], &mut work);
    let bits = |(logits, &byte): (&[f32], &u8)| {
        let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        total.log2() - f64::from(logits[usize::from(byte)]) * std::f64::consts::LOG2_E
    };
    let computed: f64 = logits.chunks_exact(256).zip(text).map(bits).sum();
    assert!((computed / imitated - 1.0).abs() < 0.02, "{computed} {imitated}");
    dir
}

/// A stream in two segments, the state carried, gives the loss of one; rounding changes it a little.
#[test]
fn the_state_goes_from_segment_to_segment() {
    let dir = tempfile::tempdir().unwrap();
    let config = recipe(dir.path(), &[]).model.config().unwrap();
    let model = Model::new(&config, 1, &Device::flex(), 2);
    let text = &text()[..100];
    let nats = |range, state, int8| {
        let (gradients, mut states) =
            model.gradients(vec![Segment::of(&model, text, range, state)], int8);
        (gradients.nats.into_scalar::<f32>(), states.remove(0))
    };
    let (whole, end) = nats(0..100, model.state(), false);
    let (first, middle) = nats(0..37, model.state(), false);
    let (second, same_end) = nats(37..100, middle, false);
    assert!((whole - first - second).abs() < 1e-3, "{whole} {first} {second}");
    assert!(end.iter().zip(&same_end).all(|(a, b)| (a - b).abs() < 1e-5));
    let (forgetful, _) = nats(37..100, model.state(), false);
    assert!((forgetful - second).abs() > 1e-3, "{forgetful} {second}");
    let (rounded, _) = nats(0..100, model.state(), true);
    assert!(rounded != whole && (rounded - whole).abs() < 0.01 * whole, "{rounded} {whole}");
    let bits = model.bits(&[text], false);
    assert!((bits - f64::from(whole) * std::f64::consts::LOG2_E).abs() < 1e-2, "{bits} {whole}");
}
