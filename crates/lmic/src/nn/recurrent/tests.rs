//! Recurrent models: against the formulas in f64, against themselves in every shape of call, and files.

use super::{
    NgramConfig, Recurrent, RecurrentConfig, RecurrentState, RecurrentStream, RecurrentWeights,
    RecurrentWorkspace,
};
use crate::ErrorKind;
use crate::nn::{AnyWeights, Matrix, Precision, START_SYMBOL, Weights};
use crate::simd::Level;

/// Shapes that differ in all that inference depends on.
fn configs() -> Vec<RecurrentConfig> {
    let shape = |hidden_size, state_size, intermediate_size, layers, taps| RecurrentConfig {
        hidden_size,
        state_size,
        intermediate_size,
        layers,
        taps,
        ngrams: None,
        weight_levels: 63,
    };
    let ngrams = |orders: &[usize], bits: &[usize], size, layers: &[usize]| {
        let [orders, bits, layers] = [orders, bits, layers].map(Vec::from);
        Some(NgramConfig { orders, bits, size, layers })
    };
    vec![
        shape(16, 16, 16, 1, 1),
        shape(32, 48, 80, 2, 3),
        shape(64, 32, 112, 3, 8),
        shape(48, 64, 160, 1, 2),
        RecurrentConfig {
            ngrams: ngrams(&[3, 0], &[8, 6], 24, &[0, 2]),
            ..shape(32, 32, 48, 2, 1)
        },
        RecurrentConfig {
            ngrams: ngrams(&[1, 8, 0, 4, 2], &[4, 9, 5, 8, 7], 16, &[1]),
            weight_levels: 15,
            ..shape(48, 16, 32, 1, 4)
        },
    ]
}

/// A random model. Of contexts that a test feeds, many have rows.
fn random(config: &RecurrentConfig, seed: u64) -> RecurrentWeights {
    let mut weights = RecurrentWeights::random(config, seed);
    if let (Some(c), Some(ngrams)) = (&config.ngrams, &mut weights.ngrams) {
        ngrams.fill(c, &symbols(60, 3));
    }
    weights
}

/// Random models of all shapes, in int8 and f32.
fn models() -> Vec<RecurrentWeights> {
    let both = |(seed, config)| {
        let plain = random(&config, seed);
        [plain.quantize().unwrap(), plain]
    };
    (1..).zip(configs()).flat_map(both).collect()
}

fn name(weights: &RecurrentWeights) -> String {
    format!("{} {:?}", weights.precision(), weights.config)
}

/// The start symbol and bytes of no order.
fn symbols(len: usize, seed: u64) -> Vec<u16> {
    let mut state = seed;
    let mut byte = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u16
    };
    std::iter::once(START_SYMBOL as u16)
        .chain(std::iter::repeat_with(&mut byte))
        .take(len)
        .collect()
}

fn feed(model: &Recurrent, state: &mut RecurrentState, symbols: &[u16]) -> Vec<f32> {
    let wanted = symbols.len();
    let mut work = RecurrentWorkspace::default();
    model.forward(&mut [RecurrentStream { state, symbols, wanted }], &mut work).to_vec()
}

/// Logits after each symbol, fed at once to a new state.
fn logits(model: &Recurrent, symbols: &[u16]) -> Vec<f32> {
    feed(model, &mut model.state(), symbols)
}

fn at(matrix: &Matrix, row: usize, col: usize) -> f64 {
    match matrix {
        Matrix::F32 { cols, data, .. } => data[row * cols + col].into(),
        Matrix::I8 { cols, data, scales, .. } => {
            f64::from(data[row * cols + col]) * f64::from(scales[row])
        }
    }
}

