//! Inference against the formulas in f64 and against itself in every shape of call; lanes against the slowest
//! way to walk a block.

use super::{
    Cache, Config, Matrix, START_SYMBOL, Stream, Transformer, Weights, WindowedBlock, Windows,
    Workspace,
};
use crate::coder::{Coder, RangeEncoder};
use crate::progress::Progress;
use crate::quantize::{BitProb, Cdf, Distribution};
use crate::simd::Level;
use crate::walk::{CodeLength, decode_model, encode_model, walk};

/// Shapes that differ in all that inference depends on.
fn configs() -> Vec<Config> {
    let shape = |hidden_size, kv_heads, head_dim, context, sliding_window, tied| Config {
        vocab_size: 257,
        hidden_size,
        intermediate_size: hidden_size * 5 / 2 + 1,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: kv_heads,
        head_dim,
        max_position_embeddings: context,
        sliding_window,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: tied,
    };
    vec![
        shape(16, 4, 4, 32, None, false),
        shape(24, 2, 8, 64, None, true),
        shape(32, 1, 20, 48, Some(5), false),
        shape(17, 4, 20, 40, Some(17), true),
        shape(20, 2, 4, 33, Some(1), false),
    ]
}

/// Random models of all shapes, in f32 and int8.
fn models() -> Vec<Weights> {
    let both = |(seed, config)| {
        let plain = Weights::random(&config, seed);
        [plain.quantize().unwrap(), plain]
    };
    (1..).zip(configs()).flat_map(both).collect()
}

fn name(weights: &Weights) -> String {
    let c = &weights.config;
    format!("{} of width {}, heads of {}", weights.precision(), c.hidden_size, c.head_dim)
}

/// A window: the start symbol and bytes.
fn window(len: usize, seed: u64) -> Vec<u16> {
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

fn feed(model: &Transformer, cache: &mut Cache, symbols: &[u16], wanted: usize) -> Vec<f32> {
    let mut streams = [Stream { cache, symbols, wanted }];
    model.forward(&mut streams, &mut Workspace::default()).to_vec()
}

/// Logits of all positions of a window, fed at once to a new cache.
fn logits(model: &Transformer, symbols: &[u16]) -> Vec<f32> {
    feed(model, &mut model.cache(), symbols, symbols.len())
}

/// A matrix in f64: element (row, column).
fn at(matrix: &Matrix, row: usize, col: usize) -> f64 {
    match matrix {
        Matrix::F32 { cols, data, .. } => data[row * cols + col].into(),
        Matrix::I8 { cols, data, scales, .. } => {
            f64::from(data[row * cols + col]) * f64::from(scales[row])
        }
    }
}

fn product(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    assert_eq!(matrix.cols(), x.len());
    let row = |r| x.iter().enumerate().map(|(c, x)| at(matrix, r, c) * x).sum();
    (0..matrix.rows()).map(row).collect()
}

fn norm(x: &[f64], weight: &[f32], eps: f64) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, &w)| x / (mean + eps).sqrt() * f64::from(w)).collect()
}

/// Turns pairs (i, i + head_dim / 2) of each head.
fn rotate(x: &mut [f64], head_dim: usize, position: usize, theta: f64) {
    let half = head_dim / 2;
    for head in x.chunks_exact_mut(head_dim) {
        for i in 0..half {
            let angle = position as f64 * theta.powf(-2.0 * i as f64 / head_dim as f64);
            let (a, b) = (head[i], head[i + half]);
            head[i] = a * angle.cos() - b * angle.sin();
            head[i + half] = b * angle.cos() + a * angle.sin();
        }
    }
}

