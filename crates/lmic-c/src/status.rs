//! Statuses, messages of errors, and where panics end.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use lmic::{Error, ErrorKind};

/// How a call ended. Errors are sorted by what can be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum lmic_status {
    /// It is done; of a stream, so far.
    LMIC_OK = 0,
    /// The stream is complete, and all of its output was written.
    LMIC_END = 1,
    /// The bytes are not a valid archive, or were damaged. Get another copy.
    LMIC_CORRUPT = 2,
    /// The archive ends too early. Get the rest.
    LMIC_TRUNCATED = 3,
    /// Written by a newer lmic. Update this one.
    LMIC_NEEDS_NEWER = 4,
    /// Coded with a model that is not in the library. The command and the libraries for Rust and Python read it.
    LMIC_WRONG_MODEL = 5,
    /// It needs more memory than the limit allows. Raise the limit.
    LMIC_MEMORY_LIMIT = 6,
    /// The system does not give the memory that is needed. Use fewer threads, or free some.
    LMIC_OUT_OF_MEMORY = 7,
    /// An argument is outside its documented range, or null.
    LMIC_INVALID_ARGUMENT = 8,
    /// Reading failed.
    LMIC_IO = 9,
    /// A bug in lmic. What it happened in can only be freed.
    LMIC_INTERNAL = 10,
}

use lmic_status::*;

thread_local! {
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// What the last call that failed on this thread said: a clause in English without a full stop, in UTF-8. Null if none has
/// failed. It is valid until the next call of lmic on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|error| error.as_ref().map_or(ptr::null(), |message| message.as_ptr()))
}

/// Runs the body of a function of the interface: its error becomes a status and a message, and so does a panic.
pub(crate) fn guard(body: impl FnOnce() -> lmic::Result<lmic_status>) -> lmic_status {
    // What the body may leave half done is a `Handle`, which notices, or the caller's, who sees the status.
    let (status, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(error)) => (status_of(error.kind()), error.to_string()),
        Err(_) => (LMIC_INTERNAL, "a panic, which is a bug in lmic".into()),
    };
    let message = CString::new(message.replace('\0', "?")).unwrap_or_default();
    LAST_ERROR.set(Some(message));
    status
}

fn status_of(kind: ErrorKind) -> lmic_status {
    match kind {
        ErrorKind::Corrupt => LMIC_CORRUPT,
        ErrorKind::Truncated => LMIC_TRUNCATED,
        ErrorKind::NeedsNewer => LMIC_NEEDS_NEWER,
        ErrorKind::WrongModel => LMIC_WRONG_MODEL,
        ErrorKind::MemoryLimit => LMIC_MEMORY_LIMIT,
        ErrorKind::OutOfMemory => LMIC_OUT_OF_MEMORY,
        ErrorKind::InvalidArgument => LMIC_INVALID_ARGUMENT,
        ErrorKind::Io => LMIC_IO,
        _ => LMIC_INTERNAL,
    }
}

/// An error of the caller's.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// What a pointer that was handed out stands for. A panic leaves it as it was in the middle of something: it is not used again.
pub(crate) struct Handle<T> {
    value: T,
    is_broken: bool,
}

impl<T> Handle<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, is_broken: false }
    }

    pub(crate) fn with<R>(
        &mut self,
        work: impl FnOnce(&mut T) -> lmic::Result<R>,
    ) -> lmic::Result<R> {
        if self.is_broken {
            return Err(invalid(
                "a call before ended with LMIC_INTERNAL, and it can only be freed",
            ));
        }
        self.is_broken = true;
        let result = work(&mut self.value);
        self.is_broken = false;
        result
    }

    /// What does not change.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_breaks_what_it_happened_in() {
        let mut handle = Handle::new(1);
        let status = guard(|| handle.with(|_| panic!("on purpose")));
        assert_eq!(status, LMIC_INTERNAL);
        assert_eq!(guard(|| handle.with(|_| Ok(LMIC_OK))), LMIC_INVALID_ARGUMENT);
    }
}
