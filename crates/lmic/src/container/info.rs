//! What an archive says of its streams and blocks.

use super::header::{BlockHeader, StreamHeader};
use crate::block::{Kind, StreamModel};

/// One block of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockInfo {
    /// Where its content starts in the content of the whole archive.
    pub raw_offset: u64,
    /// Bytes of content.
    pub raw_len: u64,
    /// Where its header starts in the file.
    pub file_offset: u64,
    /// Bytes of content that are coded or stored. The others are copies of earlier content.
    pub literals: u64,
    /// Where its literals start among those of its stream.
    pub(super) literal_offset: u64,
    /// Bytes of payload: the code, or the content itself if stored. Headers and checks come on top.
    pub coded_len: u64,
    /// How the payload is to be read.
    pub kind: Kind,
}

/// One stream of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Format version.
    pub version: u8,
    /// The model that coded its blocks.
    pub model: StreamModel,
    /// Where the stream starts in the file.
    pub file_offset: u64,
    /// Bytes of the stream in the file, from magic number to end.
    pub file_len: u64,
    /// Bytes of content.
    pub raw_len: u64,
    /// Its blocks, in order.
    pub blocks: Vec<BlockInfo>,
    /// First 16 bytes of the BLAKE3 hash of the content; `None` in a stream of one block, which has
    /// its block check only.
    pub content_hash: Option<[u8; 16]>,
}

impl StreamInfo {
    pub(super) fn new(header: StreamHeader, file_offset: u64) -> Self {
        let file_len = header.bytes().len() as u64;
        Self {
            version: header.version,
            model: header.model,
            file_offset,
            file_len,
            raw_len: 0,
            blocks: Vec::new(),
            content_hash: None,
        }
    }

    pub(super) fn header(&self) -> StreamHeader {
        StreamHeader { version: self.version, model: self.model.clone() }
    }

    /// Appends the block that comes next, as its header says; its `raw_offset` counts from the stream's
    /// start. `None` if lengths pass 2^64.
    pub(super) fn push(&mut self, header: &BlockHeader) -> Option<()> {
        let literal_offset =
            self.blocks.last().map_or(0, |last| last.literal_offset + last.literals);
        self.blocks.push(BlockInfo {
            raw_offset: self.raw_len,
            raw_len: header.raw_len,
            literals: header.literal_len(),
            literal_offset,
            file_offset: self.file_offset.checked_add(self.file_len)?,
            coded_len: header.coded_len,
            kind: header.kind,
        });
        self.raw_len = self.raw_len.checked_add(header.raw_len)?;
        self.file_len = self.file_len.checked_add(header.block_len())?;
        Some(())
    }
}
