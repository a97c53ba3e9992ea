//! Work without the GIL. Ctrl-C ends what takes long: it runs on a thread of its own, while the thread of Python looks for signals.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lmic::progress::Progress;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::exception;

/// How long a signal may wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Bytes for Python.
///
/// # Errors
/// `MemoryError`.
pub fn bytes<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, content.len(), |bytes| {
        bytes.copy_from_slice(content);
        Ok(())
    })
}

/// Runs short `work` without the GIL.
///
/// # Errors
/// That of `work`.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> lmic::Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(exception)
}

/// What a thread that works asks the thread of Python to do.
type Call = Box<dyn FnOnce(Python<'_>) + Send>;

thread_local! {
    /// Where the thread of Python takes calls, on a thread that works for it.
    static CALLER: RefCell<Option<Sender<Call>>> = const { RefCell::new(None) };
}

/// Calls Python on the thread that waits for this one in [`run_long`], or here if none does. A file object of Python is called where
/// its user is: there Ctrl-C ends a read that waits, and locks that the user holds are its own.
pub fn on_caller<T: Send + 'static>(call: impl FnOnce(Python<'_>) -> T + Send + 'static) -> T {
    let Some(caller) = CALLER.with_borrow(Clone::clone) else { return Python::attach(call) };
    let (answer, answered) = channel();
    let call = move |py: Python<'_>| _ = answer.send(call(py));
    caller.send(Box::new(call)).expect("the caller waits for this thread");
    answered.recv().expect("the caller answers")
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
    let (caller, mut calls) = channel::<Call>();
    // A `spawn` that fails does not give its closure back, and the work must then be done here.
    let work = Mutex::new(Some(work));
    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).take();
    thread::scope(|scope| {
        let spawned = thread::Builder::new().spawn_scoped(scope, move || {
            CALLER.set(Some(caller));
            let result = take().map(|work| work());
            CALLER.take(); // wakes the thread of Python, as the end of this thread does if `work` panics
            result
        });
        let Ok(worker) = spawned else {
            let result = py.detach(|| take().map(|work| work())).expect("no thread took it");
            return result.map_err(exception);
        };
        let mut raised = None;
        let mut wait = || {
            let calls = &mut calls; // only who has it alone may use it on another thread, as `detach` might
            py.detach(move || calls.recv_timeout(PATIENCE))
        };
        loop {
            match wait() {
                Ok(call) => call(py),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Also between calls: they may come one after another, from a file object that looks for no signals.
            if raised.is_none()
                && let Err(error) = py.check_signals()
            {
                progress.stop();
                raised = Some(error);
            }
        }
        let result = py.detach(|| worker.join()).unwrap_or_else(|panic| resume_unwind(panic));
        // What came at the very end is raised here as well: Python would raise it before the caller has the result, which
        // would be lost without anybody knowing.
        match raised.or_else(|| py.check_signals().err()) {
            Some(error) => Err(error),
            None => result.expect("the thread took it").map_err(exception),
        }
    })
}
