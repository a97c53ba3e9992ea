//! Archives of a newer lmic: what this one can read of them, and what it says of the rest.

use serde_json::Value;

use crate::by_hand::{self, Coded};
use crate::support::{Dir, text};

/// `new.lmic` of three blocks, of which the second is of kind 63; the lengths of their contents are 100, 200 and 300.
fn newer_block() -> Dir {
    let dir = Dir::new();
    let content = text(600);
    let blocks = [&content[..100], &content[100..300], &content[300..]];
    let codes = blocks.map(|block| {
        let archive = dir.pipe(&["-1c"], block).ok();
        let header_len = 6 + 1 + by_hand::varint(block.len() as u64).len() + 1 + 1; // a code below 128 bytes
        archive[header_len..archive.len() - 4].to_vec()
    });
    let kinds: [&[u8]; 3] = [&[1], &[63, 3], &[1]];
    let coded: Vec<_> =
        (0..3).map(|i| Coded { kind: kinds[i], code: &codes[i], content: blocks[i] }).collect();
    dir.write("new.lmic", &by_hand::coded_stream(&by_hand::stream_header(1, 1), &coded));
    dir
}

const NEWER: [&str; 3] = ["new.lmic: ", "needs a newer lmic", "update lmic"];

#[test]
fn a_newer_block_stops_a_whole_decode_without_output() {
    let dir = newer_block();
    dir.run(&["-d", "new.lmic"]).fails(1, &NEWER);
    dir.run(&["-d", "-o", "out", "new.lmic"]).fails(1, &NEWER);
    dir.run(&["-t", "new.lmic"]).fails(1, &NEWER);
    assert_eq!(dir.names(), ["new.lmic"]);
    // On a pipe, what stands before it has left already; the status tells.
    let out = dir.run(&["-dc", "new.lmic"]).fails(1, &NEWER);
    assert!(text(600).starts_with(&out), "{} bytes", out.len());
}

#[test]
fn ranges_beside_a_newer_block_are_read() {
    let dir = newer_block();
    let cat = |range: &str| dir.run(&["cat", "--range", range, "new.lmic"]);
    assert_eq!(cat("0..100").ok(), &text(600)[..100]);
    assert_eq!(cat("7..9").ok(), &text(600)[7..9]);
    assert_eq!(cat("300..").ok(), &text(600)[300..]);
    for range in ["99..101", "100..101", "299..301", "0.."] {
        cat(range).fails(1, &NEWER);
    }
}

#[test]
fn lists_say_which_blocks_need_a_newer_lmic() {
    let dir = newer_block();
    let list = String::from_utf8(dir.run(&["-l", "new.lmic"]).ok()).unwrap();
    let lines: Vec<_> = list.lines().filter(|line| line.contains("newer")).collect();
    assert_eq!(lines.len(), 1, "{list}");
    assert!(lines[0].ends_with("kind-63 (needs a newer lmic)"), "{list}");
    let cells: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(cells[..2], ["1", "2"], "stream and block: {list}");
    assert!(list.contains("600 B"), "{list}");
    for command in [&["list", "-v"][..], &["inspect"]] {
        let all = dir.run(&[command, &["new.lmic"]].concat()).ok();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(all.matches("cm-1").count(), 2 + usize::from(command[0] == "inspect"), "{all}");
        assert_eq!(all.matches("(needs a newer lmic)").count(), 1, "{all}");
    }
    let json: Value = serde_json::from_slice(&dir.run(&["-l", "--json", "new.lmic"]).ok()).unwrap();
    assert_eq!(json[0]["needs_newer"].as_array().unwrap().len(), 1);
    assert_eq!(json[0]["needs_newer"][0]["block"], 2);
    assert_eq!(json[0]["needs_newer"][0]["needs_newer"], true);
    assert_eq!(json[0]["raw_bytes"], 600);
}

#[test]
fn a_stream_of_a_newer_model_is_listed_and_passed_by() {
    let dir = Dir::with_text();
    let content = &text(200)[..];
    let newer = Coded { kind: &[1], code: b"new", content };
    let newer = by_hand::coded_stream(&by_hand::stream_header(1, 10), &[newer]);
    let known = dir.run(&["-1c", "a.txt"]).ok();
    dir.write("new.lmic", &[newer, known].concat());
    let rest = dir.run(&["cat", "--range", "200..", "new.lmic"]).ok();
    assert_eq!(rest, dir.read("a.txt"));
    dir.run(&["cat", "new.lmic"]).fails(1, &NEWER);
    let list = String::from_utf8(dir.run(&["-l", "new.lmic"]).ok()).unwrap();
    assert!(list.contains("model-10 (needs a newer lmic)"), "{list}");
}

#[test]
fn a_newer_version_is_refused_by_every_command() {
    let dir = newer_block();
    let mut archive = dir.read("new.lmic");
    archive[4] = 2;
    dir.write("new.lmic", &archive);
    for args in [&["-d"][..], &["-t"], &["-l"], &["inspect"], &["cat", "--range", "0..1"]] {
        dir.run(&[args, &["new.lmic"]].concat()).fails(1, &NEWER);
    }
    assert_eq!(dir.names(), ["new.lmic"]);
}
