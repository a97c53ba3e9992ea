//! list, inspect, cat --range and bench, as tables and as JSON.

use serde_json::Value;

use crate::support::{Dir, Run, noise, text};

fn json(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap()
}

fn string(stdout: Vec<u8>) -> String {
    String::from_utf8(stdout).unwrap()
}

/// `a.txt.lmic` of three blocks and `n.lmic` of one that is stored.
fn archives() -> Dir {
    let dir = Dir::with_text();
    dir.write("n", &noise(300));
    dir.run(&["-1", "--block-size", "1K", "a.txt"]).ok();
    dir.run(&["-3", "n"]).ok();
    dir
}

#[test]
fn list_has_a_row_a_file_and_totals() {
    let dir = archives();
    let list = string(dir.run(&["list", "a.txt.lmic", "n.lmic"]).ok());
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 5, "{list}"); // titles, two files, a rule, totals
    assert!(lines[0].starts_with("Streams  Blocks  Compressed  Uncompressed   Ratio"), "{list}");
    assert!(lines[1].contains("3000 B") && lines[1].ends_with("a.txt.lmic"), "{list}");
    assert!(lines[2].contains("stored"), "{list}");
    assert!(lines[4].contains("3300 B") && lines[4].ends_with("2 files"), "{list}");
    assert_eq!(string(dir.run(&["-l", "a.txt.lmic", "n.lmic"]).ok()), list);
    let verbose = string(dir.run(&["-lv", "a.txt.lmic"]).ok());
    assert_eq!(verbose.matches("cm-1").count(), 4, "one a block and one for the file: {verbose}");
    assert!(!verbose.contains("\n\n") && !verbose.ends_with("\n\n"), "{verbose}");
    let verbose = string(dir.run(&["-lv", "a.txt.lmic", "n.lmic"]).ok());
    assert_eq!(
        verbose.matches("\n\n").count(),
        2,
        "between files, and before the totals: {verbose}"
    );
}

#[test]
fn list_json_is_one_array() {
    let dir = archives();
    let list = json(&dir.run(&["list", "--json", "-v", "a.txt.lmic", "n.lmic"]).ok());
    let size = dir.read("a.txt.lmic").len();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["file"], "a.txt.lmic");
    assert_eq!(list[0]["raw_bytes"], 3000);
    assert_eq!(list[0]["coded_bytes"], size);
    assert_eq!(list[0]["block_list"][2]["raw_bytes"], 3000 - 2048);
    assert_eq!(list[1]["models"][0], "stored");
    assert_eq!(json(&dir.run(&["-l", "--json", "n.lmic"]).ok())[0], list[1].without("block_list"));
}

trait Without {
    fn without(&self, key: &str) -> Value;
}

impl Without for Value {
    fn without(&self, key: &str) -> Value {
        let mut object = self.as_object().unwrap().clone();
        object.remove(key).unwrap();
        object.into()
    }
}

#[test]
fn list_keeps_on_after_a_file_that_is_no_archive() {
    let dir = archives();
    let run = dir.run(&["list", "--json", "n.lmic", "a.txt", "a.txt.lmic"]);
    let list = json(&run.fails(1, &["a.txt: ", "no lmic archive"]));
    assert_eq!(list.as_array().unwrap().len(), 2);
    dir.pipe(&["list"], &dir.read("n.lmic")).fails(1, &["(stdin): ", "save it first"]);
}

