//! Which of stdin and stdout were closed when the program was started (`lmic <&-`, `lmic -c a >&-`).
//!
//! Before `main`, Rust opens `/dev/null` in the place of what is closed. Without a look before that, input that is not there
//! would be an empty file, and output would vanish with status 0.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Result, bail};

static STDIN_IS_CLOSED: AtomicBool = AtomicBool::new(false);
static STDOUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look() {
    use rustix::io::fcntl_getfd;
    STDIN_IS_CLOSED.store(fcntl_getfd(std::io::stdin()).is_err(), Relaxed);
    STDOUT_IS_CLOSED.store(fcntl_getfd(std::io::stdout()).is_err(), Relaxed);
}

/// Refuses a closed stdin.
pub fn check_stdin() -> Result<()> {
    if STDIN_IS_CLOSED.load(Relaxed) {
        bail!("stdin is closed (name a file, or give it an input)");
    }
    Ok(())
}

/// Refuses a closed stdout.
pub fn check_stdout() -> Result<()> {
    if STDOUT_IS_CLOSED.load(Relaxed) {
        bail!("stdout is closed (name the output with -o, or redirect it)");
    }
    Ok(())
}
