//! Stream and block headers: what is written is what is read, byte for byte.
//!
//! The CRC after a block header covers the header's bytes, and for the first block of a stream the
//! stream header before it too: one byte of check for both. Every field has one valid spelling, so a
//! reader computes the CRC over the re-encoded header.

use std::io::Read;
use std::sync::Arc;

use super::MAX_BLOCK_LEN;
use super::check::{BLOCK_CHECK_LEN, crc8};
use super::source::{Source, corrupt};
use crate::block::{Kind, MAX_MODEL_NAME, NamedNetwork, NamedPrimed, StreamModel};
use crate::error::{Error, ErrorKind, Result};
use crate::nn::Windows;
use crate::varint;

/// First bytes of every stream. The first is no ASCII and no valid start of UTF-8, so that no text is
/// taken for an archive.
pub(super) const MAGIC: [u8; 4] = [0xb1, b'L', b'M', b'C']; // frozen

/// The format version that this build writes; it reads 1 to this.
pub const FORMAT_VERSION: u8 = 1; // frozen

/// Model byte of a stream whose model is named, with the hash of its weights. At least two bits from
/// every profile, so that a flipped bit cannot turn one into the other.
const NAMED_MODEL: u8 = 0xf0; // frozen

/// Model byte of a stream whose primed state is named. Two bits or more from every other model.
const PRIMED_MODEL: u8 = 0xa5; // frozen
/// Model byte of a stream whose model is named and mixed with context mixing.
const NAMED_MIX: u8 = 0xc3; // frozen

/// Model byte of a stream whose model of tokens is named. Two bits or more from every other model.
const NAMED_TOKENS: u8 = 0x99; // frozen

/// Last-block bit of the tag byte.
const LAST: u8 = 0x80; // frozen

/// Bit of the tag byte of a block with copies.
const COPIES: u8 = 0x40; // frozen

/// The header of a stream: what all of its blocks have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamHeader {
    pub(super) version: u8,
    pub(super) model: StreamModel,
}

impl StreamHeader {
    /// Bytes of a header without a named model.
    const SHORT_LEN: u64 = 6; // frozen
    /// Bytes of the shortest header with a named model: 6 + 1 + 1 + 32 + 1.
    const LEAST_NAMED_LEN: u8 = 41; // frozen

    /// The header as it stands in the file. With a named model its last byte is its length, above every
    /// profile, so that it can be found from its end.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.version);
        match &self.model {
            StreamModel::Profile(number)
            | StreamModel::BuiltIn(number)
            | StreamModel::Unknown(number) => bytes.push(*number),
            StreamModel::Network(model)
            | StreamModel::Mixed(model)
            | StreamModel::Tokens(model) => {
                bytes.push(match self.model {
                    StreamModel::Mixed(_) => NAMED_MIX,
                    StreamModel::Tokens(_) => NAMED_TOKENS,
                    _ => NAMED_MODEL,
                });
                write_name(&mut bytes, &model.name, &model.identity);
                varint::write(&mut bytes, model.windows.context.into());
                varint::write(&mut bytes, model.windows.overlap.into());
                bytes.push(model.windows.lanes);
                // At most 6 + 1 + 64 + 32 + 3 + 3 + 1 + 1 = 111.
                bytes.push(bytes.len() as u8 + 1);
            }
            StreamModel::Primed(model) => {
                bytes.push(PRIMED_MODEL);
                write_name(&mut bytes, &model.name, &model.identity);
                bytes.push(bytes.len() as u8 + 1);
            }
        }
        bytes
    }

    /// Reads a stream header whose first byte is `first`. That its model is known matters only when a block is to be decoded.
    pub(super) fn read<R: Read>(source: &mut Source<R>, first: u8) -> Result<Self> {
        let start = source.position - 1;
        let mut byte = first;
        for (i, expected) in MAGIC.into_iter().enumerate() {
            if i > 0 {
                byte = source.byte("the magic number")?;
            }
            if byte != expected {
                return Err(corrupt(start, "no lmic archive starts here (wrong magic number)"));
            }
        }
        let version = source.byte("the stream header")?;
        check_version(start, version)?;
        let model = match source.byte("the stream header")? {
            NAMED_MODEL => StreamModel::Network(Arc::new(read_named_model(source, false)?)),
            NAMED_MIX => StreamModel::Mixed(Arc::new(read_named_model(source, true)?)),
            NAMED_TOKENS => StreamModel::Tokens(Arc::new(read_named_model(source, false)?)),
            PRIMED_MODEL => {
                let (name, identity) = read_name(source)?;
                StreamModel::Primed(Arc::new(NamedPrimed { name, identity }))
            }
            number if number < Self::LEAST_NAMED_LEN => {
                return Ok(Self { version, model: StreamModel::of_number(number) });
            }
            other => {
                let message = format!(
                    "the model byte is {other:#04x}: the archive is damaged, or needs a newer lmic"
                );
                return Err(corrupt(start, message));
            }
        };
        let header = Self { version, model };
        let (at, len) = (source.position, source.byte("the stream header")?);
        if Some(&len) != header.bytes().last() {
            return Err(corrupt(at, "the stream header's length does not match"));
        }
        Ok(header)
    }

    /// Where a stream header that ends at `end` starts, by its last byte.
    pub(super) fn start(end: u64, last_byte: u8) -> Option<u64> {
        // A named header has at least 41 bytes: what is less is a number, known or not.
        let len =
            if last_byte < Self::LEAST_NAMED_LEN { Self::SHORT_LEN } else { last_byte.into() };
        end.checked_sub(len)
    }
}