/// Inputs of products rounded to 8 bits where matrices are.
fn product(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    assert_eq!(matrix.cols(), x.len());
    let mut x = x.to_vec();
    if matrix.precision() == Precision::Int8 {
        let scale = x.iter().fold(0.0f64, |m, x| m.max(x.abs())) / 127.0;
        x.iter_mut().for_each(|x| *x = (*x / scale.max(1e-300)).round_ties_even() * scale);
    }
    let row = |r| x.iter().enumerate().map(|(c, x)| at(matrix, r, c) * x).sum();
    (0..matrix.rows()).map(row).collect()
}

fn norm(x: &[f64], weight: &[f32]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, &w)| x / (mean + 1e-5).sqrt() * f64::from(w)).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Logits after each symbol, straight from the definition of the model.
fn by_definition(weights: &RecurrentWeights, symbols: &[u16]) -> Vec<f64> {
    let c = &weights.config;
    let s = c.state_size;
    let mut states = vec![vec![0.0; s]; c.layers];
    let mut logits = Vec::new();
    for t in 0..symbols.len() {
        let symbol = |back: usize| symbols[..=t].iter().rev().nth(back).map_or(256, |&x| x.into());
        let tables = || weights.embed.iter().enumerate();
        let mut h: Vec<f64> =
            (0..c.hidden_size).map(|j| tables().map(|(i, e)| at(e, symbol(i), j)).sum()).collect();
        let mut rows = Vec::new();
        if let (Some(c), Some(ngrams)) = (&c.ngrams, &weights.ngrams) {
            let mut codes = vec![0; c.width()];
            let last = std::array::from_fn(|back| symbol(back) as u16);
            let mut word = super::Word::default();
            symbols[..=t].iter().for_each(|&symbol| word.push(symbol));
            let mut places = Vec::new();
            ngrams.find(c, &last, word, &mut places);
            ngrams.read(c, &places, &mut codes);
            rows = codes.iter().map(|&x| (f64::from(x) - 128.0) / 7.0).collect();
        }
        let add_rows = |before: usize, h: &mut [f64]| {
            let layers = c.ngrams.iter().flat_map(|c| &c.layers);
            let Some(i) = layers.into_iter().position(|&layer| layer == before) else { return };
            let sums = product(&weights.ngrams.as_ref().unwrap().proj[i], &rows);
            h.iter_mut().zip(sums).for_each(|(h, sum)| *h += sum);
        };
        for (l, layer) in weights.layers.iter().enumerate() {
            add_rows(l, &mut h);
            let y = product(&layer.in_proj, &norm(&h, &layer.mixer_norm));
            let mut mixed = Vec::new();
            for j in 0..s {
                let keep = sigmoid(y[s + j] + f64::from(layer.bias[j]));
                states[l][j] = keep * states[l][j] + (1.0 - keep) * y[j];
                mixed.push(states[l][j] * y[2 * s + j] * sigmoid(y[2 * s + j]));
            }
            h.iter_mut().zip(product(&layer.out_proj, &mixed)).for_each(|(h, y)| *h += y);
            let n = norm(&h, &layer.mlp_norm);
            let (gate, up) = (product(&layer.gate, &n), product(&layer.up, &n));
            let inner: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g * sigmoid(*g) * u).collect();
            h.iter_mut().zip(product(&layer.down, &inner)).for_each(|(h, y)| *h += y);
        }
        add_rows(c.layers, &mut h);
        logits.extend(product(&weights.head, &norm(&h, &weights.norm)));
    }
    logits
}

#[test]
fn logits_are_those_of_the_definition() {
    for weights in models() {
        let symbols = symbols(60, 3);
        let model = Recurrent::new(&weights).unwrap();
        let (ours, exact) = (logits(&model, &symbols), by_definition(&weights, &symbols));
        assert_eq!(ours.len(), exact.len());
        let error: f64 = ours.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let relative = (error / exact.iter().map(|x| x * x).sum::<f64>()).sqrt();
        println!("{}: {relative:.1e}", name(&weights));
        // In int8 a rounding may fall to the other side, and the difference stays in the state.
        let most = if weights.precision() == Precision::F32 { 2e-6 } else { 2e-2 };
        assert!(relative < most, "{}: {relative}", name(&weights));
    }
}

