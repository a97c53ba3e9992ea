//! One block: raw bytes to payload and check, and back. Runs on worker threads.

use std::io::Read;

use super::check::{BLOCK_CHECK_LEN, block_check};
use super::header::BlockHeader;
use super::source::{Source, corrupt};
use crate::block::{Choice, Kind, Models, StreamModel, Way};
use crate::error::Result;
use crate::progress::Progress;

/// A block ready to be written.
#[derive(Debug)]
pub(super) struct CodedBlock {
    pub(super) header: BlockHeader,
    pub(super) payload: Vec<u8>,
    pub(super) check: [u8; BLOCK_CHECK_LEN],
}

impl CodedBlock {
    /// Codes `raw`, or stores it if its code would not be shorter.
    pub(super) fn encode(
        choice: &Choice,
        mut raw: Vec<u8>,
        last: bool,
        progress: &Progress,
    ) -> Self {
        let raw_len = raw.len() as u64;
        let (kind, code) = match raw.is_empty() {
            true => (Kind::Stored, Vec::new()),
            false => choice.encode(&mut raw, progress),
        };
        if code.len() < raw.len() {
            let coded_len = code.len() as u64;
            let header = BlockHeader { last, kind, raw_len, coded_len };
            let check = block_check(&header.bytes(), &code, &raw);
            return Self { header, payload: code, check };
        }
        let header = BlockHeader { last, kind: Kind::Stored, raw_len, coded_len: raw_len };
        let check = block_check(&header.bytes(), &raw, &[]);
        Self { header, payload: raw, check }
    }
}

/// A block whose header was read.
#[derive(Debug, Clone)]
pub(super) struct PendingBlock {
    pub(super) header: BlockHeader,
    pub(super) model: StreamModel,
    /// Where the header stands in the archive.
    pub(super) position: u64,
}

impl PendingBlock {
    /// What decodes the payload; `None` if it is stored.
    pub(super) fn way(&self, models: &Models) -> Result<Option<Way>> {
        Way::new(&self.model, self.header.kind, models)
    }
}

/// A block as read, not yet decoded.
#[derive(Debug)]
pub(super) struct ReadBlock {
    block: PendingBlock,
    payload: Vec<u8>,
    check: [u8; BLOCK_CHECK_LEN],
}

impl ReadBlock {
    /// The payload, which has not been compared with the check.
    pub(super) fn payload(self) -> Vec<u8> {
        self.payload
    }

    /// Reads what stands after the header.
    pub(super) fn read<R: Read>(source: &mut Source<R>, block: PendingBlock) -> Result<Self> {
        let payload = source.bytes(block.header.coded_len, "a block")?;
        let check = source.array("a block's check")?;
        Ok(Self { block, payload, check })
    }

    /// Decodes and compares the check.
    pub(super) fn decode(
        self,
        way: Option<&Way>,
        threads: usize,
        progress: &Progress,
    ) -> Result<Vec<u8>> {
        let PendingBlock { header, position, .. } = self.block;
        let mut decoded = Vec::new();
        if let Some(way) = way {
            decoded = vec![0; header.raw_len as usize];
            way.decode(&self.payload, &mut decoded, threads, progress)
                .map_err(|e| corrupt(position, e))?;
        } else {
            progress.add(header.raw_len);
        }
        if block_check(&header.bytes(), &self.payload, &decoded) != self.check {
            return Err(corrupt(position, "the block does not match its check"));
        }
        Ok(if way.is_some() { decoded } else { self.payload })
    }
}

/// Memory to encode a block of `len` bytes: the bytes, a code of at most about the same length, and the model.
pub(super) fn encode_cost(choice: &Choice, len: usize) -> u64 {
    2 * len as u64 + choice.memory(len)
}

/// Memory to decode a block: the bytes, the code, the model.
pub(super) fn decode_cost(header: &BlockHeader, way: Option<&Way>) -> u64 {
    let coding = way.map_or(0, |way| header.coded_len + way.memory(header.raw_len as usize));
    header.raw_len + coding
}
