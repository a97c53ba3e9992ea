//! A reader that knows its position and says what was missing when the input ends.

use std::io::{ErrorKind as IoKind, Read, Seek, SeekFrom};

use super::varint;
use crate::error::{Error, ErrorKind, Result};

/// Input with its position, for messages that say where.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) inner: R,
    pub(super) position: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R, position: u64) -> Self {
        Self { inner, position }
    }

    /// The next byte, or `None` at the end of the input.
    pub(super) fn byte_or_end(&mut self) -> Result<Option<u8>> {
        let mut byte = [0];
        loop {
            return match self.inner.read(&mut byte) {
                Ok(0) => Ok(None),
                Ok(_) => {
                    self.position += 1;
                    Ok(Some(byte[0]))
                }
                Err(e) if e.kind() == IoKind::Interrupted => continue,
                Err(e) => Err(e.into()),
            };
        }
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8> {
        self.byte_or_end()?.ok_or_else(|| self.truncated(what))
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte(what)?;
        }
        Ok(bytes)
    }

    pub(super) fn varint(&mut self, what: &str) -> Result<u64> {
        let at = self.position;
        varint::read(|| self.byte(what))?
            .ok_or_else(|| corrupt(at, format!("{what} is not a shortest-form 64-bit number")))
    }

    /// `len` bytes. The buffer grows as bytes arrive, so that a length that lies costs nothing.
    pub(super) fn bytes(&mut self, len: u64, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = self.inner.by_ref().take(len).read_to_end(&mut bytes)?;
        self.position += got as u64;
        if (got as u64) < len {
            return Err(self.truncated(what));
        }
        Ok(bytes)
    }

    pub(super) fn truncated(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Truncated,
            format!("the archive ends at byte {} inside {what}", self.position),
        )
    }
}

impl<R: Seek> Source<R> {
    pub(super) fn seek(&mut self, position: u64) -> Result<()> {
        self.inner.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }
}

/// A [`ErrorKind::Corrupt`] error at byte `at` of the archive.
pub(super) fn corrupt(at: u64, message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("at byte {at}: {message}"))
}