#[test]
fn inspect_explains_every_stream() {
    let dir = archives();
    let both = [dir.read("a.txt.lmic"), dir.read("n.lmic")].concat();
    dir.write("both.lmic", &both);
    let said = string(dir.run(&["inspect", "both.lmic"]).ok());
    for words in ["stream 1 of 2", "stream 2 of 2", "version 1", "cm-1: ", "cm-3: ", "BLAKE3"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains("content   3300 bytes\n"), "short sizes are said once: {said}");
    let facts = json(&dir.run(&["inspect", "--json", "both.lmic"]).ok());
    let streams = &facts[0]["streams"];
    assert_eq!(streams[0]["file_bytes"], dir.read("a.txt.lmic").len());
    assert_eq!(streams[1]["file_offset"], streams[0]["file_bytes"]);
    assert_eq!(streams[0]["content_hash"].as_str().unwrap().len(), 32); // 16 bytes in hexadecimal
    assert_eq!(streams[1]["content_hash"], Value::Null);
    assert_eq!(facts[0]["blocks"].as_array().unwrap().len(), 4);
    dir.run(&["inspect", "a.txt"]).fails(1, &["a.txt: ", "no lmic archive"]);
    dir.pipe(&["inspect"], &both).fails(1, &["(stdin): ", "save it first"]);
}

#[test]
fn copies_are_shown_by_the_block_and_by_the_stream() {
    let dir = archives();
    // One block of noise, and one that is the same again.
    dir.write("twice", &noise(1024).repeat(2));
    dir.run(&["-1", "--block-size", "1K", "twice"]).ok();
    for command in [&["list", "-v"][..], &["inspect"]] {
        let said = string(dir.run(&[command, &["twice.lmic"]].concat()).ok());
        assert_eq!(said.matches("stored, 1024 copied").count(), 1, "{said}");
        let json = json(&dir.run(&[command, &["--json", "twice.lmic"]].concat()).ok());
        let blocks = [&json[0]["blocks"], &json[0]["block_list"]];
        let blocks = blocks.into_iter().find_map(Value::as_array).unwrap();
        assert_eq!(blocks[1]["copied_bytes"], 1024);
        assert!(blocks[0].get("copied_bytes").is_none());
    }
    let said = string(dir.run(&["inspect", "twice.lmic"]).ok());
    assert!(said.contains("copies    1024 bytes are copies"), "{said}");
    let facts = json(&dir.run(&["inspect", "--json", "twice.lmic"]).ok());
    assert_eq!(facts[0]["streams"][0]["copied_bytes"], 1024);
    let facts = json(&dir.run(&["inspect", "--json", "n.lmic"]).ok());
    assert!(facts[0]["streams"][0].get("copied_bytes").is_none());
    assert_eq!(dir.run(&["cat", "--range", "1100..1200", "twice.lmic"]).ok(), noise(1024)[76..176]);
}

#[test]
fn cat_gives_any_range() {
    let dir = archives();
    let text = text(3000);
    let cat = |range: &str| dir.run(&["cat", "--range", range, "a.txt.lmic"]);
    assert_eq!(cat("0..3000").ok(), text);
    assert_eq!(cat("1000..1030").ok(), text[1000..1030]);
    assert_eq!(cat("2K..").ok(), text[2048..]);
    assert_eq!(cat("..7").ok(), text[..7]);
    assert_eq!(cat("5..5").ok(), b"");
    cat("2999..3K").fails(1, &["3000 bytes of content, ", "--range 2999..3K asks for"]);
    cat("3001..").fails(1, &["3000 bytes of content, ", "--range 3001.. asks for"]);
    dir.pipe(&["cat", "--range", "0..1"], b"").fails(1, &["save it to a file first"]);
}

#[test]
fn cat_range_reads_only_its_blocks() {
    let dir = archives();
    let mut damaged = dir.read("a.txt.lmic");
    damaged[60] ^= 1; // in the first block, of some 300 bytes
    dir.write("a.txt.lmic", &damaged);
    let last = dir.run(&["cat", "--range", "2048..2060", "a.txt.lmic"]);
    assert_eq!(last.ok(), text(3000)[2048..2060]);
    dir.run(&["cat", "--range", "0..5", "a.txt.lmic"]).fails(1, &["get another copy"]);
}

