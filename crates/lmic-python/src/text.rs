//! Short inputs, which are copied: bytes of any kind of buffer, or text, which is UTF-8 then.

use std::io::Read;
use std::ops::Deref;

use pyo3::prelude::*;
use pyo3::types::PyString;

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

/// All that an iterable gives, of which there may be millions.
///
/// # Errors
/// If it is none, one of its items is neither bytes nor text, or a signal handler raises.
pub fn texts(items: &Bound<'_, PyAny>) -> PyResult<Vec<Text>> {
    let text = |item: PyResult<Bound<'_, PyAny>>| {
        items.py().check_signals()?;
        item?.extract()
    };
    items.try_iter()?.map(text).collect()
}
