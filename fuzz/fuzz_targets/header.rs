//! Any headers, with the CRCs that they need to be believed, in front of any payload.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fn crc8(bytes: &[u8]) -> u8 {
    let step = |crc: u8| crc << 1 ^ if crc & 0x80 != 0 { 0x2f } else { 0 };
    !bytes.iter().fold(0xff, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| step(crc)))
}

// Input: repeated [length of a header][header][length of what follows][what follows].
fuzz_target!(|data: &[u8]| {
    let mut archive = vec![0xb1, b'L', b'M', b'C', 1, 1];
    let mut covered = 0;
    let mut rest = data;
    while let [len, tail @ ..] = rest {
        let (header, tail) = tail.split_at(tail.len().min(usize::from(len % 32)));
        archive.extend_from_slice(header);
        archive.push(crc8(&archive[covered..]));
        let [len, tail @ ..] = tail else { break };
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        archive.extend_from_slice(payload);
        covered = archive.len();
        rest = tail;
    }
    common::read_both_ways(&archive);
});
