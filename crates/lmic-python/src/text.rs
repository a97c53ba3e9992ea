//! Short inputs, which are copied: bytes of any kind of buffer, or text, which is UTF-8 then.

use std::io::Read;
use std::ops::Deref;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::buffer::Buffer;

/// The bytes of one.
pub struct Text(pub Vec<u8>);

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(text.to_cow()?.as_bytes().to_vec()));
        }
        let mut bytes = Vec::new();
        object.extract::<Buffer>()?.read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Bytes that text cannot stand for, such as a code.
pub struct Code(pub Vec<u8>);

impl<'a, 'py> FromPyObject<'a, 'py> for Code {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let mut bytes = Vec::new();
        object.extract::<Buffer>()?.read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Deref for Code {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// All that an iterable gives, of which there may be millions.
///
/// # Errors
/// If it is none, or a single text; if one of its items is of a wrong type, or a signal handler raises.
pub fn all<T>(items: &Bound<'_, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a, 'py> FromPyObject<'a, 'py, Error = PyErr>,
{
    let is_single = items.is_instance_of::<PyString>()
        || items.is_instance_of::<PyBytes>()
        || items.is_instance_of::<PyByteArray>()
        || items.is_instance_of::<PyMemoryView>();
    if is_single {
        return Err(PyTypeError::new_err(
            "many are needed, in a list for example, not a single one",
        ));
    }
    let item = |(number, item): (usize, PyResult<Bound<'_, PyAny>>)| {
        items.py().check_signals()?;
        item?.extract().map_err(|error: PyErr| {
            match error.is_instance_of::<PyTypeError>(items.py()) {
                true => PyTypeError::new_err(format!("item {number}: {}", error.value(items.py()))),
                false => error,
            }
        })
    };
    items.try_iter()?.enumerate().map(item).collect()
}

/// All texts that an iterable gives.
///
/// # Errors
/// As [`all`].
pub fn texts(items: &Bound<'_, PyAny>) -> PyResult<Vec<Text>> {
    all(items)
}
