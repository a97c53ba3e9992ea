//! Estimates how much of a block repeats earlier parts of it, at any distance. An encoder decides by it whether to try context
//! mixing alone.

/// Length of the strings that are compared. The rolling hash has 64 bits and is multiplied by [`STEP`], a multiple of 4, for each
/// byte: so a byte moves up by two bits each time, and after 32 bytes nothing of it is left.
const PLACE: usize = 32;
const STEP: u64 = 0x9e37_79b9_7f4a_7c14; // odd times 4

/// Only one of this many hashes is looked up. The hash itself decides which, so that a repeat is looked up at the same strings as
/// what it repeats.
const SAMPLING: u64 = 16;

/// The share of the strings of [`PLACE`] bytes in `data` that have occurred before, 0 to 1, of the one in [`SAMPLING`] that are
/// looked up. It takes 2 to 15 ns a byte, where coding with a network takes thousands.
pub(crate) fn repeated_share(data: &[u8]) -> f64 {
    let bits = (data.len() as u64 / SAMPLING).clamp(16, 1 << 24).next_power_of_two().ilog2() + 1;
    let mut table = vec![0u32; 1 << bits]; // by top bits of the hash: other bits of it, 0 is empty
    let (mut hash, mut looked, mut repeated) = (0u64, 0u32, 0u32);
    for (at, &byte) in data.iter().enumerate() {
        hash = hash.wrapping_mul(STEP).wrapping_add(u64::from(byte) + 1);
        // The lowest bits depend on the last bytes only, so the hash is mixed before bits are taken from it.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        if at + 1 < PLACE || (mixed >> 8) % SAMPLING != 0 {
            continue;
        }
        let (slot, check) = ((mixed >> (64 - bits)) as usize, (mixed >> 12) as u32 | 1);
        looked += 1;
        repeated += u32::from(table[slot] == check);
        table[slot] = check;
    }
    f64::from(repeated) / f64::from(looked.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1u64;
        let mut next = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn noise_does_not_repeat() {
        assert!(repeated_share(&noise(1 << 20)) < 0.001);
    }

    #[test]
    fn what_comes_twice_is_repeated_by_half_at_any_distance() {
        for len in [40_000, 1 << 20] {
            let share = repeated_share(&noise(len).repeat(2));
            // Some are missed because another string has taken the same slot: the table has two to four slots for each string.
            assert!((0.35..0.51).contains(&share), "{len}: {share}");
        }
    }

    #[test]
    fn short_repeats_are_not_counted() {
        // 20 bytes that come again between others that do not.
        let data: Vec<u8> =
            noise(40_000).chunks(20).flat_map(|c| [c, b"a phrase of 20 bytes"].concat()).collect();
        assert!(repeated_share(&data) < 0.001);
    }

    #[test]
    fn lines_of_a_form_are_repeated() {
        let line = |i: u32| {
            format!(
                "2026-01-01 the server {} has answered a request for /index.html in time\n",
                i * 7919 % 1000
            )
        };
        let data: String = (0..2000).map(line).collect();
        // All of a line but the 32 bytes from each of its three digits on: 37 of 72.
        assert!(repeated_share(data.as_bytes()) > 0.4);
    }

    #[test]
    fn any_length_has_a_share() {
        for len in [0, 1, 31, 32, 33, 1000] {
            assert!((0.0..=1.0).contains(&repeated_share(&vec![7; len])));
        }
    }
}