/// Logits of the 256 bytes at all positions, straight from the definition of the model.
fn by_definition(weights: &Weights, symbols: &[u16]) -> Vec<f64> {
    let c = &weights.config;
    let hd = c.head_dim;
    let group = c.num_attention_heads / c.num_key_value_heads;
    let mut seen = vec![Vec::<(Vec<f64>, Vec<f64>)>::new(); c.num_hidden_layers];
    let mut logits = Vec::new();
    for (position, &symbol) in symbols.iter().enumerate() {
        let mut h: Vec<f64> =
            (0..c.hidden_size).map(|i| at(&weights.embed, symbol.into(), i)).collect();
        for (layer, seen) in weights.layers.iter().zip(&mut seen) {
            let n = norm(&h, &layer.input_norm, c.rms_norm_eps);
            let (mut q, mut k) = (product(&layer.q, &n), product(&layer.k, &n));
            rotate(&mut q, hd, position, c.rope_theta);
            rotate(&mut k, hd, position, c.rope_theta);
            seen.push((k, product(&layer.v, &n)));
            let first = (position + 1).saturating_sub(c.sliding_window.unwrap_or(usize::MAX));
            let mut attended = Vec::new();
            for (head, q) in q.chunks_exact(hd).enumerate() {
                let part = head / group * hd..(head / group + 1) * hd;
                let dot = |k: &[f64]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>();
                let e: Vec<f64> = seen[first..]
                    .iter()
                    .map(|(k, _)| (dot(&k[part.clone()]) / (hd as f64).sqrt()).exp())
                    .collect();
                let z: f64 = e.iter().sum();
                attended.extend(part.map(|d| {
                    e.iter().zip(&seen[first..]).map(|(e, (_, v))| e / z * v[d]).sum::<f64>()
                }));
            }
            let o = product(&layer.o, &attended);
            h.iter_mut().zip(o).for_each(|(h, o)| *h += o);
            let n = norm(&h, &layer.post_norm, c.rms_norm_eps);
            let (gate, up) = (product(&layer.gate, &n), product(&layer.up, &n));
            let inner: Vec<f64> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let down = product(&layer.down, &inner);
            h.iter_mut().zip(down).for_each(|(h, down)| *h += down);
        }
        let n = norm(&h, &weights.norm, c.rms_norm_eps);
        logits.extend_from_slice(
            &product(weights.head.as_ref().unwrap_or(&weights.embed), &n)[..256],
        );
    }
    logits
}

#[test]
fn logits_are_those_of_the_definition() {
    for weights in models() {
        let symbols = window(weights.config.max_position_embeddings, 3);
        let model = Transformer::new(&weights).unwrap();
        let (ours, exact) = (logits(&model, &symbols), by_definition(&weights, &symbols));
        assert_eq!(ours.len(), exact.len());
        let difference = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs();
        match weights.precision() {
            super::Precision::F32 => {
                let worst = ours.iter().zip(&exact).map(difference).fold(0.0, f64::max);
                assert!(worst < 1e-4, "{}: {worst}", name(&weights));
            }
            // Activations are rounded too: a root mean square of some percent.
            super::Precision::Int8 => {
                let error: f64 = ours.iter().zip(&exact).map(|pair| difference(pair).powi(2)).sum();
                let size: f64 = exact.iter().map(|x| x * x).sum();
                let relative = (error / size).sqrt();
                println!("{}: {relative:.4}", name(&weights));
                assert!(relative < 0.05, "{}: {relative}", name(&weights));
            }
        }
    }
}

