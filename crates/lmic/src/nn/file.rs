//! The safetensors format: a length of 8 bytes, a JSON header, the bytes of the tensors.
//!
//! Read here rather than by the `safetensors` crate: of two tensors of one name its reader silently takes the last,
//! it adds a hostile offset to a length without a check (a panic in debug builds), cannot tell a file that
//! was cut off from a damaged one, and its writer orders metadata at random.
//!
//! Invariant: the tensors of a [`File`] lie side by side from the first to the last byte of the data, each with
//! as many bytes as its shape needs. Memory taken is proportional to the header, which has a maximum.

use std::collections::BTreeMap;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;

use super::json::{Object, shown};
use super::tensor::{Tensor, TensorData};
use crate::error::{Error, ErrorKind, Result};

/// The longest header in bytes. A tensor takes about 130 of them, and the largest model has some 4,000 tensors.
const MAX_HEADER_LEN: u64 = 1 << 20;

/// The longest name of a tensor in bytes, and the most dimensions: enough for any model, and not too much for a message.
const MAX_TENSOR_NAME_LEN: usize = 200;
const MAX_RANK: usize = 8;

/// The one key of the header that is not the name of a tensor.
const METADATA: &str = "__metadata__";

/// Number formats of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
    /// 16-bit unsigned integers.
    U8,
    /// 8-bit integers.
    I8,
}

impl Dtype {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            "U8" => Some(Self::U8),
            "I8" => Some(Self::I8),
            _ => None,
        }
    }

    /// Bytes of a number.
    fn len(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 | Self::I8 => 1,
        }
    }
}

/// A safetensors file in memory, or several that belong together.
#[derive(Debug, Default)]
pub struct File<'a> {
    /// What the header says besides tensors.
    pub metadata: BTreeMap<String, String>,
    /// By name.
    pub tensors: BTreeMap<String, RawTensor<'a>>,
}

/// A tensor of a file: `data` has as many bytes as `shape` needs.
#[derive(Debug)]
pub struct RawTensor<'a> {
    /// What the numbers are.
    pub dtype: Dtype,
    /// Dimensions, the outermost first.
    pub shape: Vec<u64>,
    /// The numbers, little-endian.
    pub data: &'a [u8],
}

/// A tensor as the header describes it.
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<u64>,
    begin: u64,
    end: u64,
}

impl<'a> File<'a> {
    /// Reads the header and checks that the tensors fill the rest of `bytes`.
    ///
    /// # Errors
    /// `Truncated` if it ends too early, `Corrupt` if it is damaged, `InvalidArgument` for a format of numbers that is not
    /// supported.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (header, data) = split(bytes)?;
        let header: Object<Object<Field>> = serde_json::from_slice(header)
            .map_err(|e| corrupt(format!("header of the model file: {e}")))?;
        let mut header = header.0;
        let metadata = header.remove(METADATA).map_or(Ok(BTreeMap::new()), metadata)?;
        let mut entries = header.into_iter().map(Entry::new).collect::<Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| (entry.begin, entry.end));
        let end = check_layout(&entries)?;
        let found = data.len() as u64;
        if end > found {
            let message = format!("model file ends after {found} of {end} bytes of tensors");
            return Err(Error::new(ErrorKind::Truncated, message));
        }
        if end < found {
            return Err(corrupt(format!("model file has {} bytes after its tensors", found - end)));
        }
        let tensors = entries.into_iter().map(|entry| {
            let data = &data[entry.begin as usize..entry.end as usize]; // both are at most data.len()
            (entry.name, RawTensor { dtype: entry.dtype, shape: entry.shape, data })
        });
        Ok(Self { metadata, tensors: tensors.collect() })
    }

    /// Adds what another shard of the same model holds. Of metadata, the first shard that has a key counts.
    ///
    /// # Errors
    /// `Corrupt` if a tensor is in both.
    pub(super) fn add(&mut self, shard: Self) -> Result<()> {
        for (key, value) in shard.metadata {
            self.metadata.entry(key).or_insert(value);
        }
        for (name, tensor) in shard.tensors {
            if self.tensors.contains_key(&name) {
                return Err(corrupt(format!("tensor {} is in two files", shown(&name))));
            }
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }
}

