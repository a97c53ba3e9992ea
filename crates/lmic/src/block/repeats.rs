//! How much of a block was there before, at any distance: a quick look for an encoder that chooses between models.

/// Bytes of a place: [`STEP`] makes each take two bits of a hash of 64, so older ones have left it.
const PLACE: usize = 32;
const STEP: u64 = 0x9e37_79b9_7f4a_7c14; // odd times 4

/// One of so many hashes is looked at, chosen by the hash itself, so that a repeat meets the places of what it repeats.
const SAMPLING: u64 = 16;

/// The share of the places of [`PLACE`] bytes in `data` that were there before, 0 to 1. Takes 2 to 15 ns a byte, a mix thousands.
pub(crate) fn repeated_share(data: &[u8]) -> f64 {
    let bits = (data.len() as u64 / SAMPLING).clamp(16, 1 << 24).next_power_of_two().ilog2() + 1;
    let mut table = vec![0u32; 1 << bits]; // (top bits of the hash): more of them, 0 is empty
    let (mut hash, mut looked, mut repeated) = (0u64, 0u32, 0u32);
    for (at, &byte) in data.iter().enumerate() {
        hash = hash.wrapping_mul(STEP).wrapping_add(u64::from(byte) + 1);
        // The lowest bits know the last bytes only: mixed, they know all.
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
            // Less what another place of the same slot has overwritten: the table has two to four slots for each place.
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
