//! A block of lines, each coded alone: what blocks of kind 7 hold.
//!
//! A record is a line without its line feed; a carriage return is a byte like any other. The lengths of the codes stand before the
//! codes, so that a reader gets to any record without decoding those before it. Such a reader does not see all of the
//! content and cannot compare the block's check, so the payload has a check of its own.

use std::sync::Arc;

use super::Kind;
use crate::coder::{RangeDecoder, RangeEncoder};
use crate::error::Result;
use crate::predict::cm::primed::integers::Lengths;
use crate::predict::cm::primed::{Primed, Scratch};
use crate::progress::Progress;
use crate::records::{corrupt, decode as decode_record, encode as encode_record};
use crate::varint;

/// Bytes of the payload's own check, with which it begins.
const CHECK_LEN: usize = 4; // frozen

/// The lines of a block, with what its header says of them.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) primed: Arc<Primed>,
    pub(super) count: u32,
    pub(super) open: bool,
}

/// The kind of a block of lines that holds `data`, which is not empty.
pub(crate) fn kind_of(data: &[u8]) -> Kind {
    let open = data.last().is_some_and(|&byte| byte != b'\n');
    let ends = data.iter().filter(|&&byte| byte == b'\n').count();
    Kind::Records { count: (ends + usize::from(open)) as u32, open }
}

impl Lines {
    /// A way for an encoder, which counts the lines when it has the block.
    pub(in super::super) fn uncounted(primed: Arc<Primed>) -> Self {
        Self { primed, count: 0, open: false }
    }

    /// At most two bytes of payload for each byte of content: the code of a line of one byte may take two.
    pub(super) fn memory(&self, len: usize) -> u64 {
        Scratch::memory(&self.primed) + 2 * len as u64
    }

    /// The payload.
    pub(super) fn encode(&self, data: &[u8], progress: &Progress) -> Vec<u8> {
        let mut scratch = Scratch::new(Arc::clone(&self.primed));
        let (mut lengths, mut model) = (RangeEncoder::new(), Lengths::new());
        let mut codes = Vec::new();
        for line in data.split_inclusive(|&byte| byte == b'\n') {
            let code =
                encode_record(&mut scratch, line.strip_suffix(b"\n").unwrap_or(line), progress);
            model.code(&mut lengths, code.len() as u32);
            codes.extend(code);
            progress.add(line.len() as u64);
            if progress.is_stopped() {
                break;
            }
        }
        let lengths = lengths.finish();
        let mut payload = vec![0; CHECK_LEN];
        varint::write(&mut payload, lengths.len() as u64);
        payload.extend(lengths);
        payload.extend(codes);
        let check = check(&payload[CHECK_LEN..]);
        payload[..CHECK_LEN].copy_from_slice(&check);
        payload
    }

    /// Fills `data` with the content of a payload.
    pub(super) fn decode(
        &self,
        payload: &[u8],
        data: &mut [u8],
        progress: &Progress,
    ) -> Result<()> {
        let mut scratch = Scratch::new(Arc::clone(&self.primed));
        let mut codes = Codes::open(payload, self.count)?;
        let mut rest = data;
        while let Some(code) = codes.next_code()? {
            let line =
                line(&mut scratch, code, self.open && codes.left == 0, rest.len(), progress)?;
            let Some((filled, later)) = rest.split_at_mut_checked(line.len()) else {
                return Err(corrupt("records pass the length of their block".into()));
            };
            filled.copy_from_slice(&line);
            rest = later;
            progress.add(line.len() as u64);
            if progress.is_stopped() {
                return Ok(());
            }
        }
        if !rest.is_empty() || !codes.codes.is_empty() {
            return Err(corrupt("a block of records holds less or more than it says".into()));
        }
        Ok(())
    }
}

fn check(rest: &[u8]) -> [u8; CHECK_LEN] {
    let hash = blake3::hash(rest);
    std::array::from_fn(|i| hash.as_bytes()[i])
}

/// The codes of a payload, one after the other.
#[derive(Debug)]
pub(crate) struct Codes<'a> {
    lengths: RangeDecoder<'a>,
    model: Lengths,
    codes: &'a [u8],
    left: u32,
}

impl<'a> Codes<'a> {
    /// The codes of a payload of `count` records.
    pub(crate) fn open(payload: &'a [u8], count: u32) -> Result<Self> {
        let checked = payload.split_first_chunk::<CHECK_LEN>();
        let Some((_, mut rest)) = checked.filter(|(found, rest)| **found == check(rest)) else {
            return Err(corrupt("a block of records does not match its check".into()));
        };
        let len = varint::read(|| match rest {
            [first, later @ ..] => {
                rest = later;
                Ok(*first)
            }
            [] => Err(corrupt("a block of records ends before its lengths".into())),
        })?;
        let parts = len.and_then(|len| rest.split_at_checked(usize::try_from(len).ok()?));
        let Some((lengths, codes)) = parts else {
            return Err(corrupt("the lengths of a block of records pass its end".into()));
        };
        let lengths = RangeDecoder::new(lengths);
        Ok(Self { lengths, model: Lengths::new(), codes, left: count })
    }

    /// The next code, if any is left.
    pub(crate) fn next_code(&mut self) -> Result<Option<&'a [u8]>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let len = self.model.code(&mut self.lengths, 0) as usize;
        let Some((code, rest)) = self.codes.split_at_checked(len) else {
            return Err(corrupt("codes of records pass the end of their block".into()));
        };
        self.codes = rest;
        Ok(Some(code))
    }
}

/// A record of `max_len` bytes at most, and its line feed unless it is `open`.
pub(crate) fn line(
    scratch: &mut Scratch,
    code: &[u8],
    open: bool,
    max_len: usize,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let mut line = decode_record(scratch, code, max_len, progress)?;
    if line.contains(&b'\n') || open && line.is_empty() {
        return Err(corrupt("a record is no line".into()));
    }
    if !open {
        line.push(b'\n');
    }
    Ok(line)
}
