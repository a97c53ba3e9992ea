//! Files in, files out: names, what is kept, what is removed, what is skipped.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{Dir, noise, text};

#[test]
fn file_becomes_file_lmic_and_comes_back() {
    for data in [vec![], b"x".to_vec(), text(20_000), noise(500)] {
        let dir = Dir::new();
        dir.write("f", &data);
        dir.run(&["f"]).ok();
        assert_eq!(dir.names(), ["f", "f.lmic"], "the source stays");
        fs::remove_file(dir.path("f")).unwrap();
        dir.run(&["-d", "f.lmic"]).ok();
        assert_eq!(dir.read("f"), data);
        assert_eq!(dir.names(), ["f", "f.lmic"]);
    }
}

#[test]
fn subcommands_do_what_the_flags_do() {
    let dir = Dir::with_text();
    dir.run(&["compress", "a.txt"]).ok();
    let by_command = dir.read("a.txt.lmic");
    dir.run(&["-f", "a.txt"]).ok();
    assert_eq!(dir.read("a.txt.lmic"), by_command);
    dir.run(&["test", "a.txt.lmic"]).ok();
    dir.run(&["-t", "a.txt.lmic"]).ok();
    dir.run(&["decompress", "-o", "b", "a.txt.lmic"]).ok();
    assert_eq!(dir.read("b"), text(3000));
    assert_eq!(dir.run(&["cat", "a.txt.lmic"]).ok(), text(3000));
}

#[test]
fn any_thread_count_writes_the_same_file() {
    let dir = Dir::new();
    dir.write("f", &text(20_000));
    let with_threads = |n: &str| dir.run(&["-c", "-2", "--block-size", "4K", n, "f"]).ok();
    let one = with_threads("-T1");
    assert_eq!(with_threads("-T3"), one);
    assert_eq!(with_threads("-T0"), one);
}

#[test]
fn any_device_writes_the_same_file() {
    let dir = Dir::new();
    dir.write("f", &text(4000));
    let with = |device: &str| dir.run(&["-c", "-6", "--as", "bytes", "--device", device, "f"]);
    let cpu = with("cpu").ok();
    assert_eq!(with("auto").ok(), cpu);
    let cuda = with("cuda:0");
    match cuda.0.status.success() {
        true => assert_eq!(cuda.ok(), cpu),
        false => drop(cuda.fails(1, &["GPU"])),
    }
}

#[test]
fn block_size_and_level_reach_the_encoder() {
    let dir = Dir::with_text();
    dir.run(&["-2", "--block-size", "1K", "a.txt"]).ok();
    let list = dir.run(&["list", "--json", "a.txt.lmic"]).ok();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["blocks"], 3); // 3000 bytes in blocks of 1024
    assert_eq!(list[0]["models"], serde_json::json!(["cm-2"]));
}

#[test]
fn told_content_kind_is_recorded_and_restored() {
    let dir = Dir::new();
    let ramp: Vec<u8> = (0..64 * 64).map(|i| ((i % 64) + (i / 64)) as u8).collect();
    for (kind, model) in [("gray:64", "gray:64"), ("rgb:16", "rgb:16"), ("pcm16:2", "pcm16:2")] {
        dir.write("raw", &ramp);
        dir.run(&["-1f", "--as", kind, "raw"]).ok();
        let list = String::from_utf8(dir.run(&["list", "raw.lmic"]).ok()).unwrap();
        assert!(list.contains(model), "{list}");
        assert_eq!(dir.run(&["-dc", "raw.lmic"]).ok(), ramp);
    }
}

