//! Whole inputs in memory.

use std::io;

use lmic::{Decoder, Encoder};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Buffer;
use crate::errors::exception;
use crate::options::Keywords;
use crate::work::run_long;

#[pyfunction]
#[pyo3(signature = (data, level=None, **options))]
pub fn compress<'py>(
    py: Python<'py>,
    mut data: Buffer,
    level: Option<u8>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut keywords = Keywords::new(options)?;
    let options = keywords.encode_options(level)?;
    keywords.finish()?;
    let mut encoder = Encoder::with_options(Vec::new(), options).map_err(exception)?;
    let progress = encoder.progress();
    let archive = run_long(py, &progress, || {
        io::copy(&mut data, &mut encoder)?;
        encoder.finish()
    })?;
    Ok(PyBytes::new(py, &archive))
}

#[pyfunction]
#[pyo3(signature = (data, *, max_length=-1, **options))]
pub fn decompress<'py>(
    py: Python<'py>,
    data: Buffer,
    max_length: i64,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut keywords = Keywords::new(options)?;
    let options = keywords.decode_options()?;
    keywords.finish()?;
    let mut decoder = Decoder::with_options(data, options);
    let progress = decoder.progress();
    let content = run_long(py, &progress, || {
        let mut content = Vec::new();
        io::copy(&mut decoder, &mut content)?;
        Ok(content)
    })?;
    let _ = max_length;
    Ok(PyBytes::new(py, &content))
}
