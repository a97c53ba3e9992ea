//! Keys and passphrases are wiped: once whoever had them is gone, they are nowhere in this process.

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;

use lmic_age::{Identities, Padding, Reader, Recipients, SecretString, generate};
use zeroize::Zeroizing;

use crate::support::Pair;

/// How often a secret stands in what this process can write to: heap and stacks.
fn copies(secret: &Hidden) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut copies = 0;
    for line in read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut piece = Zeroizing::new(vec![0; 1 << 20]);
        let mut at = start;
        while at < end {
            // Another thread may have given it back.
            let Ok(len @ 1..) = memory.read_at(&mut piece, at) else { break };
            let len = len.min((end - at) as usize);
            copies += piece[..len].windows(secret.0.len()).filter(|seen| secret.is(seen)).count();
            // Pieces overlap, so that none is cut in two.
            at += if len == piece.len() { len - secret.0.len() } else { len } as u64;
        }
    }
    copies
}

/// A secret to look for, not as it is, as it would find itself.
struct Hidden(Vec<u8>);

impl Hidden {
    fn new(secret: &[u8]) -> Self {
        Self(secret.iter().map(|byte| !byte).collect())
    }

    fn is(&self, seen: &[u8]) -> bool {
        seen.iter().zip(&self.0).all(|(a, b)| *a == !b)
    }
}

#[test]
fn a_passphrase_is_gone_when_its_owners_are() {
    let hidden = Hidden((0..24).map(|i| !(b'a' + (i * i % 23) as u8)).collect());
    let passphrase = || -> SecretString {
        let mut text = String::with_capacity(hidden.0.len());
        text.extend(hidden.0.iter().map(|byte| char::from(!byte)));
        text.into()
    };
    let recipients = Recipients::with_passphrase(passphrase()).unwrap();
    let file = Pair { recipients, ..Pair::new() }.encrypt(b"abc", Padding::None);
    assert_eq!(copies(&hidden), 0, "after encrypting");
    let identities = Identities::with_passphrase(passphrase());
    assert_ne!(copies(&hidden), 0, "it can be seen");
    Reader::new(file.as_slice(), &identities).unwrap();
    drop(identities);
    assert_eq!(copies(&hidden), 0, "after decrypting");
}

#[test]
fn an_identity_is_gone_when_its_owner_is() {
    let (secret, public) = generate();
    let hidden = Hidden::new(&secret.as_bytes()[16..]);
    let mut recipients = Recipients::default();
    recipients.add(&public).unwrap();
    let file = Pair { recipients, ..Pair::new() }.encrypt(b"abc", Padding::None);
    let mut identities = Identities::default();
    identities.add("key", secret.as_bytes()).unwrap();
    assert_ne!(copies(&hidden), 0, "it can be seen");
    drop(secret);
    Reader::new(file.as_slice(), &identities).unwrap();
    drop(identities);
    assert_eq!(copies(&hidden), 0);
}
