//! Primed states and the records that are coded with them.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use lmic::block::Models;
use lmic::records::{PrimeOptions, Primed, RecordCodec};
use lmic::{DecodeOptions, EncodeOptions, ErrorKind, compress_with, decompress_with};
use proptest::prelude::*;

use crate::support::log_lines;

/// Log lines number `from` to `to`.
fn lines(from: usize, to: usize) -> Vec<Vec<u8>> {
    let lines = log_lines(from, to);
    lines
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| line[..line.len() - 1].to_vec())
        .collect()
}

fn learn(samples: &[Vec<u8>]) -> Primed {
    let samples: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    Primed::learn(&samples, &PrimeOptions { table_bits: Some(10), ..PrimeOptions::default() })
        .unwrap()
}

static PRIMED: LazyLock<Arc<Primed>> = LazyLock::new(|| Arc::new(learn(&lines(0, 600))));

#[test]
fn records_like_the_samples_take_a_few_bytes_and_come_back() {
    let codec = RecordCodec::new(Arc::clone(&PRIMED));
    let records = lines(1000, 1100);
    let codes: Vec<_> = records.iter().map(|record| codec.compress(record)).collect();
    // A line has a time, a user and a duration that are new: some 20 bits.
    assert!(codes.iter().map(Vec::len).sum::<usize>() < 100 * 6);
    for (code, record) in codes.iter().zip(&records) {
        assert_eq!(&codec.decompress(code).unwrap(), record);
    }
    // Records do not depend on those before: in any order, one by one or at once.
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    assert_eq!(codec.compress_batch(&slices), codes);
    let reversed: Vec<&[u8]> = codes.iter().rev().map(Vec::as_slice).collect();
    assert!(codec.decompress_batch(&reversed).unwrap().iter().eq(records.iter().rev()));
}

#[test]
fn threads_share_a_codec() {
    let codec = RecordCodec::new(Arc::clone(&PRIMED));
    let expected: Vec<_> = lines(0, 40).iter().map(|record| codec.compress(record)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (record, code) in lines(0, 40).iter().zip(&expected) {
                    assert_eq!(&codec.compress(record), code);
                    assert_eq!(&codec.decompress(code).unwrap(), record);
                }
            });
        }
    });
}

#[test]
fn a_state_is_read_as_it_was_written() {
    let file = PRIMED.to_bytes();
    let read = Primed::from_bytes(&file).unwrap();
    assert_eq!(read.identity(), PRIMED.identity());
    assert_eq!(read.to_bytes(), file);
    let [one, other] = [Arc::clone(&PRIMED), Arc::new(read)].map(RecordCodec::new);
    for record in lines(2000, 2020) {
        assert_eq!(one.compress(&record), other.compress(&record));
    }
}

