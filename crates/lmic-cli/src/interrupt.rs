//! A signal removes the temporary file, then ends the process as it would have without us.
//!
//! One lock guards creating, naming and removing the temporary, so that a signal sees it before or
//! after each of these, never in between. The command works on one file at a time: one slot is enough. While a passphrase is
//! typed, a signal also switches the terminal's echo on again.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The name of the temporary that a signal removes. While this is held, no signal ends the process.
pub fn slot() -> MutexGuard<'static, Option<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A terminal without echo, and how it was before.
#[cfg(unix)]
static SILENCED: Mutex<Option<(std::fs::File, rustix::termios::Termios)>> = Mutex::new(None);

/// Switches the echo of a terminal off until the result is dropped, or a signal ends the process.
///
/// # Errors
/// If it is no terminal.
#[cfg(unix)]
pub fn silence(terminal: &std::fs::File) -> std::io::Result<Silence> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    install();
    let before = tcgetattr(terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    silent.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
    let mut silenced = SILENCED.lock().unwrap_or_else(PoisonError::into_inner);
    *silenced = Some((terminal.try_clone()?, before));
    tcsetattr(terminal, OptionalActions::Flush, &silent)?;
    Ok(Silence)
}

/// A terminal has no echo as long as this is there.
#[cfg(unix)]
#[derive(Debug)]
pub struct Silence;

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        end_silence();
    }
}

#[cfg(unix)]
fn end_silence() {
    let mut silenced = SILENCED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((terminal, before)) = silenced.take() {
        let _ =
            rustix::termios::tcsetattr(terminal, rustix::termios::OptionalActions::Now, &before);
    }
}

/// A write beyond `ulimit -f` is an error like any other, not the end of the process.
pub fn survive_size_limit() {
    #[cfg(unix)]
    {
        let seen = std::sync::Arc::default(); // by nobody: the write itself says it, too
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
    }
}

/// Ends the process as a broken pipe ends most programs, if the system has that.
pub fn end_by_broken_pipe() {
    #[cfg(unix)]
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
}

/// Lets signals remove the temporary from now on. If the system gives no thread for it, they end the process as they always do.
pub fn install() {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    #[cfg(unix)]
    INSTALLED.call_once(listen);
    #[cfg(not(unix))]
    INSTALLED.call_once(|| {}); // elsewhere a killed process leaves its temporary behind
}

#[cfg(unix)]
fn listen() {
    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
    };
    use signal_hook::iterator::Signals;

    // The thread is started before the signals are caught: caught signals to which nobody listens would do nothing at all.
    let (send, receive) = std::sync::mpsc::channel();
    let listen = move || receive.recv().map_or((), end_on_signal);
    if std::thread::Builder::new().name("lmic-signals".into()).spawn(listen).is_ok() {
        // Whatever ends a process that does not ask for it.
        let all = [
            SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM,
            SIGXCPU,
        ];
        if let Ok(signals) = Signals::new(all.into_iter().filter(|signal| !is_ignored(*signal))) {
            let _ = send.send(signals);
        }
    }
}

#[cfg(unix)]
fn end_on_signal(mut signals: signal_hook::iterator::Signals) {
    if let Some(signal) = signals.forever().next() {
        // Held to the end of the process, so that nothing is created or named any more.
        let slot = slot();
        if let Some(path) = slot.as_deref() {
            let _ = std::fs::remove_file(path);
        }
        end_silence();
        if signal == signal_hook::consts::SIGXCPU {
            let reason = "the limit of CPU time (ulimit -t) is reached, the output is not complete";
            let _ = writeln!(std::io::stderr(), "lmic: {reason}");
        }
        // Dying of the signal itself lets a shell loop see Ctrl-C and stop, too.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        std::process::exit(1);
    }
}

/// Whether the program that started this one wants the signal ignored, as `nohup` and scripts with background jobs do. Only on Linux
/// this can be found out without unsafe code; on other systems the signal is not ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
