//! The file format: streams of independent blocks with checks, in front of the models.
//!
//! Writing: [`Encoder`], which is a [`Planner`](crate::container::Planner) (`cut` decides where blocks end), the threads of `pool`
//! on which the [`Task`](crate::container::Task)s of blocks become [`CodedBlock`](crate::container::CodedBlock)s, and a
//! [`StreamWriter`](crate::container::StreamWriter) (`header` and `trailer` are what surrounds them). A program that codes one
//! stream on many machines puts these together itself, and sends tasks and coded blocks as a `message`. Reading: [`Decoder`] from
//! front to end (`reader` splits the file into parts), [`PushDecoder`] the same of input that comes in pieces, [`Archive`] anywhere (`scan`
//! finds the blocks). docs/format.md specifies every byte.
//!
//! Invariants
//! - A file depends on content and options only, never on threads, memory limit or timing.
//! - A decoder allocates for a length only after comparing it with its maximum and the memory limit,
//!   and hands out no byte whose block check it has not compared.
//! - Each field has one valid spelling: what is read re-encodes to the same bytes.

mod archive;
mod block;
mod check;
mod cut;
mod decoder;
mod encoder;
mod header;
mod info;
mod message;
mod options;
mod past;
mod planner;
mod pool;
mod preset;
mod push;
mod reader;
mod scan;
mod source;
mod task;
mod trailer;
mod writer;

use std::io::{self, Write};

pub use archive::{Archive, ArchiveReader};
pub use block::CodedBlock;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use header::FORMAT_VERSION;
pub use info::{BlockInfo, StreamInfo};
pub use options::{DEFAULT_MEMORY_LIMIT, DecodeOptions, EncodeOptions};
pub use planner::Planner;
pub use preset::{Preset, preset};
pub use push::PushDecoder;
pub use task::Task;
pub use writer::StreamWriter;

use crate::error::{Error, ErrorKind, Result};
use crate::memory::out_of_memory;

/// Most bytes of content in a block: 256 MiB.
pub const MAX_BLOCK_LEN: usize = 256 << 20; // frozen

/// Least bytes of content in a block that an encoder can be asked for. (Blocks may end up shorter: the
/// last one, or the header of an image file.)
pub const MIN_BLOCK_SIZE: usize = 256; // tunable

/// Compresses `data` at `level`.
///
/// ```
/// let text = b"to be or not to be. ".repeat(100);
/// let archive = lmic::compress(&text, lmic::DEFAULT_LEVEL)?;
/// assert!(archive.len() < text.len() / 2);
/// assert_eq!(lmic::decompress(&archive)?, text);
/// # Ok::<(), lmic::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if the level is not 1 to [`MAX_LEVEL`](crate::MAX_LEVEL).
pub fn compress(data: &[u8], level: u8) -> Result<Vec<u8>> {
    compress_with(data, &EncodeOptions { level, ..EncodeOptions::default() })
}

/// Compresses `data` with `options`.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if an option is outside its documented range,
/// [`ErrorKind::MemoryLimit`] if a block does not fit into the memory limit.
pub fn compress_with(data: &[u8], options: &EncodeOptions) -> Result<Vec<u8>> {
    let mut encoder = Encoder::with_options(Vec::new(), options.clone())?;
    encoder.write_all(data)?;
    encoder.finish()
}

/// Decompresses an archive, all of its streams.
///
/// # Errors
/// See [`decompress_with`].
pub fn decompress(archive: &[u8]) -> Result<Vec<u8>> {
    decompress_with(archive, &DecodeOptions::default())
}

/// Decompresses an archive with `options`. The memory limit bounds the length of the result too, as a
/// few bytes of archive may hold gigabytes; a [`Decoder`] restores any length in bounded memory.
///
/// # Errors
/// [`ErrorKind::Corrupt`], [`ErrorKind::Truncated`], [`ErrorKind::NeedsNewer`],
/// [`ErrorKind::WrongModel`] or [`ErrorKind::MemoryLimit`], as each says.
pub fn decompress_with(archive: &[u8], options: &DecodeOptions) -> Result<Vec<u8>> {
    let mut decoder = Decoder::with_options(archive, options.clone());
    let limit = options.memory_limit.unwrap_or(u64::MAX);
    let mut content = decoder.next_block()?;
    loop {
        let block = decoder.next_block()?;
        if block.is_empty() {
            return Ok(content);
        }
        let needed = (content.len() + block.len()) as u64;
        if needed > limit {
            return Err(Error::new(
                ErrorKind::MemoryLimit,
                format!("the content has more than {limit} bytes, the memory limit; use a Decoder"),
            ));
        }
        content.try_reserve(block.len()).map_err(|_| out_of_memory(needed))?;
        content.extend_from_slice(&block);
    }
}

impl From<Error> for io::Error {
    /// Wraps the error whole, to be had back by `downcast`.
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::MemoryLimit | ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::InvalidArgument => io::ErrorKind::InvalidInput,
            ErrorKind::NeedsNewer | ErrorKind::WrongModel => io::ErrorKind::Unsupported,
            ErrorKind::WrongKey => io::ErrorKind::PermissionDenied,
            // Not `Interrupted`, after which callers try again.
            ErrorKind::Stopped | ErrorKind::Io => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
