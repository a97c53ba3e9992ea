//! What of a record's past selects a history: orders, words, fields, keys, and the record from its start.
//!
//! Every record starts from the same facts, so that its first bytes are contexts of their own.

use crate::predict::cm::contexts::{combine, spread};

/// Hashed contexts of the network.
pub const CONTEXTS: usize = 15; // frozen
/// The first of them are orders: ever more of the last bytes.
pub const ORDERS: u32 = 8; // frozen

/// Rolling facts about the record so far, updated once a byte.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The last 16 bytes, newest lowest.
    bytes: u128,
    /// Hash of all bytes of the record.
    prefix: u32,
    /// Hash of the letters of the word so far; 0 between words.
    word: u32,
    /// The word before.
    word_before: u32,
    /// Hash of what has come since the last letter.
    gap: u32,
    /// Hash of the letters and digits since the last mark.
    token: u32,
    /// Hash of the string that ended last before a colon or an equals sign: what names a value.
    key: u32,
    /// Hash of the quoted or bare string so far.
    string: u32,
    /// Blanks, commas and tabs so far.
    field: u32,
    /// Four bits for each of the last eight characters' kinds, runs folded.
    shape: u32,
    /// Hash of the last eight characters with letters and digits reduced to their kind.
    kinds: u32,
    /// Bytes so far.
    len: u32,
}

/// Kinds of characters; runs of kinds below `MARKS` are folded.
fn kind(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        b' ' => 4,
        b'\n' => 5,
        128..=255 => 6,
        b'"' | b'<' | b'>' | b'{' | b'}' | b'[' | b']' | b'(' | b')' => 8 + u32::from(byte & 7),
        _ => 7,
    }
}

const MARKS: u32 = 7; // frozen

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
        self.shape as usize
    }

    /// Fields so far.
    pub fn field(&self) -> usize {
        self.field as usize
    }

    /// Takes in the byte that came.
    pub fn push(&mut self, byte: u8) {
        self.bytes = self.bytes << 8 | u128::from(byte);
        self.prefix = combine(self.prefix, u32::from(byte));
        self.len += 1;
        self.push_word(byte);
        self.push_token(byte);
        self.push_kind(byte);
    }

    fn push_word(&mut self, byte: u8) {
        if byte.is_ascii_alphabetic() || byte >= 128 {
            self.word = combine(self.word, u32::from(byte.to_ascii_lowercase()));
            self.gap = 0;
            return;
        }
        if self.word != 0 {
            self.word_before = self.word;
            self.word = 0;
        }
        self.gap = combine(self.gap, u32::from(byte));
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

    fn push_kind(&mut self, byte: u8) {
        let kind = kind(byte);
        let reduced = match byte {
            b'0'..=b'9' => 1,
            b'a'..=b'z' => 2,
            b'A'..=b'Z' => 3,
            128..=255 => 4,
            mark => u32::from(mark),
        };
        self.kinds = self.kinds.wrapping_mul(0xf0b4_c470) ^ reduced;
        if self.shape & 15 != kind || kind >= MARKS {
            self.shape = self.shape << 4 | kind;
        }
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
        let text = |word: u32| u64::from(combine(combine(self.word, word), self.gap));
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
            text(0),
            text(self.word_before),
            pair(token, self.field),
            pair(self.kinds, last),
            pair(self.shape, last),
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
