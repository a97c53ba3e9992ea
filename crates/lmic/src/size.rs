//! Sizes as xz writes them: a whole number of bytes, or with K, M, G in powers of 1024.

use crate::error::{Error, ErrorKind, Result};

/// Reads `64`, `64K`, `64k`, `64KB`, `64KiB` (and M, G, T).
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if it is no size, or more than 2^64 bytes.
pub fn parse(text: &str) -> Result<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let number = number.parse::<u64>().ok().zip(shift_of(suffix));
    let (number, shift) = number.ok_or_else(|| {
        wrong(format!(
            "{text:?} is not a size; write bytes, or K, M, G in powers of 1024, such as 64K"
        ))
    })?;
    number.checked_mul(1 << shift).ok_or_else(|| wrong(format!("{text} is more than 2^64 bytes")))
}

/// As [`parse`], but `none` is no limit.
///
/// # Errors
/// As there.
pub fn parse_limit(text: &str) -> Result<Option<u64>> {
    if text == "none" { Ok(None) } else { parse(text).map(Some) }
}

fn shift_of(suffix: &str) -> Option<u32> {
    match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "ki" | "kib" => Some(10),
        "m" | "mb" | "mi" | "mib" => Some(20),
        "g" | "gb" | "gi" | "gib" => Some(30),
        "t" | "tb" | "ti" | "tib" => Some(40),
        _ => None,
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024_in_any_spelling() {
        for text in ["3K", "3k", "3KiB", "3kB", "3072"] {
            assert_eq!(parse(text).unwrap(), 3072, "{text}");
        }
        assert_eq!(parse("2G").unwrap(), 2 << 30);
        assert_eq!(parse("0").unwrap(), 0);
        assert_eq!((parse_limit("none").unwrap(), parse_limit("1").unwrap()), (None, Some(1)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "-1", "1.5M", "3 K", "3X", "99999999999999999999", "16777216T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
