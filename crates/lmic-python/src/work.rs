//! Work without the GIL. Ctrl-C ends what takes long: it runs on a thread of its own, while the thread of Python looks for signals.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use lmic::progress::Progress;
use pyo3::prelude::*;

use crate::errors::exception;

/// How long a signal may wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs short `work` without the GIL.
///
/// # Errors
/// That of `work`.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> lmic::Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(exception)
}

/// Runs long `work` without the GIL. Signals, which Python sees on its main thread, are handled meanwhile: if a handler raises, as
/// that of Ctrl-C does, `progress` is stopped, and what `work` stopped with is gone. So `progress` must be of that work.
///
/// # Errors
/// That of `work`, or what a signal handler raised.
pub fn run_long<T: Send>(
    py: Python<'_>,
    progress: &Progress,
    work: impl FnOnce() -> lmic::Result<T> + Send,
) -> PyResult<T> {
    let (done, mut is_done) = channel::<()>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let result = work();
            drop(done); // wakes the thread of Python, also if `work` panics
            result
        });
        let mut raised = None;
        let mut wait = || {
            let is_done = &mut is_done; // only who has it alone may use it on another thread, as `detach` might
            py.detach(move || is_done.recv_timeout(PATIENCE))
        };
        while wait() == Err(RecvTimeoutError::Timeout) {
            if raised.is_none()
                && let Err(error) = py.check_signals()
            {
                progress.stop();
                raised = Some(error);
            }
        }
        let result = py.detach(|| worker.join()).unwrap_or_else(|panic| resume_unwind(panic));
        match raised {
            Some(error) => Err(error),
            None => result.map_err(exception),
        }
    })
}
