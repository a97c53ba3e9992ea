//! Whole runs with a tiny model: they learn, survive interruptions without a trace, and export what others read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use lmic_train::metrics::Row;
use lmic_train::parallel::{Form, Runs};
use lmic_train::train::{Trainer, read_recipe};
use lmic_train::transformer::{self, Model, Recipe, parameter_specs};
use lmic_train::{eval, export};
use safetensors::{Dtype, SafeTensors};

/// Sentences of few words, easy to learn.
fn text() -> Vec<u8> {
    let words = ["the ", "cat ", "sat ", "on ", "a ", "mat. "];
    (0..20_000u32).flat_map(|i| words[(i * i + i / 7) as usize % 6].bytes()).collect()
}

/// A folder with data, and the recipe of a model of width 16, context 32.
fn setup() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), text()).unwrap();
    let recipe = r#"
        seed = 3
        [model]
        hidden_size = 16
        layers = 1
        heads = 4
        kv_heads = 2
        context = 32
        [data]
        train = [{ path = "text" }]
        validation = { fraction = 0.1, block = 256 }
        validation_windows = 8
        [optim]
        lr = 1e-2
        warmup_steps = 5
        batch = 6
        accumulate = 2
        steps = 40
        [log]
        every = 1
        validate_every = 10
        checkpoint_every = 10
    "#;
    let path = dir.path().join("tiny.toml");
    fs::write(&path, recipe).unwrap();
    (dir, path)
}

fn read(path: &Path, sets: &[&str]) -> Recipe {
    let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    sets.push(format!("data.root={}", path.parent().unwrap().display()));
    Recipe::from_toml(&fs::read_to_string(path).unwrap(), &sets).unwrap()
}

fn train(mut trainer: Trainer, stop_at: u64) -> Vec<Row> {
    let stop = AtomicBool::new(false);
    trainer.run(&stop, |status| stop.store(status.row.step == stop_at, Ordering::Relaxed)).unwrap();
    trainer.metrics().rows().iter().map(timeless).collect()
}

fn timeless(row: &Row) -> Row {
    Row { seconds: 0.0, ..row.clone() }
}

#[test]
fn loss_falls_and_a_stopped_run_goes_on_as_if_it_had_not_stopped() {
    let (dir, path) = setup();
    let device = Device::flex();
    let start = |name: &str, threads| {
        let folder = dir.path().join(name);
        Trainer::start(read(&path, &[]), &folder, &device, Runs::cpu(threads)).unwrap()
    };
    let whole = train(start("whole", 1), u64::MAX);
    assert_eq!(whole.len(), 40);
    let (first, last) = (&whole[0], &whole[39]);
    assert!((first.train_bpb - 8.0).abs() < 0.3, "{}", first.train_bpb);
    assert!(last.val_bpb.unwrap() < 5.0, "{:?}", last.val_bpb);

    let part = train(start("part", 2), 13);
    assert_eq!(part, whole[..13]);
    let folder = dir.path().join("part");
    let recipe = read_recipe(&folder, &[]).unwrap();
    let rest = Trainer::resume(recipe, &folder, &device, Runs::cpu(2)).unwrap();
    assert_eq!(train(rest, u64::MAX), whole);
    let kept: Vec<_> = fs::read_dir(folder.join("checkpoints")).unwrap().collect();
    assert_eq!(kept.len(), 2);
    let again = Trainer::start(read(&path, &[]), &folder, &device, Runs::cpu(1));
    assert!(again.err().unwrap().to_string().contains("resume"));
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let (dir, path) = setup();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lmic-train"));
        command.args(arguments).stderr(Stdio::null()).current_dir(dir.path());
        command
    };
    let run = |out: &str| {
        let config = path.to_str().unwrap();
        let mut arguments = vec!["run", "--config", config, "--data", ".", "--out", out];
        arguments.extend(["--steps", "120", "--set", "log.every=3"]); // checkpoints between lines
        command(&arguments)
    };
    assert!(run("whole").status().unwrap().success());

    let mut child = run("killed").spawn().unwrap();
    let checkpoints = dir.path().join("killed/checkpoints");
    let begun = Instant::now();
    while !checkpoints.join("00000020").exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(command(&["resume", "killed"]).status().unwrap().success());

    let losses = |run: &str| -> Vec<String> {
        let csv = fs::read_to_string(dir.path().join(run).join("metrics.csv")).unwrap();
        let line =
            |line: &str| line.split(',').enumerate().filter(|f| f.0 != 2).map(|f| f.1).collect();
        csv.lines().map(line).collect()
    };
    assert_eq!(losses("killed"), losses("whole"));
    // A header, 40 lines of every 3 steps, 12 validations of every 10, 4 of them at the same steps.
    assert_eq!(losses("whole").len(), 1 + 40 + 12 - 4);
}

