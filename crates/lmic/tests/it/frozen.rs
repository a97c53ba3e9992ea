//! Constants that files depend on: each is marked where it stands, and has the value that it always had.
//!
//! In the sources of models, coder and format every constant ends with `// frozen` (a file would decode to other bytes, or not
//! at all, if it changed) or `// tunable` (speed, memory and sizes of new files alone).

use std::fs;
use std::path::{Path, PathBuf};

/// What archives consist of, in `crates/`.
const SOURCES: [&str; 22] = [
    "lmic-llama/src/block.rs",
    "lmic/src/block/copies.rs",
    "lmic/src/block/deflate",
    "lmic/src/block/kind.rs",
    "lmic/src/block/ways",
    "lmic/src/coder",
    "lmic/src/container/check.rs",
    "lmic/src/container/header.rs",
    "lmic/src/container/mod.rs",
    "lmic/src/container/trailer.rs",
    "lmic/src/nn/config.rs",
    "lmic/src/nn/math.rs",
    "lmic/src/nn/recurrent",
    "lmic/src/nn/shards.rs",
    "lmic/src/nn/transformer.rs",
    "lmic/src/nn/weights.rs",
    "lmic/src/nn/windowed.rs",
    "lmic/src/predict",
    "lmic/src/quantize",
    "lmic/src/records",
    "lmic/src/varint.rs",
    "lmic/src/walk.rs",
];

#[test]
fn constants_that_files_depend_on_are_marked_and_keep_their_values() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = own.parent().unwrap();
    let mut found = String::new();
    for source in SOURCES {
        for file in sources(&folder.join(source)) {
            let name = file.strip_prefix(folder).unwrap().display().to_string();
            for (constant, mark) in constants(&fs::read_to_string(&file).unwrap()) {
                match mark.as_str() {
                    "frozen" => found += &format!("{name}: {constant}\n"),
                    "tunable" => {}
                    _ => panic!("{name}: neither `// frozen` nor `// tunable`: {constant}"),
                }
            }
        }
    }
    let kept = own.join("tests/frozen.txt");
    if std::env::var_os("LMIC_WRITE_FROZEN").is_some() {
        fs::write(&kept, &found).unwrap();
    }
    let kept = fs::read_to_string(kept).unwrap();
    for (before, now) in kept.lines().zip(found.lines()) {
        assert_eq!(before, now, "{HOW}");
    }
    assert_eq!(kept.lines().count(), found.lines().count(), "{HOW}");
}

const HOW: &str = "another constant that files depend on: a change of the format, after which all golden archives are written anew. If that \
    is wanted, LMIC_WRITE_FROZEN=1 keeps the new values";

/// Rust files at or below a path, in order of name; no tests.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        return entries.iter().flat_map(|path| sources(path)).collect();
    }
    let is_source = path.extension().is_some_and(|suffix| suffix == "rs");
    if is_source && !path.ends_with("tests.rs") { vec![path.to_owned()] } else { Vec::new() }
}

/// Constants of a source, on a line each, and their marks. Those of traits (`TOLD`, `BITS`) are what they implement.
fn constants(source: &str) -> Vec<(String, String)> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut lines = source.lines();
    let mut constants = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = constant_name(line) else { continue };
        let (mut text, mut depth) = (String::new(), 0);
        let mut line = line;
        let mark = loop {
            let (code, comment) = line.split_once("//").unwrap_or((line, ""));
            text = format!("{text} {}", code.trim()).trim().to_owned();
            for c in code.chars() {
                depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
            }
            if depth == 0 && code.trim_end().ends_with(';') {
                break comment.trim().split(':').next().unwrap().to_owned();
            }
            line = lines.next().expect("a constant ends");
        };
        let has_value = text.contains(" = ");
        if has_value && name != "TOLD" && name != "BITS" {
            constants.push((text, mark));
        }
    }
    constants
}

/// The name of the constant that a line begins.
fn constant_name(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = match rest.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => rest,
    };
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("const ").or(rest.strip_prefix("static "))?;
    let (name, _) = rest.split_once(':')?;
    let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (is_name && name != "_").then_some(name)
}
