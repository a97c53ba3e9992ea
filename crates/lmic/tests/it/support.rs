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

/// Instructions of x86, most of them of 64-bit mode: calls of some functions, addresses of some variables, numbers, and a few
/// bytes that are no program.
pub fn x86_code(len: usize) -> Vec<u8> {
    // Bytes, whether a distance follows, and what stands behind it.
    const FORMS: [(&[u8], bool, &[u8]); 16] = [
        (b"\xe8", true, b""),
        (b"\x48\x8b\x05", true, b""),
        (b"\x48\x89\xd8", false, b""),
        (b"\x0f\x84", true, b""),
        (b"\x80\x3d", true, b"\x01"),
        (b"\xc7\x05", true, b"\x10\x00\x00\x00"),
        (b"\x8b\x44\x24\x18", false, b""),
        (b"\x66\xc7\x45\xf0\x22\x01", false, b""),
        (b"\xc5\xf9\x6f\x05", true, b""),
        (b"\xf7\x84\x8d\x00\x01\x00\x00\x0f\x00\x00\x00", false, b""),
        (b"\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", false, b""),
        (b"\x66\x0f\x3a\x0f\xc1\x08", false, b""),
        (b"\x62\xf1\x7c\x48\x28\x05", true, b""),
        (b"\xe9", true, b""),
        (b"\x75\x08\xc3\xf6\xc1\x04\xa1", false, b""),
        (b"\xff\x15", true, b""),
    ];
    let choices = noise(len);
    let mut code = Vec::new();
    for choice in choices.chunks_exact(2) {
        let (start, is_distance, end) =
            FORMS[usize::from(choice[0] >> 4 & choice[0] | choice[1] & 3)];
        code.extend(start);
        if is_distance {
            let target = 1000 * u32::from(choice[1] % 7);
            let here = (code.len() + 4 + end.len()) as u32;
            code.extend(target.wrapping_sub(here).to_le_bytes());
        }
        code.extend(end);
    }
    code.truncate(len);
    code
}

/// Instructions of AArch64: calls, pages, and others.
pub fn arm64_code(len: usize) -> Vec<u8> {
    let choices = noise(len);
    let word = |(i, choice): (usize, &[u8])| {
        let (target, register) = (u32::from(choice[1] % 5), u32::from(choice[0] % 4));
        let place = i as u32;
        match choice[0] >> 6 {
            0 => 0x9400_0000 | (100 * target).wrapping_sub(place) & 0x03ff_ffff,
            1 => {
                let pages = (3 + target).wrapping_sub(place >> 10);
                0x9000_0000 | register | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5
            }
            2 => 0x9100_0000 | register | register << 5 | target << 10,
            _ => 0xf940_0000 | register | target << 5,
        }
    };
    let words = choices.chunks_exact(2).enumerate().map(word);
    let mut code: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    code.truncate(len);
    code
}

/// An ELF file that executes `code`, with `rest` behind it; `machine` is 62 for x86-64, 183 for AArch64.
pub fn elf(machine: u16, code: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(2u16.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend([0u64, 64, 0].iter().flat_map(|n| n.to_le_bytes())); // entry, program headers, sections
    file.extend([0; 6]);
    file.extend([56u16, 2, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
    for (flags, offset, len) in [(4u32, 0, 512), (5, 512, code.len() as u64)] {
        file.extend(1u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        file.extend([offset, 0, 0, len, len, 4096u64].iter().flat_map(|n| n.to_le_bytes()));
    }
    file.resize(512, 0);
    [&file, code, rest].concat()
}
