//! -m: coding with a transformer, and where decoding finds it again.

use std::fs;

use lmic::nn::{Config, Matrix, Weights};
use serde_json::Value;

use crate::support::{Dir, Run, text};

pub const CONFIG: &str = r#"{"model_type": "llama", "vocab_size": 257, "hidden_size": 8, "intermediate_size": 12,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true}"#;

/// A model that expects bytes of `text`, so that nothing is stored.
pub fn weights(seed: u64) -> Weights {
    let mut weights = Weights::random(&Config::from_json(CONFIG).unwrap(), seed);
    weights.name = "tiny".into();
    let Matrix::F32 { data, .. } = &mut weights.embed else { panic!("random weights are f32") };
    let known = text(3000);
    for (symbol, first) in data.iter_mut().step_by(8).enumerate() {
        let is_known = u8::try_from(symbol).is_ok_and(|byte| known.contains(&byte));
        *first = if is_known { 4.0 } else { 1.0 };
    }
    weights
}

/// `a.txt`, a file of 3000 bytes, and the models `tiny` (f32, a folder) and `tiny8.safetensors` (int8) in `models`.
fn dir() -> Dir {
    let dir = Dir::with_text();
    fs::create_dir_all(dir.path("models/tiny")).unwrap();
    dir.write("models/tiny/config.json", CONFIG.as_bytes());
    dir.write("models/tiny/model.safetensors", &weights(1).to_safetensors());
    let int8 = Weights { name: "tiny8".into(), ..weights(1).quantize().unwrap() };
    dir.write("models/tiny8.safetensors", &int8.to_safetensors());
    dir
}

/// Runs with the model folder at `folder` in `dir`; one that is not there has no models. What is coded with a
/// model is coded with it alone: whether a mix uses so small a model at all depends on the text.
fn run(dir: &Dir, folder: &str, args: &[&str]) -> Run {
    let names = |words: &[&str]| args.iter().any(|arg| words.contains(arg));
    let encodes = names(&["-m", "--model"]) && !names(&["-d", "-dc", "-t", "test", "cat"]);
    run_as_is(dir, folder, &[args, if encodes { &["--alone"] } else { &[] }].concat())
}

fn run_as_is(dir: &Dir, folder: &str, args: &[&str]) -> Run {
    Run(dir.command(args).env("LMIC_MODELS", dir.path(folder)).output().unwrap())
}

fn json(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap()
}

#[test]
fn a_model_is_named_by_path_or_by_name() {
    let dir = dir();
    for (path, name) in [("models/tiny", "tiny"), ("models/tiny8.safetensors", "tiny8")] {
        let by_path = run(&dir, "none", &["-c", "-m", path, "a.txt"]).ok();
        assert!(by_path.len() < 2000, "{} bytes", by_path.len());
        assert!(run(&dir, "models", &["-c", "-m", name, "a.txt"]).ok() == by_path);
        let file = dir.path("models").join(path.trim_start_matches("models/"));
        let file = file.to_str().unwrap();
        assert!(run(&dir, "none", &["compress", "-c", "--model", file, "a.txt"]).ok() == by_path);
        for threads in ["1", "2"] {
            let args = ["-c", "-T", threads, "-m", path, "a.txt"];
            assert!(run(&dir, "none", &args).ok() == by_path);
        }
    }
}

#[test]
fn a_model_is_mixed_with_context_mixing_unless_it_is_to_be_alone() {
    let dir = dir();
    run_as_is(&dir, "models", &["-m", "tiny", "--as", "bytes", "a.txt"]).ok();
    run_as_is(&dir, "none", &["-dc", "a.txt.lmic"]).fails(1, &["a.txt.lmic: ", "\"tiny\""]);
    assert!(run(&dir, "models", &["-dc", "a.txt.lmic"]).ok() == text(3000));
    let facts = json(&run(&dir, "none", &["inspect", "--json", "a.txt.lmic"]).ok());
    assert_eq!(facts[0]["streams"][0]["model"], "tiny+cm", "{facts}");
    // Without being told, the one that is shorter.
    let chosen = run_as_is(&dir, "models", &["-c", "-m", "tiny", "a.txt"]).ok();
    assert!(chosen.len() as u64 <= fs::metadata(dir.path("a.txt.lmic")).unwrap().len());
}

