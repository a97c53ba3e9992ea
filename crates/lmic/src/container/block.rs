//! One block: raw bytes to payload and check, and back. Runs on worker threads.

use std::io::Read;

use super::check::{BLOCK_CHECK_LEN, block_check};
use super::header::BlockHeader;
use super::reader::PendingBlock;
use super::source::{Source, corrupt};
use crate::codec::{BlockCoder, Content};
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
    /// Codes `raw`, or stores it where coding does not help.
    pub(super) fn encode(
        coder: &BlockCoder,
        mut content: Content,
        mut raw: Vec<u8>,
        last: bool,
        progress: &Progress,
    ) -> Self {
        let raw_len = raw.len() as u64;
        let code = if raw.is_empty() {
            Vec::new()
        } else {
            coder.encode(&mut raw, &mut content, progress)
        };
        if code.len() < raw.len() {
            let coded_len = code.len() as u64;
            let header = BlockHeader { last, content: Some(content), raw_len, coded_len };
            let check = block_check(&header.bytes(), &code, &raw);
            return Self { header, payload: code, check };
        }
        let header = BlockHeader { last, content: None, raw_len, coded_len: raw_len };
        let check = block_check(&header.bytes(), &raw, &[]);
        Self { header, payload: raw, check }
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
    /// The payload; nothing has compared the check.
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
    pub(super) fn decode(self, coder: Option<&BlockCoder>, progress: &Progress) -> Result<Vec<u8>> {
        let PendingBlock { header, position, .. } = self.block;
        let mut decoded = Vec::new();
        if let Some(coder) = coder {
            decoded = vec![0; header.raw_len as usize];
            coder
                .decode(&self.payload, &mut decoded, progress)
                .map_err(|e| corrupt(position, e))?;
        } else {
            progress.add(header.raw_len);
        }
        if block_check(&header.bytes(), &self.payload, &decoded) != self.check {
            return Err(corrupt(position, "the block does not match its check"));
        }
        Ok(if header.content.is_some() { decoded } else { self.payload })
    }
}

/// Memory to encode a block of `len` bytes: the bytes, a code of at most about that, the model.
pub(super) fn encode_cost(coder: &BlockCoder, len: usize) -> u64 {
    2 * len as u64 + coder.memory(len)
}

/// Memory to decode a block: the bytes, the code, the model.
pub(super) fn decode_cost(header: &BlockHeader, coder: Option<&BlockCoder>) -> u64 {
    let coding = coder.map_or(0, |c| header.coded_len + c.memory(header.raw_len as usize));
    header.raw_len + coding
}
