//! What an encoder makes of an input of which nothing is said.

use std::io::Cursor;

use lmic::block::{Kind, SampleFormat};
use lmic::{Archive, DecodeOptions, EncodeOptions, compress_with, decompress};

use crate::support::{picture, text, wave};

/// Kind and length of each block, once it was seen that they decode to the same.
fn blocks(content: &[u8], level: u8) -> Vec<(Kind, u64)> {
    let options = EncodeOptions { level, ..EncodeOptions::default() };
    let archive = compress_with(content, &options).unwrap();
    assert!(decompress(&archive).unwrap() == content);
    let archive = Archive::open(Cursor::new(&archive), DecodeOptions::default()).unwrap();
    archive.blocks().map(|block| (block.kind, block.raw_len)).collect()
}

fn npy(number: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{number}', 'fortran_order': False, 'shape': {shape}, }}");
    let text = format!("{text:<117}\n");
    [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
}

/// Fills the last unit of an archive of files.
fn padded(mut file: Vec<u8>) -> Vec<u8> {
    file.resize(file.len().next_multiple_of(512), 0);
    file
}

#[test]
fn a_photograph_with_opacity_is_no_drawing() {
    let colours = picture(100, 120, 3);
    let pixels: Vec<u8> =
        colours.chunks(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let table = SampleFormat::Table { record: 4, width: 1, big_endian: false };
    let flat: Vec<u8> = pixels.iter().map(|byte| byte & 0xc0).collect();
    let drawing = SampleFormat::Colours { row: 400, bits: 32 };
    for (pixels, format) in [(pixels, table), (flat, drawing)] {
        let found = blocks(&npy("|u1", "(120, 100, 4)", &pixels), 1);
        assert_eq!(found[1], (Kind::Samples(format), 48_000));
    }
}

#[test]
fn arrays_and_short_sounds_inside_of_others_are_recognised() {
    let pixels = picture(100, 90, 1);
    let tone = wave(5000, 2);
    let head = b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12\0\x02\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0SSND";
    let len = (tone.len() as u32 + 8).to_be_bytes();
    let sound = [&head[..], &len, &[0; 8], &tone].concat();
    let files = [padded(text(700)), padded(npy("|u1", "(90, 100)", &pixels)), padded(sound)];
    let kinds: Vec<_> = blocks(&files.concat(), 1).into_iter().map(|(kind, _)| kind).collect();
    let wave = SampleFormat::Wave { channels: 2, number: "i16be".parse().unwrap(), shift: 0 };
    assert_eq!(kinds[1], Kind::Samples(SampleFormat::Gray { row: 100 }));
    assert_eq!(kinds[3], Kind::Samples(wave), "{kinds:?}");
}

#[test]
fn low_bits_that_are_zero_are_found_in_audio_of_16_bits() {
    let mut tone = wave(9000, 2);
    tone.iter_mut().step_by(2).for_each(|byte| *byte &= 0xf0);
    let format = [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 12, 0];
    let len = (tone.len() as u32).to_le_bytes();
    let file = [b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", &format[..], b"data", &len, &tone].concat();
    let number = "i16".parse().unwrap();
    let wave = SampleFormat::Wave { channels: 2, number, shift: 4 };
    assert_eq!(blocks(&file, 1)[1].0, Kind::Samples(wave));
}
