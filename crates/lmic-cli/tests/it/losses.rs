//! Nothing is lost: what `--rm` may remove, what `-f` may write over, and what must stay as it is.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Dir, Run, noise, text};

/// Starts a slow `--rm` of `log`, calls `meanwhile` when it has begun to read, and waits for the end.
fn meanwhile(dir: &Dir, args: &[&str], meanwhile: impl FnOnce(&Dir)) -> Run {
    let mut command = dir.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let descriptors = format!("/proc/{}/fd", child.id());
    let log = fs::canonicalize(dir.path("log")).unwrap();
    let started = Instant::now();
    let is_open = || {
        let entries = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        entries.map(|entry| fs::read_link(entry.path())).any(|to| to.is_ok_and(|to| to == log))
    };
    while !is_open() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    // It may not have looked at the file's length and times yet. A change before it does is part of what it codes, and no loss.
    std::thread::sleep(Duration::from_millis(20));
    meanwhile(dir);
    Run(child.wait_with_output().unwrap())
}

/// Long enough that the test is quicker than the command.
fn slow_log() -> Dir {
    let dir = Dir::new();
    dir.write("log", &text(1 << 20));
    dir
}

#[test]
#[cfg(target_os = "linux")]
fn source_that_was_replaced_while_it_was_coded_is_kept() {
    let dir = slow_log();
    let run = meanwhile(&dir, &["-2", "--rm", "log"], |dir| {
        dir.write("new", b"NEW");
        fs::rename(dir.path("new"), dir.path("log")).unwrap();
    });
    run.fails(1, &["log: was replaced", "not removed"]);
    assert_eq!(dir.read("log"), b"NEW");
    assert_eq!(dir.run(&["-dc", "log.lmic"]).ok(), text(1 << 20));
}