#[cfg(target_os = "linux")] // elsewhere file systems refuse such names
#[test]
fn json_has_names_as_they_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = archives();
    let names: [(&[u8], Option<&str>); 3] = [
        ("a\nb\u{1b}[2J\t\"\\\u{7f}ü.lmic".as_bytes(), None),
        (b"a\xff\nb.lmic", Some("61ff0a622e6c6d6963")),
        ("\u{fffd}.lmic".as_bytes(), None), // what stands for other bytes elsewhere
    ];
    for (name, hex) in names {
        let name = OsStr::from_bytes(name);
        dir.write(name, &dir.read("n.lmic"));
        let args = |args: &[&'static str]| -> Vec<_> {
            args.iter().map(|arg| OsStr::new(*arg)).chain([name]).collect()
        };
        let check = |row: &Value, key: &str| {
            assert_eq!(row[key], *name.to_string_lossy());
            assert_eq!(row.get(format!("{key}_hex")).and_then(Value::as_str), hex);
        };
        check(&json(&dir.run(&args(&["list", "--json"])).ok())[0], "file");
        check(&json(&dir.run(&args(&["inspect", "--json"])).ok())[0], "file");
        #[cfg(feature = "bench")]
        check(&json(&dir.run(&args(&["bench", "--json", "--codec", "lmic-1"])).ok())[0], "input");
        let table = string(dir.run(&args(&["list"])).ok());
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
        let shown = name.to_string_lossy().replace(char::is_control, "?");
        let said = string(dir.run(&args(&["inspect"])).ok());
        assert_eq!(said.lines().next(), Some(&*shown));
    }
}

#[test]
fn an_archive_on_stdin_begins_where_stdin_stands() {
    use std::io::{Seek, SeekFrom};
    let dir = archives();
    dir.write("behind", &[&noise(1000), &dir.read("a.txt.lmic")[..]].concat());
    let run = |args: &[&str]| {
        let mut file = std::fs::File::open(dir.path("behind")).unwrap();
        file.seek(SeekFrom::Start(1000)).unwrap();
        Run(dir.command(args).stdin(file).output().unwrap()).ok()
    };
    let text = text(3000);
    assert_eq!(run(&["-d"]), text);
    assert_eq!(run(&["decompress", "-c", "-"]), text);
    assert_eq!(run(&["-t"]), b"");
    assert_eq!(run(&["cat"]), text);
    assert_eq!(run(&["cat", "--range", "1000..2500", "-"]), text[1000..2500]);
    // Places count from there.
    assert!(string(run(&["inspect"])).starts_with("(stdin)\n"));
    for args in [&["list", "-v", "--json"][..], &["inspect", "--json"]] {
        let named = json(&dir.run(&[args, &["a.txt.lmic"]].concat()).ok());
        let mut piped = json(&run(&[args, &["-"]].concat()));
        assert_eq!(piped[0]["file"], "(stdin)");
        piped[0]["file"] = "a.txt.lmic".into();
        assert_eq!(piped, named);
    }
    assert_eq!(string(run(&["-l"])).lines().count(), 2);
    let content = [&noise(1000), &text[..]].concat();
    dir.write("behind", &content);
    assert_eq!(dir.pipe(&["-d"], &run(&["-1"])).ok(), text);
}

