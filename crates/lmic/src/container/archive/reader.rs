//! The content of an archive as a file that seeks.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::{Archive, Reading};
use crate::error::{Error, ErrorKind, Result};

/// Reads the content of an archive from any place on. Reading goes on as fast as a [`Decoder`](crate::Decoder), with blocks
/// ahead on all threads; a seek takes the time to decode the block that it leads to, and what that copies. As in
/// [`Archive::read_range`], each block's check is compared, but not the hash of a whole stream.
///
/// ```
/// use std::io::{Cursor, Read, Seek, SeekFrom};
/// let file = Cursor::new(lmic::compress(b"to be or not to be", 1)?);
/// let mut content = lmic::Archive::open(file, lmic::DecodeOptions::default())?.into_reader();
/// content.seek(SeekFrom::End(-6))?;
/// let mut end = String::new();
/// content.read_to_string(&mut end)?;
/// assert_eq!(end, " to be");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveReader<R: Read + Seek> {
    archive: Archive<R>,
    position: u64,
    /// What goes on behind the current block.
    reading: Option<Reading>,
    /// The block that was read last, and where it starts.
    current: Vec<u8>,
    start: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// The content, from its start.
    pub fn into_reader(self) -> ArchiveReader<R> {
        ArchiveReader { archive: self, position: 0, reading: None, current: Vec::new(), start: 0 }
    }
}

impl<R: Read + Seek> ArchiveReader<R> {
    /// The archive that is read.
    pub fn archive(&self) -> &Archive<R> {
        &self.archive
    }

    /// What the current block has from the position on.
    fn ahead(&self) -> &[u8] {
        let at = self.position.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.current.get(at..)).unwrap_or_default()
    }

    /// Decodes the block of the position, or an empty one before it.
    fn load(&mut self) -> Result<()> {
        let end = self.start + self.current.len() as u64;
        self.current = Vec::new(); // its memory goes back before the next block is waited for
        let goes_on = self.reading.take().filter(|_| end == self.position);
        let range = self.position..self.archive.raw_len();
        let mut reading = goes_on.unwrap_or_else(|| self.archive.reading(&range));
        let block = self.archive.next_block(&mut reading)?;
        let (block, content) = block.expect("the position is before the end of the content");
        (self.start, self.current) = (block.raw_offset, content);
        self.reading = Some(reading);
        Ok(())
    }
}

impl<R: Read + Seek> BufRead for ArchiveReader<R> {
    /// Errors come as [`io::Error`] with an [`Error`] inside. The next call tries again.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.ahead().is_empty() && self.position < self.archive.raw_len() {
            self.load()?;
        }
        Ok(self.ahead())
    }

    fn consume(&mut self, len: usize) {
        self.position += len as u64;
    }
}

impl<R: Read + Seek> Read for ArchiveReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let len = self.fill_buf()?.read(out)?;
        self.consume(len);
        Ok(len)
    }
}

impl<R: Read + Seek> Seek for ArchiveReader<R> {
    /// A place in the content. It may be behind the end, where nothing is read.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.archive.raw_len().checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "a place before the start of the content")
        })?;
        Ok(self.position)
    }
}
