//! An archive on its way in: decrypted if it is encrypted, and else as it is.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use lmic::{Error, ErrorKind, Result};

use crate::Identities;
use crate::identities::{Scrypt, error_of};
use crate::recipients::io_error;

/// What files of the age format begin with.
pub(crate) const MAGIC: &[u8] = b"age-encryption.org/";

/// The first line of those that are understood.
const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";

/// The same in letters. No archive is read from them.
const ARMOR: &[u8] = b"-----BEGIN AGE";

/// Most bytes of the header of an encrypted archive, in which each recipient has a hundred or some hundreds.
pub const MAX_HEADER_LEN: u64 = 1 << 17;

/// Most work that a passphrase may cost: scrypt with `N = 2^20`, four times that of [`Writer`](crate::Writer), takes 1 GiB of memory and
/// some seconds.
pub const MAX_WORK_FACTOR: u8 = 20;

/// Reads an archive, encrypted or not. If its input seeks, so does it, and decrypts only the chunks (64 KiB) that are read.
///
/// Errors come as [`io::Error`] with an [`Error`] inside.
pub struct Reader<R>(Kind<R>);

enum Kind<R> {
    Plain(BufReader<R>),
    Encrypted(Box<Decrypted<R>>),
}

struct Decrypted<R> {
    stream: StreamReader<Bounded<R>>,
    /// Of what is decrypted, once it is known.
    len: Option<u64>,
    position: u64,
    is_behind_end: bool,
    failed: bool,
}

impl<R: Read> Reader<R> {
    /// Looks at the first bytes of `input`, and if these are the header of an encrypted file, opens it with `identities`.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKey`] if no identity opens it, or a passphrase is wrong or missing; [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Truncated`] and [`ErrorKind::NeedsNewer`] if its header is not as it should be; [`ErrorKind::MemoryLimit`] for more
    /// than [`MAX_WORK_FACTOR`]; errors of `input`.
    pub fn new(input: R, identities: &Identities) -> Result<Self> {
        let mut input = BufReader::new(input);
        let start = first_bytes(&mut input)?;
        // No archive of lmic begins with a letter or a hyphen.
        if start.starts_with(ARMOR) {
            let message = "is encrypted and in letters (armor), which is not read (let `age -d` decrypt it first)";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let is_encrypted =
            !start.is_empty() && (MAGIC.starts_with(start) || start.starts_with(MAGIC));
        if !is_encrypted {
            return Ok(Self(Kind::Plain(input)));
        }
        let left = Arc::new(AtomicU64::new(MAX_HEADER_LEN));
        let input = Bounded { input, left: left.clone() };
        let decryptor = Decryptor::new_buffered(input).map_err(|e| error_of(e, false))?;
        let by_passphrase = decryptor.is_scrypt();
        let stream = if by_passphrase {
            let Some(passphrase) = identities.passphrase() else {
                return Err(Error::new(ErrorKind::WrongKey, "is encrypted with a passphrase"));
            };
            let identity = Scrypt::new(passphrase);
            decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
        } else if identities.is_empty() {
            return Err(Error::new(ErrorKind::WrongKey, "is encrypted, and no identity is given"));
        } else {
            decryptor.decrypt(identities.keys())
        };
        let stream = stream.map_err(|error| match error {
            // An identity that was not unlocked is left out by age, as one of somebody else is.
            DecryptError::NoMatchingKeys if identities.has_locked() => {
                error_of(DecryptError::KeyDecryptionFailed, false)
            }
            error => error_of(error, by_passphrase),
        })?;
        left.store(u64::MAX, Relaxed);
        let (len, position, is_behind_end, failed) = (None, 0, false, false);
        Ok(Self(Kind::Encrypted(Box::new(Decrypted {
            stream,
            len,
            position,
            is_behind_end,
            failed,
        }))))
    }
}

impl<R> Reader<R> {
    /// Whether the input is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, Kind::Encrypted(_))
    }
}

/// The first bytes, as many as come at once.
fn first_bytes(input: &mut impl BufRead) -> Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(input.fill_buf()?) // what is there already
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(input) => input.read(out),
            Kind::Encrypted(decrypted) => decrypted.read(out),
        }
    }
}

