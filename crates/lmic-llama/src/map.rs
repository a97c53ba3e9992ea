//! A file in memory without reading it: weights of gigabytes are paged in as they are used, and shared between processes.
//!
//! There is one danger. If another process shortens a file while it is mapped, this process is ended by a signal; if it rewrites the
//! file, what is decoded is wrong, which the checks of an archive find. Nobody edits checkpoints in place.

#![allow(unsafe_code, reason = "mapping a file is unsafe, as others may change it")]

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use lmic::{Error, ErrorKind, Result};
use memmap2::Mmap;

/// A part of a mapped file, or of memory.
#[derive(Clone)]
pub struct Bytes {
    whole: Arc<Whole>,
    range: Range<usize>,
}

enum Whole {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Whole {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Maps all of a file.
    pub fn map(path: &Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot read {}: {error}", path.display()))
        };
        let kind = std::fs::metadata(path).map_err(unreadable)?; // opening a pipe would wait
        if !kind.is_file() {
            let message = format!("{} is no file", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if kind.len() == 0 {
            return Ok(Self::from(Vec::new())); // an empty mapping is an error on some systems
        }
        let file = File::open(path).map_err(unreadable)?;
        // SAFETY: the mapping is private to us and read only; see the danger above.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let range = 0..map.len();
        Ok(Self { whole: Arc::new(Whole::Mapped(map)), range })
    }

    /// All of the part.
    pub fn get(&self) -> &[u8] {
        &self.whole.get()[self.range.clone()]
    }

    /// The part that `slice` is, which must point into this one.
    ///
    /// # Panics
    /// If it does not.
    pub fn part(&self, slice: &[u8]) -> Self {
        let start = slice.as_ptr() as usize - self.whole.get().as_ptr() as usize;
        let range = start..start + slice.len();
        assert!(self.range.start <= range.start && range.end <= self.range.end);
        Self { whole: Arc::clone(&self.whole), range }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { whole: Arc::new(Whole::Owned(bytes)), range }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.range.len())
    }
}
