use std::io::{Read, Write};

use lmic::{ErrorKind, Result};
use lmic_age::{Identities, Padding, Reader, Recipients, Writer};

/// The bytes of a chunk, and of its tag.
pub const CHUNK: usize = 1 << 16;
pub const TAG: usize = 16;

/// A key, both of its sides.
pub struct Pair {
    pub identities: Identities,
    pub recipients: Recipients,
}

impl Pair {
    pub fn new() -> Self {
        let (secret, public) = lmic_age::generate();
        let (mut identities, mut recipients) = (Identities::default(), Recipients::default());
        identities.add("key.txt", secret.as_bytes()).unwrap();
        recipients.add(&public).unwrap();
        Self { identities, recipients }
    }

    pub fn encrypt(&self, data: &[u8], padding: Padding) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.recipients, padding).unwrap();
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// What a reader gives out, and the error that ends it.
    pub fn read(&self, file: &[u8]) -> (Vec<u8>, Result<()>) {
        let mut out = Vec::new();
        let mut reader = match Reader::new(file, &self.identities) {
            Ok(reader) => reader,
            Err(error) => return (out, Err(error)),
        };
        // What is not encrypted is no outcome of these tests.
        assert!(reader.is_encrypted() || !file.starts_with(b"age-encryption.org/v1"));
        if !reader.is_encrypted() {
            return (out, Err(lmic::Error::new(ErrorKind::Corrupt, "not encrypted")));
        }
        let done = reader.read_to_end(&mut out).map(|_| ()).map_err(lmic::Error::from);
        (out, done)
    }
}

/// Bytes in which no place is like another.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Where the chunks begin: behind header and nonce.
pub fn payload_at(file: &[u8]) -> usize {
    let mac = file.windows(5).position(|w| w == b"\n--- ").unwrap();
    let end = file[mac + 1..].iter().position(|&b| b == b'\n').unwrap();
    mac + 1 + end + 1 + 16
}