#[test]
fn raw_pieces_of_images_and_audio_need_no_option() {
    let noise = noise(2048);
    // A tone that rises, as one that does not has rows too: its periods.
    let tone = |i: usize| ((i + i * i / 900) % 97).abs_diff(48) as i16 * 300 - 7000;
    let pixel = |i: usize| 40 + (i % 64) as u8 + (i / 64) as u8 + noise[i] % 6;
    let sample = |i: usize| tone(i) + i16::from(noise[i] % 100);
    let patch: Vec<u8> = (0..2048).map(pixel).collect();
    let pcm8: Vec<u8> = (0..2048).map(|i| (sample(i) >> 8) as u8 ^ 0x80).collect();
    let pcm16: Vec<u8> = (0..1024).flat_map(|i| sample(i).to_le_bytes()).collect();
    let dir = Dir::new();
    for (kind, data) in [("gray:64", patch), ("pcm8:1", pcm8), ("pcm16:1", pcm16)] {
        dir.write("raw", &data);
        dir.run(&["-f", "raw"]).ok();
        let list = String::from_utf8(dir.run(&["list", "raw.lmic"]).ok()).unwrap();
        assert!(list.contains(&format!("cm-6 {kind}")), "{list}");
        assert_eq!(dir.run(&["-dc", "raw.lmic"]).ok(), data);
        // What is told is not guessed.
        assert!(dir.run(&["-c", "--as", "bytes", "raw"]).ok().len() > dir.read("raw.lmic").len());
        assert_eq!(dir.run(&["-c", "--as", kind, "raw"]).ok(), dir.read("raw.lmic"));
    }
}

#[test]
fn rm_removes_the_source_after_success_only() {
    let dir = Dir::with_text();
    dir.run(&["--rm", "a.txt"]).ok();
    assert_eq!(dir.names(), ["a.txt.lmic"]);
    dir.run(&["-d", "--rm", "a.txt.lmic"]).ok();
    assert_eq!(dir.names(), ["a.txt"]);

    dir.write("bad.lmic", b"this is no archive");
    dir.run(&["-d", "--rm", "bad.lmic"]).fails(1, &["bad.lmic: "]);
    assert_eq!(dir.names(), ["a.txt", "bad.lmic"]);
    dir.run(&["--rm", "--keep", "a.txt"]).ok();
    assert!(dir.has("a.txt"), "the last of --rm and --keep wins");
    dir.run(&["--rm", "-o", "/dev/null", "a.txt"]).ok();
    assert!(dir.has("a.txt"), "a device is no reason to remove the source");
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = Dir::with_text();
    dir.write("a.txt.lmic", b"precious");
    dir.run(&["a.txt"]).fails(1, &["a.txt: a.txt.lmic exists already", "-f"]);
    assert_eq!(dir.read("a.txt.lmic"), b"precious");
    dir.run(&["-f", "a.txt"]).ok();
    assert_ne!(dir.read("a.txt.lmic"), b"precious");
    dir.run(&["-d", "a.txt.lmic"]).fails(1, &["a.txt.lmic: a.txt exists already"]);
    assert_eq!(dir.names(), ["a.txt", "a.txt.lmic"]);
}

#[test]
fn output_may_be_named_but_not_after_the_source() {
    let dir = Dir::with_text();
    dir.run(&["-o", "sub", "a.txt"]).ok();
    dir.run(&["-d", "-o", "back", "sub"]).ok();
    assert_eq!(dir.read("back"), text(3000));
    dir.run(&["-f", "-o", "./a.txt", "a.txt"]).fails(1, &["source and output at once"]);
    assert_eq!(dir.read("a.txt"), text(3000));
    dir.run(&["-o", ".", "a.txt"]).fails(1, &["is a directory"]);
    dir.run(&["-o", "missing/b", "a.txt"]).fails(1, &["missing/b: No such file or directory"]);
    assert_eq!(dir.names(), ["a.txt", "back", "sub"]);
}

