//! File systems that refuse: by `strace`, which lets system calls fail, and by real ones that are full, read-only or old.
//! Whatever they refuse: no content is lost, no half file has a name, nothing hidden stays.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::{Dir, Run, text};

/// All was done, but not all as it should be: as xz has it.
const WARNED: i32 = 2;

// The names of a call on all processors: strace passes over those with ? that it does not know.
const OPEN: &str = "?open,openat";
const RENAME: &str = "?rename,?renameat,renameat2";
const UNLINK: &str = "?unlink,unlinkat";

/// The command, with system calls that fail as `strace -e inject=` has it; if `only` is not empty, only those on these paths.
fn refusing(dir: &Dir, only: &[&str], injected: &[&str], args: &[&str]) -> Option<Command> {
    static STRACE: OnceLock<bool> = OnceLock::new();
    let works = STRACE.get_or_init(|| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null());
        strace.status().is_ok_and(|status| status.success())
    });
    if !works {
        eprintln!("skipped: no strace here, or it may not trace");
        return None;
    }
    let mut command = Command::new("strace");
    // Of a path that does not exist, -P says that to stderr.
    command.args(["-f", "-qq", "-o", "/dev/null"]).current_dir(dir.path("")).stdin(Stdio::null());
    for path in only {
        command.args(["-P", path]);
    }
    for injected in injected {
        command.args(["-e", &format!("inject={injected}")]);
    }
    command.arg(env!("CARGO_BIN_EXE_lmic")).args(args);
    Some(command)
}

fn run(dir: &Dir, injected: &[&str], args: &[&str]) -> Option<Run> {
    Some(Run(refusing(dir, &[], injected, args)?.output().unwrap()))
}

fn run_only(dir: &Dir, only: &[&str], injected: &[&str], args: &[&str]) -> Option<Run> {
    Some(Run(refusing(dir, only, injected, args)?.output().unwrap()))
}

/// `a.txt`, and `b.lmic` that holds the same.
fn dir() -> Dir {
    let dir = Dir::with_text();
    dir.run(&["-1", "-o", "b.lmic", "a.txt"]).ok();
    dir
}

/// Asserts that the name holds the text, as it is or coded.
#[track_caller]
fn assert_holds_text(dir: &Dir, name: &str) {
    let found = dir.read(name);
    let found = if name.ends_with(".lmic") { lmic::decompress(&found).unwrap() } else { found };
    assert_eq!(found, text(3000), "{name}");
}

/// Both directions, with the name that each makes.
const DIRECTIONS: [(&[&str], &str); 2] =
    [(&["-1", "a.txt"], "a.txt.lmic"), (&["-d", "-o", "c", "b.lmic"], "c")];

#[test]
fn attributes_that_cannot_be_set_are_a_warning_and_the_output_stays() {
    // Others than root cannot give files away, so that this fails is not worth a word.
    let is_root = rustix::process::geteuid().is_root();
    let calls = ["fchmod", "utimensat", "fchown"];
    for call in &calls[..if is_root { 3 } else { 2 }] {
        for error in ["EPERM", "EOPNOTSUPP", "EINVAL", "ENOSYS", "EROFS", "EIO"] {
            for (args, made) in DIRECTIONS {
                let dir = dir();
                let Some(run) = run(&dir, &[&format!("{call}:error={error}")], args) else {
                    return;
                };
                let status = run.0.status.code().unwrap();
                let said = run.stderr();
                let is_said = said.starts_with(&format!("lmic: {made}: cannot set"));
                assert!(is_said && said.lines().count() == 1, "{call} {error}: {said}");
                // As in xz, times do not count.
                let expected = if *call == "utimensat" { 0 } else { WARNED };
                assert_eq!(status, expected, "{call} {error}: {said}");
                assert_holds_text(&dir, made);
                assert_eq!(dir.names().len(), 3, "{:?}", dir.names());
            }
        }
    }
}

#[test]
fn source_goes_with_rm_though_its_attributes_could_not_be_kept() {
    let dir = dir();
    let Some(run) = run(&dir, &["fchmod:error=EPERM"], &["-1", "--rm", "a.txt"]) else { return };
    assert_eq!(run.0.status.code(), Some(WARNED), "{}", run.stderr());
    assert_eq!(dir.names(), ["a.txt.lmic", "b.lmic"]);
    assert_holds_text(&dir, "a.txt.lmic");
}

