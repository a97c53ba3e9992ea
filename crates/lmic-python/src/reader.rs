//! The content of an archive in a file object, for `LmicFile`: decoded from the front until somebody seeks, from anywhere then.

use std::io::{Read, Seek, SeekFrom};

use lmic::{Archive, ArchiveReader, DecodeOptions, Decoder, Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::exception;
use crate::guarded::Guarded;
use crate::options::Keywords;
use crate::source::FileObject;
use crate::work::run_long;

/// Most bytes that are read at once.
const PIECE: usize = 1 << 20; // tunable

#[pyclass(frozen, module = "lmic._lmic")]
pub struct Reader(Guarded<State>);

struct State {
    object: Py<PyAny>,
    options: DecodeOptions,
    /// Where the archive starts in the file, if that seeks.
    start: Option<u64>,
    content: Content,
}

enum Content {
    Front(Box<Decoder<FileObject>>),
    Anywhere(Box<ArchiveReader<FileObject>>),
    /// After a seek that failed.
    None,
}

impl State {
    fn file(&self) -> FileObject {
        FileObject::new(Python::attach(|py| self.object.clone_ref(py)))
    }

    /// The archive, for reading from anywhere.
    fn anywhere(&mut self) -> lmic::Result<&mut ArchiveReader<FileObject>> {
        if !matches!(self.content, Content::Anywhere(_)) {
            self.content = Content::None; // what it has read ahead is of no use any more
            let mut file = self.file();
            file.seek(SeekFrom::Start(self.start.unwrap_or(0)))?;
            let archive = Archive::open(file, self.options.clone())?;
            self.content = Content::Anywhere(Box::new(archive.into_reader()));
        }
        let Content::Anywhere(reader) = &mut self.content else { unreachable!("set above") };
        Ok(reader)
    }
}

fn before_start() -> Error {
    Error::new(ErrorKind::InvalidArgument, "a place before the start of the content")
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (file, **options))]
    fn new(
        py: Python<'_>,
        file: Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let options = keywords.decode_options()?;
        keywords.finish()?;
        let is_seekable = match file.hasattr("seekable")? {
            true => file.call_method0("seekable")?.extract()?,
            false => false,
        };
        let start = match is_seekable {
            true => Some(file.call_method0("tell")?.extract()?),
            false => None,
        };
        let object = file.unbind();
        let front = FileObject::new(object.clone_ref(py));
        let content = Content::Front(Box::new(Decoder::with_options(front, options.clone())));
        Ok(Self(Guarded::new(State { object, options, start, content })))
    }

    #[getter]
    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.lock(py)?.start.is_some())
    }

    fn read<'py>(&self, py: Python<'py>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = self.0.lock(py)?;
        let mut piece = vec![0; len.min(PIECE)];
        let len = match &mut state.content {
            Content::Front(decoder) => {
                let progress = decoder.progress();
                run_long(py, &progress, || Ok(decoder.read(&mut piece)?))?
            }
            Content::Anywhere(reader) => {
                let progress = reader.archive().progress();
                progress.resume(); // Ctrl-C ended one call, not this one
                run_long(py, &progress, || Ok(reader.read(&mut piece)?))?
            }
            Content::None => {
                let message = "a seek has failed, and nothing can be read before another one";
                return Err(exception(Error::new(ErrorKind::Io, message)));
            }
        };
        Ok(PyBytes::new(py, &piece[..len]))
    }

    /// Goes to a place of the content, as `io` has it; returns it.
    fn seek(&self, py: Python<'_>, offset: i64, whence: u8) -> PyResult<u64> {
        let mut state = self.0.lock(py)?;
        let state = &mut *state;
        py.detach(|| {
            let reader = state.anywhere()?;
            let to = match whence {
                0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| before_start())?),
                1 => SeekFrom::Current(offset),
                _ => SeekFrom::End(offset),
            };
            Ok::<_, Error>(reader.seek(to)?)
        })
        .map_err(exception)
    }
}