fn check_version(at: u64, version: u8) -> Result<()> {
    match version {
        FORMAT_VERSION => Ok(()),
        0 => Err(corrupt(at, "format version 0 does not exist")),
        _ => Err(Error::new(
            ErrorKind::NeedsNewer,
            format!(
                "at byte {at}: format version {version} needs a newer lmic, or is damaged; this one reads 1 to {FORMAT_VERSION}"
            ),
        )),
    }
}

fn write_name(bytes: &mut Vec<u8>, name: &str, identity: &[u8; 32]) {
    varint::write(bytes, name.len() as u64);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(identity);
}

/// Reads a model's name and identity.
fn read_name<R: Read>(source: &mut Source<R>) -> Result<(String, [u8; 32])> {
    let at = source.position;
    let len = source.varint("the model name's length")?;
    if !(1..=MAX_MODEL_NAME as u64).contains(&len) {
        return Err(corrupt(
            at,
            format!("model name of {len} bytes; 1 to {MAX_MODEL_NAME} allowed"),
        ));
    }
    let name = source.bytes(len, "the model name")?;
    let name = String::from_utf8(name).map_err(|_| corrupt(at, "the model name is not UTF-8"))?;
    Ok((name, source.array("the model's identity")?))
}

/// Reads what follows the byte [`NAMED_MODEL`] or [`NAMED_TOKENS`], or of a mix [`NAMED_MIX`], but for the length at the end.
fn read_named_model<R: Read>(source: &mut Source<R>, mixed: bool) -> Result<NamedNetwork> {
    let (name, identity) = read_name(source)?;
    let at = source.position;
    let number = |value: u64| {
        u32::try_from(value).map_err(|_| corrupt(at, format!("{value} positions in a window")))
    };
    let windows = Windows {
        context: number(source.varint("the context")?)?,
        overlap: number(source.varint("the overlap")?)?,
        lanes: source.byte("the number of lanes")?,
    };
    // A mix may have a network without windows.
    let windowless = Windows { context: 2, ..windows };
    let unlimited = mixed && windows.context == 0;
    if unlimited { windowless } else { windows }.validate().map_err(|e| corrupt(at, e))?;
    if unlimited && windows.overlap != 0 {
        return Err(corrupt(at, "windows that overlap, of a network without windows"));
    }
    Ok(NamedNetwork { name, identity, windows })
}

/// The header of a block: what stands before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Whether the stream ends with this block (and its trailer, if it has several).
    pub(super) last: bool,
    /// How the payload is to be read.
    pub(super) kind: Kind,
    pub(super) raw_len: u64,
    /// Bytes of content that are no copies, less than `raw_len`; `None` in a block without copies.
    pub(super) literals: Option<u64>,
    /// Payload bytes: less than `raw_len` if coded, equal if stored.
    pub(super) coded_len: u64,
}

