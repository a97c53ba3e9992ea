//! The checksums that stand behind deflate streams.

/// What each byte makes of a CRC-32.
static TABLE: [u32; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}; // frozen

/// The CRC-32 of bytes that follow those with the CRC-32 `before`, 0 if there are none.
pub(super) fn crc32(before: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8;
    !bytes.iter().fold(!before, step)
}

/// Adler-32.
pub(super) fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65521; // frozen
    let (mut a, mut b) = (1, 0);
    // So few that no sum overflows.
    for piece in bytes.chunks(4096) {
        for &byte in piece {
            a += u32::from(byte);
            b += a;
        }
        (a, b) = (a % PRIME, b % PRIME);
    }
    b << 16 | a
}
