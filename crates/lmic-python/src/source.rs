//! Where archives are read from: a file, memory, or a file object of Python.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Buffer;
use crate::work::on_caller;

/// An object of Python with `read`, and perhaps `seek`.
#[derive(Debug)]
pub struct FileObject(Arc<Py<PyAny>>);

impl FileObject {
    /// The object.
    pub fn new(object: Py<PyAny>) -> Self {
        Self(Arc::new(object))
    }
}

impl Read for FileObject {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (object, most) = (Arc::clone(&self.0), out.len());
        let read = on_caller(move |py| {
            let read = object.bind(py).call_method1("read", (most,))?.cast_into::<PyBytes>()?;
            match read.as_bytes().len() > most {
                true => Err(PyValueError::new_err("read() returned more than was asked for")),
                false => Ok(read.as_bytes().to_vec()),
            }
        })?;
        out[..read.len()].copy_from_slice(&read);
        Ok(read.len())
    }
}

impl Seek for FileObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (i128::from(offset), 0),
            SeekFrom::Current(offset) => (offset.into(), 1),
            SeekFrom::End(offset) => (offset.into(), 2),
        };
        let object = Arc::clone(&self.0);
        let seek = move |py: Python<'_>| -> PyResult<u64> {
            let object = object.bind(py);
            let place = object.call_method1("seek", (offset, whence))?;
            // Not all file objects say where they are.
            if place.is_none() { object.call_method0("tell")? } else { place }.extract()
        };
        Ok(on_caller(seek)?)
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
            // Opening may wait, for the other end of a pipe.
            return match object.py().detach(|| File::open(path)) {
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
