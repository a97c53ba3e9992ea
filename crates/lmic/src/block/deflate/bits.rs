//! Bits in the order of RFC 1951: the lowest of a byte first.

/// Reads bits of a slice.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read, at least in part.
    pub(super) fn bytes_read(&self) -> usize {
        self.at.div_ceil(8)
    }

    /// The next bits, at least 32 of them; zeros behind the end.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        let at = self.at / 8;
        let next = match self.bytes.get(at..at + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().expect("8 bytes")),
            None => {
                let rest = self.bytes.get(at..).unwrap_or_default();
                rest.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte))
            }
        };
        next >> (self.at % 8)
    }

    /// Passes `count` bits; `None` if there are fewer.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// The next `count` bits, at most 32, as a number.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let bits = self.peek() & ((1 << count) - 1);
        self.skip(count)?;
        Some(bits as u32)
    }

    /// Bits up to the next whole byte, fewer than 8.
    pub(super) fn padding(&self) -> u32 {
        (8 - self.at % 8) as u32 % 8
    }

    /// The next `len` whole bytes.
    pub(super) fn take_bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let start = self.at / 8;
        let bytes = self.bytes.get(start..start.checked_add(len)?)?;
        self.at += 8 * len;
        Some(bytes)
    }
}

/// Writes bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that are no whole byte yet, fewer than 8.
    rest: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the lowest `count` bits, at most 32, of a number that has no others.
    #[inline]
    pub(super) fn push(&mut self, bits: u32, count: u32) {
        self.rest |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.count -= 8;
        }
    }

    /// Bits up to the next whole byte, fewer than 8.
    pub(super) fn padding(&self) -> u32 {
        (8 - self.count) % 8
    }

    /// Whole bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All bits so far.
    pub(super) fn bits(&self) -> usize {
        8 * self.bytes.len() + self.count as usize
    }

    /// Appends whole bytes where a byte begins.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes; what is no whole one is filled up with zeros.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.rest as u8);
        }
        self.bytes
    }
}
