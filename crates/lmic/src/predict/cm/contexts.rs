//! Contexts for bytes of any kind: what of the past selects a history.

/// Rolling facts about the past, updated once a byte.
#[derive(Debug, Default)]
pub struct Past {
    /// Last 8 bytes, newest lowest.
    pub c8: u64,
    word: u32,
    word1: u32,
    word2: u32,
    gap: u32,
    line_start: usize,
    above: usize,
    column: usize,
    class: u32,
    indirect1: Vec<u16>,
    indirect2: Vec<u16>,
    field: u32,
    tokens: u32,
    first: u32,
    key: u32,
    line_hash: u32,
    class2: u32,
    word_len: u32,
    last_word: u32,
}

fn mix(a: u32, b: u32) -> u32 {
    let h = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (h >> 32) as u32 ^ h as u32
}

fn hash(id: u32, bytes: u64) -> u32 {
    let h = (bytes ^ u64::from(id) << 57).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let h = (h ^ h >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (h >> 32) as u32
}

impl Past {
    pub fn new() -> Self {
        Self { indirect1: vec![0; 256], indirect2: vec![0; 65536], ..Self::default() }
    }

    pub fn push(&mut self, past: &[u8]) {
        let Some(&byte) = past.last() else { return };
        let c1 = self.c8 as u8;
        let c2 = self.c8 as u16;
        let slot = &mut self.indirect1[usize::from(c1)];
        *slot = *slot << 8 | u16::from(byte);
        let slot = &mut self.indirect2[usize::from(c2)];
        *slot = *slot << 8 | u16::from(byte);
        self.c8 = self.c8 << 8 | u64::from(byte);
        let lower = byte.to_ascii_lowercase();
        if lower.is_ascii_lowercase() || byte >= 128 {
            self.word = mix(self.word, u32::from(lower));
            self.gap = 0;
        } else {
            if self.word != 0 {
                self.word2 = self.word1;
                self.word1 = self.word;
                self.word = 0;
            }
            self.gap = mix(self.gap, u32::from(byte));
        }
        let class = match byte {
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            b'0'..=b'9' => 3,
            b' ' => 4,
            b'\n' => 5,
            128..=255 => 6,
            b'"' | b'<' | b'>' | b'{' | b'}' | b'[' | b']' | b'(' | b')'  => 8 + u32::from(byte & 7),
            _ => 7,
        };
        // runs of one class count once
        if self.class & 15 != class || class >= 7 { self.class = self.class << 4 | class; }
        if matches!(byte, b'"' | b'<' | b'>' | b'=' | b'/' | b'{' | b'[' | b'\n') { self.field = mix(self.field >> 3, u32::from(byte)); }
        // tokens in line
        if byte == b' ' || byte == b',' || byte == b'\t' || byte == b';' { self.tokens += 1; if self.tokens == 1 { self.first = self.word1; } }
        if byte == b':' || byte == b'=' || byte == b'>' { self.key = self.word1; }
        if !byte.is_ascii_digit() { self.line_hash = mix(self.line_hash, u32::from(byte)); }
        if lower.is_ascii_lowercase() || byte >= 128 { self.word_len = (self.word_len + 1).min(15); } else { self.word_len = 0; }
        let k2 = match byte { b'0'..=b'9' => 1, b'a'..=b'z' => 2, b'A'..=b'Z' => 3, 128..=255 => 4, _ => u32::from(byte) };
        self.class2 = self.class2.wrapping_mul(0x2F0B4C47 << 4) ^ k2;
        if byte == b'\n' {
            self.tokens = 0; self.line_hash = 0; self.first = 0;
            self.above = self.line_start;
            self.line_start = past.len();
        }
        self.column = past.len() - self.line_start;
    }

    pub fn hashes<const N: usize>(&self, past: &[u8], out: &mut [u32; N]) {
        let c8 = self.c8;
        let above = *past.get(self.above + self.column).unwrap_or(&0) as u64;
        let above = if self.above + self.column < self.line_start { above } else { 0 };
        let i1 = u64::from(self.indirect1[usize::from(c8 as u8)]);
        let i2 = u64::from(self.indirect2[usize::from(c8 as u16)]);
        let low = |n: u32| c8 & ((1 << (8 * n)) - 1);
        let word = u64::from(self.word);
        let a2 = *past.get(self.above + self.column + 1).unwrap_or(&0) as u64;
        let class = u64::from(self.class);
        let h = |a: u64, b: u64| mix(mix(a as u32, (a >> 32) as u32), mix(b as u32, (b >> 32) as u32)) as u64;
        let tok = u64::from(self.tokens) | u64::from(self.first) << 8;
        let list: [u64; 40] = [
            low(2),
            low(3),
            low(4),
            low(5),
            low(6),
            low(7),
            u64::from(mix(self.word, self.gap)) ,
            u64::from(mix(mix(self.word, self.word1), self.gap)),
            u64::from(mix(mix(self.word, self.word2), self.gap)),
            c8 & 0xffff00,
            c8 & 0xffff0000,
            above | low(1) << 8 | (self.column.min(255) as u64) << 16,
            i1 | low(1) << 16,
            i2 | low(2) << 16,
            class | low(1) << 32,
            above << 24 | low(2) | u64::from(self.field) << 32,
            // 16..
            class & 0xffff | low(2) << 32,
            class & 0xfff | low(3) << 32,
            h(tok, word | u64::from(self.gap) << 32),
            h(u64::from(self.tokens), word | u64::from(self.gap) << 32),
            above | a2 << 8 | low(1) << 16,
            above | a2 << 8 | low(2) << 16,
            c8 & 0xff00ff00,
            c8 & 0xff0000ff,
            c8 & 0xff00,
            h(word, class), // 25
            u64::from(mix(self.word1, self.word)), // 26
            h(u64::from(self.key), word | u64::from(self.gap) << 32), // 27
            h(u64::from(self.key), low(2)), // 28
            h(u64::from(self.line_hash), 0), // 29
            h(class, u64::from(self.word)<<32 | u64::from(self.word1)), // 30
            class >> 4, //31
            h(u64::from(self.word1), u64::from(self.word2)<<32 | word), //32
            i1 & 0xff | low(2) << 16, // 33
            i2 & 0xff | low(1) << 16, // 34
            h(self.column as u64, low(1)), // 35
            h(above, tok), // 36
            u64::from(self.class2) << 8 | low(1), // 37
            low(1) | u64::from(self.word_len) << 8 | u64::from(self.class & 0xfff) << 16, // 38
            0,
        ];
        let pick: [i32; 16] = std::array::from_fn(|i| super::logistic::par(14 + i, [0,1,2,3,37,5,6,7,8,9,10,11,12,13,14,31][i]));
        let _ = word;
        for (i, out) in out.iter_mut().enumerate() {
            *out = hash(i as u32 + 1, list[pick[i] as usize]);
        }
    }

    pub fn word_len_hint(&self) -> usize { self.word_len as usize }
    pub fn class_hint(&self) -> usize { (self.class & 255) as usize }
    pub fn column(&self) -> usize { self.column }
    pub fn tok_hint(&self) -> usize { self.tokens.min(255) as usize }
}
