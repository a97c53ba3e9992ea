//! The trailer of a stream of several blocks: index, content hash, and a footer found from the end.
//!
//! `entries | content hash (16) | length of the entries (6) | check (4) | end magic (2)`. An entry
//! repeats its block's header without CRC. A stream of one block has no trailer: its block check says all.

use std::io::Read;

use super::check::{BLOCK_CHECK_LEN, CONTENT_HASH_LEN, prefix};
use super::header::BlockHeader;
use super::source::{Source, corrupt};
use crate::error::Result;

/// Last bytes of a stream of several blocks.
const END_MAGIC: [u8; 2] = [0xb2, b'X']; // frozen

/// Bytes of the length field: 2^48 bytes of index outlast any file.
const LENGTH_LEN: usize = 6; // frozen

/// Bytes after the entries.
pub(super) const FOOTER_LEN: usize =
    CONTENT_HASH_LEN + LENGTH_LEN + BLOCK_CHECK_LEN + END_MAGIC.len(); // frozen

/// BLAKE3 over the content of a stream, cut to 16 bytes.
pub(super) type ContentHash = [u8; CONTENT_HASH_LEN];

/// What a writer gathers while it writes blocks.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<u8>,
}

impl Index {
    pub(super) fn push(&mut self, header: &BlockHeader) {
        header.write(&mut self.entries);
    }

    /// The whole trailer.
    pub(super) fn into_trailer(self, content_hash: ContentHash) -> Vec<u8> {
        let mut out = self.entries;
        let length = (out.len() as u64).to_le_bytes();
        out.extend_from_slice(&content_hash);
        out.extend_from_slice(&length[..LENGTH_LEN]);
        let check: [u8; BLOCK_CHECK_LEN] = prefix(&blake3::hash(&out));
        out.extend_from_slice(&check);
        out.extend_from_slice(&END_MAGIC);
        out
    }
}

/// What a streaming reader keeps of the blocks it has seen: a hash of the index they should have, so
/// that memory does not grow with their number.
#[derive(Debug, Default)]
pub(super) struct SeenIndex {
    hasher: blake3::Hasher,
    len: u64,
}

impl SeenIndex {
    pub(super) fn push(&mut self, header: &BlockHeader) {
        let entry = header.bytes();
        self.hasher.update(&entry);
        self.len += entry.len() as u64;
    }

    /// Bytes of the trailer that must follow.
    pub(super) fn trailer_len(&self) -> u64 {
        self.len + FOOTER_LEN as u64
    }

    /// Reads the trailer that must follow the blocks seen; returns the content hash.
    pub(super) fn read_trailer<R: Read>(mut self, source: &mut Source<R>) -> Result<ContentHash> {
        let at = source.position;
        let mut found = blake3::Hasher::new();
        let mut rest = self.len;
        while rest > 0 {
            let piece = source.bytes(rest.min(1 << 16), "the index")?;
            found.update(&piece);
            rest -= piece.len() as u64;
        }
        let footer = Footer::read(source)?;
        found.update(&footer.checked);
        if prefix(&found.finalize()) != footer.check {
            return Err(corrupt(at, "the index does not match its check"));
        }
        self.hasher.update(&footer.checked);
        if footer.index_len() != self.len || prefix(&self.hasher.finalize()) != footer.check {
            return Err(corrupt(at, "the index does not match the blocks before it"));
        }
        Ok(footer.content_hash())
    }
}

/// The fixed part at a trailer's end.
#[derive(Debug)]
pub(super) struct Footer {
    /// Content hash and length: the bytes under the check, after the entries.
    checked: [u8; CONTENT_HASH_LEN + LENGTH_LEN],
    check: [u8; BLOCK_CHECK_LEN],
}

impl Footer {
    pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<Self> {
        let checked = source.array("the index")?;
        let check = source.array("the index")?;
        let at = source.position;
        if source.array("the index")? != END_MAGIC {
            return Err(corrupt(at, "a stream of several blocks does not end with its end magic"));
        }
        Ok(Self { checked, check })
    }

    pub(super) fn content_hash(&self) -> ContentHash {
        std::array::from_fn(|i| self.checked[i])
    }

    pub(super) fn index_len(&self) -> u64 {
        let bytes = &self.checked[CONTENT_HASH_LEN..];
        bytes.iter().rev().fold(0, |len, &b| len << 8 | u64::from(b))
    }

    /// Whether `entries` are what the check was computed over.
    pub(super) fn vouches_for(&self, entries: &[u8]) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(entries).update(&self.checked);
        prefix(&hasher.finalize()) == self.check
    }
}
