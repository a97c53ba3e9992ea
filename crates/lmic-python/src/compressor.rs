//! Input that comes in pieces, to an archive in pieces.

use std::io::{self, Read, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use lmic::{Encoder, Error, ErrorKind, Result};
use lmic_age::Writer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Buffer;
use crate::errors::exception;
use crate::guarded::Guarded;
use crate::keys::writer;
use crate::options::{Keywords, number};
use crate::work::{bytes, run, run_long};

/// Pieces are gathered up to so many bytes: for each call of the encoder a thread is started.
const PIECE: usize = 64 << 10; // tunable

/// Compresses input that comes in pieces to one stream. `level` and options are those of `compress`.
///
/// After an error, or an interrupt by Ctrl-C, it cannot go on.
///
/// >>> import lmic
/// >>> compressor = lmic.LmicCompressor(1)
/// >>> archive = compressor.compress(b"to be ") + compressor.compress(b"or not") + compressor.flush()
/// >>> lmic.decompress(archive)
/// b'to be or not'
#[pyclass(frozen, module = "lmic")]
pub struct LmicCompressor(Guarded<State>);

type Coder = Encoder<Writer<Output>>;

struct State {
    /// `None` when it has ended, or has failed.
    encoder: Option<Coder>,
    output: Output,
    pending: Vec<u8>,
    has_failed: bool,
}

/// What the encoder has written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn take(&self) -> Vec<u8> {
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn encoder(&mut self) -> Result<Coder> {
        self.encoder.take().ok_or_else(|| {
            let message = match self.has_failed {
                true => "the compressor failed before and cannot go on",
                false => "the compressor was flushed, its stream has ended",
            };
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }

    /// Lets the encoder work. If that fails, or is interrupted, nothing sensible can follow.
    fn work(
        &mut self,
        py: Python<'_>,
        work: impl FnOnce(&mut Self, Coder) -> Result<Option<Coder>> + Send,
    ) -> PyResult<Vec<u8>> {
        let encoder = self.encoder().map_err(exception)?;
        let progress = encoder.progress();
        self.has_failed = true;
        self.encoder = run_long(py, &progress, || work(self, encoder))?;
        self.has_failed = false;
        Ok(self.output.take())
    }
}

#[pymethods]
impl LmicCompressor {
    #[new]
    #[pyo3(signature = (level=None, **options))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = number)] level: Option<u8>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.encode_options(level)?;
        let encryption = keywords.encryption()?;
        keywords.finish()?;
        let output = Output::default();
        let writer = run(py, || writer(output.clone(), encryption))?;
        let encoder = Encoder::with_options(writer, options).map_err(exception)?;
        let state =
            State { encoder: Some(encoder), output, pending: Vec::new(), has_failed: false };
        Ok(Self(Guarded::new(state)))
    }

    /// Takes `data`; returns bytes of the archive, often none.
    fn compress<'py>(&self, py: Python<'py>, mut data: Buffer) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = self.0.lock(py)?;
        let state = &mut *state;
        if state.encoder.is_some() && state.pending.len() + data.len() <= PIECE {
            data.read_to_end(&mut state.pending)?;
            return Ok(PyBytes::new(py, b""));
        }
        let output = state.work(py, |state, mut encoder| {
            encoder.write_all(&take(&mut state.pending))?;
            io::copy(&mut data, &mut encoder)?;
            Ok(Some(encoder))
        })?;
        bytes(py, &output)
    }

    /// Ends the stream; returns the rest of it.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let output = self.0.lock(py)?.work(py, |state, mut encoder| {
            encoder.write_all(&take(&mut state.pending))?;
            encoder.finish()?.finish()?;
            Ok(None)
        })?;
        bytes(py, &output)
    }
}
