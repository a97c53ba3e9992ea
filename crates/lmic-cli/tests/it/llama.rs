//! -m with checkpoints that have a tokenizer, and `lmic model score`.

use serde_json::{Value, json};

use crate::neural::{CONFIG, weights};
use crate::support::Dir;

/// Bytes are tokens, in GPT-2's letters; 256 starts.
fn tokenizer() -> Value {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 0x100..;
    let mut vocab = serde_json::Map::new();
    for byte in 0..=255u8 {
        let code = if plain(byte) { byte.into() } else { others.next().unwrap() };
        vocab.insert(char::from_u32(code).unwrap().to_string(), byte.into());
    }
    json!({
        "version": "1.0", "added_tokens": [{"id": 256, "content": "<s>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    })
}

/// `a.txt` and the folders `one`, `two` of models that differ.
fn dir() -> Dir {
    let dir = Dir::with_text();
    for (name, seed) in [("one", 1), ("two", 2)] {
        std::fs::create_dir(dir.path(name)).unwrap();
        dir.write(format!("{name}/config.json"), CONFIG.as_bytes());
        dir.write(format!("{name}/model.safetensors"), &weights(seed).to_safetensors());
        dir.write(format!("{name}/tokenizer.json"), tokenizer().to_string().as_bytes());
    }
    dir
}

#[test]
fn a_checkpoint_codes_and_restores_on_any_threads_and_level() {
    let dir = dir();
    dir.run(&["-m", "one", "a.txt"]).ok();
    let coded = dir.read("a.txt.lmic");
    assert!(coded.len() < 2000, "{} bytes", coded.len());
    for (level, threads) in [("scalar", "-T1"), ("avx2", "-T2")] {
        let mut encode = dir.command(&["-c", "-m", "one", threads, "a.txt"]);
        let again = encode.env("LMIC_SIMD", level).output().unwrap();
        assert!(again.stdout == coded, "{level}");
        let mut decode = dir.command(&["-dc", "-m", "one", threads, "a.txt.lmic"]);
        let restored = decode.env("LMIC_SIMD", level).output().unwrap();
        assert!(restored.stdout == dir.read("a.txt"), "{level}");
    }
    let shown = dir.run(&["inspect", "a.txt.lmic"]).ok();
    assert!(String::from_utf8_lossy(&shown).contains("one: transformer of tokens"));
}

#[test]
fn another_checkpoint_is_refused_by_name() {
    let dir = dir();
    dir.run(&["-m", "one", "a.txt"]).ok();
    let mut command = dir.command(&["-dc", "-m", "two", "a.txt.lmic"]);
    let output = command.env("LMIC_MODELS", dir.path("none")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("model \"one\" of identity"), "{message}");
    // In the model folder it is found by that name.
    let mut command = dir.command(&["-dc", "a.txt.lmic"]);
    let output = command.env("LMIC_MODELS", dir.path(".")).output().unwrap();
    assert!(output.stdout == dir.read("a.txt"));
}

#[test]
fn a_score_is_what_coding_gives() {
    let dir = dir();
    let score = ["model", "score", "-m", "one", "--json", "--top-k", "9999", "--as-coded", "a.txt"];
    let json = dir.run(&score).ok();
    let json: Value = serde_json::from_slice(&json).unwrap();
    dir.run(&["-m", "one", "a.txt"]).ok();
    let bits = json["bits_per_byte"].as_f64().unwrap() * 3000.0;
    let coded = dir.read("a.txt.lmic").len() as f64;
    // 60 bytes are headers and checks.
    assert!((coded - bits / 8.0 - 60.0).abs() < 10.0, "{coded} bytes, {bits} bits");
    assert_eq!(json["tokens"], 3000);
    // More than there are tokens: nothing escapes, and saying so costs about log2(3000) / 2 bits in all.
    let more = (json["top_k"]["bits_per_byte"].as_f64().unwrap() * 3000.0) - bits;
    assert!((0.0..20.0).contains(&more), "{more} bits");
    let ascii =
        dir.run(&["model", "score", "-m", "one", "--ascii", "--chunk", "500", "a.txt"]).ok();
    assert!(String::from_utf8_lossy(&ascii).contains("as in paper"));
    dir.run(&["model", "score", "-m", "one", "--context", "65", "a.txt"])
        .fails(1, &["the model has 64"]);
}

#[test]
fn eval_score_is_model_score_with_data() {
    let dir = dir();
    let facts = |words: &[&str]| {
        let json = dir.run(words).ok();
        let mut json: Value = serde_json::from_slice(&json).unwrap();
        // The rest must be the same.
        for key in ["seconds", "tokens_per_second"] {
            json.as_object_mut().unwrap().remove(key).unwrap();
        }
        json
    };
    let expected = facts(&["model", "score", "-m", "one", "--json", "a.txt"]);
    assert_eq!(expected["bytes"], 3000);
    assert_eq!(facts(&["eval", "score", "-m", "one", "--json", "--data", "a.txt"]), expected);
    assert_eq!(facts(&["eval", "score", "-m", "one", "--json", "a.txt"]), expected);
    // A folder is its files; several are added up.
    std::fs::create_dir(dir.path("set")).unwrap();
    dir.write("set/1", b"to be");
    dir.write("set/2", b"or not");
    let both = facts(&["eval", "score", "-m", "one", "--json", "--data", "set", "a.txt"]);
    assert_eq!(both["bytes"], 3011);
    let mut command = dir.command(&["eval", "score", "-m", "one", "--data", "2"]);
    let output = command.env("LMIC_DATA", dir.path("set")).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("6 bytes"), "{output:?}");
    dir.run(&["eval", "score", "-m", "one", "--data", "none"])
        .fails(1, &["none: not found", "LMIC_DATA"]);
    dir.run(&["eval", "score", "-m", "one"]).fails(2, &["required"]);
    let help = dir.run(&["eval", "score", "--help"]).ok();
    let help = String::from_utf8_lossy(&help).into_owned();
    for word in ["lmic eval score", "--data", "--ascii", "--top-k", "--as-coded"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
