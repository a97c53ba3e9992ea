//! model show, verify, quantize, add and remove.

use std::fs;

use lmic::nn::{Config, Weights};
use serde_json::Value;

use crate::support::{Dir, Run, text};

const CONFIG: &str = r#"{"model_type": "llama", "vocab_size": 257, "hidden_size": 8, "intermediate_size": 12,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 32, "rms_norm_eps": 1e-5}"#;

fn weights() -> Weights {
    Weights::random(&Config::from_json(CONFIG).unwrap(), 1)
}

/// A directory `tiny` with a model and its card.
fn dir_with_model() -> Dir {
    let dir = Dir::new();
    fs::create_dir(dir.path("tiny")).unwrap();
    dir.write("tiny/config.json", CONFIG.as_bytes());
    dir.write("tiny/model.safetensors", &weights().to_safetensors());
    dir.write(
        "tiny/README.md",
        b"---\n# not this\nlicense: mit\n---\n\n# A tiny Llama\n\n# More\n",
    );
    dir
}

fn hex(identity: [u8; 32]) -> String {
    identity.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn string(stdout: Vec<u8>) -> String {
    String::from_utf8(stdout).unwrap()
}

#[test]
fn show_explains_a_directory() {
    let dir = dir_with_model();
    let said = string(dir.run(&["model", "show", "tiny"]).ok());
    // 2 tables of 257 * 8; 2 layers of 2 * 8 * (8 + 4) + 3 * 8 * 12 + 16; a norm of 8
    assert_eq!(weights().config.params(), 5112);
    let identity = hex(weights().identity());
    let words =
        ["A tiny Llama", &identity, "5112 f32, 20448 bytes", "2 of width 4", "context   32"];
    for words in words {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("q_proj"), "{said}");
    let table = string(dir.run(&["model", "show", "--tensors", "tiny"]).ok());
    assert_eq!(table.matches("_proj.weight").count(), 14, "{table}");
    assert!(
        table.contains("F32         8 x 12           384  model.layers.1.mlp.down_proj.weight")
    );
}

#[test]
fn show_json_is_one_object() {
    let dir = dir_with_model();
    let json = |args: &[&str]| -> Value {
        serde_json::from_slice(&dir.run(&[&["model", "show", "--json"], args].concat()).ok())
            .unwrap()
    };
    let facts = json(&["tiny"]);
    assert_eq!(facts["name"], "random"); // the file says so
    assert_eq!(facts["card"], "A tiny Llama");
    assert_eq!(facts["identity"], hex(weights().identity()));
    assert_eq!(facts["precision"], "f32");
    assert_eq!(facts["parameters"], 5112);
    assert_eq!(facts["config"]["num_key_value_heads"], 1);
    assert!(facts.get("tensors").is_none());
    let tensors = json(&["--tensors", "tiny/model.safetensors"]);
    assert!(tensors.get("card").is_none());
    assert_eq!(tensors["tensors"].as_array().unwrap().len(), 2 * 9 + 3);
    assert_eq!(tensors["tensors"][1]["tensor"], "model.embed_tokens.weight");
    assert_eq!(tensors["tensors"][1]["shape"], serde_json::json!([257, 8]));
}

#[test]
fn quantize_writes_one_file_that_verifies() {
    let dir = dir_with_model();
    let said = string(dir.run(&["model", "quantize", "tiny", "q.safetensors"]).ok());
    let mut int8 = weights().quantize().unwrap();
    int8.name = "q".into();
    assert_eq!(dir.read("q.safetensors"), int8.to_safetensors());
    let identity = hex(int8.identity());
    assert!(said.contains(&identity) && said.contains("of the 20448"), "{said}");
    let verified = string(dir.run(&["model", "verify", "q.safetensors"]).ok());
    assert_eq!(verified, format!("q.safetensors: {identity}\n"));
    let shown = string(dir.run(&["model", "show", "q.safetensors"]).ok());
    assert!(shown.contains("name      q\n") && shown.contains("5112 int8"), "{shown}");

    let again = |args: &[&str]| dir.run(&[&["model", "quantize", "tiny"], args].concat());
    dir.write("q.safetensors", b"mine");
    again(&["q.safetensors"]).fails(1, &["q.safetensors exists already", "-f"]);
    assert_eq!(dir.read("q.safetensors"), b"mine");
    again(&["--force", "q.safetensors"]).ok();
    assert_eq!(dir.read("q.safetensors"), int8.to_safetensors());
    let twice = dir.run(&["model", "quantize", "q.safetensors", "r.safetensors"]);
    twice.fails(1, &["q.safetensors: ", "int8 already"]);
    again(&["missing/q.safetensors"]).fails(1, &["cannot write missing/q.safetensors"]);
    assert_eq!(dir.names(), ["q.safetensors", "tiny"]);
}

#[test]
fn what_is_no_model_is_refused() {
    let dir = dir_with_model();
    let verify = |path: &str| dir.run(&["model", "verify", path]);
    let file = weights().to_safetensors();
    dir.write("cut.safetensors", &file[..file.len() - 1]);
    verify("cut.safetensors")
        .fails(1, &["cut.safetensors: ", "ends after 20447 of 20448", "missing"]);
    let mut damaged = file.clone();
    damaged[file.len() - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    dir.write("nan.safetensors", &damaged);
    let words = ["nan.safetensors: ", "tensor model.norm.weight has NaN at 7", "get another copy"];
    verify("nan.safetensors").fails(1, &words);
    dir.write("a.txt", b"no model");
    verify("a.txt").fails(1, &["a.txt: ", "no safetensors file"]);
    verify("missing").fails(1, &["missing: ", "check the name"]);
    fs::create_dir(dir.path("empty")).unwrap();
    verify("empty").fails(1, &["empty: ", "model.safetensors", "check the name"]);
    dir.run(&["model"]).fails(2, &["Usage: lmic model", "quantize"]);
    dir.run(&["model", "show"]).fails(2, &["MODEL"]);
}

#[test]
fn every_model_command_has_an_example() {
    let dir = Dir::new();
    for name in ["show", "verify", "quantize", "add", "fetch", "remove"] {
        let help = string(dir.run(&["model", name, "--help"]).ok());
        assert!(help.contains("Usage: lmic model") && help.contains("Example"), "{help}");
    }
}

#[test]
fn what_is_added_is_found_by_name_and_by_archives() {
    let dir = Dir::with_text();
    let run = |args: &[&str]| {
        Run(dir.command(args).env("LMIC_MODELS", dir.path("shelf")).output().unwrap())
    };
    // The file is called otherwise than the model is by archives: "random".
    dir.write("my model.safetensors", &weights().to_safetensors());
    let said = string(run(&["model", "add", "my model.safetensors"]).ok());
    assert!(
        said.contains("random.safetensors") && said.contains(&hex(weights().identity())),
        "{said}"
    );
    assert!(dir.read("shelf/random.safetensors") == dir.read("my model.safetensors"));
    run(&["-m", "random", "--as", "bytes", "a.txt"]).ok();
    assert!(run(&["-dc", "a.txt.lmic"]).ok() == dir.read("a.txt"));

    dir.run(&["prime", "-q", "--table-bits", "8", "-s", "a.txt", "-o", "state"]).ok();
    run(&["model", "add", "state.lmicp"]).ok();
    run(&["-p", "state", "-o", "b.lmic", "a.txt"]).ok();
    assert!(run(&["-dc", "b.lmic"]).ok() == dir.read("a.txt"));

    assert_eq!(string(run(&["model", "remove", "random"]).ok()).lines().count(), 1);
    assert!(!dir.has("shelf/random.safetensors") && dir.has("shelf/state.lmicp"));
    run(&["-dc", "a.txt.lmic"]).fails(1, &["random", "not at hand"]);
    run(&["model", "remove", "random"]).fails(1, &["random", "no such file"]);
}

#[test]
fn a_folder_becomes_one_file_and_rows_of_the_library_are_left_out() {
    let dir = dir_with_model();
    dir.write("a.txt", &text(3000));
    let run = |args: &[&str]| {
        Run(dir.command(args).env("LMIC_MODELS", dir.path("shelf")).output().unwrap())
    };
    run(&["model", "add", "tiny"]).ok();
    assert!(dir.read("shelf/random.safetensors") == weights().to_safetensors());

    // A network of the library, whose rows are not in its file.
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../lmic-networks/data/6.safetensors");
    let said = string(run(&["model", "add", data]).ok());
    assert!(said.contains("388ebefab5fe6088cb35d43503972ffb87a2e2416fea1af5f7db7448cc293dc1"));
    assert!(dir.read("shelf/lmic-6.safetensors") == fs::read(data).unwrap());
    run(&["-m", "lmic-6", "a.txt"]).ok();
    assert!(run(&["-dc", "a.txt.lmic"]).ok() == dir.read("a.txt"));
}

#[test]
fn only_good_models_are_added_and_none_is_overwritten_unasked() {
    let dir = Dir::with_text();
    let run = |args: &[&str]| {
        Run(dir.command(args).env("LMIC_MODELS", dir.path("shelf")).output().unwrap())
    };
    let file = weights().to_safetensors();
    dir.write("cut.safetensors", &file[..file.len() - 1]);
    run(&["model", "add", "cut.safetensors"]).fails(1, &["cut.safetensors", "missing"]);
    dir.write("no.lmicp", b"no state");
    run(&["model", "add", "no.lmicp"]).fails(1, &["no.lmicp"]);
    run(&["model", "add", "a.txt"]).fails(1, &["a.txt", ".safetensors", ".lmicp"]);
    run(&["model", "add", "none.lmicp"]).fails(1, &["none.lmicp"]);
    fs::create_dir(dir.path("folder")).unwrap();
    run(&["model", "add", "folder"]).fails(1, &["folder", "has no model.safetensors"]);
    assert!(!dir.has("shelf"), "nothing was good enough");

    let named = |name: &str, seed| {
        let weights = Weights {
            name: name.into(),
            ..Weights::random(&Config::from_json(CONFIG).unwrap(), seed)
        };
        weights.to_safetensors()
    };
    dir.write("out.safetensors", &named("../out", 1));
    run(&["model", "add", "out.safetensors"]).fails(1, &["no name for a file"]);
    dir.write("one.safetensors", &named("tiny", 1));
    dir.write("two.safetensors", &named("tiny", 2));
    run(&["model", "add", "one.safetensors"]).ok();
    run(&["model", "add", "two.safetensors"]).fails(1, &["exists already", "-f"]);
    assert!(dir.read("shelf/tiny.safetensors") == dir.read("one.safetensors"));
    run(&["model", "add", "--force", "two.safetensors"]).ok();
    assert!(dir.read("shelf/tiny.safetensors") == dir.read("two.safetensors"));

    dir.run(&["prime", "-q", "--table-bits", "8", "-s", "a.txt", "-o", "tiny"]).ok();
    run(&["model", "add", "tiny.lmicp"]).ok();
    run(&["model", "remove", "tiny"]).fails(1, &["tiny.safetensors", "tiny.lmicp"]);
    run(&["model", "remove", "tiny.lmicp"]).ok();
    run(&["model", "remove", "../one.safetensors"]).fails(1, &["no such file"]);
    assert!(dir.has("one.safetensors") && !dir.has("shelf/tiny.lmicp"));
}
