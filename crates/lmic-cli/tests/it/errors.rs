//! Damaged archives, limits and wrong usage: the status, one line, and nothing left behind.

use std::fs;

use crate::support::{Dir, text};

#[test]
fn damaged_archive_leaves_no_output() {
    let dir = Dir::with_text();
    let coded = dir.run(&["-1c", "--block-size", "1K", "a.txt"]).ok();
    fs::remove_file(dir.path("a.txt")).unwrap();
    dir.write("cut.lmic", &coded[..coded.len() - 1]);
    dir.run(&["-d", "cut.lmic"]).fails(1, &["cut.lmic: ", "the end is missing"]);
    let mut flipped = coded.clone();
    flipped[coded.len() / 2] ^= 1;
    dir.write("flip.lmic", &flipped);
    dir.run(&["-d", "flip.lmic"]).fails(1, &["flip.lmic: ", "get another copy"]);
    dir.write("none.lmic", b"");
    dir.run(&["-d", "none.lmic"]).fails(1, &["none.lmic: "]);
    assert_eq!(dir.names(), ["cut.lmic", "flip.lmic", "none.lmic"]);
    let tested = dir.run(&["-t", "cut.lmic", "flip.lmic"]);
    assert_eq!(tested.0.status.code(), Some(1));
    assert_eq!(tested.stderr().lines().count(), 2);
}

#[test]
fn memory_limit_is_kept_in_both_directions() {
    let dir = Dir::with_text();
    dir.run(&["-5", "-M", "2K", "a.txt"]).fails(1, &["a.txt: ", "memory", "-M SIZE"]);
    assert_eq!(dir.names(), ["a.txt"]);
    dir.run(&["-5", "-M", "none", "a.txt"]).ok();
    dir.run(&["-d", "-M", "2K", "-o", "b", "a.txt.lmic"]).fails(1, &["memory", "-M SIZE"]);
    assert_eq!(dir.names(), ["a.txt", "a.txt.lmic"]);
}

#[cfg(unix)]
#[test]
fn unreadable_file_and_unwritable_directory_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::with_text();
    fs::set_permissions(dir.path("a.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(dir.path("a.txt")).is_ok() {
        return eprintln!("skipped: this user may read anything");
    }
    dir.run(&["a.txt"]).fails(1, &["a.txt: cannot open: Permission denied"]);
    fs::set_permissions(dir.path("a.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(dir.path("d")).unwrap();
    fs::set_permissions(dir.path("d"), fs::Permissions::from_mode(0o500)).unwrap();
    dir.run(&["-o", "d/x", "a.txt"]).fails(1, &["cannot write d/x: Permission denied"]);
}

#[test]
fn quiet_twice_hides_errors_but_not_the_status() {
    let dir = Dir::new();
    dir.run(&["-q", "missing"]).fails(1, &["missing: cannot open"]);
    let run = dir.run(&["-qq", "missing"]);
    assert_eq!((run.stderr().as_str(), run.0.status.code()), ("", Some(1)));
}

#[test]
fn wrong_usage_is_status_2() {
    let dir = Dir::with_text();
    let calls: [&[&str]; 19] = [
        &["--no-such-option"],
        &["-d", "-t", "a.txt"],
        &["-c", "-o", "b", "a.txt"],
        &["-o", "b", "a.txt", "a.txt"],
        &["--rm", "-c", "a.txt"],
        &["--rm", "-o", "-", "a.txt"],
        &["--block-size", "1", "a.txt"],
        &["--block-size", "1X", "a.txt"],
        &["--as", "gray", "a.txt"],
        &["--as", "pcm16:99", "a.txt"],
        &["-T", "x", "a.txt"],
        &["--device", "cuda:x", "a.txt"],
        &["cat", "--range", "3..2", "a.txt"],
        &["--json", "a.txt"],
        &["inspect", "--html", "page"],
        &["prime", "-s", "a.txt", "--chunk", "0", "-o", "b"],
        &["prime", "-s", "a.txt", "--table-bits", "21", "-o", "b"],
        &["prime", "-s", "-", "-s", "-", "-o", "b"],
        &["completions", "no-such-shell"],
    ];
    for args in calls {
        dir.run(args).fails(2, &["error: "]);
    }
    assert_eq!(dir.names(), ["a.txt"]);
}

#[test]
fn a_level_that_does_not_exist_is_named_with_those_that_do() {
    let dir = Dir::with_text();
    for flag in ["-19", "-22", "-10", "-0", "-31", "-k19", "-19k"] {
        let number: String = flag.chars().filter(char::is_ascii_digit).collect();
        let words = [&format!("there is no level {number};"), "levels are 1 to 9"];
        dir.run(&[flag, "a.txt"]).fails(2, &words);
        dir.run(&["compress", "a.txt", flag]).fails(2, &words);
    }
    assert_eq!(dir.names(), ["a.txt"]);
    dir.run(&["-3", "-1", "-kT16", "a.txt"]).ok();
    assert_eq!(dir.read("a.txt.lmic"), dir.run(&["-1c", "a.txt"]).ok());
}

#[test]
fn levels_have_the_names_of_other_tools() {
    let dir = Dir::with_text();
    let coded = |flags: &[&str]| dir.run(&[flags, &["-c", "a.txt"]].concat()).ok();
    assert_eq!(coded(&["--fast"]), coded(&["-1"]));
    assert_eq!(coded(&["-1", "--best"]), coded(&["-8"]));
    assert_eq!(coded(&["--best", "-1"]), coded(&["-1"]));
}

#[test]
fn kinds_that_are_wrong_are_said_plainly() {
    let dir = Dir::with_text();
    dir.run(&["--as", "rgb:0", "a.txt"]).fails(2, &["0 bytes in a row of pixels; 3 to"]);
    dir.run(&["--as", "pcm16:9", "a.txt"]).fails(2, &["9 channels; 1 to 8 are allowed"]);
    let help = String::from_utf8(dir.run(&["--help"]).ok()).unwrap();
    for kind in ["auto", "bytes", "binary", "gray:WIDTH", "rgb:WIDTH", "pcm8:CHANNELS"] {
        assert!(help.contains(kind), "{kind}");
        dir.run(&["--as", "foo", "a.txt"]).fails(2, &[kind]);
    }
}

#[test]
fn damaged_bytes_of_a_header_may_also_be_newer() {
    let dir = Dir::with_text();
    let archive = dir.run(&["-1c", "a.txt"]).ok();
    for (place, words) in [(4, ["version 129", "is damaged"]), (5, ["0x81", "needs a newer lmic"])]
    {
        let mut flipped = archive.clone();
        flipped[place] ^= 0x80;
        dir.write("f.lmic", &flipped);
        dir.run(&["-t", "f.lmic"]).fails(1, &words);
    }
}

#[test]
fn verbose_says_sizes_ratio_and_speed() {
    let dir = Dir::with_text();
    let run = dir.run(&["-v", "a.txt"]);
    for word in ["lmic: a.txt: 3000 B -> ", "ratio 0.", "MB/s"] {
        assert!(run.stderr().contains(word), "{}", run.stderr());
    }
    assert!(dir.run(&["-tv", "a.txt.lmic"]).stderr().contains("a.txt.lmic: ok, "));
    assert_eq!(dir.run(&["-dc", "a.txt.lmic"]).ok(), text(3000));
}
