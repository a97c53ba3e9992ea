//! What processes that code one stream together send each other: a task there, a coded block back. Not a file format: both
//! sides are the same version of lmic, and nothing is kept.
//!
//! `magic (4) | version | body | check (16)`. The check is over all before it, so that damage on the way is an error, and a body
//! whose check holds was written by [`seal`]: unless somebody means harm, who then gets errors or a wrong block, and no panic.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use super::check::prefix;
use super::source::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::varint;

/// Which block of which stream something is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// A number that each planner draws, so that blocks of two streams are not taken for each other.
    pub(super) stream: [u8; 8],
    /// From 0.
    pub(super) number: u64,
}

impl Place {
    /// The first block of a new stream.
    pub(super) fn first() -> Self {
        let drawn = RandomState::new().build_hasher().finish();
        Self { stream: drawn.to_le_bytes(), number: 0 }
    }

    pub(super) fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.stream);
        varint::write(out, self.number);
    }

    pub(super) fn read(source: &mut Source<&[u8]>) -> Result<Self> {
        let stream = source.array("the stream of a block")?;
        Ok(Self { stream, number: source.varint("the number of a block")? })
    }
}

/// To be raised with any change to what a body holds.
const VERSION: u8 = 1;

/// Bytes before and after the body.
const HEAD_LEN: usize = 5;
const CHECK_LEN: usize = 16;

/// A message of the kind `magic`, whose body `write` appends.
pub(super) fn seal(magic: [u8; 4], write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = magic.to_vec();
    message.push(VERSION);
    write(&mut message);
    let check: [u8; CHECK_LEN] = prefix(&blake3::hash(&message));
    message.extend(check);
    message
}

/// The body of a message of the kind `magic`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is none or is damaged, [`ErrorKind::NeedsNewer`] if another version wrote it.
pub(super) fn open(magic: [u8; 4], message: &[u8]) -> Result<Source<&[u8]>> {
    let checked = message.split_last_chunk::<CHECK_LEN>();
    let Some((checked, check)) = checked.filter(|(checked, _)| checked.len() >= HEAD_LEN) else {
        return Err(damaged("it is too short"));
    };
    let (head, body) = checked.split_at(HEAD_LEN);
    if head[..4] != magic {
        return Err(damaged("it begins as something else"));
    }
    if head[4] != VERSION {
        let message = format!("a message of version {}, this lmic has {VERSION}", head[4]);
        return Err(Error::new(ErrorKind::NeedsNewer, message));
    }
    if prefix(&blake3::hash(checked)) != *check {
        return Err(damaged("it does not match its check"));
    }
    Ok(Source::new(body, 0))
}

/// The error of a message that is not what [`seal`] makes.
pub(super) fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a message between processes is damaged: {why}"))
}
