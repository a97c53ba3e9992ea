//! The container's checks: CRC-8 for headers of a few bytes, truncated BLAKE3 for content.
//!
//! A CRC finds every single flipped bit and every burst of up to 8 bits for one byte of overhead. What
//! it lets through (1 in 256 of larger damage) meets the block check, which is over decoded bytes.

/// Bytes of a block's check.
pub(super) const BLOCK_CHECK_LEN: usize = 4; // frozen

/// Bytes of a stream's content hash.
pub(super) const CONTENT_HASH_LEN: usize = 16; // frozen

/// CRC-8/AUTOSAR: polynomial 0x2f, initial value and final xor 0xff, bits taken from the top.
/// This polynomial finds any 3 flipped bits in up to 119 bits; a header has fewer.
pub(super) fn crc8(parts: &[&[u8]]) -> u8 {
    let mut crc = 0xffu8;
    for &byte in parts.iter().copied().flatten() {
        crc ^= byte;
        for _ in 0..8 {
            let carry = crc & 0x80 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x2f;
            }
        }
    }
    crc ^ 0xff
}

/// The check of a block: the first bytes of a BLAKE3 hash over header, payload and decoded content
/// (which a stored block has as its payload already). The payload is in it because the last byte of a
/// code has bits that change nothing in what it decodes to: damage there is damage all the same.
pub(super) fn block_check(header: &[u8], payload: &[u8], decoded: &[u8]) -> [u8; BLOCK_CHECK_LEN] {
    let mut hasher = blake3::Hasher::new();
    prefix(&hasher.update(header).update(payload).update(decoded).finalize())
}

/// The first `N` bytes of a hash.
pub(super) fn prefix<const N: usize>(hash: &blake3::Hash) -> [u8; N] {
    std::array::from_fn(|i| hash.as_bytes()[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc8_is_the_catalogued_one() {
        // The check value that every CRC catalogue gives for CRC-8/AUTOSAR.
        assert_eq!(crc8(&[b"123456789"]), 0xdf);
        assert_eq!(crc8(&[b"1234", b"56789"]), 0xdf);
    }
}
