//! Lengths as variable-length integers: 7 bits a byte, low bits first, the top bit says that more follow.
//!
//! Canonical: of all spellings of a number only the shortest is valid, so that re-encoding what was
//! read gives the same bytes (the header checks are computed that way).

/// Longest spelling of a `u64`: 64 bits at 7 a byte.
pub(crate) const MAX_LEN: usize = 10; // frozen

/// Appends `value` to `out`.
pub(crate) fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads from `next_byte`; `Ok(None)` is a spelling that is too long or not the shortest.
pub(crate) fn read<E>(mut next_byte: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut value = 0u64;
    for i in 0..MAX_LEN {
        let byte = next_byte()?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit of the 64.
        if i == MAX_LEN - 1 && byte > 1 {
            return Ok(None);
        }
        value |= bits << (7 * i);
        if byte < 0x80 {
            let shortest = byte != 0 || i == 0;
            return Ok(shortest.then_some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<u64>, ()> {
        let mut bytes = bytes.iter();
        read(|| bytes.next().copied().ok_or(()))
    }

    #[test]
    fn round_trips_at_every_length() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                write(&mut out, value);
                assert!(out.len() <= MAX_LEN);
                assert_eq!(parse(&out), Ok(Some(value)));
            }
        }
    }

    #[test]
    fn longer_spellings_are_refused() {
        assert_eq!(parse(&[0x80, 0x00]), Ok(None));
        assert_eq!(parse(&[0xff, 0x80, 0x00]), Ok(None));
        assert_eq!(parse(&[0xff; 10]), Ok(None));
        // 2^64: nine full bytes, then two bits where one fits.
        assert_eq!(parse(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]), Ok(None));
    }

    #[test]
    fn the_end_of_the_input_is_reported_as_such() {
        assert_eq!(parse(&[]), Err(()));
        assert_eq!(parse(&[0x80]), Err(()));
    }
}
