//! One error type for the whole library, sorted by what the caller can do about it.

use std::fmt;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, sorted by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a valid archive, or were damaged. Get another copy.
    Corrupt,
    /// The archive ends too early. Get the rest.
    Truncated,
    /// Written by a newer lmic: in a format version, a kind of block or with a model of a number that this one does not know.
    /// Update lmic.
    NeedsNewer,
    /// Coded with a model that this build or call does not have. Get that model.
    WrongModel,
    /// Encrypted, and no key or passphrase that was given opens it. (What encrypts is in another crate, `lmic-age`.) Get that key.
    WrongKey,
    /// Decoding or encoding needs more memory than the limit allows. Raise the limit.
    MemoryLimit,
    /// The system does not give the memory that is needed. Use fewer threads, or free some.
    OutOfMemory,
    /// An option or argument is outside its documented range.
    InvalidArgument,
    /// The caller ended the work by [`Progress::stop`](crate::progress::Progress::stop).
    Stopped,
    /// Reading or writing failed; see [`std::error::Error::source`].
    Io,
}

/// An error with its kind and a message that names the field, the value found and the value allowed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of `kind`; `message` is a clause without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error, with a message that says where it was: `place` is a file, for the most part.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    /// An [`Error`] that travelled inside an I/O error (from `Encoder` or `Decoder`) comes out as it was.
    fn from(source: std::io::Error) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        let kind = match source.kind() {
            std::io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            std::io::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
            _ => ErrorKind::Io,
        };
        Self { kind, message: source.to_string(), source: Some(source) }
    }
}
