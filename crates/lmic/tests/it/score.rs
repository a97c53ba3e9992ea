//! Bits of data that are not coded.

use std::sync::Arc;

use lmic::coder::{Coder, RangeEncoder};
use lmic::progress::Progress;
use lmic::quantize::BitProb;
use lmic::records::{PrimeOptions, Primed};
use lmic::score::{bits, byte_costs};
use lmic::walk::CodeLength;
use lmic::{EncodeOptions, ErrorKind};

use crate::support::text;

fn options(level: u8) -> EncodeOptions {
    EncodeOptions { level, ..EncodeOptions::default() }
}

fn with_primed(level: u8) -> EncodeOptions {
    let data = text(20_000);
    let examples: Vec<&[u8]> = data.chunks(100).collect();
    let options = PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() };
    let primed = Arc::new(Primed::learn(&examples, &options).unwrap());
    EncodeOptions { primed: Some(("state".into(), primed)), level, ..EncodeOptions::default() }
}

#[test]
fn bits_are_what_a_code_takes_and_bytes_add_up_to_them() {
    let progress = Progress::default();
    let data = text(3000);
    for options in [options(1), options(5), options(7), with_primed(1), with_primed(7)] {
        let bits = bits(&options, &[&data], &progress).unwrap()[0];
        let mut coder = RangeEncoder::new();
        options.walk(&mut coder, &mut data.clone(), &progress).unwrap();
        // A coder takes up to four bytes more.
        let code = 8.0 * coder.finish().len() as f64;
        assert!((code - 40.0..code + 1.0).contains(&bits), "{bits} {code}");
        let costs = byte_costs(&options, &data, &progress).unwrap();
        assert_eq!(costs.len(), data.len());
        assert!((costs.iter().sum::<f64>() - bits).abs() < 1e-6);
        assert!(costs.iter().all(|&cost| cost > 0.0));
    }
}

#[test]
fn many_bits_are_added_up_as_their_logarithms_would_be() {
    let mut length = CodeLength::default();
    let mut sum = 0.0;
    for i in 0..200_000u32 {
        let p1 = BitProb::new(i.wrapping_mul(2_654_435_761) >> 16);
        let bit = i % 3 == 0;
        length.bit(p1, bit);
        let p = if bit { p1.get() } else { 65536 - p1.get() };
        sum += 16.0 - f64::from(p).log2();
    }
    assert!((length.bits() - sum).abs() < 1e-6, "{} {sum}", length.bits());
    let mut certain = CodeLength::default();
    for _ in 0..1000 {
        certain.bit(BitProb::HALF, true);
    }
    assert_eq!(certain.bits(), 1000.0);
}

#[test]
fn texts_and_blocks_are_scored_alone_on_any_threads() {
    let progress = Progress::default();
    let data = text(4000);
    let texts: Vec<&[u8]> = data.chunks(300).chain([&[][..]]).collect();
    let alone = |text: &&[u8]| bits(&options(2), &[text], &progress).unwrap()[0];
    let each: Vec<f64> = texts.iter().map(alone).collect();
    assert_eq!(each[texts.len() - 1], 0.0);
    for threads in [1, 2, 5] {
        let options = EncodeOptions { threads, ..options(2) };
        assert_eq!(bits(&options, &texts, &progress).unwrap(), each);
        let in_blocks = EncodeOptions { block_size: Some(300), ..options };
        let all = bits(&in_blocks, &[&data], &progress).unwrap()[0];
        assert!((all - each.iter().sum::<f64>()).abs() < 1e-6);
        let costs = byte_costs(&in_blocks, &data, &progress).unwrap();
        assert!((costs[..300].iter().sum::<f64>() - each[0]).abs() < 1e-6);
    }
    assert!(bits(&options(2), &[], &progress).unwrap().is_empty());
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let progress = Progress::default();
    let kind = |options: &EncodeOptions| bits(options, &[b"a"], &progress).unwrap_err().kind();
    assert_eq!(kind(&options(10)), ErrorKind::InvalidArgument);
    assert_eq!(
        kind(&EncodeOptions { records: true, ..with_primed(1) }),
        ErrorKind::InvalidArgument
    );
    let small = EncodeOptions { memory_limit: Some(1000), ..options(1) };
    assert_eq!(kind(&small), ErrorKind::MemoryLimit);
}