/// What file systems say that lack one or the other way to give a file its name.
const NAMINGS: [&[&str]; 6] = [
    &[],
    &["linkat:error=EPERM"],
    &["linkat:error=EMLINK", "renameat2:error=EINVAL"],
    &["linkat:error=EPERM", "renameat2:error=EINVAL"],
    &["linkat:error=EOPNOTSUPP", "renameat2:error=EOPNOTSUPP"],
    &["linkat:error=ENOSYS", "renameat2:error=ENOSYS"],
];

#[test]
fn output_gets_its_name_without_hard_links_and_renames_that_do_not_replace() {
    for injected in NAMINGS {
        for (args, made) in DIRECTIONS {
            let dir = dir();
            let Some(run) = run(&dir, injected, args) else { return };
            assert_eq!(run.0.status.code(), Some(0), "{injected:?}: {}", run.stderr());
            assert_holds_text(&dir, made);
            assert_eq!(dir.names().len(), 3, "{injected:?}: {:?}", dir.names());

            dir.write(made, b"there already");
            let again = self::run(&dir, injected, args).unwrap();
            assert_eq!(again.0.status.code(), Some(1), "{injected:?}");
            assert_eq!(dir.read(made), b"there already", "{injected:?}");

            let forced = self::run(&dir, injected, &[&["-f"], args].concat()).unwrap();
            assert_eq!(forced.0.status.code(), Some(0), "{injected:?}: {}", forced.stderr());
            assert_holds_text(&dir, made);
            assert_eq!(dir.names().len(), 3, "{injected:?}: {:?}", dir.names());
        }
    }
}

#[test]
fn name_that_is_taken_meanwhile_is_not_written_over() {
    for injected in NAMINGS {
        let dir = Dir::new();
        let Some(mut command) = refusing(&dir, &[], injected, &["-1", "-o", "out"]) else { return };
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // More than the pipe and the command take at once: when all is written, it has looked at the name.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&text(1 << 20)).unwrap();
        dir.write("out", b"taken");
        drop(stdin);
        let run = Run(child.wait_with_output().unwrap());
        assert_eq!(run.0.status.code(), Some(1), "{injected:?}: {}", run.stderr());
        assert_eq!(dir.read("out"), b"taken", "{injected:?}");
        assert_eq!(dir.names(), ["out"], "{injected:?}");
    }
}

#[test]
fn output_is_made_where_all_files_have_names() {
    for error in ["EOPNOTSUPP", "EISDIR", "EINVAL", "ENOENT"] {
        for (args, made) in DIRECTIONS {
            let dir = dir();
            let injected = format!("{OPEN}:error={error}");
            let Some(run) = run_only(&dir, &["."], &[&injected], args) else { return };
            assert_eq!(run.0.status.code(), Some(0), "{injected}: {}", run.stderr());
            assert_holds_text(&dir, made);
            assert_eq!(dir.names().len(), 3, "{:?}", dir.names());
        }
    }
}

#[test]
fn disk_that_cannot_keep_the_output_is_an_error_and_the_source_stays() {
    for error in ["EIO", "ENOSPC", "EDQUOT"] {
        // The first call of the thread that writes. (Later ones would be those of the message.)
        let write = format!("?write,pwrite64:error={error}:when=1");
        let synchronize = format!("fsync,fdatasync:error={error}");
        for call in [&write, &synchronize] {
            for naming in NAMINGS {
                let dir = dir();
                let injected = [&[call.as_str()], naming].concat();
                for (args, _) in DIRECTIONS {
                    let args = [&["--rm"], args].concat();
                    let Some(run) = run(&dir, &injected, &args) else { return };
                    run.fails(1, &["cannot write"]);
                    assert_eq!(dir.names(), ["a.txt", "b.lmic"], "{injected:?}");
                }
            }
        }
    }
}

#[test]
fn error_on_closing_the_output_is_an_error() {
    for error in ["EIO", "ENOSPC", "EDQUOT"] {
        for (args, _) in DIRECTIONS {
            let dir = dir();
            // All of them but for those before `main`, where the loader would give up: which one is the last of the
            // output, only the program knows.
            let Some(first) = closes_to_start(&dir) else { return };
            let injected = format!("close:error={error}:when={}+", first + 1);
            let Some(run) = run(&dir, &[&injected], &[&["--rm"], args].concat()) else { return };
            run.fails(1, &["cannot write"]);
            assert_eq!(dir.names(), ["a.txt", "b.lmic"], "{injected}");
        }
    }
}

