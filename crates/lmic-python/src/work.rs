//! Work that Ctrl-C ends: it runs on a thread of its own, while the thread of Python looks for signals.

use pyo3::prelude::*;

use crate::errors::exception;

/// Runs `work` without the GIL.
///
/// # Errors
/// That of `work`, or what a signal raised.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> lmic::Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(exception)
}
