//! The decoder that is given its input in pieces does what the one does that reads.

use lmic::{
    DecodeOptions, EncodeOptions, ErrorKind, PushDecoder, compress, compress_with, decompress,
};
use proptest::prelude::*;

use crate::support::{noise, text};

/// What comes of `archive` in pieces of `piece` bytes through a buffer of `room` bytes: the content, how many bytes were
/// taken, and the error that ended it.
fn push(
    decoder: &mut PushDecoder,
    archive: &[u8],
    piece: usize,
    room: usize,
) -> (Vec<u8>, usize, Option<lmic::Error>) {
    let (mut content, mut at, mut buffer) = (Vec::new(), 0, vec![0; room]);
    let mut end = 0;
    loop {
        match decoder.decode(&archive[at..end], &mut buffer) {
            Ok((0, 0)) if end == archive.len() => return (content, at, None),
            Ok((0, 0)) => end = archive.len().min(end + piece),
            Ok((taken, written)) => {
                at += taken;
                content.extend(&buffer[..written]);
            }
            Err(error) => return (content, at, Some(error)),
        }
    }
}

fn with_threads(threads: usize) -> PushDecoder {
    PushDecoder::with_options(DecodeOptions { threads, ..DecodeOptions::default() })
}

fn several_blocks(data: &[u8]) -> Vec<u8> {
    let options = EncodeOptions { level: 1, block_size: Some(256), ..EncodeOptions::default() };
    compress_with(data, &options).unwrap()
}

/// Blocks of every sort: coded, stored, with copies of earlier ones.
fn mixed() -> Vec<u8> {
    let noise = noise(1200);
    [&text(700)[..], &noise, &text(300), &noise].concat()
}

#[test]
fn pieces_of_any_length_give_the_content() {
    for data in [Vec::new(), text(1), text(256), text(257), mixed()] {
        let archive = several_blocks(&data);
        for (piece, room) in [(1, 1), (1, 1000), (7, 64), (1000, 3), (1 << 20, 1 << 20)] {
            for threads in [1, 3] {
                let mut decoder = with_threads(threads);
                let (content, taken, error) = push(&mut decoder, &archive, piece, room);
                assert!(error.is_none(), "{error:?}");
                assert!(content == data, "{} bytes, {piece}, {room}", data.len());
                assert_eq!(taken, archive.len());
                assert!(decoder.is_at_end());
            }
        }
    }
}

#[test]
fn what_follows_a_stream_is_not_taken() {
    let archive = several_blocks(&mixed());
    for behind in [&archive[..], b"something else", &[0; 9]] {
        for piece in [1, 50, usize::MAX / 2] {
            let mut decoder = PushDecoder::default();
            let (content, taken, _) = push(&mut decoder, &[&archive, behind].concat(), piece, 999);
            assert_eq!((content, taken), (mixed(), archive.len()));
            assert!(decoder.is_at_end());
        }
    }
}

#[test]
fn streams_follow_one_another_with_zeros_between() {
    let (first, second) = (compress(&text(900), 1).unwrap(), several_blocks(&mixed()));
    let archive = [&first, &[0; 5][..], &second, &[0; 3]].concat();
    let mut decoder = PushDecoder::default();
    let (mut content, mut at) = (Vec::new(), 0);
    for streams in 1..=2 {
        let (more, taken, error) = push(&mut decoder, &archive[at..], 10, 100);
        assert!(error.is_none(), "{streams}: {error:?}");
        at += taken;
        content.extend(more);
        decoder.next_stream();
    }
    assert!(content == decompress(&archive).unwrap());
    assert_eq!(push(&mut decoder, &archive[at..], 10, 100).1, 3, "zeros behind it are taken");
    decoder.finish();
    assert_eq!(decoder.decode(&[], &mut [0]).unwrap(), (0, 0));
    assert!(decoder.is_at_end());
}

#[test]
fn a_stream_that_is_cut_off_is_truncated_once_no_more_comes() {
    let data = mixed();
    let archive = several_blocks(&data);
    for len in 0..archive.len() {
        let mut decoder = with_threads(1 + len % 2);
        let (content, taken, error) = push(&mut decoder, &archive[..len], 40, 100);
        assert!(error.is_none() && taken == len, "{len}: {error:?}");
        assert!(!decoder.is_at_end(), "{len}");
        decoder.finish();
        let (rest, _, error) = push(&mut decoder, &[], 1, 100);
        assert_eq!(error.expect("a part is missing").kind(), ErrorKind::Truncated, "{len}");
        assert!(data.starts_with(&[content, rest].concat()));
        assert!(!decoder.is_at_end());
        assert!(decoder.decode(&archive[len..], &mut [0; 99]).is_err(), "errors stay");
    }
}

#[test]
fn damage_is_the_error_that_a_reading_decoder_gives() {
    let data = mixed();
    let archive = several_blocks(&data);
    for bit in (0..8 * archive.len()).step_by(71) {
        let mut damaged = archive.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let expected = decompress(&damaged).unwrap_err();
        let mut decoder = with_threads(1 + bit % 2);
        let (mut content, _, mut error) = push(&mut decoder, &damaged, 100, 70);
        if error.is_none() {
            // A length that grew: the rest of the archive does not fill it.
            decoder.finish();
            let (rest, _, last) = push(&mut decoder, &[], 1, 70);
            content.extend(rest);
            error = last;
        }
        let error = error.unwrap_or_else(|| panic!("bit {bit} is not noticed"));
        assert_eq!(error.to_string(), expected.to_string(), "bit {bit}");
        assert!(data.starts_with(&content), "bit {bit}: wrong bytes were given out");
    }
}

#[test]
fn a_block_beyond_the_memory_limit_is_refused_by_its_header() {
    let archive = compress(&text(100_000), 1).unwrap();
    let options = DecodeOptions { memory_limit: Some(90_000), ..DecodeOptions::default() };
    let mut decoder = PushDecoder::with_options(options);
    let (content, taken, error) = push(&mut decoder, &archive, 1, 10);
    assert_eq!(error.expect("too large").kind(), ErrorKind::MemoryLimit);
    assert!(content.is_empty() && taken < 30, "{taken} bytes taken");
}

#[test]
fn a_call_without_input_waits_for_what_was_taken() {
    let archive = several_blocks(&text(600));
    let mut decoder = with_threads(8);
    // All but the trailer: nothing says that the stream ends here, but all content can be had.
    let (content, ..) = push(&mut decoder, &archive[..archive.len() - 30], 1000, 1000);
    assert!(text(600).starts_with(&content));
    assert!(content.len() >= 512, "{} bytes", content.len());
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_content(bytes: Vec<u8>, piece in 1usize..20) {
        let mut decoder = with_threads(1);
        let expected = decompress(&bytes);
        let (_, _, error) = push(&mut decoder, &bytes, piece, 10);
        decoder.finish();
        let failed = error.is_some() || push(&mut decoder, &[], 1, 10).2.is_some();
        prop_assert_eq!(failed, expected.is_err());
    }
}