/// How many descriptors the command closes before it works.
fn closes_to_start(dir: &Dir) -> Option<usize> {
    refusing(dir, &[], &[], &[])?; // skips
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "trace=close", "-e", "signal=none", "-o", "closes"]);
    command.args([env!("CARGO_BIN_EXE_lmic"), "--version"]).current_dir(dir.path(""));
    assert!(command.output().unwrap().status.success());
    let closes = dir.read("closes").split(|&byte| byte == b'\n').count();
    fs::remove_file(dir.path("closes")).unwrap();
    Some(closes)
}

#[test]
fn folder_that_cannot_be_synchronized_is_an_error_only_where_it_could_be() {
    for (error, status) in [("EINVAL", 0), ("EOPNOTSUPP", 0), ("EIO", 1), ("ENOSPC", 1)] {
        let dir = dir();
        let path = fs::canonicalize(dir.path("")).unwrap();
        let path = path.to_str().unwrap();
        let injected = format!("fsync,fdatasync:error={error}");
        let Some(run) = run_only(&dir, &[path], &[&injected], &["-1", "--rm", "a.txt"]) else {
            return;
        };
        assert_eq!(run.0.status.code(), Some(status), "{injected}: {}", run.stderr());
        assert_holds_text(&dir, "a.txt.lmic");
        assert_eq!(dir.has("a.txt"), status == 1, "{injected}");
    }
}

#[test]
fn source_that_cannot_be_removed_is_said() {
    for error in ["EPERM", "EACCES", "EBUSY", "EROFS"] {
        for (args, made) in DIRECTIONS {
            let dir = dir();
            let injected = format!("{UNLINK}:error={error}");
            let Some(run) = run(&dir, &[&injected], &[&["--rm"], args].concat()) else { return };
            let source = args[args.len() - 1];
            run.fails(1, &[source, "cannot remove"]);
            assert_holds_text(&dir, made);
            assert_holds_text(&dir, source);
            assert_eq!(dir.names().len(), 3, "{:?}", dir.names());
        }
    }
}

#[test]
fn renaming_that_fails_leaves_the_old_file_and_nothing_hidden() {
    for error in ["EIO", "ENOSPC", "EACCES", "EROFS"] {
        for (args, made) in DIRECTIONS {
            let dir = dir();
            dir.write(made, b"old");
            let injected = format!("{RENAME}:error={error}");
            let args = [&["-f", "--rm"], args].concat();
            let Some(run) = run(&dir, &[&injected], &args) else { return };
            run.fails(1, &["cannot write", made]);
            assert_eq!(dir.read(made), b"old", "{injected}");
            assert_eq!(dir.names().len(), 3, "{:?}", dir.names());
        }
    }
}

#[test]
fn input_that_cannot_be_read_leaves_no_output() {
    for (args, _) in DIRECTIONS {
        let dir = dir();
        let path = fs::canonicalize(dir.path(args[args.len() - 1])).unwrap();
        let args = [&["--rm"], args].concat();
        let injected = ["?read,pread64:error=EIO"];
        let Some(run) = run_only(&dir, &[path.to_str().unwrap()], &injected, &args) else { return };
        run.fails(1, &[args[args.len() - 1], "Input/output error"]);
        assert_eq!(dir.names(), ["a.txt", "b.lmic"]);
    }
}

/// A shell line in a mount namespace of its own, where it may mount: `m` is an empty folder for that.
fn mounted(dir: &Dir, line: &str) -> Option<Run> {
    static OPTIONS: OnceLock<Option<&str>> = OnceLock::new();
    let works = |options: &&str| {
        let mut unshare = Command::new("unshare");
        unshare.args([options, "sh", "-c", "mount -t tmpfs none /mnt"]).stderr(Stdio::null());
        unshare.status().is_ok_and(|status| status.success())
    };
    let Some(options) = OPTIONS.get_or_init(|| ["-m", "-rm"].into_iter().find(works)) else {
        eprintln!("skipped: no unshare here, or it may not mount");
        return None;
    };
    fs::create_dir_all(dir.path("m")).unwrap();
    let mut command = Command::new("unshare");
    let line = format!("set -e\nlmic() {{ {} \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_lmic"));
    command.args([options, "sh", "-c", &line]).current_dir(dir.path(""));
    Some(Run(command.stdin(Stdio::null()).output().unwrap()))
}

