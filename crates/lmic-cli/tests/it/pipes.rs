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

/// As for any program that a broken pipe ends; `set -o pipefail` and backups want to know.
#[cfg(unix)]
#[test]
fn reader_of_stdout_that_leaves_is_no_success_and_no_message() {
    use std::os::unix::process::ExitStatusExt;
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
        assert_eq!(output.status.signal(), Some(13), "{args:?}"); // SIGPIPE
    }
}

#[cfg(unix)]
#[test]
fn closed_stdin_and_stdout_are_errors() {
    let dir = Dir::with_text();
    dir.run(&["-1", "a.txt"]).ok();
    let closed_stdout = [
        "-1c a.txt",
        "-dc a.txt.lmic",
        "-l a.txt.lmic",
        "cat a.txt.lmic",
        "man",
        "-1 -fo /dev/stdout a.txt",
    ];
    for args in closed_stdout {
        dir.shell(&format!("exec $L {args} >&-")).fails(1, &["stdout is closed"]);
    }
    for args in ["--help", "--version", "compress --help", "model list", "list --json a.txt.lmic"] {
        dir.shell(&format!("exec $L {args} >&-")).fails(1, &["stdout is closed"]);
    }
    for args in ["-1", "-d", "-t", "-1 -o out", "-1c /dev/stdin", "-1 -o out /dev/fd/0", "-1c -"] {
        dir.shell(&format!("exec $L {args} <&-")).fails(1, &["stdin is closed"]);
    }
    for args in ["-1 -o /dev/fd/2 a.txt", "-1 -fo /proc/thread-self/fd/2 a.txt"] {
        assert_eq!(dir.shell(&format!("exec $L {args} 2>&-")).0.status.code(), Some(1), "{args}");
    }
    for args in ["-l a.txt.lmic", "man", "--help", "-1c a.txt", "model list"] {
        dir.shell(&format!("exec $L {args} 1< /dev/null")).fails(1, &["stdout is not open for"]);
    }
    // Nobody asked for them.
    dir.shell("exec $L -1 -o b.lmic a.txt <&- >&-").ok();
    dir.shell("exec $L -t a.txt.lmic <&- >&-").ok();
    assert_eq!(dir.names(), ["a.txt", "a.txt.lmic", "b.lmic"]);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_written_without_force_and_never_read() {
    let dir = Dir::with_text();
    let coded = dir.run(&["-1c", "a.txt"]).ok();
    assert!(std::process::Command::new("mkfifo").arg(dir.path("p")).status().unwrap().success());
    std::os::unix::fs::symlink("p", dir.path("link")).unwrap();
    for line in
        ["$L -1 -o p a.txt", "$L -1 -o link a.txt", "$L -1 -f -o link a.txt", "$L -1 -o p < a.txt"]
    {
        let got = dir.shell(&format!("cat p & {line} || exit; wait")).ok();
        assert!(got == coded, "{line}");
    }
    let got = dir.shell("$L -1 -o x.lmic a.txt; cat p & $L -d -o p x.lmic; wait").ok();
    assert!(got == text(3000));
    assert_eq!(dir.names(), ["a.txt", "link", "p", "x.lmic"]);
}

#[cfg(unix)]
#[test]
fn reader_of_a_named_pipe_that_leaves_is_an_error() {
    let dir = Dir::new();
    dir.write("n", &crate::support::noise(600_000));
    assert!(std::process::Command::new("mkfifo").arg(dir.path("p")).status().unwrap().success());
    dir.shell("head -c 10 < p > /dev/null & exec $L -1 -o p n").fails(1, &["n: ", "has left"]);
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_are_written_where_they_stand() {
    let dir = Dir::with_text();
    let coded = dir.run(&["-1c", "a.txt"]).ok();
    std::os::unix::fs::symlink("/dev/stdout", dir.path("link")).unwrap();
    let names = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link"];
    for (name, force) in names.iter().flat_map(|name| [(name, ""), (name, "-f")]) {
        assert!(dir.shell(&format!("exec $L {force} -1 -o {name} a.txt")).ok() == coded, "{name}");
        dir.shell(&format!("printf head > out; $L {force} -1 -o {name} a.txt >> out")).ok();
        assert!(dir.read("out") == [b"head", &coded[..]].concat(), "{name} {force}");
        assert!(fs_is_link(&dir), "the link is still one");
    }
    dir.shell("{ printf head >&3; $L -1 -o /dev/fd/3 a.txt; printf tail >&3; } 3> out").ok();
    assert!(dir.read("out") == [b"head", &coded[..], b"tail"].concat());
    // What another process has open is added to, and not replaced.
    dir.shell("exec 5> out; printf head >&5; $L -1 -f -o /proc/$$/fd/5 a.txt").ok();
    assert!(dir.read("out") == [b"head", &coded[..]].concat());
    dir.shell("printf line > s; $L prime -q -s s -o link > out; rm s").ok();
    assert!(dir.read("out").starts_with(b"\xb1LMP"));
    dir.shell("exec $L -1 -o /dev/fd/77 a.txt").fails(1, &["/dev/fd/77: Bad file descriptor"]);
    assert_eq!(dir.names(), ["a.txt", "link", "out"]);
}

#[cfg(target_os = "linux")]
fn fs_is_link(dir: &Dir) -> bool {
    dir.path("link").symlink_metadata().unwrap().is_symlink()
}

#[cfg(unix)]
#[test]
fn force_follows_the_link_that_is_named_as_output() {
    use std::os::unix::fs::symlink;
    let dir = Dir::with_text();
    std::fs::create_dir(dir.path("d")).unwrap();
    dir.write("d/old", b"old");
    symlink("d/old", dir.path("link")).unwrap();
    symlink("d/new", dir.path("dangling")).unwrap();
    let coded = dir.run(&["-1c", "a.txt"]).ok();
    for (link, file) in [("link", "d/old"), ("dangling", "d/new")] {
        dir.run(&["-1", "-o", link, "a.txt"]).fails(1, &["exists already"]);
        dir.run(&["-1f", "-o", link, "a.txt"]).ok();
        assert!(dir.path(link).symlink_metadata().unwrap().is_symlink());
        assert!(dir.read(file) == coded);
    }
    // Beside its source a link is replaced, as in xz: nobody named it.
    symlink("d/old", dir.path("a.txt.lmic")).unwrap();
    dir.write("d/old", b"old");
    dir.run(&["-1f", "a.txt"]).ok();
    assert!(!dir.path("a.txt.lmic").symlink_metadata().unwrap().is_symlink());
    assert_eq!(dir.read("d/old"), b"old");
}

#[cfg(unix)]
#[test]
fn limits_of_size_and_time_leave_nothing_behind() {
    let dir = Dir::new();
    dir.write("n", &crate::support::noise(300_000));
    dir.shell("ulimit -c 0; ulimit -f 100; exec $L -1 n").fails(1, &["n: ", "File too large"]);
    dir.shell("ulimit -c 0; ulimit -f 100; exec $L -1c n > out")
        .fails(1, &["n: ", "File too large"]);
    dir.write("n", &text(4 << 20));
    let run = dir.shell("ulimit -c 0; ulimit -S -t 1; exec $L -4 -T1 n");
    assert!(run.stderr().contains("CPU time"), "{}", run.stderr());
    assert!(!run.0.status.success());
    assert_eq!(dir.names(), ["n", "out"]);
}

#[test]
fn name_that_is_too_long_is_refused_before_coding() {
    let dir = Dir::with_text();
    let name = "n".repeat(252);
    dir.write(&name, &text(8 << 20));
    let started = std::time::Instant::now();
    dir.run(&["-5", &name]).fails(1, &["name too long"]);
    dir.run(&["-1", "-o", "a.lmic", "a.txt"]).ok();
    dir.run(&["-d", "-o", &"n".repeat(256), "a.lmic"]).fails(1, &["name too long"]);
    assert!(started.elapsed().as_secs() < 5);
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_an_error() {
    let dir = Dir::with_text();
    dir.run(&["-1", "a.txt"]).ok();
    let words = ["No space left on device"];
    let device = dir.run(&["-o", "/dev/full", "a.txt"]);
    assert!(!device.stderr().contains('('), "no advice: {}", device.stderr());
    device.fails(1, &["a.txt: cannot write /dev/full: No space left on device"]);
    for args in [
        &["-c", "a.txt"][..],
        &["-dc", "a.txt.lmic"],
        &["list", "a.txt.lmic"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
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
    for (name, number) in [("INT", 2), ("TERM", 15), ("QUIT", 3), ("HUP", 1)] {
        if is_ignored(number) {
            eprintln!("skipped: whoever runs this test ignores SIG{name}, so lmic does, too");
            continue;
        }
        let dir = Dir::new();
        let mut command = dir.command(&["-o", "out.lmic"]);
        // The open pipe keeps it waiting for more.
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        // Until it has its output open, which has no name where the system can do that.
        let descriptors = format!("/proc/{}/fd", child.id());
        let has_unnamed = || {
            let entries = std::fs::read_dir(&descriptors).into_iter().flatten().flatten();
            let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            links.into_iter().any(|to| to.to_string_lossy().ends_with(" (deleted)"))
        };
        while dir.names().is_empty() && !has_unnamed() {
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
pub fn is_ignored(signal: i32) -> bool {
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

#[cfg(unix)]
#[test]
fn pipes_in_the_folder_of_a_model_are_not_waited_for() {
    let dir = Dir::with_text();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let model = dir.path(format!("models/{name}-model"));
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("config.json"), "{}").unwrap();
        let _ = std::fs::remove_file(model.join(name));
        let made = std::process::Command::new("mkfifo").arg(model.join(name)).status().unwrap();
        assert!(made.success());
        dir.run(&["-1c", "-m", model.to_str().unwrap(), "a.txt"]).fails(1, &[name]);
    }
    let list = "LMIC_MODELS=models exec timeout 20 $L model list";
    dir.shell(list).ok();
}
