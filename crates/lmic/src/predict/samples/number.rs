//! How a number lies in its bytes.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// A number of fixed width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    /// Bytes, 1 to 4.
    pub width: u8,
    /// What the bits mean.
    pub class: Class,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

/// What the bits of a [`Number`] mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Two's complement.
    Signed,
    /// From 0 up.
    Unsigned,
    /// IEEE 754, of 4 bytes.
    Float,
}

impl Number {
    /// Bits of [`Number::code`].
    pub(crate) const CODE_BITS: u32 = 5; // frozen
    /// Fractional bits of a float's value.
    const POINT: i32 = 23; // frozen

    /// Signed, the least significant byte first.
    pub const fn signed(width: u8) -> Self {
        Self { width, class: Class::Signed, big_endian: false }
    }

    /// Not below 0, the least significant byte first.
    pub const fn unsigned(width: u8) -> Self {
        Self { class: Class::Unsigned, ..Self::signed(width) }
    }

    /// The most significant byte first.
    pub const fn big_endian(self) -> Self {
        Self { big_endian: true, ..self }
    }

    /// Checks that there are such numbers.
    pub fn validate(self) -> Result<()> {
        let exists = match self.class {
            Class::Float => self.width == 4,
            Class::Signed | Class::Unsigned => (1..=4).contains(&self.width),
        };
        if exists && (self.width > 1 || !self.big_endian) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidArgument, format!("no numbers are {self:?}")))
    }

    /// What stands in the header of a block.
    pub(crate) fn code(self) -> u64 {
        let class = match self.class {
            Class::Signed => 0,
            Class::Unsigned => 1,
            Class::Float => 2,
        };
        u64::from(self.width - 1) | class << 2 | u64::from(self.big_endian) << 4
    }

    /// The number of a code, if there is one.
    pub(crate) fn of_code(code: u64) -> Option<Self> {
        let class = match code >> 2 & 3 {
            0 => Class::Signed,
            1 => Class::Unsigned,
            2 => Class::Float,
            _ => return None,
        };
        let number = Self { width: (code & 3) as u8 + 1, class, big_endian: code >> 4 == 1 };
        (code >> Self::CODE_BITS == 0 && number.validate().is_ok()).then_some(number)
    }

    /// The bits of the number at the start of `bytes`, which has as many.
    #[inline]
    pub(crate) fn bits(self, bytes: &[u8]) -> u32 {
        let bytes = &bytes[..usize::from(self.width)];
        let push = |bits: u32, &byte: &u8| bits << 8 | u32::from(byte);
        if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }

    /// Writes what [`Number::bits`] reads.
    pub(crate) fn write(self, bits: u32, bytes: &mut [u8]) {
        let width = usize::from(self.width);
        if self.big_endian {
            bytes[..width].copy_from_slice(&bits.to_be_bytes()[4 - width..]);
        } else {
            bytes[..width].copy_from_slice(&bits.to_le_bytes()[..width]);
        }
    }

    /// The range of values.
    pub(crate) fn range(self) -> [i32; 2] {
        match self.class {
            Class::Float => [i32::MIN, i32::MAX],
            _ => [i32::MIN >> self.spare_bits(), i32::MAX >> self.spare_bits()],
        }
    }

    /// Whether there are bits that [`Number::split`] makes nothing of.
    pub(crate) fn escapes(self) -> bool {
        self.class == Class::Float
    }

    fn spare_bits(self) -> u32 {
        32 - 8 * u32::from(self.width)
    }

    /// The value of `bits`, and what it does not say of them. Unsigned numbers lie around 0 like signed ones. A float's value
    /// has [`Number::POINT`] fractional bits; `None` if it is outside of -256 to 256 or has no bit above the point's last.
    pub(crate) fn split(self, bits: u32) -> Option<(i32, u32)> {
        let spare = self.spare_bits();
        match self.class {
            Class::Signed => Some(((bits << spare) as i32 >> spare, 0)),
            Class::Unsigned => {
                let value = (bits << spare) ^ 1 << 31;
                Some((value as i32 >> spare, 0))
            }
            Class::Float => split_float(bits),
        }
    }

    /// The value of an integer of two bytes.
    #[inline]
    pub(crate) fn short(self, sample: [u8; 2]) -> i32 {
        let bits =
            if self.big_endian { u16::from_be_bytes(sample) } else { u16::from_le_bytes(sample) };
        let lift = if self.class == Class::Unsigned { 0x8000 } else { 0 };
        i32::from((bits ^ lift) as i16)
    }

    /// What the rest of a value may be: how many bits [`Number::split`] left of it.
    pub(crate) fn rest_len(self, value: i32) -> u32 {
        match self.class {
            Class::Float if value != 0 => value.unsigned_abs().leading_zeros().saturating_sub(8),
            _ => 0,
        }
    }

    /// The bits of a value and its rest: what [`Number::split`] took apart. Values that it never gives come from damaged codes only,
    /// and have some bits.
    pub(crate) fn join(self, value: i32, rest: u32) -> u32 {
        match self.class {
            Class::Signed => value as u32,
            Class::Unsigned => value as u32 ^ 1 << (31 - self.spare_bits()),
            Class::Float if value == 0 => 0,
            Class::Float => {
                let size = value.unsigned_abs();
                let exponent = 8 - size.leading_zeros() as i32;
                let mantissa =
                    if exponent < 0 { size << -exponent | rest } else { size >> exponent };
                let sign = (value < 0) as u32;
                sign << 31 | ((exponent + 127) as u32) << Self::POINT | mantissa & 0x7f_ffff
            }
        }
    }
}