#[test]
fn int8_is_near_to_f32() {
    for config in configs() {
        let plain = RecurrentWeights::random(&config, 9);
        let symbols = symbols(60, 4);
        let run = |weights: &RecurrentWeights| logits(&Recurrent::new(weights).unwrap(), &symbols);
        let (exact, ours) = (run(&plain), run(&plain.quantize().unwrap()));
        let error: f32 = ours.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum();
        let relative = (error / exact.iter().map(|x| x * x).sum::<f32>()).sqrt();
        let most = if config.weight_levels < 63 { 0.15 } else { 0.05 };
        assert!(relative < most, "{config:?}: {relative}");
    }
}

#[test]
fn every_level_and_every_shape_of_call_gives_the_same_bits() {
    for weights in models() {
        let at_level = |level| Recurrent::at_level(&weights, level).unwrap();
        let symbols = symbols(70, 7);
        let expected = logits(&at_level(Level::Scalar), &symbols);
        for level in Level::available() {
            let case = format!("{level:?}, {}", name(&weights));
            let model = at_level(level);
            assert!(logits(&model, &symbols) == expected, "{case}, at once");
            for pieces in [&[1][..], &[2, 5], &[13, 1, 1, 7], &[31]] {
                let mut state = model.state();
                let (mut rest, mut ours) = (symbols.as_slice(), Vec::new());
                for &piece in pieces.iter().cycle() {
                    let (now, later) = rest.split_at(piece.min(rest.len()));
                    ours.extend(feed(&model, &mut state, now));
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                assert!(ours == expected, "{case}, pieces of {pieces:?}");
            }
        }
    }
}

#[test]
fn weights_are_the_same_at_every_level_and_in_proportion_to_probabilities() {
    let weights = models().remove(2);
    let symbols = symbols(20, 5);
    let mut all = Vec::new();
    for level in Level::available() {
        let model = Recurrent::at_level(&weights, level).unwrap();
        let logits = logits(&model, &symbols);
        let (mut state, mut work) = (model.state(), RecurrentWorkspace::default());
        let mut feeds = [RecurrentStream { state: &mut state, symbols: &symbols, wanted: 7 }];
        let ours = model.weights(&mut feeds, &mut work).to_vec();
        assert_eq!(ours.len(), 7);
        for (row, logits) in ours.iter().zip(logits.chunks_exact(256).skip(13)) {
            let most = logits.iter().copied().fold(f32::MIN, f32::max);
            for (w, logit) in row.iter().zip(logits) {
                assert!((w / (logit - most).exp() - 1.0).abs() < 8e-6);
            }
        }
        all.push(ours);
    }
    assert!(all.iter().all(|ours| *ours == all[0]));
}

#[test]
fn other_streams_of_a_call_change_no_bit() {
    for weights in models() {
        let model = Recurrent::new(&weights).unwrap();
        let inputs: Vec<_> = (1..12).map(|seed| symbols(25 + seed as usize, seed)).collect();
        let expected: Vec<_> = inputs.iter().map(|symbols| logits(&model, symbols)).collect();
        let mut states: Vec<_> = inputs.iter().map(|_| model.state()).collect();
        let mut done = vec![0; inputs.len()];
        let mut work = RecurrentWorkspace::default(); // kept from call to call
        for call in 0.. {
            let (mut feeds, mut rows) = (Vec::new(), Vec::new());
            for (i, state) in states.iter_mut().enumerate() {
                let more = ((call + 3 * i) % 7).min(inputs[i].len() - done[i]); // 0 too
                let wanted = more - more / 3;
                rows.extend((done[i] + more - wanted..done[i] + more).map(|row| (i, row)));
                feeds.push(RecurrentStream {
                    state,
                    symbols: &inputs[i][done[i]..done[i] + more],
                    wanted,
                });
                done[i] += more;
            }
            let ours = model.forward(&mut feeds, &mut work);
            assert_eq!(ours.len(), 256 * rows.len());
            for (ours, (i, row)) in ours.chunks_exact(256).zip(rows) {
                let expected = &expected[i][row * 256..][..256];
                assert!(ours == expected, "{}, stream {i}, row {row}", name(&weights));
            }
            if done.iter().zip(&inputs).all(|(&done, input)| done == input.len()) {
                break;
            }
        }
    }
}

#[test]
fn a_state_that_was_reset_is_as_new() {
    for weights in models() {
        let model = Recurrent::new(&weights).unwrap();
        let symbols = symbols(30, 1);
        let mut state = model.state();
        let first = feed(&model, &mut state, &symbols);
        assert!(feed(&model, &mut state, &symbols) != first);
        state.reset();
        assert!(feed(&model, &mut state, &symbols) == first);
    }
}

#[test]
fn numbers_that_are_too_large_do_no_harm() {
    let mut weights = RecurrentWeights::random(&configs()[1], 1);
    weights.layers[0].bias.fill(f32::MAX);
    weights.layers[1].mixer_norm.fill(f32::MAX);
    weights.norm.fill(-f32::MAX);
    let weights = weights.quantize().unwrap();
    for level in Level::available() {
        let model = Recurrent::at_level(&weights, level).unwrap();
        let (mut state, mut work) = (model.state(), RecurrentWorkspace::default());
        let symbols = symbols(20, 1);
        let mut feeds = [RecurrentStream { state: &mut state, symbols: &symbols, wanted: 20 }];
        for row in model.weights(&mut feeds, &mut work) {
            assert!(row.iter().all(|w| (0.0..=1.1).contains(w)), "{level:?} {row:?}");
        }
    }
}

fn small() -> Recurrent {
    Recurrent::new(&RecurrentWeights::random(&configs()[0], 1)).unwrap()
}

#[test]
#[should_panic(expected = "symbol 257")]
fn a_symbol_that_does_not_exist_is_refused() {
    logits(&small(), &[257]);
}

#[test]
#[should_panic(expected = "wanted")]
fn more_rows_than_are_fed_are_refused() {
    let model = small();
    let mut state = model.state();
    let mut feeds = [RecurrentStream { state: &mut state, symbols: &[1], wanted: 2 }];
    model.forward(&mut feeds, &mut RecurrentWorkspace::default());
}

#[test]
#[should_panic(expected = "state")]
fn a_state_of_another_model_is_refused() {
    let other = Recurrent::new(&RecurrentWeights::random(&configs()[1], 1)).unwrap();
    feed(&small(), &mut other.state(), &[65]);
}

// ---- Files ----

#[test]
fn files_come_back_with_the_same_identity() {
    let mut identities = Vec::new();
    for weights in models() {
        let bytes = weights.to_safetensors();
        let back = RecurrentWeights::from_bytes(&bytes).unwrap();
        assert!(AnyWeights::from_bytes(&bytes).unwrap() == AnyWeights::Recurrent(back.clone()));
        assert!(Weights::from_bytes(&bytes).unwrap_err().to_string().contains("model_type"));
        assert!(back == weights && back.to_safetensors() == bytes, "{}", name(&weights));
        assert_eq!(back.identity(), weights.identity());
        assert_eq!(RecurrentConfig::from_json(&weights.config.to_json()).unwrap(), weights.config);
        let renamed = RecurrentWeights { name: "other".into(), ..weights.clone() };
        assert_eq!(renamed.identity(), weights.identity());
        identities.push(weights.identity());
        let count: usize = weights
            .tensors()
            .iter()
            .filter(|tensor| !tensor.name.ends_with("_scale"))
            .map(|tensor| match tensor.shape[..] {
                // A bucket has four checks of two bytes, and bytes of two numbers.
                [buckets, bytes] if tensor.name.contains("rows") => buckets * (bytes - 8) * 2,
                _ => tensor.shape.iter().product::<usize>(),
            })
            .sum();
        assert_eq!(count as u64, weights.config.params());
    }
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), models().len());
}

