//! `lmic prime` and -p.

use std::ffi::OsStr;
use std::sync::Arc;

use lmic::EncodeOptions;
use lmic::records::Primed;

use crate::support::{Dir, Run, text};

/// `examples.log`, records like `a.log`, and `logs.lmicp` learned from them in `models`.
fn dir() -> Dir {
    let dir = Dir::new();
    let line = |i: usize| {
        let (user, tries) = (i * i * 7919 % 1009, i * 31 % 7);
        format!("INFO session: user {user} has logged in at the console after {tries} tries\n")
    };
    let examples: String = (0..400).map(line).collect();
    dir.write("examples.log", examples.as_bytes());
    dir.write("a.log", (400..406).map(line).collect::<String>().as_bytes());
    std::fs::create_dir_all(dir.path("models")).unwrap();
    dir.run(&["prime", "-q", "--table-bits", "10", "-s", "examples.log", "-o", "models/logs"]).ok();
    dir
}

#[test]
fn a_file_is_coded_with_what_examples_taught() {
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
    let again = dir.run(&["prime", "-q", "-s", "examples.log", "-o", "models/logs"]);
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
    cat("363").fails(1, &["b.log.lmic", "363 records", "--record 363 asks for"]);
    let bytes = dir.run(&["cat", "-p", "models/logs.lmicp", "--range", "100..300", "b.log.lmic"]);
    assert_eq!(bytes.ok(), content[100..300]);
    let said = String::from_utf8(dir.run(&["inspect", "b.log.lmic"]).ok()).unwrap();
    assert!(said.contains("363 in coded blocks") && said.contains("logs records"), "{said}");

    dir.run(&["cat", "--record", "3", "b.log.lmic"])
        .fails(1, &["logs", "not at hand", "(name it with -p PRIMED, or"]);
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

/// Primes with a small table; `args` from the examples on.
fn prime<S: AsRef<OsStr>>(dir: &Dir, args: &[S]) -> Run {
    let options = ["prime", "-q", "--table-bits", "8"].map(OsStr::new);
    dir.run(&options.into_iter().chain(args.iter().map(AsRef::as_ref)).collect::<Vec<_>>())
}

/// The folder `s` with two files, and the state `expected.lmicp` learned from them.
fn folder() -> Dir {
    let dir = Dir::with_text();
    std::fs::create_dir_all(dir.path("s/deep")).unwrap();
    dir.write("s/a", &dir.read("a.txt"));
    dir.write("s/deep/b", &text(500));
    prime(&dir, &["-s", "s", "-o", "expected"]).ok();
    dir
}

#[test]
fn each_file_counts_once_however_it_is_named() {
    let dir = folder();
    let learned = |args: &[&str]| {
        prime(&dir, &[args, &["-f", "-o", "x"]].concat()).ok();
        dir.read("x.lmicp") == dir.read("expected.lmicp")
    };
    assert!(learned(&["-s", "s", "-s", "s"]));
    assert!(learned(&["-s", "s", "-s", "s/deep", "-s", "./s/a"]));
    assert!(learned(&["-s", "s/a", "-s", "s/a", "-s", "s/deep/b", "--whole"]));
    assert!(!learned(&["-s", "s/a", "--whole"]));
}

#[cfg(unix)]
#[test]
fn a_folder_is_walked_without_links_pipes_and_second_names() {
    use std::os::unix::fs::symlink;
    let dir = folder();
    for (to, name) in [(".", "s/c"), (".", "s/0"), ("..", "s/deep/up"), ("a", "s/d"), ("/", "s/r")]
    {
        symlink(to, dir.path(name)).unwrap();
    }
    symlink("gone", dir.path("s/dangling")).unwrap();
    std::fs::hard_link(dir.path("s/a"), dir.path("s/deep/a2")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path("s/socket")).unwrap();
    std::process::Command::new("mkfifo").arg(dir.path("s/fifo")).status().unwrap();
    symlink("s", dir.path("link")).unwrap();
    symlink("s/deep/b", dir.path("b")).unwrap();
    let learned = |args: &[&str]| {
        prime(&dir, &[args, &["-f", "-o", "x"]].concat()).ok();
        dir.read("x.lmicp") == dir.read("expected.lmicp")
    };
    assert!(learned(&["-s", "s"]));
    // Links that are named are followed.
    assert!(learned(&["-s", "link"]));
    assert!(learned(&["-s", "s", "-s", "link", "-s", "b"]));
    assert!(learned(&["-s", "s/a", "-s", "b", "--whole"]));
    #[cfg(feature = "bench")]
    dir.run(&["bench", "--records", "s", "a.txt"]).fails(1, &["2 samples", "zstd"]);
}

#[test]
fn examples_come_from_stdin_and_the_state_goes_to_stdout() {
    let dir = Dir::with_text();
    prime(&dir, &["-s", "a.txt", "--chunk", "100", "-o", "a"]).ok();
    let args = ["prime", "-q", "--table-bits", "8", "-s", "-", "--chunk", "100", "-o", "-"];
    for name in ["-s", "--examples", "--samples"] {
        let args = args.map(|arg| if arg == "-s" { name } else { arg });
        assert!(dir.pipe(&args, &dir.read("a.txt")).ok() == dir.read("a.lmicp"), "{name}");
    }
    let told = dir.pipe(&["prime", "-s", "-", "-o", "-"], b"to be\nor not\n");
    assert!(told.stderr().starts_with("lmic: (stdout): 2 examples, "), "{}", told.stderr());
    dir.pipe(&["prime", "-s", "-", "-o", "b"], b"").fails(1, &["(stdin): is empty"]);
    assert_eq!(dir.names(), ["a.lmicp", "a.txt"]);
}

#[cfg(unix)]
#[test]
fn a_socket_may_be_stdin_and_stdout_at_once() {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    let dir = Dir::with_text();
    prime(&dir, &["-s", "a.txt", "-o", "a"]).ok();
    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = dir.command(&["prime", "-q", "--table-bits", "8", "-s", "-", "-o", "-"]);
    command.stdin(OwnedFd::from(there.try_clone().unwrap())).stdout(OwnedFd::from(there));
    let mut child = command.spawn().unwrap();
    drop(command); // and with it the socket's other end
    here.write_all(&dir.read("a.txt")).unwrap();
    here.shutdown(std::net::Shutdown::Write).unwrap();
    let mut state = Vec::new();
    here.read_to_end(&mut state).unwrap();
    assert!(child.wait().unwrap().success() && state == dir.read("a.lmicp"));
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_named_is_read_once() {
    let dir = Dir::with_text();
    prime(&dir, &["-s", "a.txt", "-o", "a"]).ok();
    std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap();
    let (fifo, text) = (dir.path("fifo"), dir.read("a.txt"));
    let writer = std::thread::spawn(move || std::fs::write(fifo, text).unwrap());
    prime(&dir, &["-s", "fifo", "-s", "./fifo", "-o", "b"]).ok();
    writer.join().unwrap();
    assert!(dir.read("a.lmicp") == dir.read("b.lmicp"));
}

#[test]
fn a_state_is_never_learned_from_itself() {
    let dir = folder();
    // It is not there yet when examples are looked for.
    prime(&dir, &["-s", "s", "-o", "s/new"]).ok();
    assert!(dir.read("s/new.lmicp") == dir.read("expected.lmicp"));
    let before = dir.read("s/new.lmicp");
    prime(&dir, &["-s", "s", "-o", "s/new"])
        .fails(1, &["s/new.lmicp", "an example and the output"]);
    prime(&dir, &["-s", "s", "-f", "-o", "s/new"]).fails(1, &["an example and the output"]);
    prime(&dir, &["-s", "s/new.lmicp", "-f", "-o", "s/new"])
        .fails(1, &["an example and the output"]);
    std::fs::hard_link(dir.path("s/new.lmicp"), dir.path("other.lmicp")).unwrap();
    prime(&dir, &["-s", "s", "-f", "-o", "other"]).fails(1, &["an example and the output"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("s/a", dir.path("link.lmicp")).unwrap();
        prime(&dir, &["-s", "s", "-f", "-o", "link"]).fails(1, &["an example and the output"]);
    }
    assert!(dir.read("s/new.lmicp") == before);
    #[cfg(target_os = "linux")]
    {
        let redirected = std::fs::File::create(dir.path("s/redirected")).unwrap();
        let mut command = dir.command(&["prime", "-s", "s", "-o", "-"]);
        Run(command.stdout(redirected).output().unwrap()).fails(1, &["an example and the output"]);
        assert!(dir.read("s/redirected").is_empty());
    }
}

#[test]
fn the_file_of_a_state_has_the_name_that_archives_can_have() {
    let dir = folder();
    std::fs::create_dir(dir.path("d")).unwrap();
    let long = "é".repeat(32);
    for (given, file) in [
        ("x", "x.lmicp"),
        ("x.v2", "x.v2.lmicp"),
        ("y.lmicp", "y.lmicp"),
        ("Y2.LMICP", "Y2.LMICP"),
        ("s", "s.lmicp"),
        ("d/x.y", "d/x.y.lmicp"),
        (&long, &format!("{long}.lmicp")),
    ] {
        prime(&dir, &["-s", "s", "-o", given]).ok();
        let add = dir.command(&["model", "add", file]).env("LMIC_MODELS", dir.path("m")).output();
        assert_eq!(add.unwrap().status.code(), Some(0), "{given}");
        let archive = dir.run(&["-1c", "-p", file, "a.txt"]).ok();
        assert!(dir.pipe(&["-d", "-p", file], &archive).ok() == dir.read("a.txt"), "{given}");
    }
    let names = dir.names();
    for (given, word) in [
        ("a".repeat(65), "65 bytes; at most 64"),
        (format!("{long}x.lmicp"), "65 bytes; at most 64"),
        (".x".into(), "dot"),
        (".lmicp".into(), "\"\""),
        ("a:b".into(), "':'"),
        ("a\\b".into(), if cfg!(windows) { "b" } else { "'\\'" }),
        ("d/".into(), "folder"),
        ("..".into(), "folder"),
        ("a\nb".into(), "control"),
    ] {
        prime(&dir, &["-s", "missing", "-f", "-o", &given]).fails(2, &["--output", word]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let args = [&b"-s"[..], b"s", b"-o", b"a\xff"].map(OsStr::from_bytes);
        prime(&dir, &args).fails(2, &["--output", "UTF-8"]);
        prime(&dir, &["-s", "s", "-o", "/dev/null"]).ok();
    }
    assert_eq!(dir.names(), names);
}

#[test]
fn a_name_from_an_archive_is_as_it_is_in_json_and_on_one_line_elsewhere() {
    let dir = folder();
    let primed = Primed::from_bytes(&dir.read("expected.lmicp")).unwrap();
    let primed = Some(("a\n\u{1b}b".into(), Arc::new(primed)));
    let options = EncodeOptions { level: 1, primed, ..EncodeOptions::default() };
    dir.write("a.txt.lmic", &lmic::compress_with(&text(3000), &options).unwrap());
    let list = dir.run(&["list", "--json", "a.txt.lmic"]).ok();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["models"][0], "a\n\u{1b}b");
    for command in [&["list"][..], &["list", "-v"], &["inspect"]] {
        let said = dir.run(&[command, &["a.txt.lmic"]].concat()).ok();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("a??b") && !said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn examples_without_any_bytes_are_told_apart() {
    let dir = folder();
    std::fs::create_dir(dir.path("none")).unwrap();
    prime(&dir, &["-s", "none", "-o", "x"]).fails(1, &["nothing to learn from"]);
    dir.write("none/empty", b"");
    prime(&dir, &["-s", "none", "-o", "x"]).fails(1, &["nothing to learn from"]);
    prime(&dir, &["-s", "none/empty", "-o", "x"]).fails(1, &["none/empty: is empty"]);
    prime(&dir, &["-s", "s/missing", "-o", "x"]).fails(1, &["s/missing: cannot open"]);
    // In pieces, an empty file of a folder has none.
    prime(&dir, &["-s", "s", "--chunk", "100", "-o", "x"]).ok();
    dir.write("s/empty", b"");
    prime(&dir, &["-s", "s", "--chunk", "100", "-o", "y"]).ok();
    assert!(dir.read("x.lmicp") == dir.read("y.lmicp"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_system_without_threads_primes_in_one() {
    let dir = folder();
    // As a user who may have one process.
    let alone = |words: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.args(["prlimit", "--nproc=1", env!("CARGO_BIN_EXE_lmic")]).args(words);
        command.stdin(std::fs::File::open(dir.path("a.txt")).unwrap()).output()
    };
    if !alone(&["--version"]).is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: needs root, setpriv and prlimit");
    }
    let args = ["prime", "-q", "--table-bits", "8", "-s", "-", "-o"];
    let state = Run(alone(&[&args[..], &["-"]].concat()).unwrap()).ok();
    prime(&dir, &["-s", "a.txt", "-o", "x"]).ok();
    assert!(state == dir.read("x.lmicp"));
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
