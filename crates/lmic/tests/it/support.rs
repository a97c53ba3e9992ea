//! Generated data: the same bytes on every machine, for ever.

/// A generator of 64 random bits (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Words of a small vocabulary: compresses well under any model.
pub fn text(len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "the ",
        "model ",
        "predicts ",
        "what ",
        "comes ",
        "next, ",
        "and ",
        "a ",
        "coder ",
        "writes ",
        "only ",
        "surprise.\n",
    ];
    let mut random = Random(len as u64);
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(WORDS[(random.next() % 12) as usize].as_bytes());
    }
    text.truncate(len);
    text
}

/// Bytes that no model compresses.
pub fn noise(len: usize) -> Vec<u8> {
    let mut random = Random(!(len as u64));
    (0..len).map(|_| random.next() as u8).collect()
}