#[test]
fn export_has_the_names_and_shapes_of_hugging_face() {
    let (dir, path) = setup();
    let recipe = read(&path, &["optim.steps=1"]);
    let folder = dir.path().join("run");
    let trainer = Trainer::start(recipe.clone(), &folder, &Device::flex(), Runs::cpu(1)).unwrap();
    train(trainer, u64::MAX);

    let model = export::model_folder(&folder);
    let bytes = fs::read(model.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        tensor.shape().to_vec()
    };
    // 2 key/value heads of 4; 16 * 8 / 3 = 43 to a multiple of 16 is 48.
    for (name, expected) in [
        ("model.embed_tokens.weight", vec![257, 16]),
        ("model.layers.0.input_layernorm.weight", vec![16]),
        ("model.layers.0.self_attn.q_proj.weight", vec![16, 16]),
        ("model.layers.0.self_attn.k_proj.weight", vec![8, 16]),
        ("model.layers.0.self_attn.v_proj.weight", vec![8, 16]),
        ("model.layers.0.self_attn.o_proj.weight", vec![16, 16]),
        ("model.layers.0.post_attention_layernorm.weight", vec![16]),
        ("model.layers.0.mlp.gate_proj.weight", vec![48, 16]),
        ("model.layers.0.mlp.up_proj.weight", vec![48, 16]),
        ("model.layers.0.mlp.down_proj.weight", vec![16, 48]),
        ("model.norm.weight", vec![16]),
        ("lm_head.weight", vec![257, 16]),
    ] {
        assert_eq!(shape(name), expected, "{name}");
    }
    assert_eq!(file.names().len(), 12);
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(model.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["vocab_size"], &config["num_key_value_heads"]), (&257.into(), &2.into()));
    let card = fs::read_to_string(model.join("README.md")).unwrap();
    assert!(card.contains("| trained on | 384 bytes in 1 steps |"), "{card}");
    assert!(!card.contains(dir.path().to_str().unwrap()), "{card}");

    // What was written reads back, and predicts a short last window too.
    let read = transformer::load(&model, &Device::flex(), Runs::cpu(1)).unwrap();
    assert_eq!(read.config, recipe.model);
    let estimate = eval::estimate(&read, &text()[..70], None).unwrap();
    assert_eq!((estimate.bytes, estimate.windows), (70, 3));
    assert!((7.0..9.0).contains(&estimate.bits_per_byte()));
}

#[test]
fn both_forms_give_the_same_gradients() {
    let (_dir, path) = setup();
    let text = text();
    // Lengths around the blocks of rows of both forms.
    for (length, window) in [(5, None), (32, None), (77, None), (77, Some(1)), (77, Some(20))] {
        let mut config = read(&path, &[]).model;
        config.sliding_window = window;
        let windows = [&text[..length], &text[100..100 + length]];
        let run = |form| {
            let runs = Runs { threads: 1, sequences: 2, form };
            let values = parameter_specs(&config)
                .iter()
                .enumerate()
                .map(|(n, spec)| {
                    let count = spec.shape[0] * spec.shape[1];
                    (0..count).map(|i| ((i * 37 + n * 11) % 101) as f32 / 101.0 - 0.4).collect()
                })
                .collect();
            let model = Model::from_values(&config, values, &Device::flex(), runs);
            let gradients = model.gradients(&windows);
            let logits = model.logits(windows[0]);
            let tensors = gradients.tensors.into_iter().map(|g| g.into_data());
            (tensors.collect::<Vec<_>>(), gradients.nats.into_scalar::<f32>(), logits)
        };
        let (cpu, gpu) = (run(Form::Cpu), run(Form::Gpu { attention_rows: 16 }));
        assert!((cpu.1 - gpu.1).abs() < 1e-3 * gpu.1, "{} {}", cpu.1, gpu.1);
        for (a, b) in cpu.0.iter().zip(&gpu.0) {
            let (a, b) = (a.as_slice::<f32>().unwrap(), b.as_slice::<f32>().unwrap());
            let largest = b.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            for (a, b) in a.iter().zip(b) {
                assert!(
                    (a - b).abs() <= 1e-4 * largest + 1e-8,
                    "{length} {window:?}: {a} {b} of {largest}"
                );
            }
        }
        for (a, b) in cpu.2.iter().flatten().zip(gpu.2.iter().flatten()) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
}

/// Changing byte `i` changes the prediction of no byte up to `i`; with a window, of none behind it.
#[test]
fn a_position_sees_the_past_only() {
    let (_dir, path) = setup();
    let mut config = read(&path, &[]).model;
    config.sliding_window = Some(4);
    let model = Model::new(&config, 1, &Device::flex(), Runs::cpu(1));
    let mut window = text()[..32].to_vec();
    let before = model.logits(&window);
    window[10] ^= 1;
    let after = model.logits(&window);
    // Byte 10 is symbol 11: rows 11 to 14 see it.
    let changed: Vec<usize> = (0..32).filter(|&i| before[i] != after[i]).collect();
    assert_eq!(changed, [11, 12, 13, 14]);
}

#[test]
fn lmic_computes_the_same_logits_from_the_export() {
    let (dir, path) = setup();
    let folder = dir.path().join("run");
    // Some steps, so that nothing is near its initial value.
    let recipe = read(&path, &["optim.steps=20", "model.layers=2"]);
    train(Trainer::start(recipe, &folder, &Device::flex(), Runs::cpu(1)).unwrap(), u64::MAX);

    let window = &text()[..32];
    let trained = eval::forward_logits(&folder, window).unwrap();
    let weights = lmic::nn::Weights::load(&export::model_folder(&folder)).unwrap();
    let model = lmic::nn::Transformer::new(&weights).unwrap();
    let symbols: Vec<u16> =
        std::iter::once(256).chain(window[..31].iter().copied().map(u16::from)).collect();
    let (mut cache, mut work) = (model.cache(), lmic::nn::Workspace::default());
    let stream = lmic::nn::Stream { cache: &mut cache, symbols: &symbols, wanted: 32 };
    let exact = model.forward(&mut [stream], &mut work);
    for (trained, exact) in trained.iter().zip(exact.chunks_exact(256)) {
        for (trained, exact) in trained.iter().zip(exact) {
            assert!((trained - exact).abs() < 1e-4, "{trained} {exact}");
        }
    }
}
