//! Random access.

use std::io::{self, Write};
use std::ops::Range;

use lmic::block::{Kind, StreamModel};
use lmic::progress::Progress;
use lmic::{Archive as Inner, BlockInfo, Error, ErrorKind, Result};
use lmic_age::Reader;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice};

use crate::guarded::Guarded;
use crate::options::{Keywords, number};
use crate::source::Source;
use crate::work::{bytes, run_long};

/// An archive of which any part can be read: a path, bytes, or a file object that seeks.
///
/// Opening reads the index, no content. Options are those of `decompress`. `len(archive)` and `archive[start:stop]` are of the
/// content. The block that was read last is kept, so what lies near it is read at once.
///
/// >>> import lmic
/// >>> with lmic.Archive(lmic.compress(b"to be or not to be", 1)) as archive:
/// ...     archive.read(3, 5), archive[-2:], len(archive), archive.blocks[0].model
/// (b'be', b'be', 18, 'cm-1')
#[pyclass(frozen, module = "lmic")]
pub struct Archive(Guarded<Option<Opened>>);

/// An archive, and the content of the block that was read last: many reads are near each other, and each block is decoded as a whole.
struct Opened {
    archive: Inner<Reader<Source>>,
    block: Range<u64>,
    content: Vec<u8>,
    /// Bytes that are read at once at most, as a few bytes of archive may hold gigabytes.
    most: u64,
}

/// What is read.
struct Room {
    content: Vec<u8>,
    most: u64,
}

impl Write for Room {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.content.len() + data.len();
        if len as u64 > self.most {
            let message = format!(
                "more than {} bytes are read at once; lmic.open reads any length",
                self.most
            );
            return Err(Error::new(ErrorKind::MemoryLimit, message).into());
        }
        if self.content.try_reserve(data.len()).is_err() {
            let message = format!("content of {len} bytes does not fit into memory");
            return Err(Error::new(ErrorKind::OutOfMemory, message).into());
        }
        self.content.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Opened {
    fn room(&self) -> Room {
        Room { content: Vec::new(), most: self.most }
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let covers = |block: &Range<u64>| block.start <= range.start && range.end <= block.end;
        if range.is_empty() || !covers(&self.block) {
            let blocks = self.archive.blocks();
            let block = blocks.map(|block| block.raw_offset..block.raw_offset + block.raw_len);
            let Some(block) = block.filter(|_| !range.is_empty()).find(covers) else {
                // Of several blocks, or an error.
                let mut room = self.room();
                self.archive.read_range(range, &mut room)?;
                return Ok(room.content);
            };
            (self.block, self.content) = (0..0, Vec::new());
            let mut room = self.room();
            self.archive.read_range(block.clone(), &mut room)?;
            (self.block, self.content) = (block, room.content);
        }
        let [start, end] = [range.start, range.end].map(|at| (at - self.block.start) as usize);
        Ok(self.content[start..end].to_vec())
    }
}

/// A block of an archive: where its content is (`raw_offset`, `raw_len`) and where its bytes are (`file_offset`, and `coded_len`
/// without headers), how many bytes are coded rather than copied (`literals`), and by what (`model`, as `lmic list -v` has it).
#[pyclass(frozen, get_all, module = "lmic")]
#[derive(Clone)]
pub struct Block {
    /// Where its content begins in that of the archive.
    raw_offset: u64,
    /// Bytes of content.
    raw_len: u64,
    /// Where its header is in the file.
    file_offset: u64,
    /// Bytes of code, without header.
    coded_len: u64,
    /// Bytes of content that are coded or stored; the others are copies of earlier ones.
    literals: u64,
    /// What it is coded with, as `lmic list -v` has it.
    model: String,
    /// Whether it has the content as it is, because that could not be made smaller.
    stored: bool,
}

/// A stream of an archive, with its `blocks`. `content_hash` is the start of the BLAKE3 of its content; None for one block.
#[pyclass(frozen, get_all, module = "lmic")]
pub struct Stream {
    /// Version of the format.
    version: u8,
    /// What it is coded with, as `lmic list` has it.
    model: String,
    /// Where its first byte is in the file.
    file_offset: u64,
    /// Bytes that it takes in the file.
    file_len: u64,
    /// Bytes of content.
    raw_len: u64,
    /// The first 16 bytes of the BLAKE3 of its content; None if it has a single block, whose check covers all.
    content_hash: Option<Py<PyBytes>>,
    /// Its blocks, in order.
    blocks: Vec<Block>,
}

impl Block {
    fn new(model: &StreamModel, info: &BlockInfo) -> Self {
        Self {
            raw_offset: info.raw_offset,
            raw_len: info.raw_len,
            file_offset: info.file_offset,
            coded_len: info.coded_len,
            literals: info.literals,
            model: model.of_block(info.kind),
            stored: info.kind == Kind::Stored,
        }
    }
}

#[pymethods]
impl Block {
    fn __repr__(&self) -> String {
        let Self { raw_offset, raw_len, file_offset, coded_len, model, .. } = self;
        format!(
            "<lmic.Block raw_offset={raw_offset} raw_len={raw_len} file_offset={file_offset} coded_len={coded_len} \
             model={model:?}>"
        )
    }
}

#[pymethods]
impl Stream {
    fn __repr__(&self) -> String {
        let Self { file_offset, file_len, raw_len, model, blocks, .. } = self;
        let blocks = blocks.len();
        format!(
            "<lmic.Stream file_offset={file_offset} file_len={file_len} raw_len={raw_len} model={model:?} blocks={blocks}>"
        )
    }
}

impl Archive {
    /// Lets the archive work, unless it is closed.
    fn work<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Inner<Reader<Source>>) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.work_opened(py, |opened| work(&mut opened.archive))
    }

    fn work_opened<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Opened) -> Result<T> + Send,
    ) -> PyResult<T> {
        let mut opened = self.0.lock(py)?;
        let opened = opened.as_mut().ok_or_else(closed)?;
        let progress = opened.archive.progress();
        progress.resume(); // Ctrl-C ended one call, not this one
        run_long(py, &progress, || work(opened))
    }

    /// What is known without reading.
    fn known<T>(
        &self,
        py: Python<'_>,
        get: impl FnOnce(&Inner<Reader<Source>>) -> T,
    ) -> PyResult<T> {
        self.0.lock(py)?.as_ref().map(|opened| get(&opened.archive)).ok_or_else(closed)
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("the archive is closed")
}

