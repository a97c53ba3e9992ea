//! Sizes in the words of the command: read by `lmic::size`, written here.

use lmic::size::parse;

/// As [`parse`], but not 0.
pub fn parse_nonzero(text: &str) -> Result<u64, String> {
    match parse(text).map_err(|error| error.to_string())? {
        0 => Err("0 is no size here; at least 1 byte is allowed".into()),
        size => Ok(size),
    }
}

/// A limit in bytes, or none. (clap gives a bare `Option` a meaning of its own.)
#[derive(Debug, Clone, Copy)]
pub struct Limit(pub Option<u64>);

/// A size, but `none` is no limit.
pub fn parse_limit(text: &str) -> lmic::Result<Limit> {
    lmic::size::parse_limit(text).map(Limit)
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
    fn zero_is_refused_where_it_means_nothing() {
        assert_eq!(parse_nonzero("1K"), Ok(1024));
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