/// Header and data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let truncated = |what| Error::new(ErrorKind::Truncated, format!("model file ends in {what}"));
    let (len, rest) =
        bytes.split_first_chunk().ok_or_else(|| truncated("the length of its header"))?;
    let len = u64::from_le_bytes(*len);
    if len > MAX_HEADER_LEN {
        let message = "no safetensors file: its header would be";
        return Err(corrupt(format!("{message} {len} bytes long; at most {MAX_HEADER_LEN}")));
    }
    rest.split_at_checked(len as usize).ok_or_else(|| truncated("its header"))
}

/// Checks that the tensors, in order of offset, lie side by side; returns where the last ends.
fn check_layout(entries: &[Entry]) -> Result<u64> {
    let mut end = 0;
    for Entry { name, dtype, shape, begin, end: entry_end } in entries {
        if *begin != end {
            return Err(corrupt(format!(
                "tensor {name:?} begins at byte {begin}; the one before it ends at {end}"
            )));
        }
        let len = shape.iter().try_fold(dtype.len(), |len, &dim| len.checked_mul(dim));
        if len.is_none() || len != entry_end.checked_sub(*begin) {
            return Err(corrupt(format!(
                "tensor {name:?} has bytes {begin} to {entry_end}, which its shape {shape:?} does not fill"
            )));
        }
        end = *entry_end;
    }
    Ok(end)
}

fn metadata(object: Object<Field>) -> Result<BTreeMap<String, String>> {
    let strings = object.0.into_iter().map(|(key, field)| match field {
        Field::Text(text) => Ok((key, text)),
        Field::Numbers(_) => Err(corrupt(format!("metadata {} is no string", shown(&key)))),
    });
    strings.collect()
}

impl Entry {
    fn new((name, mut fields): (String, Object<Field>)) -> Result<Self> {
        if name.len() > MAX_TENSOR_NAME_LEN {
            return Err(corrupt(format!("a tensor has a name of {} bytes", name.len())));
        }
        let mut take = |key| fields.0.remove(key);
        let found = (take("dtype"), take("shape"), take("data_offsets"));
        let (Some(Field::Text(dtype)), Some(Field::Numbers(shape)), Some(Field::Numbers(offsets))) =
            found
        else {
            return Err(corrupt(format!("tensor {name:?} lacks dtype, shape or data_offsets")));
        };
        let &[begin, end] = offsets.as_slice() else {
            return Err(corrupt(format!("tensor {name:?} has no pair of data_offsets")));
        };
        let dtype = Dtype::from_name(&dtype).ok_or_else(|| {
            let dtype = shown(&dtype);
            let message =
                format!("tensor {name:?} is {dtype}; supported are F32, F16, BF16, U8, I8");
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        Ok(Self { name, dtype, shape, begin, end })
    }
}

/// Writes a file, the same bytes for the same arguments: tensors of 4 bytes a number before those of 2 and of 1 (as
/// alignment wants), each kind in the order given.
pub(super) fn write(metadata: &[(&str, &str)], tensors: &[Tensor<'_>]) -> Vec<u8> {
    let entry = |key: &str, value: String| format!("{}:{value}", Value::from(key));
    let strings: Vec<_> =
        metadata.iter().map(|(key, value)| entry(key, Value::from(*value).to_string())).collect();
    let mut entries = vec![entry(METADATA, format!("{{{}}}", strings.join(",")))];
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| match tensor.data {
        TensorData::F32(_) => 0,
        TensorData::U8(_) => 1,
        TensorData::I8(_) => 2,
    });
    let mut data = Vec::new();
    for tensor in sorted {
        let begin = data.len();
        tensor.data.for_each_chunk(|bytes| data.extend_from_slice(bytes));
        let (dtype, shape, end) = (tensor.data.dtype(), &tensor.shape, data.len());
        let info =
            format!(r#"{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#);
        entries.push(entry(&tensor.name, info));
    }
    let mut header = format!("{{{}}}", entries.join(","));
    // Spaces up to a multiple of 8 align the tensors.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// The two kinds of values that the entries of a header have.
enum Field {
    Text(String),
    Numbers(Vec<u64>),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct FieldVisitor;

        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of whole numbers")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Field, E> {
                Ok(Field::Text(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> std::result::Result<Field, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = items.next_element()? {
                    if numbers.len() == MAX_RANK {
                        let message = format_args!("an array of more than {MAX_RANK} numbers");
                        return Err(A::Error::custom(message));
                    }
                    numbers.push(number);
                }
                Ok(Field::Numbers(numbers))
            }
        }

        deserializer.deserialize_any(FieldVisitor)
    }
}
