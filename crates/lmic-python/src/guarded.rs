//! State of an object that several threads of Python may call.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// State that one call at a time may use.
#[derive(Debug)]
pub struct Guarded<T> {
    state: Mutex<T>,
    /// The thread whose call uses it.
    user: Mutex<Option<ThreadId>>,
    /// The process in which its threads are: a fork has none of them.
    process: u32,
}

impl<T> Guarded<T> {
    /// State that nobody uses.
    pub fn new(state: T) -> Self {
        Self { state: Mutex::new(state), user: Mutex::default(), process: std::process::id() }
    }

    /// Waits for other calls, without the GIL.
    ///
    /// # Errors
    /// `RuntimeError` if the call stands in a signal handler that interrupts another one, which would wait for itself; or if the
    /// process has forked since.
    pub fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, T>> {
        if self.process != std::process::id() {
            let message =
                "it was made before the process forked, and its threads are not in this one";
            return Err(PyRuntimeError::new_err(message));
        }
        let this = Some(thread::current().id());
        if *self.user() == this {
            return Err(PyRuntimeError::new_err("a call within another one of the same object"));
        }
        let state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        *self.user() = this;
        Ok(Guard { state, guarded: self })
    }

    fn user(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// State in use.
pub struct Guard<'a, T> {
    state: MutexGuard<'a, T>,
    guarded: &'a Guarded<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        *self.guarded.user() = None;
    }
}
