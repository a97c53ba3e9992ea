//! Padding hides lengths: all that an observer learns is a class that many lengths share.
//!
//! It follows K. Nikitin et al., *Reducing Metadata Leakage from Encrypted Files and Communication with PURBs* (2019), section 4.

/// How far an archive is padded with zeros before it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// To the next length of [`padme`].
    #[default]
    Padme,
    /// Not at all: whoever sees the file knows the length of the archive to the byte.
    None,
}

impl Padding {
    /// The length, padding included, of an archive of `len` bytes.
    pub fn padded(self, len: u64) -> u64 {
        match self {
            Self::Padme => padme(len),
            Self::None => len,
        }
    }
}

/// The least length not below `len` whose binary form, behind its first 1, has ones only in the first `log2 log2 len` places:
/// at most 12 % above `len`, and less the longer it is (6 % at 1 KiB, 3 % at 1 MiB).
///
/// ```
/// assert_eq!(lmic_age::padme(1_000_001), 1_015_808);
/// ```
pub fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let kept = exponent.checked_ilog2().map_or(0, |log| log + 1);
    let mask = (1u64 << (exponent - kept)) - 1;
    len.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_grow_by_at_most_12_percent_and_less_the_longer_they_are() {
        for len in (0..100_000).chain((1..1000).map(|i| i * i * i * 1_000_003)) {
            let padded = padme(len);
            assert!(padded >= len && padme(padded) == padded, "{len}");
            assert!(100 * (padded - len) <= 12 * len, "{len} -> {padded}");
            if len >= 1 << 20 {
                assert!(100 * (padded - len) <= 4 * len, "{len} -> {padded}"); // 2^-5
            }
        }
        assert_eq!(padme(u64::MAX) & 0xffff, 0);
    }

    /// As the paper defines it, in floats.
    #[test]
    fn it_is_what_the_paper_defines() {
        for len in 2..200_000u64 {
            let e = (len as f64).log2().floor();
            let s = e.log2().floor() + 1.0;
            let last_bits = (e - if e == 0.0 { 0.0 } else { s }) as u32;
            let mask = (1u64 << last_bits) - 1;
            assert_eq!(padme(len), (len + mask) & !mask, "{len}");
        }
    }

    #[test]
    fn a_thousand_lengths_fall_into_few_classes() {
        let classes: std::collections::BTreeSet<_> = (1000..2000).map(padme).collect();
        // 1000 to 1024 by 32s (9 - 4 bits), then to 2048 by 64s (10 - 4 bits).
        assert_eq!(classes.len(), 17);
    }
}
