//! Rows of numbers that were learned for contexts which are frequent in the training text. They give the network what counting
//! would know, for a few reads of memory a byte.
//!
//! A context (the last n symbols, or the letters of the word so far) leads to a bucket of four places; the place whose check
//! fits has the row. Contexts that were not frequent in training have no row, which counts as zeros. Hash n-gram embeddings
//! (Pagnoni et al., *Byte Latent Transformer*, 2024, 3.2.1) are similar, but there all contexts have rows and some share one.

use super::config::{MAX_ORDER, NgramConfig};
use crate::nn::{Matrix, START_SYMBOL};

/// The number of places of a bucket.
const WAYS: usize = NgramConfig::WAYS; // frozen

/// The value of one unit of a row. A row's numbers have 4 bits and mean sevenths, from -7 to 7; -8 can be read, but training does
/// not make it.
pub(super) const SCALE: f32 = 1.0 / 7.0; // frozen

/// Rows for frequent contexts of a [`RecurrentWeights`](super::RecurrentWeights).
#[derive(Debug, Clone, PartialEq)]
pub struct Ngrams {
    /// For each place 16 bits of the context's hash, or 0 if the place is empty: (rows of all kinds).
    pub checks: Vec<u16>,
    /// Rows of numbers of 4 bits in sevenths: byte i of a row has number i in its low half and number `size / 2 + i` in its high
    /// half, (rows, size / 2).
    pub table: Vec<i8>,
    /// What rows of all kinds, one after the other, add to the residual stream, (hidden_size, kinds * size).
    pub proj: Matrix,
}

/// The hash of the word so far: of the letters since the last byte that is no letter. Letters are those of ASCII, whatever their
/// case, and all bytes from 128 on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word(u64);

impl Word {
    /// Takes in one more symbol.
    pub fn push(&mut self, symbol: u16) {
        let Some(letter) = letter(symbol) else { return self.0 = 0 };
        self.0 = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(letter.into());
    }
}

/// The number of a letter, whatever its case.
fn letter(symbol: u16) -> Option<u16> {
    match symbol {
        65..=90 => Some(symbol - 64),
        97..=122 => Some(symbol - 96),
        128..=255 => Some(symbol - 101),
        _ => None,
    }
}

/// The contexts of the next byte of a stream, for those who choose and train rows.
#[derive(Debug, Clone)]
pub struct NgramContexts {
    last: [u16; MAX_ORDER], // the newest first
    word: Word,
}

impl NgramContexts {
    /// The contexts of the byte that follows `past`, which is all of the stream so far.
    pub fn after(past: &[u8]) -> Self {
        // All of the last symbols are needed, and the word so far from where it begins.
        let certain = past.len().saturating_sub(MAX_ORDER);
        let before_word = past[..certain].iter().rposition(|&byte| letter(byte.into()).is_none());
        let mut contexts = Self { last: [START_SYMBOL as u16; MAX_ORDER], word: Word::default() };
        past[before_word.unwrap_or(0)..].iter().for_each(|&byte| contexts.push(byte));
        contexts
    }

    /// Takes in one more byte.
    pub fn push(&mut self, byte: u8) {
        self.last.rotate_right(1);
        self.last[0] = byte.into();
        self.word.push(byte.into());
    }

    /// The context of a kind of this order (see [`NgramConfig::orders`]) as a number.
    ///
    /// # Panics
    /// If the order is above 8.
    pub fn key(&self, order: usize) -> u64 {
        key(order, &self.last, self.word)
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
    /// How many rows a context may choose from: those of a bucket.
    pub const WAYS: usize = 4; // frozen

    /// The first of a context's [`WAYS`](Self::WAYS) rows among those of all kinds, and its check, which is never 0. `kind` counts
    /// [`orders`](Self::orders).
    pub fn bucket(&self, kind: usize, key: u64) -> (usize, u16) {
        let (bucket, check) = place(self.orders[kind], key, self.bits[kind]);
        let first: usize = self.bits[..kind].iter().map(|bits| 1 << bits).sum();
        (first + bucket * Self::WAYS, check)
    }

    /// The row that a context has, if it has one.
    pub fn row(&self, checks: &[u16], kind: usize, key: u64) -> Option<usize> {
        let (from, check) = self.bucket(kind, key);
        checks[from..from + WAYS].iter().position(|&c| c == check).map(|way| from + way)
    }

    /// Calls `take(kind, row)` for each kind of context that has a row now, and `take(kind, None)` for the others.
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
    /// Writes the integers of the rows that the contexts have, (kinds * size), for the product.
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
        let mut last = [START_SYMBOL as u16; MAX_ORDER];
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

    #[test]
    fn contexts_in_the_middle_are_those_from_the_start() {
        let text = "One word, Straße, 12345678901 and_averyverylongwordofletters.".as_bytes();
        let mut from_start = NgramContexts::after(b"");
        for (at, &byte) in text.iter().enumerate() {
            let here = NgramContexts::after(&text[..at]);
            for order in 0..=MAX_ORDER {
                assert_eq!(here.key(order), from_start.key(order), "{at}, {order}");
            }
            from_start.push(byte);
        }
    }

    #[test]
    fn a_context_has_the_row_that_the_engine_reads() {
        let c = NgramConfig { orders: vec![2, 0], bits: vec![4, 5], size: 8 };
        let contexts = NgramContexts::after(b"in word");
        let mut checks = vec![0; c.rows()];
        for kind in 0..2 {
            let (first, check) = c.bucket(kind, contexts.key(c.orders[kind]));
            checks[first + 3] = check;
            assert_eq!(c.row(&checks, kind, contexts.key(c.orders[kind])), Some(first + 3));
            c.rows_of(&checks, &contexts.last, contexts.word, |k, row| {
                assert!(k != kind || row == Some(first + 3));
            });
        }
        assert_eq!(c.row(&checks, 0, NgramContexts::after(b"xy").key(2)), None);
    }
}