#[test]
fn times_are_kept() {
    let dir = Dir::with_text();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(dir.path("a.txt")).unwrap();
    file.set_modified(then).unwrap();
    dir.run(&["--rm", "a.txt"]).ok();
    dir.run(&["-d", "a.txt.lmic"]).ok();
    for name in ["a.txt", "a.txt.lmic"] {
        assert_eq!(fs::metadata(dir.path(name)).unwrap().modified().unwrap(), then, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::with_text();
    for mode in [0o640, 0o600, 0o444, 0o755] {
        fs::set_permissions(dir.path("a.txt"), fs::Permissions::from_mode(mode)).unwrap();
        dir.run(&["-1f", "a.txt"]).ok();
        dir.run(&["-d", "-f", "-o", "b", "a.txt.lmic"]).ok();
        for name in ["a.txt.lmic", "b"] {
            let found = fs::metadata(dir.path(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "{name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn file_made_from_a_pipe_has_the_permissions_of_any_new_file() {
    let dir = Dir::with_text();
    dir.pipe(&["-o", "made.lmic"], b"data").ok();
    let mode = |name: &str| fs::metadata(dir.path(name)).unwrap().permissions();
    assert_eq!(mode("made.lmic"), mode("a.txt"));
}

#[cfg(unix)]
#[test]
fn links_directories_and_devices_are_skipped_with_a_message() {
    let dir = Dir::with_text();
    std::os::unix::fs::symlink("a.txt", dir.path("link")).unwrap();
    fs::create_dir(dir.path("d")).unwrap();
    dir.run(&["link"]).fails(1, &["link: is a symbolic link, skipped", "-f"]);
    for args in [&["d"][..], &["-d", "d"], &["-l", "d"]] {
        dir.run(args).fails(1, &["d: is a directory, skipped", "-r"]);
    }
    dir.run(&["/dev/null"]).fails(1, &["/dev/null: is not a regular file, skipped", "-c"]);
    assert_eq!(dir.names(), ["a.txt", "d", "link"]);
    let quiet = dir.run(&["-q", "link"]);
    assert_eq!((quiet.stderr().as_str(), quiet.0.status.code()), ("", Some(1)));
    dir.run(&["-f", "link"]).ok();
    assert_eq!(dir.run(&["-dc", "link.lmic"]).ok(), text(3000));
}

#[test]
fn suffixes_that_do_not_fit_are_skipped() {
    let dir = Dir::with_text();
    dir.run(&["a.txt"]).ok();
    dir.run(&["a.txt.lmic"]).fails(1, &["ends in .lmic already, skipped"]);
    dir.run(&["-d", "a.txt"]).fails(1, &["does not end in .lmic or .lmic.age, skipped"]);
    dir.write(".lmic", &dir.read("a.txt.lmic"));
    dir.run(&["-d", ".lmic"]).fails(1, &["does not end in .lmic"]);
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let dir = Dir::with_text();
    dir.write("b.txt", b"more");
    dir.run(&["a.txt", "missing", "b.txt"]).fails(1, &["missing: cannot open: No such file"]);
    assert_eq!(dir.names(), ["a.txt", "a.txt.lmic", "b.txt", "b.txt.lmic"]);
    dir.run(&["-f", "a.txt", "b.txt", "a.txt"]).ok();
}

#[test]
fn recursion_takes_what_fits_and_only_that() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path("d/e")).unwrap();
    dir.write("d/1", b"one");
    dir.write("d/e/2", b"two");
    #[cfg(unix)]
    std::os::unix::fs::symlink("1", dir.path("d/link")).unwrap();
    dir.run(&["-r", "--rm", "d"]).ok();
    assert!(dir.has("d/1.lmic") && dir.has("d/e/2.lmic") && !dir.has("d/link.lmic"));
    dir.run(&["-r", "d"]).ok();
    assert!(!dir.has("d/1.lmic.lmic"));
    dir.run(&["-t", "-r", "d"]).ok();
    dir.run(&["-d", "-r", "d"]).ok();
    assert_eq!(dir.read("d/e/2"), b"two");
    dir.run(&["-r", "-f", "-o", "x", "d"]).fails(1, &["--output takes one file"]);
}

#[test]
fn odd_names_work() {
    let dir = Dir::new();
    for name in ["-x", "list", "with space", "a\nb"] {
        dir.write(name, b"data");
        dir.run(&["--", name]).ok();
        assert!(dir.has(format!("{name}.lmic")), "{name:?}");
    }
    dir.run(&["./-x"]).fails(1, &["./-x: ./-x.lmic exists"]);
    dir.run(&["a\nb"]).fails(1, &["a?b: a?b.lmic exists"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    let (name, coded) = (OsStr::from_bytes(b"n\xff"), OsStr::from_bytes(b"n\xff.lmic"));
    dir.write(name, b"data");
    dir.run(&[OsStr::new("--rm"), name]).ok();
    assert!(dir.has(coded) && !dir.has(name));
    dir.run(&[OsStr::new("-d"), coded]).ok();
    assert_eq!(dir.read(name), b"data");
    dir.run(&[OsStr::new("list"), coded]).ok();
}
