//! The GGUF format (versions 2 and 3, little-endian): metadata and tensors of llama.cpp.
//!
//! Invariant: nothing is allocated by a length that the file does not have the bytes for, and every tensor lies inside the file.

use std::collections::BTreeMap;
use std::ops::Range;

use lmic::{Error, ErrorKind, Result};

use crate::shape::{missing, refused, shown};
use crate::simd::Format;

const MAGIC: &[u8; 4] = b"GGUF";
/// The most keys and tensors, and the most dimensions of a tensor.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_DIMENSIONS: u32 = 4;
const MAX_NAME_LEN: usize = 200;
/// The longest list: twice the merges of the largest vocabulary. In memory a number of one byte takes eight, and a string 24 more
/// than in the file.
const MAX_LIST_LEN: u64 = 1 << 22;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Whole(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Wholes(Vec<u64>),
    Signeds(Vec<i64>),
    Floats(Vec<f32>),
    Flags(Vec<bool>),
}

/// A tensor of the file.
#[derive(Debug)]
pub struct Tensor<'a> {
    pub format: Format,
    /// The outermost dimension first (the file has them the other way round).
    pub shape: Vec<usize>,
    pub data: &'a [u8],
    /// Which of the files of a split model it is in, from 0.
    pub part: usize,
}

/// A file in memory.
#[derive(Debug)]
pub struct File<'a> {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Tensor<'a>>,
}

impl<'a> File<'a> {
    /// Reads metadata and the places of all tensors.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { bytes, position: 0 };
        if reader.array()? != *MAGIC {
            return Err(corrupt("no GGUF file: wrong magic number"));
        }
        check_version(reader.u32()?)?;
        let (tensors, keys) = (reader.u64()?, reader.u64()?);
        if tensors > MAX_ENTRIES || keys > MAX_ENTRIES {
            return Err(corrupt(format!("{tensors} tensors, {keys} keys; at most {MAX_ENTRIES}")));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..keys {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind, &key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(corrupt(format!("key {} stands twice", shown(&key))));
            }
        }
        let mut infos = Vec::new();
        for _ in 0..tensors {
            infos.push(reader.info()?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Whole(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n as usize,
            Some(_) => return Err(corrupt("general.alignment is no power of two up to 2^20")),
        };
        let start = reader.position.next_multiple_of(alignment);
        let data = bytes.get(start..).unwrap_or_default();
        let infos: Vec<_> = infos.into_iter().map(Info::place).collect::<Result<_>>()?;
        let end = infos.iter().map(|info| info.range.end).max().unwrap_or(0);
        if end > data.len() {
            let (found, whole) = (bytes.len(), start.saturating_add(end));
            let message = format!("ends at byte {found} of the {whole} that its header promises");
            return Err(Error::new(ErrorKind::Truncated, message));
        }
        let mut file = Self { metadata, tensors: BTreeMap::new() };
        for Placed { name, format, shape, range } in infos {
            file.insert(name, Tensor { format, shape, data: &data[range], part: 0 })?;
        }
        Ok(file)
    }

    fn insert(&mut self, name: String, tensor: Tensor<'a>) -> Result<()> {
        match self.tensors.insert(name.clone(), tensor) {
            Some(_) => Err(corrupt(format!("tensor {} stands twice", shown(&name)))),
            None => Ok(()),
        }
    }

    /// Files of the model, 1 if it is not split.
    pub fn split_count(&self) -> Result<usize> {
        Ok(self.optional_size("split.count")?.unwrap_or(1).max(1))
    }

    /// Puts the files of a split model together, which are in order.
    pub fn join(parts: Vec<Self>) -> Result<Self> {
        let count = parts.len();
        for (i, part) in parts.iter().enumerate().filter(|_| count > 1) {
            let said = (part.size("split.no")?.saturating_add(1), part.split_count()?);
            if said != (i + 1, count) {
                let (number, said_count) = said;
                return Err(corrupt(format!(
                    "part {} of {count} says that it is part {number} of {said_count}",
                    i + 1
                )));
            }
        }
        let mut parts = parts.into_iter().enumerate();
        let (_, mut whole) = parts.next().ok_or_else(|| corrupt("a model of no files"))?;
        for (i, part) in parts {
            for (name, tensor) in part.tensors {
                whole.insert(name, Tensor { part: i, ..tensor })?;
            }
        }
        let found = whole.tensors.len();
        match whole.optional_size("split.tensors.count")? {
            Some(said) if said != found => {
                Err(corrupt(format!("{found} tensors in {count} parts of a model of {said}")))
            }
            _ => Ok(whole),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(refused(key, format!("{other:?}"), "a string")),
        }
    }

    pub fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Whole(n)) => Ok(usize::try_from(*n).ok()),
            Some(Value::Signed(n)) if *n >= 0 => Ok(usize::try_from(*n).ok()),
            // One number a layer, all the same.
            Some(Value::Wholes(list)) if list.windows(2).all(|w| w[0] == w[1]) => {
                Ok(list.first().and_then(|n| usize::try_from(*n).ok()))
            }
            Some(Value::Signeds(list)) if list.windows(2).all(|w| w[0] == w[1]) => {
                Ok(list.first().and_then(|n| usize::try_from(*n).ok()))
            }
            Some(other) => Err(refused(key, format!("{other:?}"), "a whole number")),
        }
    }

    pub fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| missing(key))
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(Value::Whole(n)) => Ok(Some(*n as f64)),
            Some(other) => Err(refused(key, format!("{other:?}"), "a number")),
        }
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(refused(key, format!("{other:?}"), "true or false")),
        }
    }
}