impl<R: Read + Seek> Seek for Reader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Kind::Plain(input) => input.seek(to),
            Kind::Encrypted(decrypted) => decrypted.seek(to),
        }
    }
}

impl<R: Read> Read for Decrypted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(damaged());
        }
        if self.is_behind_end {
            return Ok(0);
        }
        let len = self.stream.read(out).map_err(|error| self.failure(error))?;
        self.position += len as u64;
        Ok(len)
    }
}

impl<R: Read + Seek> Seek for Decrypted<R> {
    /// The first one that leads to the end or near it compares the tag of the last chunk, which vouches for the length.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if self.failed {
            return Err(damaged());
        }
        let len = match self.len {
            Some(len) => len,
            None => {
                let len =
                    self.stream.seek(SeekFrom::End(0)).map_err(|error| self.failure(error))?;
                // If `to` is no place, nothing has happened.
                self.stream
                    .seek(SeekFrom::Start(self.position))
                    .map_err(|error| self.failure(error))?;
                *self.len.insert(len)
            }
        };
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => len.checked_add_signed(by),
        };
        let to = to.ok_or(io::ErrorKind::InvalidInput)?;
        // The stream itself does not expect to be read behind its end.
        self.stream.seek(SeekFrom::Start(to.min(len))).map_err(|error| self.failure(error))?;
        (self.position, self.is_behind_end) = (to, to > len);
        Ok(to)
    }
}

impl<R> Decrypted<R> {
    /// The error of a chunk, as this crate says it. From then on there is no other: the stream keeps the bytes that failed.
    fn failure(&mut self, error: io::Error) -> io::Error {
        self.failed = true;
        match error.kind() {
            io::ErrorKind::InvalidData => damaged(),
            io::ErrorKind::UnexpectedEof => {
                io_error(ErrorKind::Truncated, "the encrypted file ends before its last chunk")
            }
            _ => error,
        }
    }
}

fn damaged() -> io::Error {
    io_error(ErrorKind::Corrupt, "a chunk of the encrypted file is damaged, or was cut")
}

/// An input of which only so much may be read, until somebody allows more.
struct Bounded<R> {
    input: BufReader<R>,
    left: Arc<AtomicU64>,
}

impl<R> Bounded<R> {
    fn left(&self) -> io::Result<usize> {
        match self.left.load(Relaxed) {
            0 => Err(io_error(
                ErrorKind::Corrupt,
                format!(
                    "the header of the encrypted file has more than {MAX_HEADER_LEN} bytes (let `age -d` decrypt it, if you trust it)"
                ),
            )),
            left => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
        }
    }

    fn count(&self, len: usize) {
        let left = self.left.load(Relaxed);
        if left < u64::MAX {
            self.left.store(left.saturating_sub(len as u64), Relaxed);
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(self.left()?);
        let len = self.input.read(&mut out[..most])?;
        self.count(len);
        Ok(len)
    }
}

impl<R: Read> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let most = self.left()?;
        let ahead = self.input.fill_buf()?;
        Ok(&ahead[..ahead.len().min(most)])
    }

    fn consume(&mut self, len: usize) {
        self.count(len);
        self.input.consume(len);
    }

    /// Age reads headers line by line with this, and after each line parses all of them from the start. It gets all lines at once, up
    /// to that of the MAC, so that a long header does not take the square of its length.
    fn read_until(&mut self, end: u8, out: &mut Vec<u8>) -> io::Result<usize> {
        let start = out.len();
        loop {
            let line = out.len();
            let most = self.left()? as u64;
            let len = self.input.by_ref().take(most).read_until(end, out)?;
            self.count(len);
            let is_first_of_others = line == 0 && out != FIRST_LINE;
            if len == 0 || is_first_of_others || out[line..].starts_with(b"--- ") {
                return Ok(out.len() - start);
            }
        }
    }
}

impl<R: Read + Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("is_encrypted", &self.is_encrypted()).finish_non_exhaustive()
    }
}
