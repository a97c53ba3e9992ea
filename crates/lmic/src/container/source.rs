//! A reader that knows its position and says what was missing when the input ends.

use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read, Seek, SeekFrom};

use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::varint;

/// Input with its position, for messages that say where.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) inner: R,
    /// Counted from where the input stood when it was handed over.
    pub(super) position: u64,
    /// The place where the input stood then, as `inner` counts.
    origin: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R, position: u64) -> Self {
        Self { inner, position, origin: 0 }
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

impl<R: BufRead> Source<R> {
    /// Passes zeros; at the first other byte, or the end, it stops. (In a sparse file there may be days of them.)
    pub(super) fn skip_zeros(&mut self, progress: &Progress) -> Result<()> {
        loop {
            progress.check()?;
            let ahead = match self.inner.fill_buf() {
                Ok(ahead) => ahead,
                Err(e) if e.kind() == IoKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            let zeros = ahead.iter().take_while(|&&byte| byte == 0).count();
            let is_all = zeros > 0 && zeros == ahead.len();
            self.inner.consume(zeros);
            self.position += zeros as u64;
            if !is_all {
                return Ok(());
            }
        }
    }
}

impl<R: Read + Seek> Source<BufReader<R>> {
    /// From where `inner` stands to its end; with its length.
    pub(super) fn seekable(inner: R) -> Result<(Self, u64)> {
        let mut inner = BufReader::new(inner);
        let origin = inner.stream_position()?;
        let len = inner.seek(SeekFrom::End(0))?.saturating_sub(origin);
        Ok((Self { inner, position: len, origin }, len))
    }

    pub(super) fn seek(&mut self, position: u64) -> Result<()> {
        self.inner.seek(SeekFrom::Start(self.origin.saturating_add(position)))?;
        self.position = position;
        Ok(())
    }

    /// Where the zeros before `end` begin; `end` if there are none.
    pub(super) fn start_of_zeros(&mut self, end: u64, progress: &Progress) -> Result<u64> {
        let mut end = end;
        let mut piece = [0; 1 << 13]; // what a buffered reader reads at once in any case
        while end > 0 {
            progress.check()?;
            let ahead = &mut piece[..end.min(1 << 13) as usize];
            let start = end - ahead.len() as u64;
            self.seek(start)?;
            self.inner.read_exact(ahead)?;
            if let Some(last) = ahead.iter().rposition(|&byte| byte != 0) {
                return Ok(start + last as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }
}

/// A [`ErrorKind::Corrupt`] error at byte `at` of the archive.
pub(super) fn corrupt(at: u64, message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("at byte {at}: {message}"))
}
