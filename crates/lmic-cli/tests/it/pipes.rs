//! Stdin, stdout, terminals and signals.

use std::process::Stdio;

use crate::support::{Dir, text};

#[test]
fn pipes_need_no_names() {
    let dir = Dir::new();
    let coded = dir.pipe(&[], &text(5000)).ok();
    assert_eq!(dir.pipe(&["-d"], &coded).ok(), text(5000));
    assert_eq!(dir.pipe(&["-dc", "-"], &coded).ok(), text(5000));
    assert_eq!(dir.pipe(&["cat"], &coded).ok(), text(5000));
    dir.pipe(&["-t"], &coded).ok();
    assert!(dir.names().is_empty());
}

#[test]
fn stdout_takes_several_files_that_decode_as_one() {
    let dir = Dir::with_text();
    let coded = dir.run(&["-c", "a.txt", "a.txt"]).ok();
    let twice = [text(3000), text(3000)].concat();
    assert_eq!(dir.pipe(&["-d"], &coded).ok(), twice);
    dir.write("two.lmic", &coded);
    assert_eq!(dir.run(&["cat", "two.lmic"]).ok(), twice);
    assert_eq!(dir.names(), ["a.txt", "two.lmic"]);
}

#[test]
fn output_dash_is_stdout() {
    let dir = Dir::with_text();
    let coded = dir.run(&["-o", "-", "a.txt"]).ok();
    assert_eq!(dir.pipe(&["-d"], &coded).ok(), text(3000));
}

#[test]
fn closed_pipe_is_quiet() {
    let dir = Dir::with_text();
    dir.run(&["-1", "a.txt"]).ok();
    let calls: [&[&str]; 7] = [
        &["-c", "a.txt"],
        &["-dc", "a.txt.lmic"],
        &["cat", "--range", "1..", "a.txt.lmic"],
        &["list", "a.txt.lmic"],
        &["inspect", "--json", "a.txt.lmic"],
        &["man"],
        &["completions", "bash"],
    ];
    for args in calls {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = dir.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_an_error() {
    let dir = Dir::with_text();
    dir.run(&["-1", "a.txt"]).ok();
    let words = ["No space left on device"];
    dir.run(&["-o", "/dev/full", "a.txt"]).fails(1, &words);
    for args in [&["-c", "a.txt"][..], &["-dc", "a.txt.lmic"], &["list", "a.txt.lmic"], &["man"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = dir.command(args).stdout(full).output().unwrap();
        crate::support::Run(output).fails(1, &words);
    }
}

#[cfg(unix)]
#[test]
fn signal_leaves_nothing_behind() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        if is_ignored(number) {
            eprintln!("skipped: whoever runs this test ignores SIG{name}, so lmic does, too");
            continue;
        }
        let dir = Dir::new();
        let mut command = dir.command(&["-o", "out.lmic"]);
        // The open pipe keeps it waiting for more.
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        while dir.names().is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "ended before the signal");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
        // A shell shows 128 + number.
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert_eq!(dir.names(), [""; 0]);
        drop(stdin);
    }
}

/// Background jobs of a script ignore SIGINT, and what they start inherits that.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    mask.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() >> (signal - 1) & 1 == 1)
}

/// Runs a shell line with a terminal for stdin, stdout and stderr, by `script` of util-linux.
#[cfg(target_os = "linux")]
fn on_terminal(dir: &Dir, line: &str) -> Option<(String, Option<i32>)> {
    let line = line.replace("lmic", env!("CARGO_BIN_EXE_lmic"));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(dir.path(""));
    let Ok(output) = command.stdin(Stdio::null()).env("NO_COLOR", "1").output() else {
        eprintln!("skipped: no `script` command here to make a terminal");
        return None;
    };
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code()))
}

#[cfg(target_os = "linux")]
#[test]
fn compressed_data_is_kept_from_terminals() {
    let dir = Dir::with_text();
    let Some((said, status)) = on_terminal(&dir, "lmic -c a.txt") else { return };
    assert!(said.contains("compressed data is not written to a terminal"), "{said}");
    assert_eq!(status, Some(1));
    let forced = on_terminal(&dir, "lmic -cf a.txt").unwrap();
    assert!(forced.0.contains("LMC"), "the magic number");
    assert_eq!(forced.1, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn no_file_and_a_terminal_is_a_question_for_help() {
    let dir = Dir::new();
    for (line, usage) in [("lmic", "Usage: lmic [OPTIONS]"), ("lmic cat", "Usage: lmic cat")] {
        let Some((said, status)) = on_terminal(&dir, line) else { return };
        assert!(said.contains(usage), "{said}");
        assert!(!said.contains('\u{1b}'), "NO_COLOR: {said}");
        assert_eq!(status, Some(2));
    }
    let (said, status) = on_terminal(&dir, "lmic -d -").unwrap();
    assert!(said.contains("is a terminal"), "{said}");
    assert_eq!(status, Some(1));
}