fn split_float(bits: u32) -> Option<(i32, u32)> {
    if bits == 0 {
        return Some((0, 0));
    }
    let exponent = (bits >> Number::POINT & 255) as i32 - 127;
    if !(-Number::POINT..8).contains(&exponent) {
        return None;
    }
    let mantissa = bits & 0x7f_ffff | 0x80_0000;
    let (size, rest) = if exponent < 0 {
        (mantissa >> -exponent, mantissa & ((1 << -exponent) - 1))
    } else {
        (mantissa << exponent, 0)
    };
    let value = if bits >> 31 == 1 { -(size as i32) } else { size as i32 };
    Some((value, rest))
}

impl fmt::Display for Number {
    /// `i24`, `u16be`, `f32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            Class::Signed => 'i',
            Class::Unsigned => 'u',
            Class::Float => 'f',
        };
        write!(f, "{class}{}{}", 8 * self.width, if self.big_endian { "be" } else { "" })
    }
}

impl std::str::FromStr for Number {
    type Err = Error;

    /// Reads what [`Number`] displays as.
    fn from_str(text: &str) -> Result<Self> {
        let (name, big_endian) = match text.strip_suffix("be") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let found = (0..1 << Self::CODE_BITS)
            .filter_map(Self::of_code)
            .find(|number| number.big_endian == big_endian && number.to_string() == text);
        let message = || format!("{name:?} is no number: i16, u24be, f32 are some");
        found.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> Vec<Number> {
        (0..=255).filter_map(Number::of_code).collect()
    }

    #[test]
    fn numbers_have_codes_and_names() {
        // 4 widths, signed or not, in two byte orders, of which 1 byte has one; floats in two.
        assert_eq!(numbers().len(), 4 * 2 * 2 - 2 + 2);
        for number in numbers() {
            assert_eq!(Number::of_code(number.code()), Some(number));
            assert_eq!(number.to_string().parse::<Number>().unwrap(), number);
        }
        assert!("i8be".parse::<Number>().is_err() && "f16".parse::<Number>().is_err());
    }

    #[test]
    fn values_are_what_they_say() {
        let value = |number: &str, bytes: &[u8]| {
            let number: Number = number.parse().unwrap();
            number.split(number.bits(bytes)).map(|(value, _)| value)
        };
        assert_eq!(value("i24", &[0xfe, 0xff, 0xff]), Some(-2));
        assert_eq!(value("i24be", &[0x80, 0, 0]), Some(-1 << 23));
        assert_eq!(value("u16be", &[0x80, 1]), Some(1));
        assert_eq!(value("u8", &[0]), Some(-128));
        assert_eq!(value("f32", &1.5f32.to_le_bytes()), Some(3 << 22));
        assert_eq!(value("f32be", &(-0.25f32).to_be_bytes()), Some(-1 << 21));
        assert_eq!(value("f32", &256f32.to_le_bytes()), None);
        assert_eq!(value("f32", &f32::NAN.to_le_bytes()), None);
        assert_eq!(value("f32", &(-0f32).to_le_bytes()), None);
    }

    proptest! {
        #[test]
        fn bits_come_back(bits: u32, exponent in 90u32..140, which in 0..16usize) {
            let number = numbers()[which];
            let bits = match number.class {
                Class::Float => bits & 0x807f_ffff | exponent << 23,
                _ => bits >> number.spare_bits(),
            };
            let mut bytes = [0; 4];
            number.write(bits, &mut bytes);
            prop_assert_eq!(number.bits(&bytes), bits);
            if let Some((value, rest)) = number.split(bits) {
                let [least, most] = number.range();
                prop_assert!((least..=most).contains(&value));
                prop_assert!(u64::from(rest) < 1 << number.rest_len(value));
                let mask = u32::MAX >> number.spare_bits();
                prop_assert_eq!(number.join(value, rest) & mask, bits);
            }
        }
    }
}