impl BlockHeader {
    /// Appends the header without its CRC: also the block's entry in the index.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let copies = if self.literals.is_some() { COPIES } else { 0 };
        self.kind.write(copies | if self.last { LAST } else { 0 }, out);
        varint::write(out, self.raw_len);
        if let Some(literals) = self.literals {
            varint::write(out, literals);
        }
        if self.is_coded() {
            varint::write(out, self.coded_len);
        }
    }

    /// Whether the payload is something else than the content.
    fn is_coded(&self) -> bool {
        self.kind != Kind::Stored || self.literals.is_some()
    }

    /// Bytes of content that are no copies.
    pub(super) fn literal_len(&self) -> u64 {
        self.literals.unwrap_or(self.raw_len)
    }

    /// Reads what [`BlockHeader::write`] wrote and checks every field's range, but for the parameter: what is not known there
    /// makes the kind [unknown](Kind::Unknown).
    pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<Self> {
        let at = source.position;
        let tag = source.byte("a block header")?;
        let kind = Kind::read(tag & !(LAST | COPIES), || source.varint("a block's parameter"))?;
        let raw_len = source.varint("a block's length")?;
        let literals = match tag & COPIES {
            0 => None,
            _ => Some(source.varint("a block's literals")?),
        };
        let mut header =
            Self { last: tag & LAST != 0, kind, raw_len, literals, coded_len: raw_len };
        if header.is_coded() {
            header.coded_len = source.varint("a block's coded length")?;
        }
        let coded_len = header.coded_len;
        if raw_len > MAX_BLOCK_LEN as u64 {
            return Err(corrupt(at, format!("block of {raw_len} bytes; at most {MAX_BLOCK_LEN}")));
        }
        if literals.is_some_and(|literals| literals >= raw_len) {
            return Err(corrupt(at, "copies in a block that has as many literals as bytes"));
        }
        if literals == Some(0) && kind != Kind::Stored {
            return Err(corrupt(at, "the code of no literals"));
        }
        if header.is_coded() && coded_len >= raw_len {
            let message = format!("coded length {coded_len} is not below the block's {raw_len}");
            return Err(corrupt(at, message));
        }
        if literals.is_some() && matches!(kind, Kind::Records { .. } | Kind::Unknown { tag: 7, .. })
        {
            return Err(corrupt(at, "copies in a block of records"));
        }
        // Each has its line feed, or at least one other byte.
        if let Kind::Records { count, .. } = kind
            && u64::from(count) > raw_len
        {
            return Err(corrupt(at, format!("{count} records in a block of {raw_len} bytes")));
        }
        Ok(header)
    }

    /// The header as it stands in the file, without its CRC.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// The header's CRC; `stream` is the stream header for the first block.
    fn crc(&self, stream: Option<&StreamHeader>) -> u8 {
        crc8(&[&stream.map(StreamHeader::bytes).unwrap_or_default(), &self.bytes()])
    }

    /// Appends what stands before the payload: stream header for the first block, header, CRC.
    pub(super) fn write_checked(&self, stream: Option<&StreamHeader>, out: &mut Vec<u8>) {
        if let Some(stream) = stream {
            out.extend_from_slice(&stream.bytes());
        }
        self.write(out);
        out.push(self.crc(stream));
    }

    /// Reads header and CRC; `stream` is the header just read if this is the stream's first block.
    pub(super) fn read_checked<R: Read>(
        source: &mut Source<R>,
        stream: Option<&StreamHeader>,
    ) -> Result<Self> {
        let at = source.position;
        let header = Self::read(source)?;
        let expected = header.crc(stream);
        let found = source.byte("a block header")?;
        if found != expected {
            let message = format!("header check {found:#04x}, computed {expected:#04x}");
            return Err(corrupt(at, message));
        }
        if header.raw_len == 0 && !(header.last && stream.is_some()) {
            return Err(corrupt(at, "empty block in a stream that is not empty"));
        }
        Ok(header)
    }

    /// Bytes from the start of this header to the end of the block's check.
    pub(super) fn block_len(&self) -> u64 {
        self.bytes().len() as u64 + 1 + self.coded_len + BLOCK_CHECK_LEN as u64
    }
}
