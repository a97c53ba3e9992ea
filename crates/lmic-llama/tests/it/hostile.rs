//! Files that are cut off, damaged, or made to do harm: an error that says what is wrong, no panic, no allocation by an unchecked
//! length (a test that asked for 2^60 bytes would abort).

use std::fs;
use std::path::Path;

use lmic::ErrorKind;
use lmic_llama::Llama;
use serde_json::{Value, json};

use crate::support::path;

/// A copy of a fixture's folder, to be damaged.
pub fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(path(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    change(&mut json);
    fs::write(file, json.to_string()).unwrap();
}

/// What is done to a file.
type Change = fn(&mut Value);

/// The error of a folder whose file was changed.
fn refused(name: &str, file: &str, change: impl FnOnce(&mut Value)) -> lmic::Error {
    let folder = copy(name);
    edit(&folder.path().join(file), change);
    Llama::open(folder.path()).expect_err("opened")
}

#[test]
fn what_is_not_supported_is_named_with_what_is() {
    let cases: [(&str, Value, &str); 14] = [
        ("model_type", json!("mamba"), "mamba; supported is llama, mistral"),
        ("hidden_act", json!("gelu"), "hidden_act is gelu; supported is silu"),
        (
            "rope_parameters",
            json!({"rope_type": "longrope", "factor": 4.0}),
            "rope_type is longrope; supported is default",
        ),
        (
            "rope_parameters",
            json!({"rope_type": "yarn", "factor": 4.0}),
            "has no key original_max_position_embeddings",
        ),
        (
            "rope_parameters",
            json!({"rope_type": "yarn", "factor": 4.0, "beta_slow": 50, "original_max_position_embeddings": 32}),
            "beta_fast is 32; supported is beta_slow or more",
        ),
        ("rope_parameters", json!({"rope_type": "linear", "factor": -1}), "rope factor is -1"),
        ("rope_parameters", json!({"rope_type": "llama3"}), "has no key factor"),
        ("rope_parameters", json!(7), "rope_parameters is 7"),
        ("num_key_value_heads", json!(3), "num_key_value_heads is 3; supported is a divisor"),
        ("head_dim", json!(7), "head_dim is 7; supported is an even number"),
        ("num_hidden_layers", json!(1_000_000), "num_hidden_layers is 1000000"),
        ("vocab_size", json!(-1), "vocab_size is -1"),
        ("rms_norm_eps", json!("x"), "rms_norm_eps"),
        ("quantization_config", json!({"bits": 4}), "quantization_config"),
    ];
    for (key, value, message) in cases {
        let error = refused("llama", "config.json", |json| json[key] = value);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{key}");
        assert!(error.to_string().contains(message), "{key}: {error}");
    }
}

#[test]
fn sizes_that_tensors_do_not_have_are_corrupt() {
    for key in ["vocab_size", "hidden_size", "intermediate_size", "head_dim", "num_attention_heads"]
    {
        let error = refused("mistral", "config.json", |json| {
            json[key] = (json[key].as_u64().unwrap() * 2).into();
        });
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{key}: {error}");
        assert!(error.to_string().contains("tensor"), "{key}: {error}");
    }
    let error = refused("mistral", "config.json", |json| json["num_hidden_layers"] = 1.into());
    assert!(error.to_string().contains("none that such a model has"), "{error}");
    let error = refused("mistral", "config.json", |json| json["num_hidden_layers"] = 3.into());
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn shards_outside_of_the_folder_are_not_opened() {
    for name in ["../x.safetensors", "/etc/passwd", "a\\b.safetensors"] {
        let error = refused("qwen3", "model.safetensors.index.json", |json| {
            json["weight_map"]["lm_head.weight"] = name.into();
        });
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn tokenizers_of_other_kinds_and_damaged_ones_are_refused() {
    let cases: [(&str, Change); 8] = [
        ("Unigram", |json| json["model"]["type"] = "Unigram".into()),
        ("no model", |json| *json = json!({})),
        ("no vocabulary", |json| json["model"]["vocab"] = json!(3)),
        ("token number", |json| json["model"]["vocab"]["a"] = json!(-1)),
        ("token number", |json| json["model"]["vocab"]["a"] = json!(1u64 << 40)),
        ("tokenizer", |json| json["model"]["merges"] = json!([["no", "such"]])),
        ("tokenizer", |json| json["pre_tokenizer"] = json!({"type": "ByteLevel", "nope": []})),
        ("tokenizer", |json| {
            json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel"}]});
        }),
    ];
    for (message, change) in cases {
        let folder = copy("llama");
        edit(&folder.path().join("tokenizer.json"), change);
        match Llama::open(folder.path()) {
            Err(error) => assert!(error.to_string().contains(message), "{message}: {error}"),
            // What the library ignores must still be exact.
            Ok(model) => {
                let tokens = model.tokens(b"the quick \xff fox");
                assert_eq!(model.bytes(&tokens).unwrap(), b"the quick \xff fox", "{message}");
            }
        }
    }
}

/// A regular expression that takes forever for some texts must not lose one.
#[test]
fn a_regular_expression_that_gives_up_costs_bits_only() {
    let folder = copy("llama");
    edit(&folder.path().join("tokenizer.json"), |json| {
        json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
            r"(?=((a+)+)b)x|(a|a)*\1c".into();
    });
    if let Ok(model) = Llama::open(folder.path()) {
        let text = [b'a'; 64];
        assert_eq!(model.bytes(&model.tokens(&text)).unwrap(), text);
    }
}

#[test]
fn cut_and_flipped_files_of_a_folder_are_errors_or_models() {
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        let folder = copy("llama");
        let target = folder.path().join(file);
        let whole = fs::read(&target).unwrap();
        for i in 0..40 {
            fs::write(&target, &whole[..whole.len() * i / 40]).unwrap();
            assert!(Llama::open(folder.path()).is_err(), "{file} cut at {i}/40");
        }
        for i in 0..60 {
            // Of the weights only the header can be wrong.
            let mut bad = whole.clone();
            let at = i * whole.len().min(2500) / 60;
            bad[at] ^= 1 << (i % 8);
            fs::write(&target, &bad).unwrap();
            if let Ok(model) = Llama::open(folder.path()) {
                model.logits(&[0, 1], 1);
            }
        }
    }
}

#[test]
fn cut_and_flipped_gguf_files_are_errors_or_models() {
    let whole = fs::read(path("llama-q8_0.gguf")).unwrap();
    for len in (0..whole.len()).step_by(397) {
        assert!(Llama::from_gguf(whole[..len].to_vec()).is_err(), "cut at {len}");
    }
    for i in 0..300 {
        let mut bad = whole.clone();
        bad[i * 41 % 12_000] ^= 1 << (i % 8);
        if let Ok(model) = Llama::from_gguf(bad) {
            model.logits(&[0, 1], 1);
        }
    }
}

#[test]
fn lengths_that_gguf_files_lie_about_are_not_believed() {
    let head = |tensors: u64, keys: u64| {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(tensors.to_le_bytes());
        file.extend(keys.to_le_bytes());
        file
    };
    let mut long_key = head(0, 1);
    long_key.extend((1u64 << 60).to_le_bytes());
    let key = |file: &mut Vec<u8>| {
        file.extend(1u64.to_le_bytes());
        file.push(b'k');
    };
    let list = |kind: u32, count: u64| {
        let mut file = head(0, 1);
        key(&mut file);
        [9, kind].iter().for_each(|n: &u32| file.extend(n.to_le_bytes()));
        file.extend(count.to_le_bytes());
        file.extend([0; 64]);
        file
    };
    let mut tensor = head(1, 0);
    key(&mut tensor);
    tensor.extend(2u32.to_le_bytes());
    tensor.extend([u64::MAX, u64::MAX].iter().flat_map(|n| n.to_le_bytes()));
    tensor.extend(0u32.to_le_bytes());
    tensor.extend(u64::MAX.to_le_bytes());
    for file in [
        head(u64::MAX, 0),
        head(0, u64::MAX),
        long_key,
        list(8, 1 << 60),
        [list(0, 5 << 20), vec![0; 6 << 20]].concat(),
        list(9, 1),
        list(4, u64::MAX),
        tensor,
        b"GGUF\x01\0\0\0".to_vec(),
        b"GGUF\0\0\0\x03".to_vec(),
        Vec::new(),
    ] {
        assert!(Llama::from_gguf(file).is_err());
    }
}
