//! What a private state may learn from: pieces that many examples have. All other bytes are exchanged before anything is learned,
//! so that the state cannot depend on them, whatever learns from it.
//!
//! To leave out rare bytes instead would leave nothing in their place: the state would not know that digits follow, and that
//! nothing can be known about them. So they become random bytes of their kind, as frequent as in what is shared.

use crate::progress::Progress;

/// Bytes of a piece: as many as say something of the person that wrote them, and as few as many examples share.
const PIECE: usize = 6; // tunable
/// Pieces that are sorted at once, of 24 bytes each.
const AT_ONCE: usize = 1 << 22; // tunable

/// Bytes that [`only_shared`] takes beside the copy that it gives back, for examples of `bytes` bytes.
pub fn memory(bytes: usize) -> u64 {
    2 * bytes as u64 + 2 * 24 * bytes.min(AT_ONCE) as u64
}

/// The examples, with each byte exchanged that does not stand in a piece which at least `least` of them have. Which bytes come
/// in depends only on the kinds of the ones that go: their values have no influence.
pub fn only_shared(examples: &[&[u8]], least: usize, progress: &Progress) -> Vec<Vec<u8>> {
    let shared = shared(examples, least, progress);
    let bytes =
        || examples.iter().zip(&shared).flat_map(|(example, shared)| example.iter().zip(shared));
    let mut kinds: [Vec<u8>; KINDS] = Default::default();
    for (&byte, _) in bytes().filter(|(_, is_shared)| **is_shared) {
        kinds[kind(byte)].push(byte);
    }
    let mut random = 1u64;
    let mut exchange = |byte: u8| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let same = &kinds[kind(byte)];
        match same.len() as u64 {
            0 => FIRST[kind(byte)],
            len => same[(((random >> 32) * len) >> 32) as usize],
        }
    };
    let exchanged = |(example, shared): (&&[u8], &Vec<bool>)| {
        let bytes = example.iter().zip(shared);
        bytes.map(|(&byte, &is_shared)| if is_shared { byte } else { exchange(byte) }).collect()
    };
    examples.iter().zip(&shared).map(exchanged).collect()
}

/// Which bytes stand in a piece that at least `least` examples have.
fn shared(examples: &[&[u8]], least: usize, progress: &Progress) -> Vec<Vec<bool>> {
    let mut shared: Vec<Vec<bool>> =
        examples.iter().map(|example| vec![false; example.len()]).collect();
    let bytes: usize = examples.iter().map(|example| example.len()).sum();
    // Equal pieces are in the same part, and only a part is in memory.
    let parts = bytes.div_ceil(AT_ONCE) as u64;
    let mut pieces = Vec::new();
    for part in 0..parts {
        if progress.is_stopped() {
            break;
        }
        pieces.clear();
        for (number, example) in (0u32..).zip(examples) {
            let windows = example.windows(PIECE).enumerate();
            let numbered = windows.map(|(at, piece)| {
                (piece.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)), number, at)
            });
            pieces.extend(numbered.filter(|&(piece, ..)| part_of(piece, parts) == part));
        }
        pieces.sort_unstable();
        for same in pieces.chunk_by(|a, b| a.0 == b.0) {
            if same.chunk_by(|a, b| a.1 == b.1).count() >= least {
                for &(_, number, at) in same {
                    shared[number as usize][at..][..PIECE].fill(true);
                }
            }
        }
    }
    shared
}

fn part_of(piece: u64, parts: u64) -> u64 {
    ((piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * parts) >> 32
}

/// Kinds of bytes: digits, small and capital letters, the blank, marks, other bytes of ASCII, later bytes of UTF-8 and first ones.
const KINDS: usize = 8; // tunable
/// What comes in where no byte of a kind is shared.
const FIRST: [u8; KINDS] = [b'0', b'a', b'A', b' ', b'.', 0, 0x80, 0xc3]; // tunable

fn kind(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b' ' => 3,
        b'!'..=b'~' => 4,
        0..=0x7f => 5,
        0x80..=0xbf => 6,
        0xc0.. => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned_from(examples: &[String], least: usize) -> Vec<String> {
        let examples: Vec<&[u8]> = examples.iter().map(|example| example.as_bytes()).collect();
        let exchanged = only_shared(&examples, least, &Progress::default());
        exchanged.into_iter().map(|example| String::from_utf8(example).expect("ASCII")).collect()
    }

    fn with_secret(secret: &str) -> Vec<String> {
        let mut examples: Vec<String> =
            (0..20).map(|i| format!("the weather is fine, day {}", i * 7919)).collect();
        examples.push(format!("the weather is {secret} and ends"));
        examples
    }

    #[test]
    fn what_is_shared_stays_and_what_is_not_keeps_its_kind() {
        let examples = with_secret("Xq7-42");
        let learned = learned_from(&examples, 3);
        for (old, new) in examples.iter().zip(&learned) {
            assert!(new.starts_with("the weather is "), "{new}");
            assert!(old.bytes().map(kind).eq(new.bytes().map(kind)), "{old} {new}");
        }
        assert!(learned[..20].iter().all(|new| new.contains("fine, day ")));
        assert!(!learned[20].contains("Xq7-42"));
        // All of them have it, and with one more asked for nobody keeps anything.
        assert_eq!(learned_from(&vec!["abcdefgh".into(); 9], 9)[0], "abcdefgh");
        assert_eq!(learned_from(&vec!["abcdefgh".into(); 9], 10)[0], "aaaaaaaa");
    }

    #[test]
    fn values_that_are_not_shared_have_no_influence() {
        assert_eq!(
            learned_from(&with_secret("Xq7-42"), 3),
            learned_from(&with_secret("Rb0+99"), 3)
        );
        assert_ne!(
            learned_from(&with_secret("Xq7-42"), 1),
            learned_from(&with_secret("Rb0+99"), 1)
        );
    }

    #[test]
    fn in_parts_the_same_pieces_are_together() {
        for piece in 0..10_000 {
            assert!(part_of(piece * 0x0101_0101, 7) < 7);
        }
        assert_eq!(part_of(u64::MAX, 1), 0);
    }
}