#[test]
fn decoding_finds_the_model_in_the_folder_or_is_told() {
    let dir = dir();
    for (path, name) in [("models/tiny", "tiny"), ("models/tiny8.safetensors", "tiny8")] {
        run(&dir, "none", &["-f", "-m", path, "a.txt"]).ok();
        assert!(run(&dir, "models", &["-dc", "a.txt.lmic"]).ok() == text(3000));
        assert!(run(&dir, "none", &["-dc", "-m", path, "a.txt.lmic"]).ok() == text(3000));
        run(&dir, "models", &["-t", "a.txt.lmic"]).ok();
        run(&dir, "models", &["test", "-m", path, "a.txt.lmic"]).ok();
        let range = ["cat", "--range", "1000..1033", "a.txt.lmic"];
        assert!(run(&dir, "models", &range).ok() == text(3000)[1000..1033]);
        let told = ["cat", "--range", "2990..", "-m", name, "a.txt.lmic"];
        assert!(run(&dir, "models", &told).ok() == text(3000)[2990..]);
    }
    // Told of one model, the other is still found in the folder.
    assert!(run(&dir, "models", &["-dc", "-m", "tiny", "a.txt.lmic"]).ok() == text(3000));
}

#[test]
fn a_model_that_is_missing_or_another_is_named() {
    let dir = dir();
    run(&dir, "models", &["-m", "tiny", "a.txt"]).ok();
    let identity: String = weights(1).identity().iter().map(|b| format!("{b:02x}")).collect();
    let words = ["a.txt.lmic: ", "\"tiny\"", &identity];
    for args in [
        &["-d", "-o", "b", "a.txt.lmic"][..],
        &["-t", "a.txt.lmic"],
        &["cat", "--range", "0..9", "a.txt.lmic"],
        &["-d", "-o", "b", "-m", "models/tiny8.safetensors", "a.txt.lmic"],
    ] {
        assert_eq!(run(&dir, "none", args).fails(1, &words), b"");
    }
    // One of that name in the folder that is another model.
    dir.write("models/tiny/model.safetensors", &weights(2).to_safetensors());
    run(&dir, "models", &["-d", "-o", "b", "a.txt.lmic"]).fails(1, &words);
    dir.write("models/tiny/model.safetensors", b"no model");
    run(&dir, "models", &["-d", "-o", "b", "a.txt.lmic"]).fails(1, &["a.txt.lmic: "]);
    assert_eq!(dir.names(), ["a.txt", "a.txt.lmic", "models"]);

    for args in [&["-m", "fox", "a.txt"][..], &["-d", "-m", "fox", "a.txt.lmic"]] {
        run(&dir, "models", args).fails(1, &["fox: no such model", "models"]);
    }
    run(&dir, "none", &["-m", "models/tiny", "a.txt"]).fails(1, &["models/tiny: ", "model"]);
}

#[test]
fn a_name_in_an_archive_does_not_lead_out_of_the_folder() {
    let dir = dir();
    let name = "../models/tiny8.safetensors";
    let evil = Weights { name: name.into(), ..weights(1).quantize().unwrap() };
    dir.write("evil.safetensors", &evil.to_safetensors());
    run(&dir, "none", &["-m", "evil.safetensors", "a.txt"]).ok();
    run(&dir, "models", &["-t", "a.txt.lmic"]).fails(1, &["a.txt.lmic: ", name]);
}

