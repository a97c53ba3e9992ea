//! The words of a text and the kinds of its characters, as contexts see them. They are updated once a byte.

/// Words so far, and what kinds of characters came last.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// Hash of the letters of the word so far; 0 between words.
    word: u32,
    /// Hashes of the word before, and of the one before that.
    words: [u32; 2],
    /// Hash of what has come since the last letter.
    gap: u32,
    /// The kinds of the last eight characters, four bits each, the last one lowest; a run of one kind counts as one.
    pub shape: u32,
    /// Hash of the last eight characters, of which letters and digits count by their kind only.
    pub kinds: u32,
}

/// The kind of a character. All lower case letters are of one kind, and so on; marks on which a text or a record turns have kinds
/// of their own. A run of a kind below [`MARKS`] counts as one in [`Text::shape`].
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

impl Text {
    /// Takes in the byte that came last.
    pub fn push(&mut self, byte: u8) {
        self.push_word(byte);
        self.push_kind(byte);
    }

    fn push_word(&mut self, byte: u8) {
        if byte.is_ascii_alphabetic() || byte >= 128 {
            self.word = combine(self.word, u32::from(byte.to_ascii_lowercase()));
            self.gap = 0;
            return;
        }
        if self.word != 0 {
            self.words = [self.word, self.words[0]];
            self.word = 0;
        }
        self.gap = combine(self.gap, u32::from(byte));
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
        // The factor is a multiple of 16, so each step moves a character up by four bits, and after eight steps nothing is left
        // of it.
        self.kinds = self.kinds.wrapping_mul(0xf0b4_c470) ^ reduced;
        if self.shape & 15 != kind || kind >= MARKS {
            self.shape = self.shape << 4 | kind;
        }
    }

    /// Hash of the word so far, or of what stands between words.
    #[inline]
    pub fn this_word(&self) -> u64 {
        self.beside(0)
    }

    /// The same with the word before (0) or the one before that (1).
    #[inline]
    pub fn with_word(&self, before: usize) -> u64 {
        self.beside(self.words[before])
    }

    #[inline]
    fn beside(&self, word: u32) -> u64 {
        u64::from(combine(combine(self.word, word), self.gap))
    }
}

/// Hash of two values; their order matters.
pub fn combine(a: u32, b: u32) -> u32 {
    let product = (u64::from(a) << 32 | (u64::from(b) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> 32) as u32 ^ product as u32
}

/// Spreads a value over 32 bits.
#[inline]
pub fn spread(value: u64) -> u32 {
    let h = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    let h = (h ^ h >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (h >> 32) as u32
}
