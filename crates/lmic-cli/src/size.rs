//! Sizes as xz writes them: a whole number of bytes, or with K, M, G in powers of 1024.

/// Reads `64`, `64K`, `64k`, `64KB`, `64KiB` (and M, G, T).
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let shift = shift_of(suffix).ok_or_else(|| help(text))?;
    let number: u64 = number.parse().map_err(|_| help(text))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is more than 2^64 bytes"))
}

/// As [`parse`], but not 0.
pub fn parse_nonzero(text: &str) -> Result<u64, String> {
    match parse(text)? {
        0 => Err("0 is no size here; at least 1 byte is allowed".into()),
        size => Ok(size),
    }
}

/// As [`parse`], but `none` is no limit.
pub fn parse_limit(text: &str) -> Result<Limit, String> {
    if text == "none" { Ok(Limit(None)) } else { parse(text).map(|n| Limit(Some(n))) }
}

/// A limit in bytes, or none. (clap gives a bare `Option` a meaning of its own.)
#[derive(Debug, Clone, Copy)]
pub struct Limit(pub Option<u64>);

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

fn help(text: &str) -> String {
    format!("{text:?} is not a size; write bytes, or K, M, G in powers of 1024, such as 64K")
}

/// `1234 B`, `12.1 KiB`, `3.4 MiB`: exact while short, else three or four digits.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 10_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Compressed / uncompressed as `0.2103`, or `-` when there is nothing to divide by.
pub fn ratio(coded: u64, raw: u64) -> String {
    if raw == 0 { "-".into() } else { format!("{:.4}", coded as f64 / raw as f64) }
}

/// Millions of bytes per second.
pub fn mb_per_s(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024_in_any_spelling() {
        for text in ["3K", "3k", "3KiB", "3kB", "3072"] {
            assert_eq!(parse(text), Ok(3072), "{text}");
        }
        assert_eq!(parse("2G"), Ok(2 << 30));
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse_nonzero("1K"), Ok(1024));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "-1", "1.5M", "3 K", "3X", "99999999999999999999", "16777216T"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_nonzero("0").is_err() && parse_nonzero("0K").is_err());
    }

    #[test]
    fn human_sizes_round_to_the_next_unit() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(9_999), "9999 B");
        assert_eq!(human(10_240), "10.0 KiB");
        assert_eq!(human((1 << 20) - 1), "1.0 MiB");
        assert_eq!(human(5 << 40), "5.0 TiB");
    }
}
