//! An archive on its way out: encrypted and padded at its end, or as it is.

use std::io::{self, Write};

use age::stream::StreamWriter;
use lmic::Result;

use crate::{Padding, Recipients};

/// What an archive is written to. It encrypts it, and must then be [finished](Writer::finish): without its end, the file is
/// truncated, and no reader takes it for whole.
pub struct Writer<W>(Kind<W>);

enum Kind<W> {
    Plain(W),
    Encrypted(Box<Encrypted<W>>),
}

struct Encrypted<W> {
    stream: StreamWriter<W>,
    len: u64,
    padding: Padding,
}

impl<W: Write> Writer<W> {
    /// Encrypts what is written; the header goes to `out` at once. With a passphrase, this takes about a second.
    ///
    /// # Errors
    /// [`InvalidArgument`](lmic::ErrorKind::InvalidArgument) without recipient and passphrase,
    /// [`OutOfMemory`](lmic::ErrorKind::OutOfMemory) if there is none for the work of a passphrase, and errors of `out`.
    pub fn new(out: W, recipients: &Recipients, padding: Padding) -> Result<Self> {
        let stream = recipients.encryptor()?.wrap_output(out)?;
        Ok(Self(Kind::Encrypted(Box::new(Encrypted { stream, len: 0, padding }))))
    }

    /// Hands on what is written as it is, for programs that encrypt or not.
    pub fn plain(out: W) -> Self {
        Self(Kind::Plain(out))
    }

    /// Pads, writes the last chunk and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Plain(out) => Ok(out),
            Kind::Encrypted(encrypted) => encrypted.finish(),
        }
    }
}

impl<W: Write> Encrypted<W> {
    fn finish(mut self) -> io::Result<W> {
        let zeros = [0; 1 << 14];
        let mut missing = self.padding.padded(self.len) - self.len;
        while missing > 0 {
            let len = missing.min(zeros.len() as u64);
            self.stream.write_all(&zeros[..len as usize])?;
            missing -= len;
        }
        self.stream.finish()
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(out) => out.write(data),
            Kind::Encrypted(encrypted) => {
                let written = encrypted.stream.write(data)?;
                encrypted.len += written as u64;
                Ok(written)
            }
        }
    }

    /// What is encrypted leaves in whole chunks only, and at the end.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(out) => out.flush(),
            Kind::Encrypted(encrypted) => encrypted.stream.flush(),
        }
    }
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_encrypted = matches!(self.0, Kind::Encrypted(_));
        f.debug_struct("Writer").field("is_encrypted", &is_encrypted).finish_non_exhaustive()
    }
}
