//! What the targets share: limits that keep a run quick, and reading an archive in both ways.
#![allow(dead_code)] // Each target uses some of it.

use std::io::{Cursor, Read};
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Models, Number, SampleFormat};
use lmic::nn::{Config, Transformer, Weights};
use lmic::{Archive, DecodeOptions, Decoder, Error, ErrorKind};

/// Tiny transformers of both precisions, so that streams which name them are decoded.
pub static MODELS: LazyLock<[Arc<Transformer>; 2]> = LazyLock::new(|| {
    let json = r#"{"model_type":"llama","vocab_size":257,"hidden_size":2,"intermediate_size":1,
        "num_hidden_layers":1,"num_attention_heads":1,"head_dim":4,"max_position_embeddings":8,
        "rms_norm_eps":1e-5,"tie_word_embeddings":true}"#;
    let plain = Weights::random(&Config::from_json(json).expect("own config"), 1);
    let int8 = plain.quantize().expect("it is f32");
    [plain, int8].map(|weights| Arc::new(Transformer::new(&weights).expect("it is small")))
});

/// Audio of any numbers.
pub fn wave(which: u8, parameter: u32) -> Content {
    let names = [
        "i8", "u8", "i16be", "u16", "i24", "i24be", "i32", "u32be", "f32", "f32be", "i16", "u16be",
        "u24", "u24be", "i32be", "u32",
    ];
    let number: Number = names[usize::from(which) % names.len()].parse().expect("it is one");
    let channels = 1 + (parameter % 8) as u8;
    let shift = (parameter / 8 % (8 * u32::from(number.width))) as u8;
    Content::Samples(SampleFormat::Wave { channels, number, shift })
}

/// A table.
pub fn table(which: u8, parameter: u32) -> Content {
    let width = 1 << (which & 3);
    let most = SampleFormat::MAX_RECORD / u32::from(width);
    let record = u32::from(width) * (1 + parameter % most);
    let big_endian = which & 4 == 4 && width > 1;
    Content::Samples(SampleFormat::Table { record, width, big_endian })
}

/// Numbers of colours.
pub fn colours(which: u8, parameter: u32) -> Content {
    let bits = [1, 2, 4, 8, 24, 32][usize::from(which) % 6];
    let least = u32::from(bits).div_ceil(8);
    let row = least + parameter % (SampleFormat::MAX_ROW - least + 1);
    Content::Samples(SampleFormat::Colours { row, bits })
}

/// An image of 16-bit numbers.
pub fn deep(which: u8, parameter: u32) -> Content {
    let names = ["i16", "u16be", "u16", "i16be"];
    let number: Number = names[usize::from(which % 4)].parse().expect("it is one");
    let step = if which & 4 == 0 { 1 } else { 3 };
    let row = u32::from(step) + parameter % (SampleFormat::MAX_ROW - u32::from(step) + 1);
    Content::Samples(SampleFormat::Deep { row, step, number, shift: (parameter % 16) as u8 })
}

/// An archive of one block whose header is believed: its CRC is right. The block's check is not, but by chance.
pub fn believed(model: u8, kind: u8, parameter: usize, len: usize, payload: &[u8]) -> Vec<u8> {
    let mut archive = vec![0xb1, b'L', b'M', b'C', 1, model, 0x80 | kind];
    varint(parameter, &mut archive);
    varint(len, &mut archive);
    varint(payload.len(), &mut archive);
    archive.push(crc8(&archive));
    archive.extend(payload);
    archive.extend([0; 4]);
    archive
}

fn crc8(bytes: &[u8]) -> u8 {
    let step = |crc: u8| crc << 1 ^ if crc & 0x80 != 0 { 0x2f } else { 0 };
    !bytes.iter().fold(0xff, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| step(crc)))
}

pub fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small enough that no input makes a decoder work for seconds.
pub fn options() -> DecodeOptions {
    DecodeOptions { threads: 1, memory_limit: Some(8 << 20), models: Models::of(MODELS.to_vec()) }
}

/// Most content that is read from an archive.
const MAX_CONTENT: u64 = 1 << 20;

pub fn decode(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    Decoder::with_options(archive, options()).take(MAX_CONTENT).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads `archive` as a stream and by its index: no panic, and where both succeed, the same bytes.
pub fn read_both_ways(archive: &[u8]) {
    let streamed = decode(archive);
    let by_index = decode_by_index(archive);
    match (&streamed, &by_index) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        // A decoder compares the hash of the whole, random access does not. Only the index can
        // run into the memory limit.
        (Err(_), _) => {}
        // What was cut off at the maximum may be damaged; random access looks at all headers first.
        (Ok(a), Err(_)) if a.len() as u64 == MAX_CONTENT => {}
        (Ok(_), Err(error)) => assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}"),
    }
}

pub fn decode_by_index(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::open(Cursor::new(archive), options())?;
    let mut content = Vec::new();
    let end = archive.raw_len().min(MAX_CONTENT);
    archive.read_range(0..end, &mut content)?;
    Ok(content)
}