#[test]
fn every_level_and_every_shape_of_call_gives_the_same_bits() {
    for weights in models() {
        let at_level = |level| Transformer::at_level(&weights, level).unwrap();
        let symbols = window(weights.config.max_position_embeddings, 7);
        let expected = logits(&at_level(Level::Scalar), &symbols);
        for level in Level::available() {
            let case = format!("{level:?}, {}", name(&weights));
            let model = at_level(level);
            assert!(logits(&model, &symbols) == expected, "{case}, at once");
            for pieces in [&[1][..], &[2, 5], &[13, 1, 1, 7], &[31]] {
                let mut cache = model.cache();
                let (mut rest, mut ours) = (symbols.as_slice(), Vec::new());
                for &piece in pieces.iter().cycle() {
                    let (now, later) = rest.split_at(piece.min(rest.len()));
                    ours.extend(feed(&model, &mut cache, now, now.len()));
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                assert!(ours == expected, "{case}, pieces of {pieces:?}");
                assert_eq!(cache.len(), symbols.len());
            }
        }
    }
}

#[test]
fn other_streams_of_a_batch_change_no_bit() {
    for weights in models() {
        let model = Transformer::new(&weights).unwrap();
        let windows: Vec<_> = (1..6).map(|seed| window(25 + seed as usize, seed)).collect();
        let expected: Vec<_> = windows.iter().map(|symbols| logits(&model, symbols)).collect();
        let mut caches: Vec<_> = windows.iter().map(|_| model.cache()).collect();
        let mut work = Workspace::default(); // kept from call to call, as a walk does
        let mut call = 0;
        while caches.iter().zip(&windows).any(|(cache, window)| cache.len() < window.len()) {
            call += 1;
            let (mut streams, mut rows) = (Vec::new(), Vec::new());
            for (i, cache) in caches.iter_mut().enumerate() {
                let done = cache.len();
                let more = ((call + 3 * i) % 7).min(windows[i].len() - done); // 0 too
                let wanted = more - more / 3;
                rows.extend((done + more - wanted..done + more).map(|row| (i, row)));
                streams.push(Stream { cache, symbols: &windows[i][done..done + more], wanted });
            }
            let ours = model.forward(&mut streams, &mut work);
            assert_eq!(ours.len(), 256 * rows.len());
            for (ours, (i, row)) in ours.chunks_exact(256).zip(rows) {
                let expected = &expected[i][row * 256..][..256];
                assert!(ours == expected, "{}, stream {i}, row {row}", name(&weights));
            }
        }
    }
}

#[test]
fn a_cache_that_was_reset_is_as_new() {
    for weights in models() {
        let model = Transformer::new(&weights).unwrap();
        let symbols = window(30, 1);
        let mut cache = model.cache();
        assert!(cache.is_empty());
        feed(&model, &mut cache, &window(32, 99), 0);
        assert_eq!(cache.len(), 32);
        cache.reset();
        assert!(cache.is_empty());
        assert!(feed(&model, &mut cache, &symbols, 30) == logits(&model, &symbols));
    }
}

#[test]
fn a_sliding_window_hides_what_is_before_it() {
    // Two layers look back 2 * (window - 1) positions.
    let config = Config { sliding_window: Some(5), ..configs().remove(0) };
    for weights in [Weights::random(&config, 1), Weights::random(&config, 1).quantize().unwrap()] {
        let model = Transformer::new(&weights).unwrap();
        let symbols = window(32, 1);
        let mut other = symbols.clone();
        other[10] ^= 1;
        let (a, b) = (logits(&model, &symbols), logits(&model, &other));
        let differs = |row: usize| a[row * 256..][..256] != b[row * 256..][..256];
        assert!(differs(10) && differs(14) && !differs(9));
        assert!((19..32).all(|row| !differs(row)));
    }
}

fn small() -> Transformer {
    Transformer::new(&Weights::random(&configs()[0], 1)).unwrap()
}

#[test]
#[should_panic]
fn more_positions_than_the_context_are_refused() {
    let model = small();
    feed(&model, &mut model.cache(), &[65; 33], 0);
}

#[test]
#[should_panic(expected = "symbol 257")]
fn a_symbol_that_does_not_exist_is_refused() {
    let model = small();
    feed(&model, &mut model.cache(), &[257], 0);
}

#[test]
#[should_panic(expected = "wanted")]
fn more_rows_than_are_fed_are_refused() {
    let model = small();
    let (mut a, mut b) = (model.cache(), model.cache());
    let mut streams = [
        Stream { cache: &mut a, symbols: &[1, 2, 3], wanted: 0 },
        Stream { cache: &mut b, symbols: &[1], wanted: 2 },
    ];
    model.forward(&mut streams, &mut Workspace::default());
}

#[test]
#[should_panic(expected = "cache")]
fn a_cache_of_another_model_is_refused() {
    let other = Config { num_hidden_layers: 3, ..configs().remove(0) };
    let other = Transformer::new(&Weights::random(&other, 1)).unwrap();
    feed(&small(), &mut other.cache(), &[65], 1);
}

#[test]
fn shapes_beyond_what_inference_supports_are_refused() {
    let wide = Config { head_dim: 260, ..configs().remove(0) };
    let long = Config { max_position_embeddings: (1 << 16) + 1, ..configs().remove(0) };
    for (config, words) in [(wide, "head_dim 260"), (long, "max_position_embeddings 65537")] {
        let error = Transformer::new(&Weights::random(&config, 1)).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(words), "{error}");
    }
}

// ---- Lanes ----

/// Bytes with some order, of any length.
fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 % 50 + i % 3 * 60) as u8).collect()
}

/// An encoder that pretends not to know the bytes, so that a model goes step by step.
struct StepByStep(RangeEncoder);

impl Coder for StepByStep {
    const TOLD: bool = false;

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        self.0.bit(p1, bit)
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        self.0.symbol(distribution, symbol)
    }
}

/// The code of a block as docs/format/nn.md has it: each byte's window is fed anew.
fn code_the_long_way(model: &Transformer, windows: Windows, data: &[u8]) -> Vec<u8> {
    let (context, overlap) = (windows.context as usize, windows.overlap as usize);
    let unit = if overlap == 0 { context } else { 4 * context };
    let lane_len = data.len().div_ceil(windows.lanes.into()).div_ceil(unit) * unit;
    let mut coder = RangeEncoder::new();
    for step in 0..lane_len {
        for lane in data.chunks(lane_len.max(1)).filter(|lane| step < lane.len()) {
            let new = context - overlap;
            let start = if step < context { 0 } else { (step - context) / new * new + new };
            let bytes = lane[start..step].iter().copied().map(u16::from);
            let symbols: Vec<u16> = [START_SYMBOL as u16].into_iter().chain(bytes).collect();
            assert!(symbols.len() <= context);
            let mut cache = model.cache();
            let mut streams = [Stream { cache: &mut cache, symbols: &symbols, wanted: 1 }];
            let mut work = Workspace::default();
            model.forward(&mut streams, &mut work);
            coder.byte(&Cdf::quantize(&work.weights(model)[0]), lane[step]);
        }
    }
    coder.finish()
}

