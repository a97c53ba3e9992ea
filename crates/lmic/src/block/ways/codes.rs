//! The codes of several teams in one payload: the lengths of all but the last, then the codes.

use crate::error::{Error, ErrorKind, Result};
use crate::varint;

/// One payload of some codes.
pub(super) fn join(codes: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let codes: Vec<Vec<u8>> = codes.collect();
    let mut payload = Vec::new();
    for code in codes.iter().rev().skip(1).rev() {
        varint::write(&mut payload, code.len() as u64);
    }
    codes.iter().for_each(|code| payload.extend(code));
    payload
}

/// The `count` codes of a payload.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if a length is no number, or passes the end.
pub(super) fn split(payload: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    let wrong = || Error::new(ErrorKind::Corrupt, "the codes of a block's teams pass its end");
    let mut rest = payload;
    let mut lengths = Vec::with_capacity(count);
    for _ in 1..count {
        let length = varint::read(|| {
            let (&first, later) = rest.split_first().ok_or_else(wrong)?;
            rest = later;
            Ok::<_, Error>(first)
        })?;
        lengths.push(length.and_then(|length| usize::try_from(length).ok()).ok_or_else(wrong)?);
    }
    let mut codes = Vec::with_capacity(count);
    for length in lengths {
        let (code, later) = rest.split_at_checked(length).ok_or_else(wrong)?;
        codes.push(code);
        rest = later;
    }
    codes.push(rest);
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_and_wrong_lengths_are_errors() {
        let codes = [vec![1, 2, 3], Vec::new(), vec![7; 300], vec![9]];
        let payload = join(codes.clone().into_iter());
        assert_eq!(split(&payload, 4).unwrap(), codes);
        // Lengths 3, 0 and 300 take four bytes, so cuts below 307 reach into the first three codes.
        for len in 0..307 {
            assert!(split(&payload[..len], 4).is_err(), "{len}");
        }
        assert!(split(&[0x80, 0x00, 1], 2).is_err(), "a long spelling");
        assert!(split(&[255; 20], 2).is_err());
    }
}
