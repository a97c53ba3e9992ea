//! An archive that comes in pieces, to its content.

use std::io::Read;

use lmic::{Error, ErrorKind, PushDecoder, Result};
use pyo3::exceptions::PyEOFError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Buffer;
use crate::errors::{exception, invalid};
use crate::guarded::Guarded;
use crate::options::Keywords;
use crate::work::{bytes, run_long};

/// Content for which room is made at once.
const PIECE: usize = 256 << 10; // tunable

/// Restores one stream that comes in pieces. Options are those of `decompress`.
///
/// It keeps what it was given and has not decoded yet, and the blocks that it decodes. After an interrupt by Ctrl-C it cannot go on.
///
/// >>> import lmic
/// >>> archive = lmic.compress(b"to be or not to be", 1)
/// >>> decompressor = lmic.LmicDecompressor()
/// >>> decompressor.decompress(archive + b"what follows", max_length=5)
/// b'to be'
/// >>> decompressor.needs_input
/// False
/// >>> decompressor.decompress(b"")
/// b' or not to be'
/// >>> decompressor.eof, decompressor.unused_data
/// (True, b'what follows')
#[pyclass(frozen, module = "lmic")]
pub struct LmicDecompressor(Guarded<State>);

struct State {
    decoder: PushDecoder,
    /// What the decoder has not taken yet.
    input: Vec<u8>,
    needs_input: bool,
    /// A signal has ended a call, and with it the content that the call had is lost.
    is_interrupted: bool,
}

impl State {
    /// Content, at most `most` bytes.
    fn decode(&mut self, most: usize) -> Result<Vec<u8>> {
        let (mut content, mut written, mut used) = (Vec::new(), 0, 0);
        let has_input = !self.input.is_empty();
        let result = loop {
            let room = most.min(written + PIECE);
            if content.try_reserve(room - content.len()).is_err() {
                let message = format!("content of {room} bytes does not fit into memory");
                break if written == 0 {
                    Err(Error::new(ErrorKind::OutOfMemory, message))
                } else {
                    Ok(())
                };
            }
            content.resize(room, 0);
            match self.decoder.decode(&self.input[used..], &mut content[written..]) {
                Err(error) if written == 0 => break Err(error),
                Err(_) => break Ok(()), // the next call gives it again
                Ok((0, 0)) => break Ok(()),
                Ok((taken, more)) => (used, written) = (used + taken, written + more),
            }
            // Blocks that are in flight are not waited for: others may come in meanwhile.
            if has_input && used == self.input.len() && written < content.len() {
                break Ok(());
            }
        };
        let result = result.map_err(|error| match self.input.starts_with(b"age-encryption.org/") {
            true => Error::new(
                ErrorKind::Corrupt,
                "is encrypted, and not for this decompressor (lmic.decompress and lmic.open read it)",
            ),
            false => error,
        });
        self.input.drain(..used);
        content.truncate(written);
        self.needs_input = self.input.is_empty() && written < most && !self.decoder.is_at_end();
        result.map(|()| content)
    }
}

#[pymethods]
impl LmicDecompressor {
    #[new]
    #[pyo3(signature = (**options))]
    fn new(options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.decode_options()?;
        keywords.finish()?;
        let decoder = PushDecoder::with_options(options);
        Ok(Self(Guarded::new(State {
            decoder,
            input: Vec::new(),
            needs_input: true,
            is_interrupted: false,
        })))
    }

    /// Takes `data`; returns content, at most `max_length` bytes unless that is negative.
    ///
    /// Blocks are decoded on other threads, and a call with data does not wait for those that are not ready while there is room for
    /// more. A call without data does: it returns all that can be had.
    #[pyo3(signature = (data, max_length=-1))]
    fn decompress<'py>(
        &self,
        py: Python<'py>,
        mut data: Buffer,
        max_length: isize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = self.0.lock(py)?;
        let state = &mut *state;
        if state.is_interrupted {
            return Err(invalid("the decompressor was interrupted and cannot go on"));
        }
        if state.decoder.is_at_end() {
            return Err(PyEOFError::new_err("already at the end of the stream"));
        }
        let most = usize::try_from(max_length).unwrap_or(usize::MAX);
        let progress = state.decoder.progress();
        state.is_interrupted = true;
        let content = run_long(py, &progress, || {
            Ok(data
                .read_to_end(&mut state.input)
                .map_err(Error::from)
                .and_then(|_| state.decode(most)))
        })?;
        state.is_interrupted = false;
        let content = content.map_err(exception)?;
        bytes(py, &content)
    }

    /// Whether the stream has ended.
    #[getter]
    fn eof(&self, py: Python<'_>) -> PyResult<bool> {
        let state = self.0.lock(py)?;
        Ok(!state.is_interrupted && state.decoder.is_at_end())
    }

    /// Whether more can be had only with more data.
    #[getter]
    fn needs_input(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.lock(py)?.needs_input)
    }

    /// What came behind the stream, once it has ended.
    #[getter]
    fn unused_data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.0.lock(py)?;
        let unused: &[u8] = if state.decoder.is_at_end() { &state.input } else { b"" };
        Ok(PyBytes::new(py, unused))
    }
}