/// Checks all that must hold of a block; returns its code.
fn check_block(model: &Transformer, windows: Windows, data: &[u8]) -> Vec<u8> {
    let case = format!("{windows:?}, {} bytes", data.len());
    let progress = Progress::default();
    let lanes = || WindowedBlock::new(model, windows, &progress);
    let mut given = data.to_vec();
    let code = encode_model(&mut lanes(), &mut given);
    assert!(given == data, "{case}: encoding changed its input");

    let mut slow = StepByStep(RangeEncoder::new());
    walk(&mut lanes(), &mut slow, &mut given);
    assert!(slow.0.finish() == code, "{case}: step by step");

    let mut decoded = vec![0xa5; data.len()]; // what was there before must not matter
    decode_model(&mut lanes(), &code, &mut decoded);
    assert!(decoded == data, "{case}: decoded");

    let mut ideal = CodeLength::default();
    walk(&mut lanes(), &mut ideal, &mut given);
    let ideal = ideal.bits() / 8.0;
    let excess = (code.len() as f64 - ideal).abs();
    assert!(excess <= ideal * 1e-4 + 8.0, "{case}: {} bytes, ideal {ideal}", code.len());
    code
}

#[test]
fn blocks_of_any_length_come_back_under_any_windows() {
    let config = configs().remove(0);
    let plain = Weights::random(&config, 5);
    for weights in [plain.quantize().unwrap(), plain] {
        let model = Transformer::new(&weights).unwrap();
        for (context, lanes) in [(8, 1), (8, 3), (8, 8), (4, 64), (32, 1), (32, 3)] {
            for overlap in [0, 1, context / 2] {
                let windows = Windows { context, overlap, lanes };
                let c = context as usize;
                for len in [0, 1, 2, c - 1, c, c + 1, 3 * c + 5, 13 * c - 2] {
                    let data = data(len);
                    let code = check_block(&model, windows, &data);
                    assert!(code == code_the_long_way(&model, windows, &data), "{windows:?} {len}");
                }
            }
        }
    }
}

#[test]
fn blocks_of_several_strips_and_lanes_come_back() {
    // Windows longer than a strip of 128 rows, and so many lanes that strips have a few steps.
    let config = Config { max_position_embeddings: 200, ..configs().remove(1) };
    let plain = Weights::random(&config, 5);
    for weights in [plain.quantize().unwrap(), plain] {
        let model = Transformer::new(&weights).unwrap();
        for (context, overlap, lanes, len) in [
            (200, 0, 1, 450),
            (200, 100, 1, 777),
            (200, 100, 3, 1700),
            (8, 0, 64, 520),
            (8, 3, 64, 2051),
        ] {
            check_block(&model, Windows { context, overlap, lanes }, &data(len));
        }
    }
}

#[test]
fn any_code_decodes_to_something() {
    let model = small();
    let progress = Progress::default();
    let windows = Windows { context: 32, overlap: 16, lanes: 2 };
    for code in [&b""[..], b"\xff", &[0; 50], &[255; 50], &data(40)] {
        let mut decoded = vec![0; 300];
        decode_model(&mut WindowedBlock::new(&model, windows, &progress), code, &mut decoded);
    }
}

#[test]
fn a_walk_that_is_stopped_ends_early() {
    let model = small();
    let progress = Progress::default();
    progress.stop();
    let mut data = data(4000);
    let windows = Windows { context: 32, overlap: 16, lanes: 1 };
    encode_model(&mut WindowedBlock::new(&model, windows, &progress), &mut data);
    let done = progress.done().load(std::sync::atomic::Ordering::Relaxed);
    assert!(done < 100, "{done}");
}

#[test]
fn windows_outside_their_range_are_refused() {
    let ok = Windows { context: 32, overlap: 16, lanes: 1 };
    assert!(ok.validate().is_ok());
    assert!(Windows { context: 33, ..ok }.validate().is_ok());
    for bad in [
        Windows { context: 0, overlap: 0, lanes: 1 },
        Windows { context: 1, overlap: 0, lanes: 1 },
        Windows { context: (1 << 16) + 1, ..ok },
        Windows { context: u32::MAX, ..ok },
        Windows { overlap: 17, ..ok },
        Windows { overlap: u32::MAX, ..ok },
        Windows { lanes: 0, ..ok },
        Windows { lanes: Windows::MAX_LANES + 1, ..ok },
    ] {
        let error = bad.validate().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{bad:?}");
    }
}
