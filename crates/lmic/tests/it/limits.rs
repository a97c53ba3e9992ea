//! Memory limits and threads: what does not fit is refused by name, what fits is done with less.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use lmic::block::{Content, Plain};
use lmic::{
    Archive, DecodeOptions, Decoder, EncodeOptions, Encoder, Error, ErrorKind, compress_with,
};

use crate::by_hand;
use crate::support::{noise, text};

const BLOCK: usize = 1 << 14;
const MODEL: Plain = Plain { profile: 1, content: Content::Bytes };

fn encode_options(threads: usize, memory_limit: u64) -> EncodeOptions {
    EncodeOptions {
        level: 1,
        block_size: Some(BLOCK),
        threads,
        memory_limit: Some(memory_limit),
        ..EncodeOptions::default()
    }
}

fn decode(archive: &[u8], threads: usize, memory_limit: u64) -> Result<Vec<u8>, Error> {
    let options =
        DecodeOptions { threads, memory_limit: Some(memory_limit), ..DecodeOptions::default() };
    let mut out = Vec::new();
    Decoder::with_options(archive, options).read_to_end(&mut out)?;
    Ok(out)
}

#[test]
fn an_encoder_uses_fewer_threads_before_it_gives_up() {
    let data = text(5 * BLOCK);
    let archive = compress_with(&data, &encode_options(1, u64::MAX)).unwrap();
    // The block, a code as long, the model: the documented need of one block. And what later blocks may copy, with its table.
    let reach = 4 * BLOCK as u64;
    let kept = reach + reach / 4 + 8 * (reach / 64).next_power_of_two();
    let one = 2 * BLOCK as u64 + MODEL.memory(BLOCK) + kept;
    for limit in [one, 2 * one, 4 * one] {
        assert!(compress_with(&data, &encode_options(8, limit)).unwrap() == archive);
    }
    for threads in [1, 8] {
        let error = compress_with(&data, &encode_options(threads, one - 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
        assert!(error.to_string().contains(&one.to_string()), "{error}");
    }
}

#[test]
fn a_small_input_needs_little_memory_at_any_level() {
    for level in 1..=5 {
        let model = Plain { profile: level, ..MODEL };
        let limit = Some(200 + model.memory(100));
        let options = EncodeOptions { level, memory_limit: limit, ..EncodeOptions::default() };
        compress_with(&text(100), &options).unwrap();
    }
}

#[test]
fn a_decoder_uses_fewer_threads_before_it_gives_up() {
    let data = text(5 * BLOCK);
    let archive = compress_with(&data, &encode_options(1, u64::MAX)).unwrap();
    let info = Archive::open(Cursor::new(&archive), DecodeOptions::default()).unwrap();
    let one = |b: &lmic::BlockInfo| b.raw_len + b.coded_len + MODEL.memory(b.raw_len as usize);
    let most = info.blocks().map(one).max().unwrap();
    for limit in [most, 2 * most, u64::MAX] {
        assert!(decode(&archive, 8, limit).unwrap() == data);
    }
    for threads in [1, 8] {
        let error = decode(&archive, threads, most - 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
        let ErrorKind::MemoryLimit = by_index(&archive, threads, most - 1).unwrap_err().kind()
        else {
            panic!("random access keeps to the limit too")
        };
    }
    assert!(by_index(&archive, 8, most).unwrap() == data);
}

fn by_index(archive: &[u8], threads: usize, memory_limit: u64) -> Result<Vec<u8>, Error> {
    let options =
        DecodeOptions { threads, memory_limit: Some(memory_limit), ..DecodeOptions::default() };
    let mut archive = Archive::open(Cursor::new(archive), options)?;
    let mut out = Vec::new();
    archive.read_range(0..archive.raw_len(), &mut out)?;
    Ok(out)
}

#[test]
fn a_long_index_is_counted_against_the_limit() {
    let options = EncodeOptions { block_size: Some(256), ..encode_options(2, u64::MAX) };
    let archive = compress_with(&text(256 * 300), &options).unwrap();
    let options =
        DecodeOptions { threads: 1, memory_limit: Some(10_000), ..DecodeOptions::default() };
    let error = Archive::open(Cursor::new(archive), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
}

#[test]
fn content_longer_than_the_limit_is_not_gathered_in_memory() {
    let data = noise(20 * 10_000);
    let blocks: Vec<&[u8]> = data.chunks(10_000).collect();
    let archive = by_hand::stored_stream(&blocks);
    let limit = 100_000;
    let options =
        DecodeOptions { threads: 1, memory_limit: Some(limit), ..DecodeOptions::default() };
    let error = lmic::decompress_with(&archive, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    assert!(decode(&archive, 1, limit).unwrap() == data, "streaming it is fine");
}

/// Fails after `left` bytes, as a full disk does.
struct Full {
    left: usize,
}

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let len = data.len().min(self.left);
        self.left -= len;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_stops_the_encoder_for_good() {
    for threads in [1, 3] {
        let mut encoder =
            Encoder::with_options(Full { left: 3000 }, encode_options(threads, u64::MAX)).unwrap();
        let error = encoder.write_all(&text(100 * BLOCK)).unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().kind(), ErrorKind::Io);
        assert!(encoder.write_all(b"more").is_err());
        assert!(encoder.finish().is_err());
    }
}

#[test]
fn dropping_midway_neither_hangs_nor_panics() {
    let start = Instant::now();
    let data = text(40 * BLOCK);
    let mut encoder = Encoder::with_options(Vec::new(), encode_options(4, u64::MAX)).unwrap();
    encoder.write_all(&data).unwrap();
    drop(encoder);
    let archive = compress_with(&data, &encode_options(4, u64::MAX)).unwrap();
    let options = DecodeOptions { threads: 4, memory_limit: None, ..DecodeOptions::default() };
    let mut decoder = Decoder::with_options(archive.as_slice(), options);
    decoder.read_exact(&mut [0; 10]).unwrap();
    drop(decoder);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_error_stays_an_error() {
    let data = text(4 * BLOCK);
    let mut archive = compress_with(&data, &encode_options(1, u64::MAX)).unwrap();
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    let mut decoder = Decoder::new(archive.as_slice());
    let mut out = Vec::new();
    let error = decoder.read_to_end(&mut out).unwrap_err();
    assert_eq!(error.downcast::<Error>().unwrap().kind(), ErrorKind::Corrupt);
    // What came before is whole blocks of the content.
    assert!(!out.is_empty() && out.len() % BLOCK == 0 && data.starts_with(&out));
    assert!(decoder.read(&mut [0; 10]).is_err());
}
