//! Which of stdin, stdout and stderr were closed when the program was started (`lmic <&-`, `lmic -c a >&-`), and whether stdout
//! can be written at all.
//!
//! Before `main`, Rust opens `/dev/null` in the place of what is closed, and later takes a failure to write there for success. So this
//! module looks before that: otherwise a closed stdin would be read as an empty file, and output would vanish with status 0.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Result, bail};

static IS_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
static STDOUT_IS_FOR_READING: AtomicBool = AtomicBool::new(false);

#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look() {
    use rustix::fs::{OFlags, fcntl_getfl};
    let flags = [
        fcntl_getfl(std::io::stdin()),
        fcntl_getfl(std::io::stdout()),
        fcntl_getfl(std::io::stderr()),
    ];
    let for_reading = flags[1].is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDONLY);
    STDOUT_IS_FOR_READING.store(for_reading, Relaxed);
    for (is_closed, flags) in IS_CLOSED.iter().zip(flags) {
        is_closed.store(flags.is_err(), Relaxed);
    }
}

/// Stdout without the line buffer of [`std::io::Stdout`].
pub fn stdout() -> io::Result<File> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    Ok(File::from(owned?))
}

/// Refuses a descriptor that was closed.
pub fn check(number: u32) -> Result<()> {
    let is_closed = IS_CLOSED.get(number as usize).is_some_and(|closed| closed.load(Relaxed));
    match (is_closed, number) {
        (false, _) => Ok(()),
        (true, 0) => bail!("stdin is closed (name a file, or give it an input)"),
        (true, 1) => bail!("stdout is closed (name the output with -o, or redirect it)"),
        (true, _) => bail!("stderr is closed"),
    }
}

/// Refuses a stdin that was closed.
pub fn check_stdin() -> Result<()> {
    check(0)
}

/// Refuses a stdout that was closed, or that is open for reading only.
pub fn check_stdout() -> Result<()> {
    check(1)?;
    if STDOUT_IS_FOR_READING.load(Relaxed) {
        bail!("stdout is not open for writing (name the output with -o, or redirect it)");
    }
    Ok(())
}
