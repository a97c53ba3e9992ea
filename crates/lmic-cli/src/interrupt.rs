//! A signal removes the temporary file, then ends the process as it would have without us.
//!
//! One lock guards creating, naming and removing the temporary, so that a signal sees it before or
//! after each of these, never in between. The command works on one file at a time: one slot is enough.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

fn slot() -> MutexGuard<'static, Option<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary in `directory` that a signal removes. `private` keeps others from reading it until it
/// gets its final permissions; otherwise it has those of any new file.
pub fn create_temporary(directory: &Path, private: bool) -> io::Result<NamedTempFile> {
    install()?;
    let mut slot = slot();
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lmic-").suffix(".part");
    #[cfg(unix)]
    if !private {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
    }
    #[cfg(not(unix))]
    let _ = private;
    let temporary = builder.tempfile_in(directory).map_err(without_path)?;
    *slot = Some(temporary.path().into());
    Ok(temporary)
}

/// Renames the temporary to `target`.
pub fn name_temporary(temporary: NamedTempFile, target: &Path, overwrite: bool) -> io::Result<()> {
    let mut slot = slot();
    let named = match overwrite {
        true => temporary.persist(target),
        false => temporary.persist_noclobber(target),
    };
    *slot = None;
    named.map(drop).map_err(|error| error.error)
}

/// The system's error below the one of tempfile, whose random name says nothing to the user.
fn without_path(error: io::Error) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(this) = cause {
        if let Some(code) = this.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = this.source();
    }
    error
}

#[cfg(unix)]
fn install() -> io::Result<()> {
    use std::sync::Once;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    static INSTALLED: Once = Once::new();
    let mut result = Ok(());
    INSTALLED.call_once(|| {
        let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
        result = Signals::new(wanted).map(|signals| {
            std::thread::spawn(|| end_on_signal(signals));
        });
    });
    result
}

#[cfg(unix)]
fn end_on_signal(mut signals: signal_hook::iterator::Signals) {
    if let Some(signal) = signals.forever().next() {
        // Held to the end of the process, so that nothing is created or named any more.
        let slot = slot();
        if let Some(path) = slot.as_deref() {
            let _ = std::fs::remove_file(path);
        }
        // Dying of the signal itself lets a shell loop see Ctrl-C and stop, too.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        std::process::exit(1);
    }
}

/// Whether whoever started us wants the signal ignored (`nohup`, a script's background jobs). Only
/// Linux says so without unsafe code; elsewhere the signal counts.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Elsewhere a killed process leaves its temporary behind.
#[cfg(not(unix))]
fn install() -> io::Result<()> {
    Ok(())
}