#[test]
fn a_file_that_was_cut_off_is_reported() {
    let bytes = models()[2].to_safetensors();
    for len in (0..bytes.len()).step_by(bytes.len() / 50).chain([bytes.len() - 1]) {
        let error = RecurrentWeights::from_bytes(&bytes[..len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{len}: {error}");
    }
}

#[test]
#[cfg(feature = "networks")]
fn rows_that_a_file_leaves_out_are_those_of_the_library() {
    let file = lmic_networks::DEFAULT.0;
    let weights = RecurrentWeights::from_bytes(file).unwrap();
    let rows = weights.tensors().iter().filter(|tensor| tensor.name.contains("rows")).count();
    assert_eq!(rows, 7);
    let again = weights.to_safetensors();
    assert!(again.len() < 1_000_000 && RecurrentWeights::from_bytes(&again).unwrap() == weights);

    // Rows of its own are kept, though they are the same; of another shape there are none.
    let mut own = weights.clone();
    for rows in &mut own.ngrams.as_mut().unwrap().kinds {
        *rows = super::NgramRows::new(rows.bytes().to_vec());
    }
    let whole = own.to_safetensors();
    assert!(whole.len() > 19_000_000 && RecurrentWeights::from_bytes(&whole).unwrap() == weights);
    let mut config = weights.config.clone();
    config.ngrams.as_mut().unwrap().bits[0] = 13;
    let error =
        RecurrentWeights::from_bytes(&RecurrentWeights { config, ..weights }.to_safetensors());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("ngrams.rows.0 is missing"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_the_config_are_reported() {
    let weights = models().remove(2);
    let lacking = |change: &dyn Fn(&mut RecurrentWeights), words: &str| {
        let mut weights = weights.clone();
        change(&mut weights);
        let error = RecurrentWeights::from_bytes(&weights.to_safetensors()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    lacking(&|w| w.config.taps = 4, "embed.3 is missing");
    lacking(&|w| w.config.taps = 2, "embed.2");
    lacking(&|w| w.config.state_size = 64, "mixer.in_proj.weight has the shape");
    lacking(&|w| w.config.layers = 3, "layers.2.mixer_norm.weight is missing");
    lacking(&|w| w.layers[0].bias[3] = f32::NAN, "layers.0.mixer.bias");
    assert_eq!(weights.quantize().unwrap_err().kind(), ErrorKind::InvalidArgument); // is int8
}

#[test]
fn weights_that_are_too_large_for_the_kernels_are_refused() {
    let mut weights = models().remove(2);
    let Matrix::I8 { data, .. } = &mut weights.layers[1].up else { panic!("not int8") };
    data[5] = -64;
    let error = RecurrentWeights::from_bytes(&weights.to_safetensors()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("layers.1.up_proj.weight has the integer -64"), "{error}");
}

#[test]
fn shapes_that_are_not_supported_are_refused() {
    let ok = r#"{"model_type": "lmic_recurrent", "hidden_size": 32, "layers": 2, "intermediate_size": 48, "heads": 4}"#;
    let config = RecurrentConfig::from_json(ok).unwrap();
    assert_eq!((config.state_size, config.taps), (32, 1));
    assert!(RecurrentConfig::describes(ok) && !RecurrentConfig::describes("{}"));
    for (from, to) in [
        ("lmic_recurrent", "llama"),
        ("\"hidden_size\": 32", "\"hidden_size\": 40"),
        ("\"hidden_size\": 32", "\"hidden_size\": 0"),
        ("\"layers\": 2", "\"layers\": 0"),
        ("\"layers\": 2", "\"layers\": 1000"),
        ("\"layers\": 2", "\"lairs\": 2"),
        ("\"heads\": 4", "\"mixer\": \"delta\""),
        ("\"heads\": 4", "\"mixers\": [\"gru\", \"local\"]"),
        ("\"heads\": 4", "\"taps\": 9"),
        ("\"heads\": 4", "\"conv\": true"),
        ("\"heads\": 4", "\"state_size\": -16"),
        ("\"heads\": 4", "\"vocab_size\": 256"),
        ("48", "16400"),
        ("\"heads\": 4", "\"weight_levels\": 64"),
        ("\"heads\": 4", "\"ngrams\": 3"),
        ("\"heads\": 4", "\"ngrams\": [3], \"ngram_size\": 16"),
        ("\"heads\": 4", "\"ngrams\": [3], \"ngram_bits\": [8, 8], \"ngram_size\": 16"),
        ("\"heads\": 4", "\"ngrams\": [9], \"ngram_bits\": [8], \"ngram_size\": 16"),
        ("\"heads\": 4", "\"ngrams\": [3], \"ngram_bits\": [3], \"ngram_size\": 16"),
        ("\"heads\": 4", "\"ngrams\": [3], \"ngram_bits\": [60], \"ngram_size\": 16"),
        ("\"heads\": 4", "\"ngrams\": [3], \"ngram_bits\": [8], \"ngram_size\": 24"),
        (
            "\"heads\": 4",
            "\"ngrams\": [3], \"ngram_bits\": [8], \"ngram_size\": 16, \"ngram_levels\": 127",
        ),
    ] {
        let json = ok.replace(from, to);
        let error = RecurrentConfig::from_json(&json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{json}");
    }
    assert_eq!(RecurrentConfig::from_json("[]").unwrap_err().kind(), ErrorKind::Corrupt);
}

/// How fast models are, in microseconds a byte on one thread:
///
/// ```sh
/// cargo test --release -p lmic --lib recurrent_speed -- --ignored --nocapture
/// ```
#[test]
#[ignore = "a measurement"]
fn recurrent_speed() {
    // The networks of levels 6 to 8 in shape; almost all contexts of the text have rows, scattered over 17 MB.
    let shapes = [(48, 48, 128, 6), (80, 80, 208, 6), (240, 240, 576, 6)];
    let text: Vec<u16> = symbols(400_000, 3).iter().map(|symbol| symbol % 16 + 97).collect();
    for (hidden_size, state_size, intermediate_size, layers) in shapes {
        let ngrams = NgramConfig {
            orders: vec![1, 2, 3, 4, 5, 6, 0],
            bits: vec![10, 16, 18, 18, 18, 18, 18],
            size: 16,
            layers: vec![0],
        };
        let config = RecurrentConfig {
            hidden_size,
            state_size,
            intermediate_size,
            layers,
            taps: 4,
            ngrams: Some(ngrams.clone()),
            weight_levels: 15,
        };
        let mut weights = RecurrentWeights::random(&config, 1).quantize().unwrap();
        weights.ngrams.as_mut().unwrap().fill(&ngrams, &text);
        for level in Level::available().into_iter().skip(1).rev() {
            let model = Recurrent::at_level(&weights, level).unwrap();
            print!(
                "{level:?}, d {hidden_size}, MLP {intermediate_size}, {layers} layers: lanes x steps"
            );
            for (lanes, steps) in [(1, 1), (4, 1), (8, 1), (16, 1), (16, 8), (1, 128)] {
                let mut states: Vec<_> = (0..lanes).map(|_| model.state()).collect();
                let mut work = RecurrentWorkspace::default();
                let mut at = 0;
                let seconds = crate::simd::seconds(|| {
                    let mut feeds = Vec::with_capacity(lanes);
                    for state in &mut states {
                        // Each lane is somewhere else.
                        at = (at + 7919) % (text.len() - steps);
                        let symbols = &text[at..at + steps];
                        feeds.push(RecurrentStream { state, symbols, wanted: steps });
                    }
                    model.weights(&mut feeds, &mut work);
                });
                print!("  {lanes} x {steps} {:.2}", seconds * 1e6 / (lanes * steps) as f64);
            }
            println!();
        }
    }
}
