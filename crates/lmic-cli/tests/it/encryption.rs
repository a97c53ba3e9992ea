//! Encrypted archives: everything that reads them, the programs `age` and `rage`, keys that are wrong, what stays hidden.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Dir, Run, noise, text};

/// A directory with `a.txt`, an identity in `key.txt`, and the public key.
fn dir() -> (Dir, String) {
    let dir = Dir::with_text();
    let (secret, public) = lmic_age::generate();
    dir.write("key.txt", secret.as_bytes());
    (dir, public)
}

/// The same, with `a.txt.lmic.age`.
fn encrypted() -> (Dir, String) {
    let (dir, public) = dir();
    dir.run(&["-1", "--encrypt", "-R", &public, "a.txt"]).ok();
    (dir, public)
}

fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        eprintln!("skipped: no {program} here");
    }
    found.is_ok()
}

#[test]
fn everything_that_reads_archives_reads_encrypted_ones() {
    let (dir, _) = encrypted();
    let file = dir.read("a.txt.lmic.age");
    assert!(file.starts_with(b"age-encryption.org/v1\n"));
    dir.run(&["-t", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    dir.run(&["-d", "-f", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    assert_eq!(dir.read("a.txt"), text(3000));
    // By what it is, not by its name; also from a pipe.
    dir.write("b.lmic", &file);
    dir.run(&["-d", "--rm", "-i", "key.txt", "b.lmic"]).ok();
    assert_eq!(dir.read("b"), text(3000));
    assert_eq!(dir.pipe(&["-d", "-i", "key.txt"], &file).ok(), text(3000));
    assert_eq!(dir.run(&["cat", "-i", "key.txt", "a.txt.lmic.age"]).ok(), text(3000));
    let range = dir.run(&["cat", "--range", "10..20", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    assert_eq!(range, text(3000)[10..20]);
    let list = dir.run(&["list", "-v", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    assert!(String::from_utf8(list).unwrap().contains(" age "));
    let list = dir.run(&["-l", "--json", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains(r#""encrypted": true"#), "{list}");
    assert!(list.contains(&format!(r#""coded_bytes": {}"#, file.len())), "{list}");
    let facts = dir.run(&["inspect", "-i", "key.txt", "a.txt.lmic.age"]).ok();
    assert!(String::from_utf8(facts).unwrap().contains("encrypted (age)"));
}

#[test]
fn records_are_read_alone() {
    let (dir, public) = dir();
    let lines: String =
        (0..300).map(|i| format!("user {i} logged in from 10.0.0.{}\n", i % 7)).collect();
    dir.write("l.log", lines.as_bytes());
    dir.run(&["prime", "-q", "--table-bits", "8", "-s", "l.log", "-o", "l.lmicp"]).ok();
    dir.run(&["--encrypt", "-R", &public, "-p", "l.lmicp", "--records", "l.log"]).ok();
    let record =
        dir.run(&["cat", "--record", "7", "-p", "l.lmicp", "-i", "key.txt", "l.log.lmic.age"]).ok();
    assert_eq!(record, b"user 7 logged in from 10.0.0.0\n");
}

#[test]
fn folders_names_and_sources_are_as_with_plain_archives() {
    let (dir, public) = dir();
    std::fs::create_dir(dir.path("f")).unwrap();
    dir.write("f/b", b"b");
    dir.write("f/c", b"c");
    dir.run(&["-r", "--rm", "--encrypt", "-R", &public, "f"]).ok();
    assert!(dir.has("f/b.lmic.age") && !dir.has("f/b"));
    dir.run(&["-r", "--encrypt", "-R", &public, "f"]).ok(); // none is coded again
    dir.run(&["--encrypt", "-R", &public, "f/b.lmic.age"])
        .fails(1, &["ends in .lmic.age already, skipped"]);
    dir.run(&["-d", "-r", "--rm", "-i", "key.txt", "f"]).ok();
    assert_eq!((dir.read("f/b"), dir.read("f/c")), (b"b".to_vec(), b"c".to_vec()));
    dir.run(&["--encrypt", "-R", &public, "a.txt"]).ok();
    dir.run(&["--encrypt", "-R", &public, "a.txt"]).fails(1, &["exists already"]);
    dir.run(&["-d", "-i", "key.txt", "a.txt.lmic.age"]).fails(1, &["exists already"]);
    // A file of keys is not written over, and not removed.
    dir.run(&["--rm", "--encrypt", "--recipients-file", "key.txt", "key.txt"])
        .fails(1, &["recipient"]);
    dir.run(&["-d", "-f", "-i", "key.txt", "-o", "key.txt", "a.txt.lmic.age"])
        .fails(1, &["the identity of -i"]);
}

#[test]
fn keys_that_do_not_fit_are_one_clear_line() {
    let (dir, public) = encrypted();
    let (secret, _) = lmic_age::generate();
    dir.write("other.txt", secret.as_bytes());
    let archive = "a.txt.lmic.age";
    for command in [
        &["-d", "-o", "x"][..],
        &["-t"],
        &["-l"],
        &["cat"],
        &["cat", "--range", "1..2"],
        &["inspect"],
    ] {
        let run = |more: &[&str]| dir.run(&[command, more, &[archive]].concat());
        run(&[]).fails(
            1,
            &["a.txt.lmic.age: is encrypted, and no identity is given", "name one with -i FILE"],
        );
        run(&["-i", "other.txt"]).fails(1, &["is encrypted for other keys", "-i FILE"]);
        run(&["-i", "none.txt"]).fails(1, &["identity none.txt: cannot open", "check the name"]);
        run(&["-i", "a.txt"]).fails(1, &["identity a.txt: no identity file"]);
    }
    assert!(!dir.has("x"));
    for (args, words) in [
        (&["--encrypt", "a.txt"][..], "for whom"),
        (&["-R", &public, "a.txt"], "--encrypt"),
        (&["--passphrase", "a.txt"], "add --encrypt"),
        (&["-i", "key.txt", "a.txt"], "-i opens archives"),
        (&["--no-pad", "a.txt"], "--encrypt"),
        (&["--encrypt", "-R", &public, "--passphrase", "a.txt"], "not both"),
        (&["-t", "-i", "-"], "the input as well"),
        (&["-d", "-c", "--passphrase-file", "-", archive, "-"], "the input as well"),
        (&["--encrypt", "--recipients-file", "-"], "the input as well"),
        (&["-l", "-i", "-", "--passphrase-file", "-", archive], "read once only"),
    ] {
        dir.run(args).fails(2, &[words]);
    }
    dir.write("team.txt", public.as_bytes());
    dir.run(&["--encrypt", "-R", "team.txt", "a.txt"])
        .fails(1, &["-R number 1", "--recipients-file"]);
    // A secret key by mistake is not repeated.
    let run = dir.run(&["-f", "--encrypt", "-R", &secret, "a.txt"]);
    assert!(!run.stderr().contains(&secret[20..30]));
    run.fails(1, &["an identity, which is secret"]);
    dir.write("bad", format!("{public}\n{}\n", &*secret).as_bytes());
    let run = dir.run(&["-f", "--encrypt", "--recipients-file", "bad", "a.txt"]);
    assert!(!run.stderr().contains(&secret[20..30]));
    run.fails(1, &["recipients file bad: line 2"]);
    let run = dir.run(&["-d", "-i", &secret, archive]);
    assert!(!run.stderr().contains(&secret[20..30]));
    run.fails(1, &["-i takes the name of a file"]);
    dir.run(&["-d", "-i", "bad", archive]).fails(1, &["identity bad: a public key"]);
}

#[test]
fn passphrases_come_from_files_and_descriptors() {
    let (dir, _) = dir();
    dir.write("pass", b"correct horse\r\nbattery");
    dir.write("wrong", b"staple\n");
    dir.write("empty", b"\nx");
    dir.run(&["--encrypt", "--passphrase-file", "pass", "a.txt"]).ok();
    let back = dir.shell("\"$L\" -d -c --passphrase-file /dev/fd/3 a.txt.lmic.age 3< pass");
    assert_eq!(back.ok(), text(3000));
    dir.run(&["-t", "--passphrase-file", "wrong", "a.txt.lmic.age"])
        .fails(1, &["the passphrase is wrong"]);
    dir.run(&["-t", "--passphrase-file", "empty", "a.txt.lmic.age"])
        .fails(1, &["its first line is empty"]);
    dir.run(&["-t", "--passphrase-file", "none", "a.txt.lmic.age"]).fails(1, &["cannot open"]);
}

#[test]
fn keys_and_passphrases_come_from_stdin() {
    let (dir, public) = dir();
    let archive = "a.txt.lmic.age";
    let key = dir.read("key.txt");
    dir.pipe(&["-1", "--encrypt", "--recipients-file", "-", "a.txt"], public.as_bytes()).ok();
    for command in [&["-d", "-c"][..], &["cat"]] {
        let args = [command, &["-i", "-", archive]].concat();
        assert_eq!(dir.pipe(&args, &key).ok(), text(3000));
    }
    for command in [&["-t"][..], &["-l"], &["inspect"], &["cat", "--range", "1..2"]] {
        dir.pipe(&[command, &["-i", "-", archive]].concat(), &key).ok();
    }
    dir.run(&["-t", "-i", "-", archive]).fails(1, &["identity (stdin): no identity in it"]);
    dir.pipe(&["-1", "-f", "--encrypt", "--passphrase-file", "-", "a.txt"], b"sesame\n").ok();
    dir.pipe(&["-t", "--passphrase-file", "-", archive], b"sesame").ok();
    dir.run(&["-t", "--passphrase-file", "-", archive])
        .fails(1, &["passphrase file (stdin): its first line is empty"]);
}

#[test]
#[cfg(target_os = "linux")]
fn work_that_there_is_no_memory_for_is_not_begun() {
    let dir = Dir::new();
    let letters = "A".repeat(43);
    let header = format!("age-encryption.org/v1\n-> scrypt {} 20\n{letters}\n", &letters[..22]);
    dir.write("a.age", format!("{header}--- {letters}\n{letters}").as_bytes());
    dir.write("pass", b"sesame");
    // 2^20 steps take 1 GiB.
    dir.shell("ulimit -v 900000; \"$L\" -t --passphrase-file pass a.age")
        .fails(1, &["a.age: the system does not give the 1073741824 bytes of memory"]);
}

#[test]
fn locked_identities_are_unlocked_by_the_same_passphrase() {
    let (dir, public) = encrypted();
    let recipients = lmic_age::Recipients::with_passphrase("sesame".to_owned().into()).unwrap();
    let padding = lmic_age::Padding::None;
    let mut locked = lmic_age::Writer::new(Vec::new(), &recipients, padding).unwrap();
    locked.write_all(&dir.read("key.txt")).unwrap();
    dir.write("locked", &locked.finish().unwrap());
    dir.write("pass", b"sesame\n");
    dir.write("wrong", b"barley\n");
    let archive = "a.txt.lmic.age";
    let check = |identity: &str, archive: &str| {
        let run = |more: &[&str]| dir.run(&[&["-t", "-i", identity], more, &[archive]].concat());
        run(&["--passphrase-file", "pass"]).ok();
        for more in [&["--passphrase-file", "wrong"][..], &[]] {
            run(more).fails(1, &["the identity file is locked", "--passphrase-file"]);
        }
    };
    check("locked", archive);
    let wrong = ["-t", "-i", "key.pub", archive];
    dir.write("key.pub", public.as_bytes());
    dir.run(&wrong).fails(1, &["identity key.pub: a public key"]);
    if has("ssh-keygen") {
        dir.shell("ssh-keygen -q -t ed25519 -N sesame -f ssh").ok();
        dir.shell("\"$L\" -1 -c --encrypt --recipients-file ssh.pub a.txt > s.age").ok();
        check("ssh", "s.age");
        // Another's, and one that is not needed.
        dir.run(&["-t", "-i", "ssh", "-i", "key.txt", archive]).ok();
        dir.run(&["-t", "-i", "ssh.pub", "s.age"]).fails(1, &["a public key"]);
    }
}

#[test]
fn age_and_rage_open_it_and_theirs_are_opened() {
    let (dir, public) = encrypted();
    dir.run(&["-1", "-o", "p.lmic", "a.txt"]).ok();
    for program in ["age", "rage"].into_iter().filter(|program| has(program)) {
        let line = format!("{program} -d -i key.txt a.txt.lmic.age | \"$L\" -d");
        assert_eq!(dir.shell(&line).ok(), text(3000));
        let line = format!("{program} -r {public} p.lmic | \"$L\" -d -i key.txt");
        assert_eq!(dir.shell(&line).ok(), text(3000));
        let line = format!("{program} -a -r {public} p.lmic | \"$L\" -d -i key.txt");
        dir.shell(&line).fails(1, &["armor", "age -d"]);
    }
    if !has("ssh-keygen") {
        return;
    }
    for kind in ["ed25519", "rsa"] {
        dir.shell(&format!("ssh-keygen -q -t {kind} -N '' -f {kind}")).ok();
        let line = format!("\"$L\" -1 -c --encrypt --recipients-file {kind}.pub a.txt > s.age");
        dir.shell(&line).ok();
        assert_eq!(dir.run(&["-d", "-c", "-i", kind, "s.age"]).ok(), text(3000));
        for program in ["age", "rage"].into_iter().filter(|program| has(program)) {
            assert_eq!(
                dir.shell(&format!("{program} -d -i {kind} s.age | \"$L\" -d")).ok(),
                text(3000)
            );
            dir.shell(&format!("{program} -R {kind}.pub -o t.age p.lmic")).ok();
            assert_eq!(dir.run(&["-d", "-c", "-i", kind, "t.age"]).ok(), text(3000));
        }
    }
}

#[test]
fn several_inputs_become_streams_of_one_output() {
    let (dir, public) = dir();
    dir.write("b.txt", &text(2000));
    let both = [text(3000), text(2000)].concat();
    dir.run(&["-1", "-o", "x.lmic", "a.txt", "b.txt"]).fails(2, &["--isolate"]);
    dir.run(&["-1", "--isolate", "-o", "x.lmic", "a.txt", "b.txt"]).ok();
    let alone = |name: &str| dir.run(&["-1", "-c", name]).ok();
    assert_eq!(dir.read("x.lmic"), [alone("a.txt"), alone("b.txt")].concat());
    dir.run(&["-1", "--isolate", "--encrypt", "-R", &public, "-o", "x.age", "a.txt", "b.txt"]).ok();
    assert_eq!(dir.run(&["-d", "-c", "-i", "key.txt", "x.age"]).ok(), both);
    // Files of the age format cannot follow one another, so this is one, too.
    let out = dir.run(&["-1", "--encrypt", "-R", &public, "-c", "a.txt", "b.txt"]).ok();
    assert_eq!(dir.pipe(&["-d", "-i", "key.txt"], &out).ok(), both);
    // All or nothing.
    dir.run(&["-1", "--isolate", "-o", "y.lmic", "a.txt", "none", "b.txt"])
        .fails(1, &["none: cannot open"]);
    dir.run(&["-1", "--isolate", "-f", "-o", "b.txt", "b.txt", "a.txt"])
        .fails(1, &["source and output at once"]);
    assert!(!dir.has("y.lmic"));
    assert_eq!(dir.read("b.txt"), text(2000));
}

#[test]
fn damage_gives_nothing_out_and_names_no_content() {
    let (dir, _) = encrypted();
    let file = dir.read("a.txt.lmic.age");
    for (name, damaged) in [
        ("cut", file[..file.len() - 1].to_vec()),
        ("header", [&b"age-encryption.org/v1\n-> X25519 "[..], b"x\n"].concat()),
        ("more", [&file[..], b"\0"].concat()),
        ("twice", [&file[..], &file].concat()),
        (
            "flip",
            file.iter().enumerate().map(|(i, b)| b ^ u8::from(i == file.len() - 30)).collect(),
        ),
    ] {
        dir.write(name, &damaged);
        let out = dir.run(&["-d", "-c", "-i", "key.txt", name]).fails(1, &[name, "encrypted file"]);
        assert!(out.is_empty(), "{name}");
        dir.run(&["-d", "-i", "key.txt", "-o", "x", name]).fails(1, &["encrypted file"]);
        dir.run(&["-l", "-i", "key.txt", name]).fails(1, &["encrypted file"]);
    }
    assert!(!dir.has("x"));
}

#[test]
fn two_archives_of_the_same_differ() {
    let (dir, public) = encrypted();
    dir.run(&["-1", "--encrypt", "-R", &public, "-o", "b", "a.txt"]).ok();
    assert_ne!(dir.read("a.txt.lmic.age"), dir.read("b"));
}

/// What is traced; `None` if nothing can be.
#[cfg(target_os = "linux")]
fn traced(dir: &Dir, calls: &str, args: &[&str]) -> Option<String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "100000", "-e", &format!("trace={calls}"), "-o", "trace"]);
    strace
        .arg(env!("CARGO_BIN_EXE_lmic"))
        .args(args)
        .current_dir(dir.path(""))
        .stdin(Stdio::null());
    let Ok(output) = strace.output() else {
        eprintln!("skipped: no strace here");
        return None;
    };
    Run(output).ok();
    Some(String::from_utf8_lossy(&dir.read("trace")).into_owned())
}

#[test]
#[cfg(target_os = "linux")]
fn plain_text_never_reaches_a_file_when_encrypting() {
    let (dir, public) = dir();
    dir.write("c", &[noise(30_000), b"CANARY-OF-PLAIN-TEXT".to_vec(), noise(30_000)].concat());
    let written = |args: &[&str]| {
        let trace = traced(&dir, "write,pwrite64,writev", args)?;
        assert!(trace.contains("write"), "{trace}");
        Some(trace.contains("CANARY"))
    };
    let Some(plain) = written(&["-1", "c"]) else { return };
    assert!(plain); // stored as it is: so the trace would show it
    for args in [&["-1", "c"][..], &["-1", "-o", "d", "c"], &["-1", "--rm", "-f", "-o", "e", "c"]] {
        let args = [&["--encrypt", "-R", &public], args].concat();
        assert_ne!(written(&args), Some(true), "{args:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn temporary_files_are_for_their_owner_alone() {
    let (dir, public) = encrypted();
    for args in [
        &["-1", "-f", "a.txt"][..],
        &["-1", "-f", "--encrypt", "-R", &public, "a.txt"],
        &["-d", "-f", "-i", "key.txt", "a.txt.lmic.age"],
        &["-d", "-f", "-i", "key.txt", "-o", "b", "a.txt.lmic.age"],
        &["-1", "-o", "of-stdin"],
    ] {
        let Some(trace) = traced(&dir, "openat,open,creat", args) else { return };
        let created = trace
            .lines()
            .filter(|line| ["O_CREAT", "O_TMPFILE"].iter().any(|flag| line.contains(flag)));
        let modes: Vec<_> = created.filter(|line| !line.contains(" = -1 ")).collect();
        assert!(
            !modes.is_empty() && modes.iter().all(|line| line.contains(", 0600)")),
            "{args:?}: {modes:?}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn no_command_makes_a_socket() {
    let (dir, public) = dir();
    dir.write("l.log", &b"a line like others\n".repeat(100));
    for args in [
        &["-7", "a.txt"][..],
        &["-d", "-c", "a.txt.lmic"],
        &["--encrypt", "-R", &public, "a.txt"],
        &["-t", "-i", "key.txt", "a.txt.lmic.age"],
        &["-l", "a.txt.lmic"],
        &["inspect", "a.txt.lmic"],
        &["cat", "--range", "1..2", "a.txt.lmic"],
        &["prime", "-q", "--table-bits", "8", "-s", "l.log", "-o", "l.lmicp"],
        &[
            "prime",
            "-q",
            "--private=2",
            "--table-bits",
            "8",
            "-s",
            "l.log",
            "-s",
            "a.txt",
            "-o",
            "m.lmicp",
        ],
        &["-p", "l.lmicp", "--records", "l.log"],
        #[cfg(feature = "bench")]
        &["bench", "--no-progress", "--codec", "lmic-1", "a.txt"],
        &["model", "list"],
        &["man"],
        &["completions", "bash"],
    ] {
        let Some(trace) = traced(&dir, "%network", args) else { return };
        // Signals come through a pair of sockets that are connected to each other, and show that strace sees them.
        assert!(args[0] != "-7" || trace.contains("socketpair(AF_UNIX"), "{trace}");
        let calls = ["socket(", "connect(", "bind(", "sendto("];
        let sockets =
            trace.lines().filter(|line| calls.iter().any(|call| line.contains(call))).count();
        assert_eq!(sockets, 0, "{args:?}: {trace}");
    }
}

#[test]
#[cfg(unix)]
fn what_is_decrypted_from_a_pipe_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, _) = encrypted();
    let mode = |name: &str| dir.path(name).metadata().unwrap().permissions().mode() & 0o777;
    dir.pipe(&["-d", "-i", "key.txt", "-o", "x"], &dir.read("a.txt.lmic.age")).ok();
    assert_eq!(mode("x"), 0o600);
    // What is not secret has the permissions of any new file, once it has its name.
    dir.shell("umask 026; printf x | \"$L\" -1 -o z; \"$L\" -d -c z | \"$L\" -1 -o zz").ok();
    assert_eq!((mode("z"), mode("zz")), (0o640, 0o640));
    // From a file, it is for those who may read that.
    dir.run(&["-d", "-i", "key.txt", "-o", "y", "a.txt.lmic.age"]).ok();
    assert_eq!(mode("y"), mode("a.txt.lmic.age"));
}

/// Types on a terminal of its own.
#[cfg(target_os = "linux")]
mod terminal {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::process::Child;
    use std::time::{Duration, Instant};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    struct Terminal {
        master: File,
        slave: File,
        shown: String,
    }

    impl Terminal {
        fn new() -> Self {
            let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let name = ptsname(&master, Vec::new()).unwrap();
            let slave =
                File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
            Self { master: master.into(), slave, shown: String::new() }
        }

        /// Starts the command, with this as its terminal; only stderr goes elsewhere.
        fn start(&self, dir: &Dir, args: &[&str]) -> Option<Child> {
            self.spawn(dir, env!("CARGO_BIN_EXE_lmic"), args, Stdio::piped())
        }

        fn spawn(
            &self,
            dir: &Dir,
            program: &str,
            args: &[&str],
            stderr: impl Into<Stdio>,
        ) -> Option<Child> {
            let mut command = Command::new("setsid");
            command.args(["--ctty", "--wait", program]).args(args).current_dir(dir.path(""));
            command.stdin(self.slave.try_clone().unwrap()).stdout(self.slave.try_clone().unwrap());
            // Without a window of its own, in which rage would ask.
            command.stderr(stderr).env("PINENTRY_PROGRAM", "");
            let child = command.spawn();
            if child.is_err() {
                eprintln!("skipped: no setsid here");
            }
            child.ok()
        }

        fn wait_for(&mut self, words: &str) {
            let mut piece = [0; 1000];
            while !self.shown.contains(words) {
                let len = self.master.read(&mut piece).unwrap();
                self.shown += &String::from_utf8_lossy(&piece[..len]);
            }
            self.shown.clear();
        }

        fn answer(&mut self, prompt: &str, line: &str) {
            self.wait_for(prompt);
            self.until(|terminal| !terminal.has_echo());
            self.master.write_all(line.as_bytes()).unwrap();
        }

        fn has_echo(&self) -> bool {
            tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
        }

        fn until(&self, holds: impl Fn(&Self) -> bool) {
            let started = Instant::now();
            while !holds(self) {
                assert!(started.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_passphrase_is_asked_twice_for_writing_and_once_for_reading() {
        let (dir, _) = dir();
        let mut terminal = Terminal::new();
        let Some(child) = terminal.start(&dir, &["--encrypt", "--passphrase", "a.txt"]) else {
            return;
        };
        terminal.answer("New passphrase: ", "sesame\n");
        terminal.answer("The same again: ", "sesame\n");
        Run(child.wait_with_output().unwrap()).ok();
        assert!(terminal.has_echo());

        let child = terminal.start(&dir, &["-t", "a.txt.lmic.age"]).unwrap();
        terminal.answer("Passphrase of the archive: ", "sesame\n");
        Run(child.wait_with_output().unwrap()).ok();

        let child = terminal.start(&dir, &["-f", "--encrypt", "--passphrase", "a.txt"]).unwrap();
        terminal.answer("New passphrase: ", "one\n");
        terminal.answer("The same again: ", "other\n");
        Run(child.wait_with_output().unwrap()).fails(1, &["the passphrases differ"]);
        let child = terminal.start(&dir, &["-f", "--encrypt", "--passphrase", "a.txt"]).unwrap();
        terminal.answer("New passphrase: ", "\n");
        Run(child.wait_with_output().unwrap()).fails(1, &["no passphrase was given"]);
        assert!(terminal.has_echo());
    }

    #[test]
    fn passphrases_of_age_and_rage_are_those_of_lmic() {
        let (dir, _) = dir();
        dir.run(&["-1", "-o", "p.lmic", "a.txt"]).ok();
        dir.write("pass", b"sesame");
        dir.run(&["-1", "--encrypt", "--passphrase-file", "pass", "a.txt"]).ok();
        for (program, prompt) in [("age", "Enter passphrase"), ("rage", "Type passphrase")] {
            if !has(program) {
                continue;
            }
            let mut terminal = Terminal::new();
            let start = |terminal: &Terminal, args: &[&str]| {
                terminal.spawn(&dir, program, args, terminal.slave.try_clone().unwrap())
            };
            let Some(child) = start(&terminal, &["-p", "-o", program, "p.lmic"]) else { return };
            terminal.answer(prompt, "sesame\n");
            terminal.answer("Confirm passphrase", "sesame\n");
            Run(child.wait_with_output().unwrap()).ok();
            let back = dir.run(&["-d", "-c", "--passphrase-file", "pass", program]).ok();
            assert_eq!(back, text(3000));
            let child = start(&terminal, &["-d", "-o", "back.lmic", "a.txt.lmic.age"]).unwrap();
            terminal.answer(prompt, "sesame\n");
            Run(child.wait_with_output().unwrap()).ok();
            assert_eq!(dir.run(&["-d", "-c", "back.lmic"]).ok(), text(3000));
            std::fs::remove_file(dir.path("back.lmic")).unwrap();
        }
    }

    #[test]
    fn ctrl_c_at_the_prompt_leaves_the_echo_on_and_no_file() {
        if crate::pipes::is_ignored(2) {
            return eprintln!("skipped: whoever runs this test ignores SIGINT, so lmic does, too");
        }
        let (dir, _) = dir();
        let mut terminal = Terminal::new();
        let Some(child) = terminal.start(&dir, &["--encrypt", "--passphrase", "a.txt"]) else {
            return;
        };
        terminal.answer("New passphrase: ", "\x03");
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        terminal.until(Terminal::has_echo);
        assert_eq!(dir.names(), ["a.txt", "key.txt"]);
    }

    #[test]
    fn without_a_terminal_there_is_an_error_and_no_waiting() {
        let (dir, _) = dir();
        let mut command = Command::new("setsid");
        command.args(["--wait", env!("CARGO_BIN_EXE_lmic"), "--encrypt", "--passphrase", "a.txt"]);
        command.current_dir(dir.path("")).stdin(Stdio::null());
        let Ok(output) = command.output() else { return };
        Run(output).fails(1, &["there is no terminal to ask", "--passphrase-file FILE"]);
    }
}
