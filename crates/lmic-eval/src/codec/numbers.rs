//! pcodec, for numbers of one type behind each other, in little-endian order.

use anyhow::{Context, Result, bail, ensure};
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress};
use pco::{ChunkConfig, DeltaSpec};

use super::{Codec, Spec};
use crate::item::{Item, Told};

/// pcodec at its strongest level. What is no number is kept as it is: the header of a `.npy` file, and an end that is too short.
pub struct Pco(Type);

#[derive(Clone, Copy)]
enum Type {
    F64,
    I32,
}

/// The strongest of pcodec's levels.
const LEVEL: usize = 12;

impl Pco {
    /// Takes `type`: `f64` or `i32`.
    pub fn open(spec: &mut Spec) -> Result<Self> {
        match spec.take("type", String::new())?.as_str() {
            "f64" => Ok(Self(Type::F64)),
            "i32" => Ok(Self(Type::I32)),
            other => bail!("pco: type={other}: there are f64 and i32"),
        }
    }

    fn width(&self) -> usize {
        match self.0 {
            Type::F64 => 8,
            Type::I32 => 4,
        }
    }
}

/// Bytes of the header of a `.npy` file of version 1; none of another file.
fn npy_header_len(bytes: &[u8]) -> usize {
    match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => {
            (10 + usize::from(u16::from_le_bytes([*low, *high]))).min(bytes.len())
        }
        _ => 0,
    }
}

/// The smaller of what two ways to find differences make: `Auto` does not try matches, which columns side by side may want.
fn compress<T: Number, const N: usize>(bytes: &[u8], number: fn([u8; N]) -> T) -> Result<Vec<u8>> {
    let numbers: Vec<T> = bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)).collect();
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let auto = simple_compress(&numbers, &config)?;
    let matched = config.with_delta_spec(DeltaSpec::TryLookback);
    let matched = simple_compress(&numbers, &matched)?;
    Ok(if matched.len() < auto.len() { matched } else { auto })
}

fn decompress<T: Number, const N: usize>(coded: &[u8], bytes: fn(T) -> [u8; N]) -> Result<Vec<u8>> {
    let numbers: Vec<T> = simple_decompress(coded)?;
    Ok(numbers.into_iter().flat_map(bytes).collect())
}

impl Codec for Pco {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let (header, rest) = item.bytes.split_at(npy_header_len(&item.bytes));
        let (numbers, end) = rest.split_at(rest.len() - rest.len() % self.width());
        let coded = match self.0 {
            Type::F64 => compress(numbers, f64::from_le_bytes)?,
            Type::I32 => compress(numbers, i32::from_le_bytes)?,
        };
        let header_len = u16::try_from(header.len()).context("a header that is too long")?;
        Ok([&header_len.to_le_bytes(), header, end, &coded].concat())
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let (len, coded) = coded.split_first_chunk().context("no header")?;
        let header_len = usize::from(u16::from_le_bytes(*len));
        ensure!(header_len <= told.len.min(coded.len()), "a header that is too long");
        let (header, coded) = coded.split_at(header_len);
        let end_len = (told.len - header_len) % self.width();
        let (end, coded) = coded.split_at_checked(end_len).context("no end")?;
        let numbers = match self.0 {
            Type::F64 => decompress(coded, f64::to_le_bytes)?,
            Type::I32 => decompress(coded, i32::to_le_bytes)?,
        };
        Ok([header, &numbers, end].concat())
    }

    fn version(&self) -> String {
        "pco, level 12, the better of automatic differences and matches".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{open, verified};
    use crate::item::Format;

    #[test]
    fn numbers_behind_a_header_are_coded_as_numbers_not_as_bytes() {
        let codec = open("pco:type=i32").unwrap();
        let numbers = (0..5000_i32).flat_map(|i| (7 * i).to_le_bytes());
        let header = [&b"\x93NUMPY\x01\x00\x07\x00"[..], b"{'a'}  "].concat();
        let bytes: Vec<u8> = header.into_iter().chain(numbers).chain([1, 2]).collect();
        let coded = verified(&*codec, &Item { bytes, format: Format::Bytes }).unwrap();
        assert!(coded.len() < 500, "{}", coded.len());
    }

    #[test]
    fn a_header_without_its_end_and_damaged_code_are_no_panic() {
        let codec = open("pco:type=f64").unwrap();
        let bytes = b"\x93NUMPY\x01\x00\xff\xffx".to_vec();
        let item = Item { bytes, format: Format::Bytes };
        let coded = verified(&*codec, &item).unwrap();
        for len in 0..coded.len() {
            assert!(codec.decode(&coded[..len], item.told()).is_err(), "{len}");
        }
    }
}
