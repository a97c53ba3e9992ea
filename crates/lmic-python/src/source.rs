//! Where archives are read from: a file, memory, or a file object of Python.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Buffer;

/// An object of Python with `read`, and perhaps `seek`. It is called from the threads that decode.
#[derive(Debug)]
pub struct FileObject(Py<PyAny>);

impl FileObject {
    /// The object.
    pub fn new(object: Py<PyAny>) -> Self {
        Self(object)
    }
}

impl Read for FileObject {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let read = self.0.bind(py).call_method1("read", (out.len(),))?;
            let read = read.cast_into::<PyBytes>().map_err(PyErr::from)?;
            let read = read.as_bytes();
            if read.len() > out.len() {
                return Err(PyValueError::new_err("read() returned more than was asked for").into());
            }
            out[..read.len()].copy_from_slice(read);
            Ok(read.len())
        })
    }
}

impl Seek for FileObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (i128::from(offset), 0),
            SeekFrom::Current(offset) => (offset.into(), 1),
            SeekFrom::End(offset) => (offset.into(), 2),
        };
        Python::attach(|py| {
            Ok(self.0.bind(py).call_method1("seek", (offset, whence))?.extract()?)
        })
    }
}

/// What an archive is opened from.
#[derive(Debug)]
pub enum Source {
    /// A file of the system.
    File(File),
    /// Bytes.
    Memory(Buffer),
    /// Anything else.
    Object(FileObject),
}

impl Source {
    /// The source that a path, a file object or bytes stand for.
    ///
    /// # Errors
    /// If there is no such file, or it is none of these.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.hasattr("read")? && object.hasattr("seek")? {
            return Ok(Self::Object(FileObject::new(object.clone().unbind())));
        }
        if let Ok(path) = object.extract::<PathBuf>() {
            let open = || {
                // Python's own exceptions of it name the file.
                let io = object.py().import("io")?;
                io.call_method1("open", (object, "rb"))?.call_method0("close")
            };
            return match File::open(path) {
                Ok(file) => Ok(Self::File(file)),
                Err(error) => Err(open().err().unwrap_or(error.into())),
            };
        }
        Ok(Self::Memory(object.extract()?))
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Memory(memory) => memory.read(out),
            Self::Object(object) => object.read(out),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(memory) => memory.seek(to),
            Self::Object(object) => object.seek(to),
        }
    }
}