#[pymethods]
impl Archive {
    #[new]
    #[pyo3(signature = (source, **options))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.decode_options()?;
        let keys = keywords.keys()?;
        keywords.finish()?;
        let most = options.memory_limit.unwrap_or(u64::MAX);
        let source = Source::new(source)?;
        let progress = Progress::default();
        let open = || Inner::open_watched(keys.open(source)?, options, progress.clone());
        let archive = run_long(py, &progress, open)?;
        Ok(Self(Guarded::new(Some(Opened { archive, block: 0..0, content: Vec::new(), most }))))
    }

    /// Bytes of content.
    #[getter]
    fn raw_len(&self, py: Python<'_>) -> PyResult<u64> {
        self.known(py, Inner::raw_len)
    }

    /// Bytes of the archive.
    #[getter]
    fn coded_len(&self, py: Python<'_>) -> PyResult<u64> {
        self.known(py, Inner::coded_len)
    }

    /// The streams, in order.
    #[getter]
    fn streams(&self, py: Python<'_>) -> PyResult<Vec<Stream>> {
        self.known(py, |archive| {
            let stream = |info: &lmic::StreamInfo| Stream {
                version: info.version,
                model: info.model.to_string(),
                file_offset: info.file_offset,
                file_len: info.file_len,
                raw_len: info.raw_len,
                content_hash: info.content_hash.map(|hash| PyBytes::new(py, &hash).unbind()),
                blocks: info.blocks.iter().map(|block| Block::new(&info.model, block)).collect(),
            };
            archive.streams().iter().map(stream).collect()
        })
    }

    /// The blocks of all streams, in order.
    #[getter]
    fn blocks(&self, py: Python<'_>) -> PyResult<Vec<Block>> {
        Ok(self.streams(py)?.into_iter().flat_map(|stream| stream.blocks).collect())
    }

    /// The content from `start` to `stop`, or to the end. Only the blocks that it touches are decoded.
    #[pyo3(signature = (start=0, stop=None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number)] start: u64,
        #[pyo3(from_py_with = number)] stop: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let content = self.work_opened(py, |opened| {
            let stop = stop.unwrap_or(opened.archive.raw_len());
            opened.read(start..stop)
        })?;
        bytes(py, &content)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.raw_len(py)? as usize)
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        range: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Ok(range) = range.cast::<PySlice>() else {
            return Err(PyTypeError::new_err("an archive is read by slices: archive[start:stop]"));
        };
        let range = range.indices(self.raw_len(py)? as isize)?;
        if range.step != 1 {
            return Err(PyValueError::new_err("an archive is read in steps of 1"));
        }
        let start = range.start as u64;
        self.read(py, start, Some(start + range.slicelength as u64))
    }

    /// Number of records of an archive that was written with `records=True`.
    #[getter]
    fn records(&self, py: Python<'_>) -> PyResult<u64> {
        self.work(py, Inner::records)
    }

    /// A record without its line feed; the first is 0.
    fn record<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number)] number: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let record = self.work(py, |archive| match number < archive.records()? {
            true => archive.record(number).map(Some),
            false => Ok(None),
        })?;
        let record = record.ok_or_else(|| PyIndexError::new_err("no record of that number"))?;
        Ok(PyBytes::new(py, &record))
    }

    /// The records from `start` to `stop`, or to the last, as they stand in the content.
    #[pyo3(signature = (start=0, stop=None))]
    fn read_records<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number)] start: u64,
        #[pyo3(from_py_with = number)] stop: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let content = self.work_opened(py, |opened| {
            let stop = stop.map_or_else(|| opened.archive.records(), Ok)?;
            let mut room = opened.room();
            opened.archive.read_records(start..stop, &mut room)?;
            Ok(room.content)
        })?;
        bytes(py, &content)
    }

    /// Lets the source go.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        *self.0.lock(py)? = None;
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}
