//! For an encoder: finds noise, which is stored before a model has spent its time on it: random and encrypted bytes, and what the
//! strongest compressors wrote. In doubt it is no noise, and modelled.
//!
//! All is counted in integers, so that every machine decides alike.

/// Bytes whose histogram is looked at together. Shorter blocks take little time anyway.
const CHUNK: usize = 64 << 10; // tunable

/// The most chi-square of a flat histogram. Its mean for noise is 255 and its standard deviation 22.6. In a chunk that passes, the
/// model of a single byte would save at most .02 %.
const FLAT: u64 = 400; // tunable

/// Samples of a block, and their length.
const SAMPLES: usize = 4; // tunable
const SAMPLE: usize = 16 << 10; // tunable

/// One place of so many, chosen by the eight bytes that stand there, is looked up in what repeats: a power of two.
const PLACES: u64 = 32; // tunable

/// Whether no model would make `data` shorter: single bytes are evenly spread in all of it, `bits`, the length of a model's code,
/// is no less than the length of each sample, and no eight bytes stand in two places, as far as some of the places tell.
pub(super) fn is_noise(data: &mut [u8], bits: impl Fn(&mut [u8]) -> u64) -> bool {
    data.len() >= CHUNK
        && data.chunks(CHUNK).all(is_flat)
        && (0..SAMPLES).all(|i| {
            let start = (data.len() - SAMPLE) / (SAMPLES - 1) * i;
            bits(&mut data[start..][..SAMPLE]) >= 8 * SAMPLE as u64
        })
        && !repeats(data)
}

/// Whether the chi-square of the histogram, `sum (count - len / 256)^2 / (len / 256)`, is at most [`FLAT`].
fn is_flat(chunk: &[u8]) -> bool {
    let mut counts = [0u64; 256];
    chunk.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let len = chunk.len() as u64;
    256 * squares <= (len + FLAT) * len
}

/// Whether any of the places looked at has the same eight bytes as another.
fn repeats(data: &[u8]) -> bool {
    let mixed = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // A product with an odd number is another one for other bytes.
    let chosen = |hash: &u64| hash >> 32 & (PLACES - 1) == 0;
    let mut places: Vec<u64> = data.array_windows().map(mixed).filter(chosen).collect();
    places.sort_unstable();
    places.array_windows().any(|[a, b]| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::RangeEncoder;
    use crate::predict::cm::{Cm, PROFILES};
    use crate::random::SplitMix64;
    use crate::walk::walk;

    fn noise(len: usize) -> Vec<u8> {
        let mut random = SplitMix64::new(1);
        (0..len).map(|_| (random.next_u64() >> 56) as u8).collect()
    }

    fn counted(profile: u8) -> impl Fn(&mut [u8]) -> u64 {
        move |data| {
            let mut coder = RangeEncoder::new();
            walk(&mut Cm::new(profile, data.len()), &mut coder, data);
            coder.bits()
        }
    }

    #[test]
    fn noise_is_found_at_every_level() {
        for profile in 1..=PROFILES {
            for len in [CHUNK, CHUNK + 1, 3 * CHUNK - 7] {
                assert!(is_noise(&mut noise(len), counted(profile)), "{profile}, {len} bytes");
            }
            assert!(!is_noise(&mut noise(CHUNK - 1), counted(profile)));
        }
    }

    #[test]
    fn whatever_a_model_may_find_is_no_noise() {
        let mut zeros = noise(2 * CHUNK);
        zeros[70_000..72_000].fill(0);
        let mut repeat = noise(2 * CHUNK);
        repeat.copy_within(1000..1300, 120_000);
        let pairs = noise(CHUNK).iter().flat_map(|&byte| [byte, byte ^ 85]).collect();
        let ramp = (0..2 * CHUNK).map(|i| (i * 77) as u8).collect();
        let seven_bits = noise(2 * CHUNK).iter().map(|byte| byte & 127).collect();
        for (i, mut data) in [zeros, repeat, pairs, ramp, seven_bits].into_iter().enumerate() {
            assert!(!is_noise(&mut data, counted(1)), "{i}");
        }
    }
}
