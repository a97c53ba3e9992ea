//! `lmic prime` and -p.

use crate::support::{Dir, Run};

/// `samples.jsonl`, records like `a.log`, and `logs.lmicp` learned from them in `models`.
fn dir() -> Dir {
    let dir = Dir::new();
    let line = |i: usize| {
        let (user, tries) = (i * i * 7919 % 1009, i * 31 % 7);
        format!("INFO session: user {user} has logged in at the console after {tries} tries\n")
    };
    let samples: String =
        (0..400).map(|i| format!("{{\"t\": {:?}}}\n", line(i).trim_end())).collect();
    dir.write("samples.jsonl", samples.as_bytes());
    dir.write("a.log", (400..406).map(line).collect::<String>().as_bytes());
    std::fs::create_dir_all(dir.path("models")).unwrap();
    dir.run(&["prime", "-q", "--table-bits", "10", "-s", "samples.jsonl", "-o", "models/logs"])
        .ok();
    dir
}

#[test]
fn a_file_is_coded_with_what_samples_taught() {
    let dir = dir();
    dir.run(&["-p", "models/logs.lmicp", "a.log"]).ok();
    dir.run(&["-5", "-o", "b.lmic", "a.log"]).ok();
    let (primed, plain) = (dir.read("a.log.lmic"), dir.read("b.lmic"));
    assert!(primed.len() < plain.len(), "{} {}", primed.len(), plain.len());
    let back = dir.run(&["-dc", "-p", "models/logs.lmicp", "a.log.lmic"]).ok();
    assert_eq!(back, dir.read("a.log"));
}

#[test]
fn decoding_finds_the_state_in_the_model_folder() {
    let dir = dir();
    let run = |folder: &str, args: &[&str]| {
        Run(dir.command(args).env("LMIC_MODELS", dir.path(folder)).output().unwrap())
    };
    run("models", &["-p", "logs", "a.log"]).ok();
    assert_eq!(run("models", &["-dc", "a.log.lmic"]).ok(), dir.read("a.log"));
    let missing = run("elsewhere", &["-dc", "a.log.lmic"]);
    assert_eq!(missing.0.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.0.stderr).contains("logs"));
}

#[test]
fn what_is_no_state_is_refused() {
    let dir = dir();
    for file in ["a.log", "none.lmicp"] {
        assert_eq!(dir.run(&["-p", file, "a.log"]).0.status.code(), Some(1), "{file}");
    }
    let again = dir.run(&["prime", "-q", "-s", "samples.jsonl", "-o", "models/logs"]);
    assert_eq!(again.0.status.code(), Some(1), "it is there already");
}
