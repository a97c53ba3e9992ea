//! Contexts of records, which select histories: the last bytes, words, fields, keys, and the record from its start.
//!
//! Every record starts from the same facts, so that contexts tell its first bytes from all others.

use crate::predict::cm::text::{Text, combine, spread};

/// The number of contexts. All of them are hashed.
pub const CONTEXTS: usize = 15; // frozen
/// So many of them, the first ones, are orders: ever more of the last bytes.
pub const ORDERS: u32 = 8; // frozen

/// Facts about the record so far from which contexts are made, updated once a byte.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The last 16 bytes, newest lowest.
    bytes: u128,
    /// Hash of all bytes of the record.
    prefix: u32,
    /// Words and kinds of characters.
    text: Text,
    /// Hash of the letters and digits since the last mark.
    token: u32,
    /// Hash of the string that ended last before a colon or an equals sign: what names a value.
    key: u32,
    /// Hash of the quoted or bare string so far.
    string: u32,
    /// How many marks that separate fields have come: blanks, commas, tabs, semicolons and bars.
    field: u32,
    /// Bytes so far.
    len: u32,
}

impl Facts {
    /// The last byte; 0 at the start.
    pub fn last(&self) -> usize {
        self.bytes as usize & 255
    }

    /// The byte before the last.
    pub fn second(&self) -> usize {
        self.bytes as usize >> 8 & 255
    }

    /// Kinds of the last characters.
    pub fn shape(&self) -> usize {
        self.text.shape as usize
    }

    /// The number of the field.
    pub fn field(&self) -> usize {
        self.field as usize
    }

    /// Takes in the byte that came.
    pub fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        self.prefix = combine(self.prefix, u32::from(byte));
        self.len += 1;
        self.text.push(byte);
        self.push_token(byte);
    }

    fn push_token(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte >= 128 {
            self.token = combine(self.token, u32::from(byte));
            self.string = combine(self.string, u32::from(byte));
            return;
        }
        self.token = 0;
        match byte {
            b':' | b'=' => {
                self.key = self.string;
                self.string = 0;
            }
            b'"' | b',' | b'{' | b'[' => {
                if byte != b'"' {
                    self.string = 0;
                }
            }
            _ => self.string = combine(self.string, u32::from(byte)),
        }
        self.field += u32::from(matches!(byte, b' ' | b',' | b'\t' | b';' | b'|'));
    }

    /// The hash of each context.
    #[inline]
    pub fn hashes(&self) -> [u32; CONTEXTS] {
        let low = self.bytes as u64;
        let newest = |n: u32| low & (u64::MAX >> (64 - 8 * n));
        let longer = |n: u32| {
            let bytes = self.bytes & (u128::MAX >> (128 - 8 * n));
            (bytes as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (bytes >> 64) as u64
        };
        let pair = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
        let last = newest(1) as u32;
        let token = combine(self.token, last);
        let values = [
            0,
            newest(1),
            newest(2),
            newest(3),
            newest(4),
            newest(6),
            longer(12),
            pair(self.prefix, self.len),
            self.text.this_word(),
            self.text.with_word(0),
            pair(token, self.field),
            pair(self.text.kinds, last),
            pair(self.text.shape, last),
            pair(self.string, self.key) ^ u64::from(last) << 24,
            low & 0xffff00,
        ];
        let mut index = 0;
        values.map(|value| {
            index += 1;
            spread(value ^ index << 57)
        })
    }
}