/// Versions that are not read, and why.
fn check_version(version: u32) -> Result<()> {
    let (kind, message) = match version {
        2..=3 => return Ok(()),
        0 => (ErrorKind::Corrupt, "GGUF version 0, which does not exist".into()),
        1 => {
            let message = "GGUF version 1, of 2023; supported are 2 and 3 (convert it again)";
            (ErrorKind::InvalidArgument, message.into())
        }
        _ if version.swap_bytes() <= 0xffff => {
            let message = "a GGUF file for big-endian machines; supported are little-endian ones \
                           (convert it again)";
            (ErrorKind::InvalidArgument, message.into())
        }
        _ => {
            let message = format!("GGUF version {version}; supported are 2 and 3");
            (ErrorKind::NeedsNewer, message)
        }
    };
    Err(Error::new(kind, message))
}

/// A tensor as the header describes it.
struct Info {
    name: String,
    format: u32,
    shape: Vec<usize>,
    offset: u64,
}

/// A tensor with its place in the data.
struct Placed {
    name: String,
    format: Format,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// Names of GGML's formats by their numbers, for messages.
const FORMAT_NAMES: [&str; 31] = [
    "F32", "F16", "Q4_0", "Q4_1", "", "", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K",
    "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S",
    "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16",
];

impl Info {
    /// Finds the tensor's bytes.
    fn place(self) -> Result<Placed> {
        let Self { name, format, shape, offset } = self;
        let format = match format {
            0 => Format::F32,
            1 => Format::F16,
            2 => Format::Q4_0,
            8 => Format::Q8_0,
            12 => Format::Q4K,
            14 => Format::Q6K,
            30 => Format::Bf16,
            other => {
                let known = "F32 (0), F16 (1), Q4_0 (2), Q8_0 (8), Q4_K (12), Q6_K (14), BF16 (30)";
                let (name, found) = (shown(&name), FORMAT_NAMES.get(other as usize).unwrap_or(&""));
                let space = if found.is_empty() { "" } else { " " };
                let message = format!(
                    "tensor {name} has the format {found}{space}{other}; supported are {known}"
                );
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
        };
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(format.block()) {
            let (n, block) = (format.name(), format.block());
            return Err(corrupt(format!(
                "tensor {} has rows of {row} in {n}, whose blocks have {block}",
                shown(&name)
            )));
        }
        let numbers = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let len = numbers.and_then(|n| (n / format.block()).checked_mul(format.block_bytes()));
        let range = usize::try_from(offset)
            .ok()
            .zip(len)
            .and_then(|(offset, len)| Some(offset..offset.checked_add(len)?))
            .ok_or_else(|| corrupt(format!("tensor {} has no end", shown(&name))))?;
        Ok(Placed { name, format, shape, range })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(len);
        let taken = end
            .and_then(|end| self.bytes.get(self.position..end))
            .ok_or_else(|| Error::new(ErrorKind::Truncated, "the GGUF file ends in its header"))?;
        self.position += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many bytes as were taken"))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String> {
        let len = self.u64()?;
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        // Tokens are UTF-8 unless a converter made a mistake, which should not make the model useless.
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn info(&mut self) -> Result<Info> {
        let name = self.text()?;
        if name.len() > MAX_NAME_LEN {
            return Err(corrupt(format!("a tensor has a name of {} bytes", name.len())));
        }
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(corrupt(format!(
                "tensor {} has {dimensions} dimensions; at most {MAX_DIMENSIONS}",
                shown(&name)
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let dim = self.u64()?;
            shape.push(usize::try_from(dim).map_err(|_| corrupt("a dimension above 2^64"))?);
        }
        shape.reverse();
        Ok(Info { name, format: self.u32()?, shape, offset: self.u64()? })
    }

    fn value(&mut self, kind: u32, key: &str) -> Result<Value> {
        Ok(match kind {
            0 => Value::Whole(self.array::<1>()?[0].into()),
            1 => Value::Signed(self.array::<1>()?[0].cast_signed().into()),
            2 => Value::Whole(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Whole(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => {
                let (kind, count) = (self.u32()?, self.u64()?);
                return self.list(kind, count, key);
            }
            10 => Value::Whole(self.u64()?),
            11 => Value::Signed(self.u64()?.cast_signed()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(corrupt(format!("key {} has a value of type {kind}", shown(key)))),
        })
    }

    fn list(&mut self, kind: u32, count: u64, key: &str) -> Result<Value> {
        // Each item has at least a byte (a string 8): so what is allocated is bounded by the file.
        let left = (self.bytes.len() - self.position) as u64;
        if count > left {
            let message = format!("key {} is a list of {count} in {left} bytes", shown(key));
            return Err(Error::new(ErrorKind::Truncated, message));
        }
        if count > MAX_LIST_LEN {
            let message =
                format!("key {} is a list of {count}; at most {MAX_LIST_LEN}", shown(key));
            return Err(corrupt(message));
        }
        let nested = || corrupt(format!("key {} is a list of lists", shown(key)));
        let mut list = match kind {
            8 => Value::Texts(Vec::new()),
            6 | 12 => Value::Floats(Vec::new()),
            7 => Value::Flags(Vec::new()),
            1 | 3 | 5 | 11 => Value::Signeds(Vec::new()),
            9 => return Err(nested()),
            _ => Value::Wholes(Vec::new()),
        };
        for _ in 0..count {
            match (&mut list, self.value(kind, key)?) {
                (Value::Texts(list), Value::Text(text)) => list.push(text),
                (Value::Floats(list), Value::Float(x)) => list.push(x as f32),
                (Value::Flags(list), Value::Flag(flag)) => list.push(flag),
                (Value::Signeds(list), Value::Signed(n)) => list.push(n),
                (Value::Wholes(list), Value::Whole(n)) => list.push(n),
                _ => return Err(nested()),
            }
        }
        Ok(list)
    }
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
