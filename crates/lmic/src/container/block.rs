//! One block: raw bytes to payload and check, and back. Runs on worker threads.

use std::io::Read;
use std::ops::Range;

use super::check::{BLOCK_CHECK_LEN, block_check};
use super::header::BlockHeader;
use super::message::{Place, damaged, open, seal};
use super::source::{Source, corrupt};
use super::task::Task;
use crate::block::{
    Choice, Copies, Found, Kind, Models, StreamModel, Undone, Way, assemble, write_copies,
};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// A block ready to be written, by a [`StreamWriter`](super::StreamWriter).
#[derive(Debug, Clone)]
pub struct CodedBlock {
    pub(super) place: Place,
    pub(super) header: BlockHeader,
    pub(super) payload: Vec<u8>,
    pub(super) check: [u8; BLOCK_CHECK_LEN],
}

impl CodedBlock {
    const MAGIC: [u8; 4] = *b"LMCb";

    /// The number of the block in its stream, from 0.
    pub fn number(&self) -> u64 {
        self.place.number
    }

    /// Bytes of content.
    pub fn raw_len(&self) -> u64 {
        self.header.raw_len
    }

    /// Bytes of payload.
    pub fn coded_len(&self) -> u64 {
        self.header.coded_len
    }

    /// The block as bytes, for [`CodedBlock::from_bytes`] of the same version of lmic in another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(Self::MAGIC, |out| {
            self.place.write(out);
            self.header.write(out);
            out.reserve(self.payload.len() + 32);
            out.extend_from_slice(&self.payload);
            out.extend_from_slice(&self.check);
        })
    }

    /// The block that [`CodedBlock::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the bytes are no coded block or are damaged, [`ErrorKind::NeedsNewer`] if another version of
    /// lmic wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut source = open(Self::MAGIC, bytes)?;
        let place = Place::read(&mut source)?;
        let header = BlockHeader::read(&mut source)?;
        let payload = source.bytes(header.coded_len, "the payload of a coded block")?;
        let check = source.array("the check of a coded block")?;
        let is_empty = header.raw_len == 0 && !(header.last && place.number == 0);
        if is_empty || source.byte_or_end()?.is_some() {
            return Err(damaged("a coded block of another length"));
        }
        Ok(Self { place, header, payload, check })
    }

    /// Codes a block, or stores it if its code would not be shorter.
    pub(super) fn encode(task: Task, choice: &Choice, progress: &Progress) -> Self {
        let Task { place, mut raw, found, last, undone, .. } = task;
        let raw_len = raw.len() as u64;
        if let Some(Found { copies, mut literals }) = found {
            let (kind, code) = Self::code(choice, &mut literals, undone, progress);
            progress.add(raw_len - literals.len() as u64);
            let mut payload = write_copies(&copies);
            payload.extend(code.as_ref().unwrap_or(&literals));
            // The finder goes on from these literals, so there is no way back. A copy takes at most 64 bytes of the list.
            assert!(payload.len() < raw.len(), "copies take less than what they copy");
            let literals = Some(literals.len() as u64);
            let coded_len = payload.len() as u64;
            let header = BlockHeader { last, kind, raw_len, literals, coded_len };
            let check = block_check(&header.bytes(), &payload, &raw);
            return Self { place, header, payload, check };
        }
        let (kind, code) = Self::code(choice, &mut raw, undone, progress);
        let coded_len = code.as_ref().map_or(raw_len, |code| code.len() as u64);
        let header = BlockHeader { last, kind, raw_len, literals: None, coded_len };
        let (payload, content) = match code {
            Some(code) => (code, &raw[..]),
            None => (raw, &[][..]),
        };
        let check = block_check(&header.bytes(), &payload, content);
        Self { place, header, payload, check }
    }

    /// The code of bytes that are no copies; `None` if they are to be stored.
    fn code(
        choice: &Choice,
        bytes: &mut [u8],
        undone: Option<Undone>,
        progress: &Progress,
    ) -> (Kind, Option<Vec<u8>>) {
        let undone = undone.and_then(|undone| choice.encode_undone(undone, &progress.unseen()));
        if let Some((kind, code)) = undone.filter(|(_, code)| code.len() < bytes.len()) {
            progress.add(bytes.len() as u64);
            return (kind, Some(code));
        }
        choice.encode_or_store(bytes, progress)
    }
}

/// A block whose header was read.
#[derive(Debug, Clone)]
pub(super) struct PendingBlock {
    pub(super) header: BlockHeader,
    pub(super) model: StreamModel,
    /// Where the header stands in the archive.
    pub(super) position: u64,
    /// Literals of earlier blocks of its stream.
    pub(super) before: u64,
}

impl PendingBlock {
    /// Bytes that stand after the header: payload and check.
    pub(super) fn rest_len(&self) -> u64 {
        self.header.coded_len + BLOCK_CHECK_LEN as u64
    }

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

