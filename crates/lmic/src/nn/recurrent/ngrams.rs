//! Rows learned for frequent contexts: what counting knows, at the price of a few reads a byte.
//!
//! A context (the last n symbols, or the letters of the word so far) names a bucket of four places; the place whose check
//! fits has the row. Contexts that were not frequent in training have none, and count as zeros. As hash n-gram embeddings (Pagnoni et
//! al., *Byte Latent Transformer*, 2024, 3.2.1), but of contexts that were chosen and are told apart.

use super::config::NgramConfig;
use crate::nn::Matrix;

/// Places of a bucket.
const WAYS: usize = 4;

/// Stands for a number without an integer: rows hold -7..=7 sevenths (and -8, which training doesn't make).
pub(super) const SCALE: f32 = 1.0 / 7.0;

/// Rows for frequent contexts of a [`RecurrentWeights`](super::RecurrentWeights).
#[derive(Debug, Clone, PartialEq)]
pub struct Ngrams {
    /// Of each place, 16 bits of the context's hash, or 0: (rows of all kinds).
    pub checks: Vec<u16>,
    /// Rows of numbers of 4 bits in sevenths: byte i of a row has number i in its low half and number `size / 2 + i` in its high
    /// half, (rows, size / 2).
    pub table: Vec<i8>,
    /// What rows of all kinds, one after the other, add to the residual stream, (hidden_size, kinds * size).
    pub proj: Matrix,
}

/// The hash of the letters since the last byte that is none: ASCII letters of either case, and all bytes from 128 on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word(u64);

impl Word {
    /// After one more symbol.
    pub fn push(&mut self, symbol: u16) {
        let letter = match symbol {
            65..=90 => symbol - 64,
            97..=122 => symbol - 96,
            128..=255 => symbol - 101,
            _ => return self.0 = 0,
        };
        self.0 = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(letter.into());
    }
}

/// The context of a kind: its number mod 2^64. `last` has the newest symbol first.
fn key(order: usize, last: &[u16], word: Word) -> u64 {
    match order {
        0 => word.0,
        _ => last[..order]
            .iter()
            .rev()
            .fold(0, |key: u64, &symbol| key.wrapping_mul(257).wrapping_add(symbol.into())),
    }
}

/// (bucket, check) of a context among 2^bits rows.
fn place(order: usize, key: u64, bits: usize) -> (usize, u16) {
    let h = key.wrapping_mul(257).wrapping_add(order as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let h = (h ^ h >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let bucket = (h >> (66 - bits)) as usize; // bits - 2 of them
    (bucket, ((h >> (50 - bits)) as u16).max(1))
}

impl NgramConfig {
    /// Where a kind's row stands, if the context has one: calls `take(kind, row)` or `take(kind, None)`.
    fn rows_of(
        &self,
        checks: &[u16],
        last: &[u16],
        word: Word,
        mut take: impl FnMut(usize, Option<usize>),
    ) {
        let mut first = 0;
        for (kind, (&order, &bits)) in self.orders.iter().zip(&self.bits).enumerate() {
            let (bucket, check) = place(order, key(order, last, word), bits);
            let from = first + bucket * WAYS;
            let way = checks[from..from + WAYS].iter().position(|&c| c == check);
            take(kind, way.map(|way| from + way));
            first += 1 << bits;
        }
    }
}

impl Ngrams {
    /// The integers that the product takes, (kinds * size).
    pub(super) fn look_up(&self, c: &NgramConfig, last: &[u16], word: Word, out: &mut [i8]) {
        let half = c.size / 2;
        c.rows_of(&self.checks, last, word, |kind, row| {
            let out = &mut out[kind * c.size..][..c.size];
            let Some(row) = row else { return out.fill(0) };
            let (low, high) = out.split_at_mut(half);
            let pairs = &self.table[row * half..][..half];
            for ((low, high), &pair) in low.iter_mut().zip(high).zip(pairs) {
                (*low, *high) = (pair << 4 >> 4, pair >> 4);
            }
        });
    }

    /// Gives the contexts of a text rows, as training does for frequent ones: for tests.
    #[cfg(test)]
    pub(super) fn fill(&mut self, c: &NgramConfig, symbols: &[u16]) {
        self.checks.fill(0);
        let mut last = [crate::nn::START_SYMBOL as u16; super::config::MAX_ORDER];
        let mut word = Word::default();
        for &symbol in symbols {
            last.rotate_right(1);
            last[0] = symbol;
            word.push(symbol);
            let mut first = 0;
            for (&order, &bits) in c.orders.iter().zip(&c.bits) {
                let (bucket, check) = place(order, key(order, &last, word), bits);
                let places = &mut self.checks[first + bucket * WAYS..][..WAYS];
                if !places.contains(&check)
                    && let Some(free) = places.iter_mut().find(|check| **check == 0)
                {
                    *free = check;
                }
                first += 1 << bits;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_have_the_places_that_training_gives_them() {
        // From `places`, `order_key` and `word_hashes` of recipes/train_recurrent.py.
        let last = [104, 101, 32, 256, 256, 256, 256, 256]; // start, ' ', 'e', 'h'
        let mut word = Word::default();
        for symbol in [65, 46, 32, 101, 200] {
            word.push(symbol);
        }
        let places = [
            place(1, key(1, &last, word), 4),
            place(3, key(3, &last, word), 14),
            place(6, key(6, &last, word), 15),
            place(8, key(8, &last, word), 24),
            place(0, key(0, &last, word), 15),
        ];
        let expected = [(0, 38547), (2926, 27796), (7801, 50644), (4187557, 29388), (1831, 6902)];
        assert_eq!(places, expected);
    }
}
