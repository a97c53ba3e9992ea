//! The content of an archive in a file object, for `LmicFile`: decoded from the front until somebody seeks, from anywhere then.

use std::io::{Read, Seek, SeekFrom};
use std::mem::replace;

use lmic::progress::Progress;
use lmic::{Archive, ArchiveReader, DecodeOptions, Decoder, Error, ErrorKind};
use lmic_age::Reader as Opened;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::exception;
use crate::guarded::Guarded;
use crate::keys::Keys;
use crate::options::Keywords;
use crate::source::FileObject;
use crate::work::{bytes, run_long};

/// Most bytes that are read at once.
const PIECE: usize = 1 << 20; // tunable

#[pyclass(frozen, module = "lmic._lmic")]
pub struct Reader(Guarded<State>);

struct State {
    object: Py<PyAny>,
    options: DecodeOptions,
    keys: Keys,
    /// Where the archive starts in the file, if that seeks.
    start: Option<u64>,
    content: Content,
    /// What is read next, as a place in the content.
    position: u64,
}

enum Content {
    /// Nothing was read yet.
    Unread(FileObject),
    Front(Box<Decoder<Opened<FileObject>>>),
    Anywhere(Box<ArchiveReader<Opened<FileObject>>>),
    /// After an error.
    None,
}

impl State {
    /// The content, for reading from anywhere.
    fn anywhere(&mut self, py: Python<'_>) -> PyResult<&ArchiveReader<Opened<FileObject>>> {
        if !matches!(self.content, Content::Anywhere(_)) {
            self.content = Content::None; // what it has read ahead is of no use any more
            let mut file = FileObject::new(self.object.clone_ref(py));
            let (start, options) = (self.start.unwrap_or(0), self.options.clone());
            let keys = &self.keys;
            let progress = Progress::default();
            let archive = run_long(py, &progress, || {
                file.seek(SeekFrom::Start(start))?;
                Archive::open_watched(keys.open(file)?, options, progress.clone())
            })?;
            self.content = Content::Anywhere(Box::new(archive.into_reader()));
        }
        let Content::Anywhere(reader) = &self.content else { unreachable!("set above") };
        Ok(reader)
    }

    fn read(&mut self, py: Python<'_>, piece: &mut [u8]) -> PyResult<usize> {
        if let Content::Unread(_) = self.content {
            let Content::Unread(file) = replace(&mut self.content, Content::None) else {
                unreachable!("just seen")
            };
            let keys = &self.keys;
            let opened = run_long(py, &Progress::default(), || keys.open(file))?;
            let decoder = Decoder::with_options(opened, self.options.clone());
            self.content = Content::Front(Box::new(decoder));
        }
        match &mut self.content {
            Content::Front(decoder) => {
                let progress = decoder.progress();
                run_long(py, &progress, || Ok(decoder.read(piece)?))
            }
            Content::Anywhere(reader) => {
                let progress = reader.archive().progress();
                progress.resume(); // Ctrl-C ended one call, not this one
                let position = SeekFrom::Start(self.position);
                run_long(py, &progress, || {
                    reader.seek(position)?;
                    Ok(reader.read(piece)?)
                })
            }
            Content::None | Content::Unread(_) => {
                let message = "a read or seek has failed, and nothing can be read before a seek";
                Err(exception(Error::new(ErrorKind::Io, message)))
            }
        }
    }
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
        let keys = keywords.keys()?;
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
        let content = Content::Unread(FileObject::new(object.clone_ref(py)));
        Ok(Self(Guarded::new(State { object, options, keys, start, content, position: 0 })))
    }

    #[getter]
    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.lock(py)?.start.is_some())
    }

    /// At most `len` bytes. After an error, what was decoded from the front is not gone on with.
    fn read<'py>(&self, py: Python<'py>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut state = self.0.lock(py)?;
        let mut piece = vec![0; len.min(PIECE)];
        match state.read(py, &mut piece) {
            Ok(len) => {
                state.position += len as u64;
                bytes(py, &piece[..len])
            }
            Err(error) => {
                if matches!(state.content, Content::Front(_)) {
                    state.content = Content::None;
                }
                Err(error)
            }
        }
    }

    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.0.lock(py)?.position)
    }

    /// Goes to a place of the content. It may be behind the end, where nothing is read.
    fn seek(&self, py: Python<'_>, position: u64) -> PyResult<()> {
        let mut state = self.0.lock(py)?;
        state.anywhere(py)?;
        state.position = position;
        Ok(())
    }

    /// Bytes of content.
    fn raw_len(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.0.lock(py)?.anywhere(py)?.archive().raw_len())
    }
}
