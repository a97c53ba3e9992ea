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

/// The format written from docs/format.md alone, for stored blocks: an oracle for the encoder, and
/// the maker of archives that no encoder writes.
pub mod by_hand {
    pub fn stream_header(version: u8, model: u8) -> Vec<u8> {
        vec![0xb1, b'L', b'M', b'C', version, model]
    }

    fn crc8(bytes: &[u8]) -> u8 {
        let step = |crc: u8| crc << 1 ^ if crc & 0x80 != 0 { 0x2f } else { 0 };
        !bytes.iter().fold(0xff, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| step(crc)))
    }

    /// `header` and the CRC over what stands before it in the stream's first block, and itself.
    pub fn with_crc(before: &[u8], header: &[u8]) -> Vec<u8> {
        [header, &[crc8(&[before, header].concat())]].concat()
    }

    fn stored_header(raw: &[u8], last: bool) -> Vec<u8> {
        let tag = if last { 0x80 } else { 0 };
        match raw.len() {
            len @ 0..0x80 => vec![tag, len as u8],
            len => vec![tag, len as u8 | 0x80, u8::try_from(len >> 7).unwrap()],
        }
    }

    /// A stored block of at most 2^14 bytes; `stream` is the stream header if it is the first.
    pub fn stored_block(stream: &[u8], raw: &[u8], last: bool) -> Vec<u8> {
        let header = stored_header(raw, last);
        let check = blake3::hash(&[&header, raw].concat());
        [stream, &with_crc(stream, &header), raw, &check.as_bytes()[..4]].concat()
    }

    pub fn trailer(entries: &[&[u8]], content: &[u8]) -> Vec<u8> {
        let mut out = entries.concat();
        let length = (out.len() as u64).to_le_bytes();
        out.extend(&blake3::hash(content).as_bytes()[..16]);
        out.extend(&length[..6]);
        let check = blake3::hash(&out);
        out.extend(&check.as_bytes()[..4]);
        out.extend([0xb2, b'X']);
        out
    }

    pub fn stored_stream(blocks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut entries = Vec::new();
        for (i, raw) in blocks.iter().enumerate() {
            let last = i + 1 == blocks.len();
            let stream = if i == 0 { stream_header(1, 1) } else { Vec::new() };
            out.extend(stored_block(&stream, raw, last));
            entries.push(stored_header(raw, last));
        }
        if blocks.len() > 1 {
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            out.extend(trailer(&entries, &blocks.concat()));
        }
        out
    }
}
