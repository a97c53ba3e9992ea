//! Rows for the most frequent contexts (`ngrams` of a recipe): which contexts have one, and how rows are kept in files.

use std::cmp::Reverse;

use lmic::nn::{NgramConfig, NgramContexts};

/// A row's numbers are integers up to this, divided by it.
pub const LEVELS: f32 = 7.0;

/// Contexts of a window begin after so many bytes, or a quarter of it: nobody knows what was before.
const SKIPPED: usize = 64;

/// The checks of all rows: in each bucket the contexts that are most frequent in `windows`, the most frequent first.
pub fn choose<'a>(c: &NgramConfig, windows: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u16> {
    let mut checks = vec![0; c.rows()];
    for (kind, (&order, &bits)) in c.orders.iter().zip(&c.bits).enumerate() {
        let mut keys = Vec::new();
        for window in windows.clone() {
            let (past, window) = window.split_at(SKIPPED.min(window.len() / 4));
            let mut contexts = NgramContexts::after(past);
            keys.extend(window.iter().map(|&byte| {
                contexts.push(byte);
                contexts.key(order)
            }));
        }
        keys.sort_unstable();
        let mut counted: Vec<(usize, u64)> =
            keys.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
        counted.sort_unstable_by_key(|&(count, key)| (Reverse(count), key));
        // Where contexts were spread evenly over buckets, one of bits would do.
        for &(_, key) in counted.iter().take(3 << bits) {
            let (first, check) = c.bucket(kind, key);
            let places = &mut checks[first..first + NgramConfig::WAYS];
            if !places.contains(&check)
                && let Some(free) = places.iter_mut().find(|check| **check == 0)
            {
                *free = check;
            }
        }
    }
    checks
}

/// Rows as files have them: byte i of a row has number i in its low half, number `size / 2 + i` in its high half.
pub fn packed(numbers: &[f32], size: usize) -> Vec<u8> {
    let integer = |x: f32| (x.clamp(-1.0, 1.0) * LEVELS).round_ties_even() as i8 as u8;
    let pack = |row: &[f32]| -> Vec<u8> {
        let (low, high) = row.split_at(size / 2);
        low.iter().zip(high).map(|(&low, &high)| integer(high) << 4 | integer(low) & 15).collect()
    };
    numbers.chunks_exact(size).flat_map(pack).collect()
}

/// The numbers of [`packed`] rows.
pub fn unpacked(pairs: &[u8], size: usize) -> Vec<f32> {
    let unpack = |row: &[u8]| -> Vec<f32> {
        let row = row.iter().map(|pair| pair.cast_signed());
        let low = row.clone().map(|pair| pair << 4 >> 4);
        low.chain(row.map(|pair| pair >> 4)).map(|n| f32::from(n) / LEVELS).collect()
    };
    pairs.chunks_exact(size / 2).flat_map(unpack).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_sevenths() {
        let numbers = [0.0, 1.0, -1.0, 3.0 / 7.0, -0.3, 5.0, 0.07, -0.08];
        let pairs = packed(&numbers, 4);
        let sevenths = [0.0, 7.0, -7.0, 3.0, -2.0, 7.0, 0.0, -1.0];
        assert_eq!(unpacked(&pairs, 4), sevenths.map(|n: f32| n / 7.0));
    }

    #[test]
    fn frequent_contexts_have_rows_and_others_only_what_is_left() {
        let c = NgramConfig { orders: vec![1, 3], bits: vec![4, 6], size: 16, layers: vec![0] };
        // All letters, and one thing that comes again and again: 16 rows are not enough for all.
        let all: Vec<u8> = (0..=255).collect();
        let text = [&b"again ".repeat(100)[..], &all].concat();
        let checks = choose(&c, std::iter::once(&text[..]));
        let has = |kind: usize, past: &[u8]| {
            c.row(&checks, kind, NgramContexts::after(past).key(c.orders[kind])).is_some()
        };
        for past in [&b"a"[..], b"ag", b"aga", b"agai", b"again", b"again "] {
            assert!(has(0, past), "{past:?}");
        }
        assert!(has(1, b"again") && has(1, b"again a") && !has(1, b"never"));
        let rows =
            |range: std::ops::Range<usize>| checks[range].iter().filter(|&&c| c != 0).count();
        assert!(rows(0..16) > 12 && rows(16..80) > 48, "{} {}", rows(0..16), rows(16..80));
    }
}
