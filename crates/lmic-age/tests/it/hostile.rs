//! Files that were made to do harm.

use std::io::{self, Cursor, Read};
use std::time::{Duration, Instant};

use lmic::ErrorKind;
use lmic_age::{
    Identities, MAX_HEADER_LEN, MAX_RECIPIENTS, Padding, Reader, SecretString, generate,
};
use proptest::prelude::*;

use crate::support::Pair;

#[test]
fn a_header_without_end_takes_neither_memory_nor_time() {
    let key = Pair::new();
    // Gigabytes of each: a line without end, lines of a stanza, stanzas.
    for line in [
        "x",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "-> a b\nAAAA\n",
    ] {
        let (mut at, line) = (0, line.as_bytes());
        let endless = Endless(|out: &mut [u8]| {
            for byte in out.iter_mut() {
                *byte = line[at % line.len()];
                at += 1;
            }
        });
        let start = Cursor::new(b"age-encryption.org/v1\n-> a b\n");
        let started = Instant::now();
        let error = Reader::new(start.chain(endless), &key.identities).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

struct Endless<F>(F);

impl<F: FnMut(&mut [u8])> Read for Endless<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        (self.0)(out);
        Ok(out.len())
    }
}

#[test]
fn work_without_bound_is_not_done() {
    let identities = Identities::with_passphrase(SecretString::from("a"));
    for factor in ["21", "22", "40", "63"] {
        let file = format!(
            "age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA {factor}\n{}\n--- {}\n{}",
            "A".repeat(43),
            "A".repeat(43),
            "x".repeat(100)
        );
        let started = Instant::now();
        let error = Reader::new(file.as_bytes(), &identities).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
        assert!(error.to_string().contains(factor), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    // A passphrase and something else beside it; none of them is tried.
    for stanzas in [
        "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\nAAAA\n-> X25519 AAAA\nAAAA\n",
        "-> scrypt A 10\nAAAA\n",
        "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 010\nAAAA\n",
    ] {
        let file =
            format!("age-encryption.org/v1\n{stanzas}--- {}\n{}", "A".repeat(43), "x".repeat(100));
        let error = Reader::new(file.as_bytes(), &identities).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{stanzas}: {error}");
    }
}

#[test]
fn recipients_are_many_but_not_too_many() {
    let mut key = Pair::new();
    for _ in 1..MAX_RECIPIENTS {
        key.recipients.add(&generate().1).unwrap();
    }
    assert!(key.recipients.add(&generate().1).is_err());
    let file = key.encrypt(b"abc", Padding::None);
    assert!((file.len() as u64) < MAX_HEADER_LEN / 2);
    let (out, done) = key.read(&file);
    done.unwrap();
    assert_eq!(out, b"abc");
}

#[test]
fn letters_and_other_versions_are_named() {
    let key = Pair::new();
    let error =
        Reader::new(&b"-----BEGIN AGE ENCRYPTED FILE-----\n"[..], &key.identities).unwrap_err();
    assert!(error.to_string().contains("armor"), "{error}");
    let file = b"age-encryption.org/v2\nwhatever follows";
    assert_eq!(Reader::new(&file[..], &key.identities).unwrap_err().kind(), ErrorKind::NeedsNewer);
}

#[test]
fn what_is_not_encrypted_passes_as_it_is() {
    for data in [&b""[..], b"\xb1LMC\x01", b"b", b"age of reason", b"---", b"-", b"-----BEGIN AG"] {
        let mut reader = Reader::new(data, &Identities::default()).unwrap();
        assert!(!reader.is_encrypted());
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert_eq!(out, data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn no_header_panics(mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let header = b"age-encryption.org/v1\n-> X25519 CJM36AHmTbdHSuOQL+NESqyVQE75f2e610iRdLPEN20\nC3ZAeY64NXS4QFrksLm3EGz+uPRyI0eQsWw7LWbbYig\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 15\nZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n--- fgMiVLJHMlg9fW7CVG/hPS5EAU4Zeg19LyCP7SoH5nA\n0123456789abcdef and then some";
        let mut file = header.to_vec();
        for (at, byte) in mutations {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(2 * file.len()));
        if let Ok(mut reader) = Reader::new(file.as_slice(), &Pair::new().identities) {
            let _ = reader.read_to_end(&mut Vec::new());
        }
    }
}