#[test]
fn windows_can_be_chosen_and_are_shown() {
    let dir = dir();
    let inspect = |args: &[&str]| -> Value {
        run(&dir, "models", &[&["-f", "-m", "tiny"], args, &["a.txt"]].concat()).ok();
        assert!(run(&dir, "models", &["-dc", "a.txt.lmic"]).ok() == text(3000));
        json(&run(&dir, "none", &["inspect", "--json", "a.txt.lmic"]).ok())
    };
    for (args, context, overlap, lanes) in [
        (&["--overlap", "0", "--lanes", "8"][..], 64, 0, 8),
        (&["--context", "20", "--overlap", "10", "--lanes", "1"], 20, 10, 1),
        (&["--context", "20", "--overlap", "3", "--lanes", "64"], 20, 3, 64),
    ] {
        let stream = &inspect(args)[0]["streams"][0];
        let windows = serde_json::json!({"context": context, "overlap": overlap, "lanes": lanes});
        assert_eq!(stream["windows"], windows);
        assert_eq!(stream["model"], "tiny");
        let identity = stream["model_identity"].as_str().unwrap();
        let ours: String = weights(1).identity().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(identity, ours);
    }
    let stream = &inspect(&[])[0]["streams"][0];
    assert_eq!(stream["windows"]["context"], 64);
    assert!(stream["windows"]["overlap"].as_u64() > Some(0));
    for args in [
        &["--overlap", "33"][..],
        &["--context", "1"],
        &["--context", "65"],
        &["--lanes", "0"],
        &["--lanes", "65"],
        &["--lanes", "x"],
    ] {
        let args = [&["-c", "-m", "tiny"], args, &["a.txt"]].concat();
        run(&dir, "models", &args).fails(2, &["error: "]);
    }
    // Without -m they mean nothing.
    run(&dir, "models", &["-c", "--overlap", "0", "a.txt"]).fails(2, &["--model"]);
}

#[test]
fn list_and_inspect_name_the_model_without_having_it() {
    let dir = dir();
    let args = ["-m", "tiny8", "--block-size", "1K", "--overlap", "0", "a.txt"];
    run(&dir, "models", &args).ok();
    let said = String::from_utf8(run(&dir, "none", &["inspect", "a.txt.lmic"]).ok()).unwrap();
    let words = ["tiny8: transformer", "identity ", "of 64, overlap 0; up to "];
    for words in words {
        assert!(said.contains(words), "{words}: {said}");
    }
    let list = String::from_utf8(run(&dir, "none", &["list", "-v", "a.txt.lmic"]).ok()).unwrap();
    assert_eq!(list.matches("tiny8").count(), 4, "one a block and one for the file: {list}");
    let list = json(&run(&dir, "none", &["list", "--json", "-v", "a.txt.lmic"]).ok());
    assert_eq!(list[0]["models"], serde_json::json!(["tiny8"]));
    assert_eq!(list[0]["block_list"][2]["model"], "tiny8");
}

#[test]
fn samples_and_a_profile_beside_a_model() {
    let dir = dir();
    run(&dir, "models", &["-f", "-m", "tiny", "--as", "gray:10", "a.txt"]).ok();
    let list = json(&run(&dir, "none", &["list", "--json", "a.txt.lmic"]).ok());
    assert_eq!(list[0]["models"], serde_json::json!(["cm-5 gray:10"]));
    assert!(run(&dir, "none", &["-dc", "a.txt.lmic"]).ok() == text(3000));
    // One archive behind the other.
    let mut both = run(&dir, "none", &["-1c", "a.txt"]).ok();
    both.extend(run(&dir, "models", &["-c", "-m", "tiny", "a.txt"]).ok());
    dir.write("both.lmic", &both);
    assert!(run(&dir, "models", &["-dc", "both.lmic"]).ok() == text(3000).repeat(2));
    let list = json(&run(&dir, "none", &["list", "--json", "both.lmic"]).ok());
    assert_eq!(list[0]["models"], serde_json::json!(["cm-1", "tiny"]));
}
