//! Level 9, whose network is a file of its own. Most tests need that of the repository, and say so where it is not whole.

use std::path::Path;
use std::process::Command;

use crate::by_hand::{self, Coded};
use crate::support::{Dir, Run, text};

/// The network in shards, if all of them are there.
fn network() -> Option<&'static str> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/lmic-9");
    let whole = lmic::exact::shards(Path::new(folder)).is_ok();
    if !whole {
        eprintln!("skipped: models/lmic-9 is not here");
    }
    whole.then_some(folder)
}

fn command(dir: &Dir, args: &[&str]) -> Command {
    let mut command = dir.command(args);
    command.env("LMIC_MODELS", dir.path("shelf"));
    command
}

fn run(dir: &Dir, args: &[&str]) -> Run {
    Run(command(dir, args).output().unwrap())
}

/// What is said where it is missing.
const MISSING: [&str; 3] =
    ["level 9 needs its network lmic-9", "`lmic model fetch lmic-9`", "`lmic model add FILE`"];

#[test]
fn without_its_network_level_9_neither_codes_nor_decodes() {
    let dir = Dir::with_text();
    run(&dir, &["-9", "a.txt"]).fails(1, &MISSING);
    run(&dir, &["compress", "-9", "-c", "a.txt"]).fails(1, &MISSING);
    run(&dir, &["-9", "--as", "gray:10", "a.txt"]).ok(); // which no network of bytes codes
    let coded = Coded { kind: &[1], code: b"code", content: &text(100) };
    dir.write("b.lmic", &by_hand::coded_stream(&by_hand::stream_header(1, 9), &[coded]));
    run(&dir, &["-d", "b.lmic"]).fails(1, &MISSING);
    run(&dir, &["-t", "b.lmic"]).fails(1, &MISSING);
    let list = String::from_utf8(run(&dir, &["-l", "b.lmic"]).ok()).unwrap();
    assert!(list.contains("mix-9") && !list.contains("newer"), "{list}");
    // Another network in its place.
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../lmic-networks/data/6.safetensors");
    std::fs::create_dir(dir.path("shelf")).unwrap();
    std::fs::copy(other, dir.path("shelf/lmic-9.safetensors")).unwrap();
    run(&dir, &["-9", "-f", "a.txt"]).fails(1, &["lmic-9.safetensors is another one"]);
    assert!(run(&dir, &["-d", "-f", "a.txt.lmic"]).ok().is_empty());
}

#[test]
fn with_its_network_level_9_restores_what_it_codes() {
    let Some(network) = network() else { return };
    let dir = Dir::new();
    dir.write("a.txt", &text(900));
    let said = String::from_utf8(run(&dir, &["model", "add", network]).ok()).unwrap();
    assert!(said.contains("name      lmic-9"), "{said}");
    let table = String::from_utf8(run(&dir, &["model", "list"]).ok()).unwrap();
    assert!(
        table.lines().any(|line| line.starts_with("lmic-9") && line.ends_with(" 9")),
        "{table}"
    );
    run(&dir, &["-9", "a.txt"]).ok();
    let archive = dir.read("a.txt.lmic");
    assert_eq!(archive[5], 9);
    assert!(run(&dir, &["-dc", "a.txt.lmic"]).ok() == dir.read("a.txt"));
    // By its path, with nothing in the model folder.
    run(&dir, &["model", "remove", "lmic-9"]).ok();
    assert!(run(&dir, &["-9", "-c", "-m", network, "a.txt"]).ok() == archive);
    assert!(run(&dir, &["-dc", "-m", network, "a.txt.lmic"]).ok() == dir.read("a.txt"));
    run(&dir, &["-d", "-f", "a.txt.lmic"]).fails(1, &MISSING);
}
