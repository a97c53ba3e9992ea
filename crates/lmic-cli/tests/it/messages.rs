//! Messages never show content: whatever is done to inputs that hold a marker, and however it fails, stderr does not have it.

use crate::support::{Dir, noise, text};

/// No word of the command.
const MARKER: &str = "Xq7marker";

/// Stderr of a run, which may succeed or fail, without content in it.
#[track_caller]
fn silent(dir: &Dir, args: &[&str]) -> String {
    let stderr = dir.run(args).stderr();
    assert!(!stderr.contains(MARKER), "{args:?}: {stderr}");
    stderr
}

/// A directory with inputs of all kinds: text, records, JSON that is none, a table, noise, an image that is cut.
fn dir() -> (Dir, String) {
    let dir = Dir::new();
    let (secret, public) = lmic_age::generate();
    dir.write("key.txt", secret.as_bytes());
    dir.write("pass", b"sesame\n");
    let marker = MARKER.as_bytes();
    dir.write("text", &[&text(3000), marker, &text(2000)].concat());
    dir.write("lines", format!("user {MARKER} logged in\n").repeat(80).as_bytes());
    dir.write("json", format!("{{\"a\": \"{MARKER}\"}}\n{{\"b\": {MARKER}\n").as_bytes());
    dir.write("noise", &[&noise(70_000), marker, &noise(70_000)].concat());
    dir.write("image", format!("P5\n{MARKER} 3\n255\n{MARKER}").as_bytes());
    (dir, public)
}

const INPUTS: [&str; 5] = ["text", "lines", "json", "noise", "image"];

#[test]
fn of_what_is_coded_and_restored() {
    let (dir, public) = dir();
    for input in INPUTS {
        assert_ne!(silent(&dir, &["-1", "-vv", input]), "");
        silent(&dir, &["-1", "-v", input]); // is there already
        silent(&dir, &["-1", "-v", "--encrypt", "-R", &public, input]);
        for (archive, key) in
            [(format!("{input}.lmic"), &[][..]), (format!("{input}.lmic.age"), &["-i", "key.txt"])]
        {
            assert!(dir.has(&archive), "{archive}");
            for command in [
                &["-t", "-v"][..],
                &["-l", "-v"],
                &["inspect"],
                &["cat", "--range", "0..5"],
                &["cat", "--range", "1..9999999"],
                &["cat", "--record", "7"],
                &["-d", "-v"],
                &["-d", "-v", "-f"],
                &["-t", "-M", "1K"],
            ] {
                silent(&dir, &[command, key, &[&archive]].concat());
            }
        }
    }
    // No archives at all.
    for input in INPUTS {
        for command in [&["-t"][..], &["-d", "-c"], &["-l"], &["inspect"], &["cat"]] {
            let args = [command, &["-i", "key.txt", input]].concat();
            assert_ne!(silent(&dir, &args), "", "{args:?}");
        }
    }
}

#[test]
fn of_what_is_damaged() {
    let (dir, public) = dir();
    dir.run(&["-1", "-o", "a", "text"]).ok();
    dir.run(&["-1", "-o", "b", "noise"]).ok();
    dir.run(&["-1", "-o", "c", "--encrypt", "-R", &public, "noise"]).ok();
    for name in ["a", "b", "c"] {
        let file = dir.read(name);
        for turn in 1..8 {
            let mut damaged = file.clone();
            match turn {
                1..6 => damaged[file.len() * turn / 6] ^= 4,
                6 => damaged.truncate(file.len() / 2),
                _ => damaged.extend_from_slice(MARKER.as_bytes()),
            }
            dir.write("damaged", &damaged);
            for command in [&["-d", "-v", "-c"][..], &["-t", "-v"], &["-l", "-v"], &["inspect"]] {
                silent(&dir, &[command, &["-i", "key.txt", "damaged"]].concat());
            }
        }
    }
}

#[test]
fn of_keys_and_passphrases() {
    let (dir, public) = dir();
    for input in INPUTS {
        assert_ne!(silent(&dir, &["--encrypt", "--recipients-file", input, "text"]), "");
        dir.run(&["-1", "-f", "--encrypt", "-R", &public, "text"]).ok();
        assert_ne!(silent(&dir, &["-t", "-i", input, "text.lmic.age"]), "");
    }
    assert_ne!(silent(&dir, &["--encrypt", "-R", MARKER, "text"]), "");
    dir.write("wrong", MARKER.as_bytes());
    dir.run(&["-1", "-f", "--encrypt", "--passphrase-file", "pass", "text"]).ok();
    assert_ne!(silent(&dir, &["-t", "--passphrase-file", "wrong", "text.lmic.age"]), "");
}

#[test]
fn of_examples_and_states() {
    let (dir, _) = dir();
    for input in INPUTS {
        for more in [&[][..], &["--field", "a"], &["--field", "b"], &["--private=2"], &["--whole"]]
        {
            let args = ["prime", "--table-bits", "8", "-f", "-s", input, "-o", "p"];
            silent(&dir, &[&args, more].concat());
        }
        assert_ne!(silent(&dir, &["-f", "-p", input, "text"]), "");
        assert_ne!(silent(&dir, &["-f", "-m", input, "text"]), "");
        assert_ne!(silent(&dir, &["model", "show", input]), "");
    }
    dir.run(&["prime", "-q", "--table-bits", "8", "-f", "-s", "lines", "-o", "p"]).ok();
    assert_ne!(silent(&dir, &["-f", "-v", "-p", "p.lmicp", "--records", "lines"]), "");
    silent(&dir, &["cat", "--record", "100", "-p", "p.lmicp", "lines.lmic"]);
    silent(&dir, &["-t", "lines.lmic"]); // without the state
    silent(&dir, &["bench", "--codec", "lmic-1", "lines"]);
    silent(&dir, &["bench", "--codec", "lmic-1", "--records", "lines", "--field", "a", "json"]);
}