#[test]
fn a_damaged_or_cut_state_is_refused() {
    let file = PRIMED.to_bytes();
    for len in (0..file.len()).step_by(97).chain(0..20) {
        let kind = Primed::from_bytes(&file[..len]).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Truncated, "{len}");
    }
    for at in (0..file.len()).step_by(101).chain(0..20) {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(Primed::from_bytes(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(Primed::from_bytes(&[&file[..], &[0]].concat()).is_err());
}

#[test]
fn nothing_is_learned_from_nothing() {
    for samples in [&[][..], &[&b""[..]][..]] {
        let error = Primed::learn(samples, &PrimeOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let error =
        Primed::learn(&[b"a"], &PrimeOptions { table_bits: Some(21), ..PrimeOptions::default() })
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_check_tells_damage_and_a_limit_stops_it() {
    let codec = RecordCodec::new(Arc::clone(&PRIMED)).with_check(2).with_max_len(100);
    let record = &lines(3000, 3001)[0];
    let code = codec.compress(record);
    assert_eq!(&codec.decompress(&code).unwrap(), record);
    for at in 0..code.len() {
        let mut damaged = code.clone();
        damaged[at] ^= 1;
        // The last bit of a code may not matter: then the record is the same.
        let read = codec.decompress(&damaged);
        assert!(read.is_err() || read.unwrap() == *record);
    }
    assert_eq!(codec.decompress(&[]).unwrap_err().kind(), ErrorKind::Corrupt);
    let long = codec.compress(&b"GET /users/1 ".repeat(20));
    assert_eq!(codec.decompress(&long).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn files_are_coded_with_a_state_and_need_it() {
    let file = lines(5000, 5020).join(&b'\n');
    let options =
        EncodeOptions { primed: Some(("logs".into(), Arc::clone(&PRIMED))), ..Default::default() };
    let archive = compress_with(&file, &options).unwrap();
    assert!(archive.len() < lmic::compress(&file, 5).unwrap().len());
    let error = lmic::decompress(&archive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongModel);
    assert!(error.to_string().contains("logs"), "{error}");
    let models = Models::default().with_primed(|_| Ok(Some(Arc::clone(&PRIMED))));
    let options = DecodeOptions { models, ..Default::default() };
    assert_eq!(decompress_with(&archive, &options).unwrap(), file);
    let other = Arc::new(learn(&lines(0, 300)));
    let models = Models::default().with_primed(move |_| Ok(Some(Arc::clone(&other))));
    let options = DecodeOptions { models, ..Default::default() };
    assert_eq!(decompress_with(&archive, &options).unwrap_err().kind(), ErrorKind::WrongModel);
}

/// `v1_lines.lmicp` and `v1_lines.records` (length and code of each record) are never rewritten.
#[test]
fn golden_records_decode_to_the_same_bytes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (state, codes) = (folder.join("v1_lines.lmicp"), folder.join("v1_lines.records"));
    let records = [lines(900, 920), vec![vec![], vec![0; 9], b"\n\xff other".to_vec()]].concat();
    let primed = Primed::from_bytes(&fs::read(state).unwrap()).unwrap();
    let codec = RecordCodec::new(Arc::new(primed));
    let codes = fs::read(codes).unwrap();
    let mut rest = &codes[..];
    for record in &records {
        let (code, later) = rest[1..].split_at(rest[0].into());
        assert_eq!(&codec.decompress(code).unwrap(), record);
        assert_eq!(codec.compress(record), code);
        rest = later;
    }
    assert!(rest.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_comes_back(record in prop::collection::vec(any::<u8>(), 0..300), check in 0usize..3) {
        let codec = RecordCodec::new(Arc::clone(&PRIMED)).with_check(check);
        let code = codec.compress(&record);
        prop_assert!(code.len() <= record.len() + 1 + check);
        prop_assert_eq!(codec.decompress(&code).unwrap(), record);
    }

    #[test]
    fn any_code_gives_a_record_or_an_error(code in prop::collection::vec(any::<u8>(), 0..60)) {
        let codec = RecordCodec::new(Arc::clone(&PRIMED)).with_max_len(1000);
        let _ = codec.decompress(&code);
    }
}

/// Records of a service, of which no two are equal.
fn logins(service: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|i| {
            format!("{service}: user {} logged in from 10.0.{}.{}", i * 7919 % 1000, i % 5, i % 11)
        })
        .collect()
}

fn private_codec(examples: &[String], private: Option<u8>) -> RecordCodec {
    let examples: Vec<&[u8]> = examples.iter().map(|example| example.as_bytes()).collect();
    let options = PrimeOptions { table_bits: Some(12), private };
    RecordCodec::new(Arc::new(Primed::learn(&examples, &options).unwrap()))
}

/// A state that has seen the secret in so many examples.
fn with_secret(secret: &str, times: usize, private: Option<u8>) -> RecordCodec {
    let mut examples = logins("web", 600);
    for i in 0..times {
        examples.insert(100 * i, format!("{BEFORE}{secret}{}", ["", " ok", ", thanks"][i]));
    }
    private_codec(&examples, private)
}

const BEFORE: &str = "web: password of root is ";

#[test]
fn a_private_state_does_not_depend_on_what_too_few_examples_have() {
    let record = format!("{BEFORE}xK7qRw29Zp");
    // Of the same kinds: small and capital letters and digits in the same places.
    let states = |times, private| {
        ["xK7qRw29Zp", "lB3vTn58Ys"].map(|secret| with_secret(secret, times, private))
    };
    for times in [1, 3] {
        let [seen, unseen] = states(times, None).map(|state| state.code_length(record.as_bytes()));
        assert!(unseen - seen > 10.0, "{seen} {unseen}");
        let [seen, unseen] = states(times, Some(4)).map(|state| state.primed().identity());
        assert_eq!(seen, unseen, "{times}");
        let [seen, unseen] = states(times, Some(3)).map(|state| state.primed().identity());
        assert_eq!(seen == unseen, times < 3, "{times}");
    }
}

#[test]
fn what_too_few_examples_share_leaves_a_state_that_has_seen_nothing() {
    // 200 examples of each kind, and none of either is in the other: with more asked for, both states are the same.
    let [a, b] = ["a", "b"].map(|service| private_codec(&logins(service, 200), Some(201)));
    for record in ["", "a: user 7 logged in from 10.0.0.3", "b: user 8", "something else"] {
        assert_eq!(a.code_length(record.as_bytes()), b.code_length(record.as_bytes()), "{record}");
    }
    let (a, b) = (a.primed().to_bytes(), b.primed().to_bytes());
    assert_eq!(a[9..a.len() - 32], b[9..b.len() - 32]); // all behind the odds of the end
    // Ten copies of an example are one.
    let copies: Vec<String> =
        vec!["the secret is 12345".into(); 10].into_iter().chain(logins("c", 100)).collect();
    let once: Vec<String> =
        std::iter::once("the secret is 12345".into()).chain(logins("c", 100)).collect();
    let [a, b] =
        [copies, once].map(|examples| private_codec(&examples, Some(4)).primed().identity());
    assert_eq!(a, b);
}

#[test]
fn a_private_state_codes_and_restores() {
    let codec = private_codec(&logins("web", 600), Some(5));
    for record in logins("web", 50) {
        assert_eq!(
            codec.decompress(&codec.compress(record.as_bytes())).unwrap(),
            record.as_bytes()
        );
    }
    let error =
        Primed::learn(&[b"a"], &PrimeOptions { private: Some(1), ..PrimeOptions::default() });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
}
