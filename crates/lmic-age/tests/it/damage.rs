//! Whatever happens to a file: no byte of a chunk that was touched is given out.

use lmic::ErrorKind;
use lmic_age::Padding;

use crate::support::{CHUNK, Pair, TAG, bytes, payload_at};

#[test]
fn a_short_file_survives_no_truncation_and_no_flipped_bit() {
    let key = Pair::new();
    let file = key.encrypt(&bytes(100), Padding::None);
    for len in 0..file.len() {
        let (out, done) = key.read(&file[..len]);
        assert!(out.is_empty() && done.is_err(), "{len}");
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let (out, done) = key.read(&file);
            assert!(out.is_empty(), "byte {at}, bit {bit}");
            let kind = done.unwrap_err().kind();
            let allowed = [
                ErrorKind::Corrupt,
                ErrorKind::Truncated,
                ErrorKind::WrongKey,
                ErrorKind::NeedsNewer,
            ];
            assert!(allowed.contains(&kind), "byte {at}, bit {bit}: {kind:?}");
        }
    }
}

#[test]
fn chunks_before_the_damage_are_all_that_is_given_out() {
    let key = Pair::new();
    let data = bytes(3 * CHUNK + 1000);
    let file = key.encrypt(&data, Padding::None);
    let start = payload_at(&file);
    assert_eq!(file.len(), start + data.len() + 4 * TAG);
    let whole = CHUNK + TAG;
    for chunk in 0..4 {
        let first = start + chunk * whole;
        let len = whole.min(file.len() - first);
        // Its first bytes, its tag, and some in between.
        for at in (0..40).chain((0..len).step_by(997)).chain(len - TAG..len) {
            let mut damaged = file.clone();
            damaged[first + at] ^= 1 << (at % 8);
            let (out, done) = key.read(&damaged);
            assert_eq!(out, data[..chunk * CHUNK], "chunk {chunk}, byte {at}");
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Corrupt);
            let (out, done) = key.read(&file[..first + at]);
            assert_eq!(out, data[..chunk * CHUNK], "cut in chunk {chunk} at {at}");
            let expected = if at == 0 { ErrorKind::Truncated } else { ErrorKind::Corrupt };
            assert_eq!(done.unwrap_err().kind(), expected);
        }
    }
}

#[test]
fn chunks_cannot_be_exchanged_left_out_or_repeated() {
    let key = Pair::new();
    let data = bytes(3 * CHUNK);
    let file = key.encrypt(&data, Padding::None);
    let (start, whole) = (payload_at(&file), CHUNK + TAG);
    let chunk = |i: usize| &file[start + i * whole..start + (i + 1) * whole];
    for (order, kept) in
        [(&[1, 0, 2][..], 0), (&[0, 2], 1), (&[0, 0, 1, 2], 1), (&[0, 1, 2, 2], 3), (&[0, 1], 2)]
    {
        let mut mixed = file[..start].to_vec();
        order.iter().for_each(|&i| mixed.extend_from_slice(chunk(i)));
        let (out, done) = key.read(&mixed);
        assert_eq!(out, data[..kept * CHUNK], "{order:?}");
        done.unwrap_err();
    }
}

#[test]
fn nothing_may_follow() {
    let key = Pair::new();
    for len in [10, CHUNK, CHUNK + 10] {
        let file = key.encrypt(&bytes(len), Padding::None);
        for more in [&b"\0"[..], &file] {
            let (out, done) = key.read(&[&file[..], more].concat());
            assert!(out.len() <= len);
            done.unwrap_err();
        }
    }
}
