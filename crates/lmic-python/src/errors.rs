//! An error of the library becomes the exception of its kind. The classes are in `python/lmic/_errors.py`, because they have two
//! bases each.

use std::io;

use lmic::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for an error. If a file object of Python raised one, it is that.
pub fn exception(error: Error) -> PyErr {
    let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
    if let Some(raised) = source.and_then(|e| e.get_ref()?.downcast_ref::<PyErr>()) {
        return Python::attach(|py| raised.clone_ref(py));
    }
    let name = match error.kind() {
        ErrorKind::Corrupt => "CorruptError",
        ErrorKind::Truncated => "TruncatedError",
        ErrorKind::NeedsNewer => "NeedsNewerError",
        ErrorKind::WrongModel => "WrongModelError",
        ErrorKind::WrongKey => "WrongKeyError",
        ErrorKind::MemoryLimit => "MemoryLimitError",
        ErrorKind::OutOfMemory => "OutOfMemoryError",
        ErrorKind::InvalidArgument => "InvalidArgumentError",
        ErrorKind::Io => "InputOutputError",
        _ => "LmicError",
    };
    Python::attach(|py| {
        let class = py.import("lmic._errors").and_then(|module| module.getattr(name));
        match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
            Ok(class) => PyErr::from_type(class, error.to_string()),
            Err(error) => error,
        }
    })
}

/// An exception for an argument that is wrong.
pub fn invalid(message: impl Into<String>) -> PyErr {
    exception(Error::new(ErrorKind::InvalidArgument, message))
}