#[test]
fn full_disk_keeps_the_source_and_no_part_of_the_output() {
    let dir = Dir::new();
    dir.write("noise", &crate::support::noise(100_000));
    let line = "mount -t tmpfs -o size=64k none m
        head -c 40000 noise > m/noise
        lmic -1 --rm m/noise || echo status $?
        lmic -1 -o m/other noise || echo status $?
        ls -A m; wc -c < m/noise";
    let Some(run) = mounted(&dir, line) else { return };
    let said = run.stderr();
    let stdout = String::from_utf8_lossy(&run.0.stdout).into_owned();
    assert_eq!(stdout, "status 1\nstatus 1\nnoise\n40000\n", "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.contains("free some space")), "{said}");
}

#[test]
fn read_only_folder_gives_to_another_but_keeps_its_source() {
    let dir = dir();
    fs::create_dir(dir.path("d")).unwrap();
    fs::rename(dir.path("a.txt"), dir.path("d/a.txt")).unwrap();
    let line = "mount --bind d m; mount -o remount,bind,ro m
        lmic -1 m/a.txt || echo status $?
        lmic -1 --rm -o out.lmic m/a.txt || echo status $?
        ls -A m";
    let Some(run) = mounted(&dir, line) else { return };
    let said = run.stderr();
    assert_eq!(String::from_utf8_lossy(&run.0.stdout), "status 1\nstatus 1\na.txt\n", "{said}");
    assert!(said.lines().next().unwrap().contains("Read-only"), "{said}");
    assert!(said.lines().nth(1).unwrap().contains("cannot remove"), "{said}");
    assert_holds_text(&dir, "out.lmic");
}

/// What makes file systems of other kinds in a file, and mounts them.
const IMAGES: [(&str, &[&str], &str); 3] = [
    // Without links, owners and permissions.
    ("vfat", &["mkfs.vfat", "image"], "mount -t vfat"),
    ("exfat", &["mkfs.exfat", "image"], "mount -t exfat-fuse"),
    ("ext2", &["mkfs.ext2", "-q", "-F", "image"], "mount -t ext2"),
];

#[test]
fn files_are_coded_and_removed_on_file_systems_of_other_kinds() {
    // Where the programs of root are, which others have not on their path.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    for (kind, make, mount) in IMAGES {
        let dir = dir();
        fs::File::create(dir.path("image")).unwrap().set_len(4 << 20).unwrap();
        let mut program = Command::new(make[0]);
        program.args(&make[1..]).env("PATH", &path).current_dir(dir.path(""));
        let made = program.output();
        if !made.is_ok_and(|made| made.status.success()) {
            eprintln!("skipped: no {} here", make[0]);
            continue;
        }
        let line = format!(
            "PATH={path}; {mount} -o loop image m || {{ echo cannot; exit 0; }}
            cp a.txt m/; cd m
            done_by() {{ \"$@\" || [ $? = {WARNED} ]; }}
            done_by lmic -1 --rm a.txt; done_by lmic -d --rm a.txt.lmic
            done_by lmic -1 a.txt; done_by lmic -1 -f a.txt
            lmic -1 a.txt || echo status $?
            cmp a.txt ../a.txt; lmic -dc a.txt.lmic | cmp - a.txt; ls -A | grep -v lost+found
            cd ..; umount m"
        );
        let Some(run) = mounted(&dir, &line) else { return };
        let stdout = String::from_utf8_lossy(&run.0.stdout).into_owned();
        if stdout.ends_with("cannot\n") {
            eprintln!("skipped: {kind} cannot be mounted here");
            continue;
        }
        assert!(
            stdout.ends_with("status 1\na.txt\na.txt.lmic\n"),
            "{kind}: {stdout}{}",
            run.stderr()
        );
        assert_eq!(run.0.status.code(), Some(0), "{kind}: {}", run.stderr());
    }
}
