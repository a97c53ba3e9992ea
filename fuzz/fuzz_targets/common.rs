//! What the targets share: limits that keep a run quick, and reading an archive in both ways.

use std::io::{Cursor, Read};

use lmic::{Archive, DecodeOptions, Decoder, Error, ErrorKind};

/// Small enough that no input makes a decoder work for seconds.
pub fn options() -> DecodeOptions {
    DecodeOptions { threads: 1, memory_limit: Some(8 << 20), ..DecodeOptions::default() }
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

fn decode_by_index(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::open(Cursor::new(archive), options())?;
    let mut content = Vec::new();
    let end = archive.raw_len().min(MAX_CONTENT);
    archive.read_range(0..end, &mut content)?;
    Ok(content)
}
