//! Generated data: the same bytes on every machine, for ever.

use lmic::nn::{Config, Matrix, Weights};
use lmic::random::SplitMix64;

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
    let mut random = SplitMix64::new(len as u64);
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(WORDS[(random.next_u64() % 12) as usize].as_bytes());
    }
    text.truncate(len);
    text
}

/// Bytes that no model compresses.
pub fn noise(len: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(!(len as u64));
    (0..len).map(|_| random.next_u64() as u8).collect()
}

/// Structures of 20 bytes: a counter, two drifting fields, a name, zeros.
pub fn records(len: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(5);
    let (mut a, mut b) = (1000u32, 7u16);
    let mut out = Vec::new();
    for i in 0..len as u32 / 20 {
        a = a.wrapping_add((random.next_u64() % 50) as u32);
        b = b.wrapping_sub((random.next_u64() % 3) as u16);
        out.extend(i.to_le_bytes());
        out.extend(a.to_be_bytes());
        out.extend(b.to_le_bytes());
        out.extend([*b"north ", *b"south "][(random.next_u64() % 2) as usize]);
        out.extend([0; 4]);
    }
    out
}

/// A slope with a disc and a little noise; `channels` bytes a pixel.
pub fn picture(width: u32, height: u32, channels: u32) -> Vec<u8> {
    let mut random = SplitMix64::new(u64::from(channels));
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
            let disc = if dx * dx + dy * dy < 150 { 60 } else { 0 };
            for channel in 0..channels {
                let value = 40 + x * (2 - channel / 2) + y + disc + (random.next_u64() % 6) as u32;
                out.push(value as u8);
            }
        }
    }
    out
}

/// Two beating triangles with noise: 16-bit stereo, or 8-bit mono for one byte a sample.
pub fn wave(samples: u32, bytes: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(9);
    let triangle = |at: u32, period: u32| (at % period).abs_diff(period / 2);
    let mut out = Vec::new();
    for i in 0..samples {
        let left = triangle(i, 97) * 120 + triangle(i, 61) * 80 + (random.next_u64() % 40) as u32;
        let right = triangle(i + 9, 97) * 100 + (random.next_u64() % 40) as u32;
        match bytes {
            1 => out.push((left / 64 + 30) as u8),
            _ => [left, right].iter().for_each(|v| out.extend((*v as i16 - 4000).to_le_bytes())),
        }
    }
    out
}

/// The shape of a model of some KB.
pub fn tiny_config() -> Config {
    Config {
        vocab_size: 257,
        hidden_size: 8,
        intermediate_size: 12,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 64,
        sliding_window: None,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: true,
    }
}

/// Random weights, but for how often bytes come: so that `text` and `records` are coded and not stored.
pub fn taught(config: &Config, name: &str, seed: u64) -> Weights {
    let mut counts = [0u32; 257];
    for byte in [text(3000), records(3000)].concat() {
        counts[usize::from(byte)] += 1;
    }
    counts[256] = 300; // the start symbol is followed by frequent bytes too
    let weight = |count| match count {
        0 => 1.0f32,
        1..30 => 2.0,
        30..300 => 3.0,
        _ => 4.0,
    };
    let mut weights = Weights { name: name.into(), ..Weights::random(config, seed) };
    // The first number of the hidden state is always positive and grows with no product.
    for matrix in [Some(&mut weights.embed), weights.head.as_mut()].into_iter().flatten() {
        let Matrix::F32 { cols, data, .. } = matrix else { panic!("random weights are f32") };
        let firsts = data.iter_mut().step_by(*cols);
        firsts.zip(counts).for_each(|(first, count)| *first = weight(count));
    }
    weights
}

/// Lines of a log, number `from` to `to`, each with its line feed.
pub fn log_lines(from: usize, to: usize) -> Vec<u8> {
    let line = |i: usize| {
        let (user, took) = (i * 7919 % 100, i * 31 % 977);
        format!("{:02}:{:02} GET /users/{user}/posts 200 in {took} ms\n", i / 60 % 24, i % 60)
    };
    (from..to).map(line).collect::<String>().into_bytes()
}

/// The format written from docs/format.md alone, for stored blocks: an oracle for the encoder, and
/// the maker of archives that no encoder writes.
pub mod by_hand {
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
}
