//! Memory that Python objects export: bytes, bytearray, memoryview, mmap, arrays. It is read in place.
//!
//! `Py_buffer` belongs to the stable ABI only from Python 3.11 on. A memoryview and `PyObject_AsReadBuffer` have always belonged
//! to it, and do the same: the view keeps the memory where it is.

use std::ffi::{c_int, c_void};
use std::io::{self, Read, Seek, SeekFrom};

use pyo3::exceptions::PyBufferError;
use pyo3::ffi::{self, Py_ssize_t};
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

// No header of Python declares it any more, but every Python 3 exports it, as it is part of the stable ABI.
unsafe extern "C" {
    fn PyObject_AsReadBuffer(
        object: *mut ffi::PyObject,
        memory: *mut *const c_void,
        len: *mut Py_ssize_t,
    ) -> c_int;
}

/// The bytes of an object, in C order. No slice of them is ever made, because another thread of Python may change them in the
/// meantime: they are copied in pieces, each byte once, to where they are needed. Whoever changes them has a mixture of old and
/// new bytes coded, but does not break anything.
#[derive(Debug)]
pub struct Buffer {
    /// Pins the memory.
    _view: Py<PyMemoryView>,
    memory: *const u8,
    len: usize,
    /// Bytes that have been read.
    used: usize,
}

// SAFETY: the memory is only read, and it stays where it is while the view is there, whichever thread reads it.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Buffer {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let view = PyMemoryView::from(&object).or_else(|error| {
            times(&object).map_or(Err(error), |times| PyMemoryView::from(&times))
        })?;
        if !view.getattr("c_contiguous")?.extract::<bool>()? {
            return Err(PyBufferError::new_err(
                "the bytes must be contiguous, in C order (numpy.ascontiguousarray makes a copy that is)",
            ));
        }
        let (mut memory, mut len) = (std::ptr::null(), 0);
        // SAFETY: `view` is a live object of this thread, and the function fills in both results or fails.
        if unsafe { PyObject_AsReadBuffer(view.as_ptr(), &raw mut memory, &raw mut len) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Self { _view: view.unbind(), memory: memory.cast(), len: len as usize, used: 0 })
    }
}

/// The numbers of an array of times, for which numpy exports no memory.
fn times<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let kind = object.getattr("dtype").and_then(|dtype| dtype.getattr("kind")).ok()?;
    let is_of_times = matches!(kind.extract().ok()?, 'm' | 'M');
    is_of_times.then(|| object.call_method1("view", ("i8",)).ok()).flatten()
}

impl Read for Buffer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(self.len.saturating_sub(self.used));
        if len == 0 {
            return Ok(0);
        }
        // SAFETY: the memory has `self.len` bytes and stays there while the view is; `out` is memory of Rust alone.
        unsafe { self.memory.add(self.used).copy_to_nonoverlapping(out.as_mut_ptr(), len) };
        self.used += len;
        Ok(len)
    }
}

impl Seek for Buffer {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => usize::try_from(place).ok(),
            SeekFrom::Current(offset) => self.used.checked_add_signed(offset as isize),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset as isize),
        };
        self.used = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.used as u64)
    }
}