#[test]
fn zeros_behind_an_archive_mean_nothing_to_any_command() {
    let dir = archives();
    let (one, two) = (dir.read("n.lmic"), dir.read("a.txt.lmic"));
    let record = |data: &[u8]| [data, &vec![0; 512 - data.len() % 512]].concat();
    let both = [record(&one), record(&two)].concat();
    dir.write("both.lmic", &both);
    let content = [noise(300), text(3000)].concat();
    dir.run(&["-t", "both.lmic"]).ok();
    assert!(dir.run(&["-dc", "both.lmic"]).ok() == content);
    assert!(dir.pipe(&["-d"], &both).ok() == content);
    let range = dir.run(&["cat", "--range", "290..1400", "both.lmic"]).ok();
    assert!(range == content[290..1400]);
    let list = json(&dir.run(&["list", "--json", "both.lmic"]).ok());
    assert_eq!((&list[0]["streams"], &list[0]["raw_bytes"]), (&2.into(), &3300.into()));
    let facts = json(&dir.run(&["inspect", "--json", "both.lmic"]).ok());
    assert_eq!(facts[0]["zero_bytes"], both.len() - one.len() - two.len());
    assert_eq!(facts[0]["streams"][1]["file_offset"], record(&one).len());
    assert!(string(dir.run(&["inspect", "both.lmic"]).ok()).contains("zeros"));
    assert!(json(&dir.run(&["inspect", "--json", "n.lmic"]).ok())[0].get("zero_bytes").is_none());

    dir.write("zeros.lmic", &[0; 512]);
    dir.write("more.lmic", &[&record(&one)[..], b"x"].concat());
    for command in ["test", "list", "inspect", "cat"] {
        dir.run(&[command, "zeros.lmic"]).fails(1, &["zeros.lmic: ", "no lmic archive"]);
        let place = format!("at byte {}: no lmic archive", record(&one).len());
        dir.run(&[command, "more.lmic"]).fails(1, &["more.lmic: ", &place]);
    }
}

#[cfg(feature = "bench")]
mod bench {
    use super::*;

    const KEYS: [&str; 10] = [
        "codec",
        "input",
        "raw_bytes",
        "chunks",
        "coded_bytes",
        "encode_seconds",
        "decode_seconds",
        "encode_cpu_seconds",
        "decode_cpu_seconds",
        "verified",
    ];

    #[test]
    fn json_is_one_array_of_verified_records() {
        let dir = Dir::with_text();
        let records = json(&dir.run(&["bench", "--json", "a.txt", "a.txt"]).ok());
        let records = records.as_array().unwrap();
        assert_eq!(records.len(), 2 * 13);
        for record in records {
            assert!(KEYS.iter().all(|key| record.get(key).is_some()), "{record}");
            assert_eq!(record.as_object().unwrap().len(), KEYS.len());
            assert_eq!(record["verified"], true);
            assert_eq!(record["raw_bytes"], 3000);
            assert!(record["coded_bytes"].as_u64().unwrap() < 1500, "{record}");
        }
    }

    #[test]
    fn chunks_are_coded_alone() {
        let dir = Dir::with_text();
        let coded = |args: &[&str]| {
            let args = [&["bench", "--json", "--codec", "lmic-1"], args].concat();
            json(&dir.run(&args).ok())[0]["coded_bytes"].as_u64().unwrap()
        };
        let expected: usize =
            text(3000).chunks(1024).map(|chunk| dir.pipe(&["-1"], chunk).ok().len()).sum();
        assert_eq!(coded(&["--chunk", "1K", "a.txt"]), expected as u64);
        assert!(coded(&["a.txt"]) < expected as u64);
    }

    #[test]
    fn table_names_codecs_in_order_and_says_threads() {
        let dir = Dir::with_text();
        let run =
            dir.run(&["bench", "--codec", "gzip", "--codec", "lmic-2", "--runs", "2", "a.txt"]);
        let table = string(run.ok());
        let first: Vec<_> = table.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(first, ["a.txt:", "codec", "lmic-2", "gzip-9"], "{table}");
        assert!(table.contains("3000 bytes, one thread, median of 2"), "{table}");
    }

    #[test]
    fn unknown_codec_and_missing_file_are_errors() {
        let dir = Dir::with_text();
        dir.run(&["bench", "--codec", "arj", "a.txt"]).fails(2, &["arj", "xz-9e"]);
        dir.run(&["bench", "--chunk", "0", "a.txt"]).fails(2, &["at least 1 byte"]);
        dir.run(&["bench", "--records", "-", "-"]).fails(2, &["once only"]);
        let table = dir.run(&["bench", "--codec", "gzip", "missing", "a.txt"]);
        let table = string(table.fails(1, &["missing: cannot open"]));
        assert!(table.contains("gzip-9"), "the other file is measured: {table}");
    }
}
