use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary directory that the command runs in.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a file of text called `a.txt`.
    pub fn with_text() -> Self {
        let dir = Self::new();
        dir.write("a.txt", &text(3000));
        dir
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: impl AsRef<Path>, data: &[u8]) {
        fs::write(self.path(name), data).unwrap();
    }

    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Names of all that is in it, hidden or not, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The command, not started yet; stdin is empty.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lmic"));
        command.current_dir(self.0.path()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        Run(self.command(args).output().unwrap())
    }

    /// Runs a line of the shell, to which `$L` is the command; the model folder is `models` here.
    #[cfg(unix)]
    pub fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("L", env!("CARGO_BIN_EXE_lmic")).env("LMIC_MODELS", self.path("models"));
        Run(command.output().unwrap())
    }

    /// Runs the command with `input` on stdin.
    pub fn pipe(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input); // a command that refuses does not read it all
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run(output)
    }
}

/// What a run of the command left.
pub struct Run(pub Output);

impl Run {
    /// Asserts success without a word on stderr; returns stdout.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        assert_eq!(self.stderr(), "");
        assert_eq!(self.0.status.code(), Some(0));
        self.0.stdout
    }

    /// Asserts the exit status and that stderr is one line with each of `words`.
    #[track_caller]
    pub fn fails(self, status: i32, words: &[&str]) -> Vec<u8> {
        let stderr = self.stderr();
        assert_eq!(self.0.status.code(), Some(status), "{stderr}");
        if status == 1 {
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(stderr.starts_with("lmic: "), "{stderr}");
        }
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
        self.0.stdout
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

/// Text of `len` bytes with something to predict and no period.
pub fn text(len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["to ", "be ", "or ", "not ", "that ", "is ", "the ", "question. "];
    let mut text = Vec::new();
    let mut state = 1u32;
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(WORDS[state as usize >> 29].as_bytes());
    }
    text.truncate(len);
    text
}

/// Bytes that no model predicts.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
