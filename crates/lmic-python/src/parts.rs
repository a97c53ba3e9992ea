//! The parts of an encoder, for programs that code the blocks of one stream in many processes. Tasks and coded blocks are pickled
//! as the bytes that the library makes of them.

use std::io::{self, Read};
use std::mem;

use lmic::container;
use lmic::progress::Progress;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Buffer;
use crate::errors::{exception, invalid};
use crate::options::{Keywords, number};
use crate::work::{run, run_long};

#[pyclass(module = "lmic._lmic")]
pub struct Planner(container::Planner);

#[pymethods]
impl Planner {
    #[new]
    #[pyo3(signature = (level=None, **options))]
    fn new(
        #[pyo3(from_py_with = number)] level: Option<u8>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.encode_options(level)?;
        keywords.finish()?;
        container::Planner::new(options).map(Self).map_err(exception)
    }

    #[getter]
    fn block_size(&self) -> usize {
        self.0.block_size()
    }

    #[getter]
    fn block_memory(&self) -> PyResult<u64> {
        self.0.block_memory().map_err(exception)
    }

    #[getter]
    fn block_threads(&self) -> PyResult<usize> {
        self.0.block_threads().map_err(exception)
    }

    #[getter]
    fn content_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.content_hash())
    }

    fn push(&mut self, py: Python<'_>, mut data: Buffer) -> PyResult<Vec<Task>> {
        run(py, || {
            let (mut tasks, mut piece) = (Vec::new(), vec![0; 1 << 20]);
            loop {
                let mut input = match data.read(&mut piece)? {
                    0 => return Ok(tasks),
                    len => &piece[..len],
                };
                while let Some(task) = self.0.take(&mut input)? {
                    tasks.push(Task(task));
                }
            }
        })
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Vec<Task>> {
        run(py, || Ok(self.0.finish()?.into_iter().map(Task).collect()))
    }
}

#[pyclass(frozen, module = "lmic._lmic")]
pub struct Task(container::Task);

#[pymethods]
impl Task {
    #[new]
    fn new(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        run(py, || container::Task::from_bytes(data)).map(Self)
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &run(py, || Ok(self.0.to_bytes()))?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Pickled<'py>> {
        Ok((slf.get_type().into_any(), (slf.get().__bytes__(slf.py())?,)))
    }

    #[getter]
    fn number(&self) -> u64 {
        self.0.number()
    }

    #[getter]
    fn last(&self) -> bool {
        self.0.is_last()
    }

    #[getter]
    fn raw_len(&self) -> usize {
        self.0.raw_len()
    }

    #[pyo3(signature = (**options))]
    fn encode(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<CodedBlock> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.decode_options()?;
        keywords.finish()?;
        let progress = Progress::default();
        run_long(py, &progress, || self.0.clone().encode(&options, &progress)).map(CodedBlock)
    }
}

#[pyclass(frozen, module = "lmic._lmic")]
pub struct CodedBlock(container::CodedBlock);

#[pymethods]
impl CodedBlock {
    #[new]
    fn new(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        run(py, || container::CodedBlock::from_bytes(data)).map(Self)
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &run(py, || Ok(self.0.to_bytes()))?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Pickled<'py>> {
        Ok((slf.get_type().into_any(), (slf.get().__bytes__(slf.py())?,)))
    }

    #[getter]
    fn number(&self) -> u64 {
        self.0.number()
    }

    #[getter]
    fn raw_len(&self) -> u64 {
        self.0.raw_len()
    }

    #[getter]
    fn coded_len(&self) -> u64 {
        self.0.coded_len()
    }
}

#[pyclass(module = "lmic._lmic")]
pub struct ContentHash(blake3::Hasher);

#[pymethods]
impl ContentHash {
    #[new]
    fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    fn update(&mut self, py: Python<'_>, mut data: Buffer) -> PyResult<()> {
        run(py, || Ok(io::copy(&mut data, &mut self.0)?))?;
        Ok(())
    }

    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.finalize().as_bytes()[..16])
    }
}

/// What pickle calls to make an object again, and with what.
type Pickled<'py> = (Bound<'py, PyAny>, (Bound<'py, PyBytes>,));

#[pyclass(module = "lmic._lmic")]
pub struct StreamWriter(Option<container::StreamWriter<Vec<u8>>>);

#[pymethods]
impl StreamWriter {
    #[new]
    fn new(planner: &Planner) -> Self {
        Self(Some(container::StreamWriter::new(Vec::new(), &planner.0)))
    }

    fn write<'py>(&mut self, py: Python<'py>, block: &CodedBlock) -> PyResult<Bound<'py, PyBytes>> {
        let writer = self.0.as_mut().ok_or_else(|| invalid("the stream was ended before"))?;
        writer.write(&block.0).map_err(exception)?;
        Ok(PyBytes::new(py, &mem::take(writer.get_mut())))
    }

    fn finish<'py>(
        &mut self,
        py: Python<'py>,
        content_hash: [u8; 16],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let writer = self.0.take().ok_or_else(|| invalid("the stream was ended before"))?;
        if !writer.has_ended() {
            self.0 = Some(writer);
            return Err(invalid("the last block was not written yet"));
        }
        Ok(PyBytes::new(py, &writer.finish(content_hash).map_err(exception)?))
    }
}
