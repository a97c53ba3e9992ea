//! `lmic prime` and -p.

use crate::support::{Dir, Run};

/// `samples.log`, records like `a.log`, and `logs.lmicp` learned from them in `models`.
fn dir() -> Dir {
    let dir = Dir::new();
    let line = |i: usize| {
        let (user, tries) = (i * i * 7919 % 1009, i * 31 % 7);
        format!("INFO session: user {user} has logged in at the console after {tries} tries\n")
    };
    let samples: String = (0..400).map(line).collect();
    dir.write("samples.log", samples.as_bytes());
    dir.write("a.log", (400..406).map(line).collect::<String>().as_bytes());
    std::fs::create_dir_all(dir.path("models")).unwrap();
    dir.run(&["prime", "-q", "--table-bits", "10", "-s", "samples.log", "-o", "models/logs"]).ok();
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
    let again = dir.run(&["prime", "-q", "-s", "samples.log", "-o", "models/logs"]);
    assert_eq!(again.0.status.code(), Some(1), "it is there already");
}

#[test]
fn any_record_of_a_file_of_lines_is_had_by_its_number() {
    let dir = dir();
    let content = [&dir.read("a.log").repeat(60)[..], b"last\r\n\nopen"].concat();
    dir.write("b.log", &content);
    dir.run(&["-p", "models/logs.lmicp", "--records", "--block-size", "4K", "b.log"]).ok();
    let back = dir.run(&["-dc", "-p", "models/logs.lmicp", "b.log.lmic"]).ok();
    assert!(back == content);
    dir.run(&["test", "-p", "models/logs.lmicp", "b.log.lmic"]).ok();
    let lines: Vec<&[u8]> = content.split_inclusive(|&byte| byte == b'\n').collect();
    let cat = |record: &str| {
        dir.run(&["cat", "-p", "models/logs.lmicp", "--record", record, "b.log.lmic"])
    };
    for number in [0, 1, 77, lines.len() - 3, lines.len() - 2, lines.len() - 1] {
        assert_eq!(cat(&number.to_string()).ok(), lines[number], "{number}");
    }
    assert_eq!(cat("10..210").ok(), lines[10..210].concat());
    assert_eq!(cat("300..").ok(), lines[300..].concat());
    assert!(cat("..").ok() == content);
    cat("363").fails(1, &["b.log.lmic", "363 records"]);
    let bytes = dir.run(&["cat", "-p", "models/logs.lmicp", "--range", "100..300", "b.log.lmic"]);
    assert_eq!(bytes.ok(), content[100..300]);
    let said = String::from_utf8(dir.run(&["inspect", "b.log.lmic"]).ok()).unwrap();
    assert!(said.contains("363 in coded blocks") && said.contains("logs records"), "{said}");

    dir.run(&["cat", "--record", "3", "b.log.lmic"]).fails(1, &["logs", "not at hand"]);
    dir.run(&["--records", "a.log"]).fails(2, &["lmic prime", "-p"]);
    dir.run(&["-p", "models/logs.lmicp", "a.log"]).ok();
    let other = dir.run(&["cat", "-p", "models/logs.lmicp", "--record", "0", "a.log.lmic"]);
    other.fails(1, &["a.log.lmic", "not written in records"]);
    let twice = dir.run(&["cat", "--record", "0", "--range", "0..1", "a.log.lmic"]);
    twice.fails(2, &["cannot be used with"]);
    let kind = dir.run(&["-p", "models/logs.lmicp", "--records", "--as", "bytes", "-c", "a.log"]);
    kind.fails(2, &["another content"]);
}

/// Lines of JSON, from the number `from` on.
fn events(from: usize, count: usize) -> Vec<u8> {
    let line = |i: usize| {
        let user = i * i * 7919 % 1009;
        format!("{{\"id\": {i}, \"t\": \"user \\\"{user}\\\" has logged in\"}}\n")
    };
    (from..from + count).map(line).collect::<String>().into_bytes()
}

#[test]
fn what_is_learned_from_lines_is_what_records_code() {
    let dir = Dir::new();
    dir.write("train.jsonl", &events(0, 400));
    dir.write("train.log", &events(0, 400));
    dir.write("new.jsonl", &events(400, 50));
    let prime = |args: &[&str]| dir.run(&[&["prime", "-q", "--table-bits", "10"], args].concat());
    prime(&["-s", "train.jsonl", "-o", "lines"]).ok();
    prime(&["-s", "train.log", "-o", "log"]).ok();
    assert!(dir.read("lines.lmicp") == dir.read("log.lmicp"), "the name of a file means nothing");
    prime(&["-s", "train.jsonl", "--field", "t", "-o", "texts"]).ok();
    let coded = |state: &str| {
        dir.run(&["-p", state, "--records", "-f", "new.jsonl"]).ok();
        assert!(dir.run(&["-dc", "-p", state, "new.jsonl.lmic"]).ok() == events(400, 50));
        dir.read("new.jsonl.lmic").len()
    };
    let (lines, texts) = (coded("lines.lmicp"), coded("texts.lmicp"));
    // Of the other state, the 20 bytes around each text are unknown.
    assert!(lines * 3 < texts * 2, "{lines} {texts}");
}

#[test]
fn a_field_is_learned_unescaped_and_has_to_be_there() {
    let dir = Dir::new();
    let texts: String =
        (0..200).map(|i| format!("user \"{}\" has logged in\n", i * i * 7919 % 1009)).collect();
    dir.write("texts", texts.as_bytes());
    dir.write("train.jsonl", &events(0, 200));
    let prime = |args: &[&str]| dir.run(&[&["prime", "-q", "--table-bits", "10"], args].concat());
    prime(&["-s", "texts", "-o", "a"]).ok();
    prime(&["-s", "train.jsonl", "--field", "t", "-o", "b"]).ok();
    assert!(dir.read("a.lmicp") == dir.read("b.lmicp"));
    dir.write("bad.jsonl", b"{\"t\": \"one\"}\n{\"t\": 2}\n");
    prime(&["-s", "bad.jsonl", "--field", "t", "-o", "c"])
        .fails(1, &["bad.jsonl", "line 2", "\"t\""]);
    prime(&["-s", "bad.jsonl", "--field", "t", "--whole", "-o", "c"]).fails(2, &["--whole"]);
    assert!(!dir.has("c.lmicp"));
}

#[test]
fn text_is_learned_in_pieces() {
    let dir = Dir::with_text();
    dir.write("lines", &dir.read("a.txt").chunks(100).collect::<Vec<_>>().join(&b'\n'));
    let prime = |args: &[&str]| dir.run(&[&["prime", "-q", "--table-bits", "8"], args].concat());
    prime(&["-s", "a.txt", "--chunk", "100", "-o", "a"]).ok();
    prime(&["-s", "lines", "-o", "b"]).ok();
    assert!(dir.read("a.lmicp") == dir.read("b.lmicp"));
    prime(&["-s", "a.txt", "--chunk", "100", "--whole", "-o", "c"]).fails(2, &["--chunk"]);
}

#[test]
fn bench_measures_a_state() {
    let dir = dir();
    let said =
        dir.run(&["bench", "--json", "--chunk", "100", "-p", "models/logs.lmicp", "a.log"]).ok();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let said = said.as_array().unwrap();
    let names = said.iter().map(|entry| entry["codec"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["logs-1", "logs-5", "logs-7"]);
    assert!(said.iter().all(|entry| entry["verified"] == true));
}
