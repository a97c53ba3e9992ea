//! Messages to the user: one line each on stderr, and whether any of them was a failure.
//!
//! `lmic: FILE: what (what to try next)`. A skipped file is a failure too (status 1), but -q hides
//! the line; -qq hides errors as well. If whoever reads stdout leaves, nothing is said, but the status is that of a broken pipe.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Error;
use lmic::ErrorKind;

use crate::interrupt;

/// A file that was left alone, with the reason.
#[derive(Debug)]
pub struct Skipped(pub String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// What to say, and what went wrong so far.
#[derive(Debug)]
pub struct Console {
    quiet: u8,
    verbose: bool,
    progress: bool,
    failed: Cell<bool>,
    warned: Cell<bool>,
}

/// Exit status when something failed or was left alone.
const FAILED: u8 = 1;
/// Exit status when all work was done, but something is not as it should be. It is that of xz.
const WARNED: u8 = 2;

impl Console {
    /// A console for these flags. `quiet` 1 leaves out what was skipped, 2 errors as well. Details and progress are shown only if
    /// `quiet` is 0, and progress only if stderr is a terminal.
    pub fn new(quiet: u8, verbose: bool, progress: bool) -> Self {
        Self {
            quiet,
            verbose: verbose && quiet == 0,
            progress: progress && quiet == 0 && io::stderr().is_terminal(),
            failed: Cell::new(false),
            warned: Cell::new(false),
        }
    }

    /// A console without progress and details.
    pub fn plain(quiet: u8) -> Self {
        Self::new(quiet, false, false)
    }

    /// Whether to draw progress bars.
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Whether -v asked for details.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Says something useful that is no failure; hidden by -q.
    pub fn note(&self, message: impl fmt::Display) {
        if self.quiet == 0 {
            say(message);
        }
    }

    /// Says of `name` that something is not as it should be, though the work is done. Hidden by -q.
    pub fn warn(&self, name: impl fmt::Display, message: impl fmt::Display, counts: bool) {
        self.note(format_args!("{name}: {message}"));
        if counts {
            self.warned.set(true);
        }
    }

    /// Takes the outcome of the work on `name`: a failure is said and remembered.
    ///
    /// # Errors
    /// Hands on what makes further files pointless: stdout is closed.
    pub fn outcome(
        &self,
        name: impl fmt::Display,
        outcome: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match outcome {
            Err(error) if is_broken_pipe(&error) => Err(error),
            Err(error) => {
                self.failed.set(true);
                if self.quiet < if error.is::<Skipped>() { 1 } else { 2 } {
                    say(format_args!("{name}: {}", explain(&error)));
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The exit status of a command that ended with `result`.
    pub fn exit_code(&self, result: anyhow::Result<()>) -> ExitCode {
        match result {
            Err(error) if is_broken_pipe(&error) => {
                interrupt::end_by_broken_pipe();
                ExitCode::from(FAILED)
            }
            Err(error) => {
                if self.quiet < 2 {
                    say(explain(&error));
                }
                ExitCode::from(FAILED)
            }
            Ok(()) if self.failed.get() => ExitCode::from(FAILED),
            Ok(()) if self.warned.get() => ExitCode::from(WARNED),
            Ok(()) => ExitCode::SUCCESS,
        }
    }
}

/// Writes one line to stderr. If stderr is closed, the work goes on all the same.
fn say(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "lmic: {message}");
}

/// A file name for a message: on one line, whatever it is made of.
pub fn display_name(path: &Path) -> String {
    path.to_string_lossy().replace(|c: char| c.is_control(), "?")
}

/// The chain of an error in one line, and what to try next.
fn explain(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let cause = cause.split(" (os error").next().unwrap_or_default();
        // Wrappers such as io::Error repeat what they wrap.
        if !text.ends_with(cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += cause;
        }
    }
    match hint(error) {
        Some(hint) if !text.ends_with(')') => format!("{text} ({hint})"),
        _ => text,
    }
}

/// What the user can do about it.
fn hint(error: &Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<lmic::Error>() {
            return hint_by_kind(error);
        }
        let error = cause.downcast_ref::<io::Error>()?;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<lmic::Error>()) {
            Some(inner) => hint_by_kind(inner), // the decoder's own error in its io::Error
            None => hint_by_io(error.kind()),
        }
    })
}

fn hint_by_kind(error: &lmic::Error) -> Option<&'static str> {
    // Which kind of model is missing, only the message says. Networks of the library are named by nothing.
    let says = |words: &str| error.to_string().contains(words);
    match error.kind() {
        ErrorKind::Corrupt => Some("get another copy"),
        ErrorKind::Truncated => Some("the end is missing; get another copy"),
        ErrorKind::NeedsNewer => Some("update lmic"),
        ErrorKind::WrongModel if says("is coded with the model \"") => {
            Some("name it with -m MODEL, or put it into the model folder")
        }
        ErrorKind::WrongModel if says("is coded with the primed state \"") => {
            Some("name it with -p PRIMED, or put it into the model folder")
        }
        ErrorKind::InvalidArgument if says("is a primed state, not") => Some("name it with -p"),
        ErrorKind::InvalidArgument if says("is a network, not") => Some("name it with -m"),
        ErrorKind::WrongKey if error.to_string().ends_with("passphrase") || says("is locked") => {
            Some("type it on a terminal, or give it with --passphrase-file FILE")
        }
        ErrorKind::WrongKey if says("no identity is given") => Some("name one with -i FILE"),
        ErrorKind::WrongKey if says("identit") => Some("name another with -i FILE"),
        // Of the work for a passphrase.
        ErrorKind::MemoryLimit if error.to_string().contains("passphrase") => {
            Some("let `age -d` decrypt it, if you trust it")
        }
        ErrorKind::MemoryLimit => Some("allow more with -M SIZE"),
        ErrorKind::OutOfMemory => Some("use fewer threads with -T, or free some"),
        _ => None,
    }
}

fn hint_by_io(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("check the name"),
        io::ErrorKind::PermissionDenied => Some("check the permissions"),
        io::ErrorKind::StorageFull => Some("free some space, or write elsewhere with -o"),
        _ => None,
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn chain_is_one_line_without_repetition() {
        let inner = lmic::Error::new(ErrorKind::Corrupt, "block 3 has another checksum");
        let error = Err::<(), _>(io::Error::other(inner)).context("cannot decode").unwrap_err();
        assert_eq!(
            explain(&error),
            "cannot decode: block 3 has another checksum (get another copy)"
        );
    }

    #[test]
    fn broken_pipe_is_found_below_a_context() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("other")));
    }

    #[test]
    fn names_stay_on_one_line() {
        assert_eq!(display_name(Path::new("a\nb\u{1b}[2Jc")), "a?b?[2Jc");
    }
}