#[test]
#[cfg(target_os = "linux")]
fn source_that_was_written_to_while_it_was_coded_is_kept() {
    use std::io::{Seek, SeekFrom, Write};
    let changes: [fn(&Dir); 3] = [
        |dir| {
            let mut log = fs::OpenOptions::new().append(true).open(dir.path("log")).unwrap();
            log.write_all(b"more").unwrap();
        },
        |dir| fs::OpenOptions::new().write(true).open(dir.path("log")).unwrap().set_len(5).unwrap(),
        // The same length and, as some programs do it, the same time.
        |dir| {
            let mut log = fs::OpenOptions::new().write(true).open(dir.path("log")).unwrap();
            let before = log.metadata().unwrap().modified().unwrap();
            log.seek(SeekFrom::End(-4)).unwrap();
            log.write_all(b"XXXX").unwrap();
            log.set_modified(before).unwrap();
        },
    ];
    for change in changes {
        let dir = slow_log();
        meanwhile(&dir, &["-2", "--rm", "log"], change)
            .fails(1, &["log: was changed", "not removed"]);
        assert!(dir.has("log"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn archive_that_was_replaced_while_it_was_decoded_is_kept() {
    let dir = slow_log();
    dir.run(&["-2", "log"]).ok();
    fs::rename(dir.path("log.lmic"), dir.path("x.lmic")).unwrap();
    fs::rename(dir.path("x.lmic"), dir.path("log")).unwrap();
    let run = meanwhile(&dir, &["-d", "--rm", "-o", "out", "log"], |dir| {
        dir.write("new", b"NEW");
        fs::rename(dir.path("new"), dir.path("log")).unwrap();
    });
    run.fails(1, &["log: was replaced", "not removed"]);
    assert_eq!(dir.read("log"), b"NEW");
    assert_eq!(dir.read("out"), text(1 << 20));
}

#[test]
fn source_with_several_hard_links_is_kept_without_force() {
    let dir = Dir::with_text();
    fs::hard_link(dir.path("a.txt"), dir.path("b.txt")).unwrap();
    dir.run(&["-1", "--rm", "a.txt"]).fails(1, &["a.txt", "2 names", "-f"]);
    assert_eq!(dir.names(), ["a.txt", "b.txt"]);
    dir.run(&["-1", "a.txt"]).ok(); // nothing is removed
    fs::remove_file(dir.path("a.txt.lmic")).unwrap();
    dir.run(&["-1", "-f", "--rm", "a.txt"]).ok();
    assert_eq!(dir.names(), ["a.txt.lmic", "b.txt"]);
}

#[test]
fn state_and_models_are_never_removed_or_written_over() {
    let dir = Dir::new();
    fs::create_dir(dir.path("d")).unwrap();
    fs::create_dir(dir.path("models")).unwrap();
    dir.write("d/a.jsonl", &b"{\"id\":1,\"msg\":\"hello\"}\n".repeat(20));
    dir.write("models/other.safetensors", b"whatever is in the model folder");
    let run = |args: &[&str]| {
        Run(dir.command(args).env("LMIC_MODELS", dir.path("models")).output().unwrap())
    };
    run(&["prime", "-q", "-s", "d/a.jsonl", "-o", "d/ev.lmicp"]).ok();
    let state = dir.read("d/ev.lmicp");
    symlink("ev.lmicp", dir.path("d/link")).unwrap();
    fs::hard_link(dir.path("d/ev.lmicp"), dir.path("d/same")).unwrap();
    let p = ["-1", "-p", "d/ev.lmicp"];
    let refused: [&[&str]; 7] = [
        &["--rm", "-r", "d"],
        &["--rm", "d/a.jsonl", "d/ev.lmicp"],
        &["--rm", "-f", "d/a.jsonl", "d/link"],
        &["--rm", "-f", "d/a.jsonl", "d/same"],
        &["-f", "-o", "d/ev.lmicp", "d/a.jsonl"],
        &["-f", "-o", "d/link", "d/a.jsonl"],
        &["--rm", "-r", "models"],
    ];
    for args in refused {
        let what = if args.contains(&"models") { "model folder" } else { "primed state of -p" };
        run(&[&p, args].concat()).fails(1, &[what]);
        assert!(dir.has("d/a.jsonl") && !dir.has("d/a.jsonl.lmic"), "before any work: {args:?}");
        assert_eq!(dir.read("d/ev.lmicp"), state);
    }
    run(&["-f", "-1", "-o", "models/other.safetensors", "d/a.jsonl"]).fails(1, &["model folder"]);
    run(&[&p[..], &["--rm", "d/a.jsonl"]].concat()).ok();
    run(&["-d", "--rm", "-p", "d/ev.lmicp", "d/a.jsonl.lmic"]).ok();
    run(&[&p[..], &["-r", "d"]].concat()).ok(); // keeps them all
}

#[test]
fn input_that_is_still_to_be_read_is_not_written_over() {
    let dir = Dir::new();
    dir.write("a", &text(900));
    dir.run(&["-1", "-o", "b.lmic", "a"]).ok();
    dir.run(&["-1", "-o", "a.lmic.lmic", "b.lmic"]).ok();
    dir.write("b", &text(30));
    dir.run(&["-1", "-o", "a.lmic", "b"]).ok();
    let before = dir.read("a.lmic");
    symlink("a.lmic", dir.path("link.lmic")).unwrap();
    for later in ["a.lmic", "./a.lmic", "link.lmic"] {
        dir.run(&["-d", "-f", "a.lmic.lmic", later]).fails(1, &["a.lmic", "before it is read"]);
        assert_eq!(dir.read("a.lmic"), before);
        assert_eq!(dir.read("a"), text(900));
    }
    // In the other order everything is read before it is written over.
    dir.run(&["-d", "-f", "a.lmic", "a.lmic.lmic"]).ok();
    assert_eq!(dir.read("a"), text(30));
    assert_eq!(dir.run(&["-dc", "a.lmic"]).ok(), text(900));
}

#[test]
fn output_redirected_into_the_source_is_refused() {
    let dir = Dir::with_text();
    for line in
        ["$L -1c a.txt >> a.txt", "$L -1 < a.txt >> a.txt", "$L -1 -o /dev/stdout a.txt >> a.txt"]
    {
        dir.shell(line).fails(1, &["source and output at once"]);
        assert_eq!(dir.read("a.txt"), text(3000), "{line}");
    }
}

#[test]
fn page_is_not_written_over_its_input() {
    let dir = Dir::with_text();
    symlink("a.txt", dir.path("page.html")).unwrap();
    dir.run(&["inspect", "--html", "page.html", "a.txt"]).fails(1, &["page.html", "input"]);
    assert_eq!(dir.read("a.txt"), text(3000));
}

#[test]
fn rm_through_a_link_removes_the_link_alone() {
    let dir = Dir::with_text();
    symlink("a.txt", dir.path("l")).unwrap();
    dir.run(&["-1", "-f", "--rm", "l"]).ok();
    assert_eq!(dir.names(), ["a.txt", "l.lmic"]);
}

#[test]
fn memory_that_the_system_refuses_is_an_error() {
    let dir = Dir::new();
    dir.write("n", &noise(3 << 20));
    dir.run(&["-1", "-k", "-o", "whole.lmic", "n"]).ok();
    // 1 GiB of addresses are plenty to start with, and too few for the tables of level 5.
    for (args, word) in [
        ("-5 --block-size 256M -T1 -M none n", "memory"),
        ("-1 -T4 --block-size 1M -o two.lmic n", ""),
    ] {
        let line = format!("ulimit -v 400000; exec $L {args}");
        let run = dir.shell(&line);
        if run.0.status.success() {
            continue; // it fits after all
        }
        run.fails(1, &[word, "system"]);
        assert!(dir.names().iter().all(|name| !name.starts_with('.')), "{:?}", dir.names());
    }
}

#[test]
fn a_model_is_not_written_over_with_what_is_made_of_it() {
    let dir = Dir::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/byte-200k.safetensors");
    fs::copy(shipped, dir.path("m.safetensors")).unwrap();
    let before = dir.read("m.safetensors");
    symlink("m.safetensors", dir.path("link.safetensors")).unwrap();
    for out in ["m.safetensors", "./m.safetensors", "link.safetensors"] {
        let run = dir.run(&["model", "quantize", "-f", "m.safetensors", out]);
        assert_eq!(run.0.status.code(), Some(1), "{out}: {}", run.stderr());
        assert!(dir.read("m.safetensors") == before, "{out}");
    }
}

#[test]
fn only_regular_files_are_removed() {
    let dir = Dir::with_text();
    symlink("a.txt", dir.path("link")).unwrap();
    symlink("/dev/stdin", dir.path("input")).unwrap();
    dir.shell("exec $L -1 --rm -o out link").fails(1, &["link: is a symbolic link"]);
    for name in ["input", "/dev/stdin", "/dev/fd/0"] {
        for force in ["", "-f"] {
            let line = format!("exec $L -1 {force} --rm -o out {name} < a.txt");
            dir.shell(&line).fails(1, &["is not a regular file"]);
        }
    }
    assert!(std::process::Command::new("mkfifo").arg(dir.path("p")).status().unwrap().success());
    let line = "cat a.txt > p & $L -1 --rm -o out p; status=$?; wait; exit $status";
    dir.shell(line).fails(1, &["p: is not a regular file"]);
    assert_eq!(dir.names(), ["a.txt", "input", "link", "p"]);
}

#[test]
fn models_are_protected_behind_links_and_under_any_name() {
    let dir = Dir::with_text();
    fs::create_dir_all(dir.path("models")).unwrap();
    fs::create_dir_all(dir.path("data/ck")).unwrap();
    dir.write("data/ck/model.safetensors", b"weights");
    symlink("../data/ck", dir.path("models/ck")).unwrap();
    dir.shell("exec $L -1 -q --rm -r data").fails(1, &["model folder"]);
    dir.shell("exec $L -1 -f -o data/ck/model.safetensors a.txt").fails(1, &["model folder"]);
    // A state that is called like an archive, which the archive would write over.
    dir.shell("$L prime -q -s a.txt -o s && mv s.lmicp m.lmic").ok();
    dir.write("m", &text(500));
    let state = dir.read("m.lmic");
    dir.shell("exec $L -1 -f -p m.lmic m").fails(1, &["primed state of -p"]);
    fs::copy(dir.path("m.lmic"), dir.path("models/n.lmic")).unwrap();
    dir.write("models/n", &text(500));
    dir.shell("exec $L -1 -f models/n").fails(1, &["model folder"]);
    // Through stdout, or a descriptor, nothing needs -f.
    for line in [
        "$L -1c -p m.lmic a.txt >> m.lmic",
        "$L -1c -p m.lmic a.txt 1<> m.lmic",
        "$L -1 -p m.lmic -o /dev/fd/3 a.txt 3<> m.lmic",
        "$L -1 -p m.lmic < a.txt >> m.lmic",
    ] {
        dir.shell(line).fails(1, &["primed state of -p"]);
        assert!(dir.read("m.lmic") == state, "{line}");
    }
}

#[test]
fn no_input_is_written_to_through_stdout() {
    let dir = Dir::with_text();
    dir.write("b", &text(800));
    dir.shell("$L -1 a.txt b").ok();
    let before = ["a.txt", "b", "a.txt.lmic", "b.lmic"].map(|name| dir.read(name));
    for line in [
        "$L -1c a.txt b >> b",
        "$L -1c a.txt b 1<> b",
        "$L -1c b a.txt >> b",
        "$L cat a.txt.lmic b.lmic >> b.lmic",
        "$L -dc a.txt.lmic b.lmic 1<> b.lmic",
        "$L cat --range 0..3 b.lmic >> b.lmic",
        "$L cat --range 0..3 a.txt.lmic b.lmic 1<> b.lmic",
        "$L cat --range 0..3 < b.lmic >> b.lmic",
        "$L -1 -o /dev/fd/4 a.txt 4>> a.txt",
        "exec 5>> a.txt; $L -1 -o /proc/$$/fd/5 a.txt",
    ] {
        dir.shell(line).fails(1, &["source and output at once"]);
        assert!(
            ["a.txt", "b", "a.txt.lmic", "b.lmic"].map(|name| dir.read(name)) == before,
            "{line}"
        );
    }
}

#[test]
fn a_configuration_beside_weights_is_part_of_the_model() {
    let dir = Dir::with_text();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../lmic/tests/fixtures/hugging_face");
    fs::create_dir(dir.path("hf")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(format!("{fixture}/{name}"), dir.path(format!("hf/{name}"))).unwrap();
    }
    let before = dir.read("hf/config.json");
    for line in [
        "$L -1 --rm -m hf/model.safetensors hf/config.json",
        "$L -1 -f -m hf/model.safetensors -o hf/config.json a.txt",
        "$L -1c -m hf/model.safetensors a.txt >> hf/config.json",
        "$L -1c -m hf/model.safetensors a.txt >> hf/model.safetensors",
    ] {
        dir.shell(line).fails(1, &["of the model of -m"]);
        assert!(dir.read("hf/config.json") == before, "{line}");
    }
    dir.shell("$L model quantize -f hf/model.safetensors hf/config.json")
        .fails(1, &["model itself"]);
    assert!(dir.read("hf/config.json") == before);
}

#[test]
fn cat_writes_into_no_state_and_no_model() {
    let dir = Dir::with_text();
    fs::create_dir(dir.path("models")).unwrap();
    dir.shell("$L prime -q -s a.txt -o q && cp q.lmicp models/s.lmicp").ok();
    dir.shell("$L -1 -p q.lmicp a.txt").ok();
    let before = dir.read("q.lmicp");
    for line in [
        "$L cat -p q.lmicp a.txt.lmic >> q.lmicp",
        "$L cat -p q.lmicp --range 0..3 a.txt.lmic 1<> q.lmicp",
        "$L cat -p q.lmicp a.txt.lmic >> models/s.lmicp",
        "$L cat -p q.lmicp --range 0..3 a.txt.lmic >> models/s.lmicp",
    ] {
        assert_eq!(dir.shell(line).0.status.code(), Some(1), "{line}");
        assert!(dir.read("q.lmicp") == before && dir.read("models/s.lmicp") == before, "{line}");
    }
}

#[test]
fn what_is_skipped_or_replaced_by_name_is_no_reason_to_refuse() {
    let dir = Dir::with_text();
    dir.shell("$L -1 a.txt").ok();
    // As `lmic -f *` in a folder that has archives already: they are skipped, not read.
    dir.shell("$L -1 -f a.txt a.txt.lmic").fails(1, &["a.txt.lmic: ends in .lmic already"]);
    dir.shell("$L -d -f a.txt.lmic a.txt").fails(1, &["a.txt: does not end in .lmic"]);
    // A name beside the source that is another name of it is replaced, as in xz and gzip.
    for make in ["ln b b.lmic", "ln -s b b.lmic"] {
        dir.write("b", &text(700));
        let _ = fs::remove_file(dir.path("b.lmic"));
        dir.shell(&format!("{make} && exec $L -1 -f b")).ok();
        assert_eq!(dir.read("b"), text(700));
        assert_eq!(dir.shell("exec $L -dc b.lmic").ok(), text(700));
    }
    // Not so the name that the source leads to: nothing would be left of it but its code.
    fs::rename(dir.path("b"), dir.path("l.lmic")).unwrap();
    symlink("l.lmic", dir.path("l")).unwrap();
    dir.shell("exec $L -1 -f l").fails(1, &["source and output at once"]);
    assert_eq!(dir.read("l"), text(700));
    // A state may come from a pipe.
    dir.shell("$L prime -q -s a.txt -o s && mkfifo p").ok();
    dir.shell("cat s.lmicp > p & $L -1 -p p -o c.lmic a.txt; wait").ok();
    assert_eq!(dir.shell("exec $L -dc -p s.lmicp c.lmic").ok(), text(3000));
}