    /// Decodes, and compares the check if there are no copies: the content of other blocks may take earlier ones.
    pub(super) fn decode(
        self,
        way: Option<&Way>,
        threads: usize,
        progress: &Progress,
    ) -> Result<Decoded> {
        let PendingBlock { header, position, .. } = self.block;
        let code = match header.literals {
            Some(_) => {
                // A list that does not fit is found before the literals take their time.
                let (mut copies, code) = self.copies()?;
                while copies.next().map_err(|e| corrupt(position, e))?.is_some() {}
                code
            }
            None => &self.payload,
        };
        let mut decoded = Vec::new();
        if let Some(way) = way {
            decoded = vec![0; header.literal_len() as usize];
            let place = |e: Error| Error::new(e.kind(), format!("at byte {position}: {e}"));
            way.decode(code, &mut decoded, threads, progress).map_err(place)?;
        } else {
            progress.add(header.literal_len());
        }
        if let Some(literals) = header.literals {
            progress.add(header.raw_len - literals);
            if way.is_none() {
                decoded = code.to_vec();
            }
            if decoded.len() as u64 != literals {
                return Err(corrupt(
                    position,
                    "a block has another number of literals than it says",
                ));
            }
            return Ok(Decoded::Literals(Literals { block: self, literals: decoded }));
        }
        self.compare_check(&decoded)?;
        Ok(Decoded::Content(if way.is_some() { decoded } else { self.payload }))
    }

    /// The copies, and the code of the literals behind them.
    fn copies(&self) -> Result<(Copies<'_>, &[u8])> {
        let PendingBlock { header, position, before, .. } = &self.block;
        Copies::read(&self.payload, header.raw_len, header.literal_len(), *before)
            .map_err(|e| corrupt(*position, e))
    }

    /// Compares the check; `decoded` is the content, unless that is the payload.
    fn compare_check(&self, decoded: &[u8]) -> Result<()> {
        let PendingBlock { header, position, .. } = &self.block;
        if block_check(&header.bytes(), &self.payload, decoded) != self.check {
            return Err(corrupt(*position, "the block does not match its check"));
        }
        Ok(())
    }
}

/// A block as a worker leaves it.
#[derive(Debug)]
pub(super) enum Decoded {
    /// Compared with its check.
    Content(Vec<u8>),
    /// With copies, which may be of other blocks.
    Literals(Literals),
}

/// The decoded literals of a block with copies.
#[derive(Debug)]
pub(super) struct Literals {
    block: ReadBlock,
    literals: Vec<u8>,
}

impl Literals {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.literals
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.literals
    }

    /// Hands out what its copies copy of earlier blocks, as ranges of all literals of the stream. They are not gathered, as a
    /// list that is not what an encoder writes may have very many.
    pub(super) fn references(&self, mut reference: impl FnMut(Range<u64>)) -> Result<()> {
        let mut copies = self.block.copies()?.0;
        let before = self.block.block.before;
        let mut at = 0;
        while let Some(copy) = copies.next().map_err(|e| corrupt(self.block.block.position, e))? {
            at += copy.literals;
            if copy.distance > at {
                let start = before - (copy.distance - at);
                reference(start..before.min(start + copy.len));
            }
            at += copy.len;
        }
        Ok(())
    }

    /// The content, compared with the check. `older` gives literals of earlier blocks: from the place among all literals of the
    /// stream on, at least one.
    pub(super) fn assemble<'a>(&self, older: impl Fn(u64) -> Result<&'a [u8]>) -> Result<Vec<u8>> {
        let copies = self.block.copies()?.0;
        let PendingBlock { header, position, before, .. } = &self.block.block;
        let older = |back: usize| older(before - back as u64);
        let content = assemble(copies, header.raw_len as usize, &self.literals, older)
            .map_err(|e| Error::new(e.kind(), format!("at byte {position}: {e}")))?;
        self.block.compare_check(&content)?;
        Ok(content)
    }
}

/// Memory to encode a block of `len` bytes, of which `literals` are no copies: the bytes, a code of at most about the same length,
/// and the model.
pub(super) fn encode_cost(choice: &Choice, len: usize, literals: usize) -> u64 {
    let separate = if literals < len { literals } else { 0 };
    (len + separate + literals) as u64 + choice.memory(literals)
}

/// Refuses a block whose coding takes more than the limit.
pub(super) fn check_cost(cost: u64, limit: u64) -> Result<()> {
    if cost <= limit {
        return Ok(());
    }
    let message = format!("coding a block needs {cost} bytes of memory, the limit is {limit}");
    Err(Error::new(ErrorKind::MemoryLimit, message))
}

/// Memory to decode a block: the bytes, the code, the model.
pub(super) fn decode_cost(header: &BlockHeader, way: Option<&Way>) -> u64 {
    let model = way.map_or(0, |way| way.memory(header.literal_len() as usize));
    let apart = match (way, header.literals) {
        (None, None) => 0,
        (_, literals) => header.coded_len + literals.unwrap_or(0),
    };
    header.raw_len + apart + model
}
