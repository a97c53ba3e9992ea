//! The format written from docs/format.md alone: an oracle for the encoder, and the maker of archives that no encoder writes.

pub fn stream_header(version: u8, model: u8) -> Vec<u8> {
    vec![0xb1, b'L', b'M', b'C', version, model]
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The header of a stream with a named model.
pub fn named_header(
    name: &[u8],
    identity: [u8; 32],
    context: u64,
    overlap: u64,
    lanes: u8,
) -> Vec<u8> {
    let mut header = stream_header(1, 0xf0);
    header.extend(varint(name.len() as u64));
    header.extend(name);
    header.extend(identity);
    header.extend(varint(context));
    header.extend(varint(overlap));
    header.push(lanes);
    header.push(header.len() as u8 + 1);
    header
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
    stored_stream_of(&stream_header(1, 1), blocks)
}

/// A stream of stored blocks behind any header.
pub fn stored_stream_of(header: &[u8], blocks: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries = Vec::new();
    for (i, raw) in blocks.iter().enumerate() {
        let last = i + 1 == blocks.len();
        let stream = if i == 0 { header } else { &[] };
        out.extend(stored_block(stream, raw, last));
        entries.push(stored_header(raw, last));
    }
    if blocks.len() > 1 {
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        out.extend(trailer(&entries, &blocks.concat()));
    }
    out
}

/// A block that is not stored.
pub struct Coded<'a> {
    /// The tag without flags, and the parameter if there is one.
    pub kind: &'a [u8],
    pub code: &'a [u8],
    pub content: &'a [u8],
}

impl Coded<'_> {
    fn header(&self, last: bool) -> Vec<u8> {
        let mut header = self.kind.to_vec();
        header[0] |= if last { 0x80 } else { 0 };
        header.extend(varint(self.content.len() as u64));
        header.extend(varint(self.code.len() as u64));
        header
    }
}

/// A stream of coded blocks behind any header. Kinds may be such as do not exist yet.
pub fn coded_stream(header: &[u8], blocks: &[Coded<'_>]) -> Vec<u8> {
    let (mut out, mut entries, mut content) = (header.to_vec(), Vec::new(), Vec::new());
    for (i, block) in blocks.iter().enumerate() {
        let entry = block.header(i + 1 == blocks.len());
        let check = blake3::hash(&[&entry, block.code, block.content].concat());
        out.extend(with_crc(if i == 0 { header } else { &[] }, &entry));
        out.extend([block.code, &check.as_bytes()[..4]].concat());
        entries.push(entry);
        content.extend(block.content);
    }
    if blocks.len() > 1 {
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        out.extend(trailer(&entries, &content));
    }
    out
}
