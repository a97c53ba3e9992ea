//! Rows of numbers that were learned for contexts which are frequent in the training text. They give the network what counting
//! would know, for a few reads of memory a byte.
//!
//! A context (the last n symbols, or the letters of the word so far) leads to a bucket of four places; the place whose check
//! fits has the row. Contexts that were not frequent in training have no row, which counts as zeros. Hash n-gram embeddings
//! (Pagnoni et al., *Byte Latent Transformer*, 2024, 3.2.1) are similar, but there all contexts have rows and some share one.

use std::borrow::Cow;

use super::config::{MAX_ORDER, NgramConfig};
use crate::nn::{Matrix, START_SYMBOL};
use crate::simd::prefetch;

/// The number of places of a bucket.
const WAYS: usize = NgramConfig::WAYS; // frozen

/// The value of one unit of a row. A row's numbers have 4 bits and mean sevenths, from -7 to 7; -8 can be read, but training does
/// not make it.
pub(super) const SCALE: f32 = 1.0 / 7.0; // frozen

/// Rows for frequent contexts of a [`RecurrentWeights`](super::RecurrentWeights).
#[derive(Debug, Clone, PartialEq)]
pub struct Ngrams {
    /// The rows of each kind.
    pub kinds: Vec<NgramRows>,
    /// What rows of all kinds, one after the other, add to the residual stream before each of
    /// [`NgramConfig::layers`]: (hidden_size, kinds * size).
    pub proj: Vec<Matrix>,
}

/// The rows of one kind, in buckets: first the checks of a bucket's places, then their rows, so that they lie together in memory.
///
/// A check has 16 bits, little-endian, of the context's hash; 0 stands for an empty place. A row's numbers have 4 bits: byte i
/// of a row has number i in its low half and number `size / 2 + i` in its high half.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramRows(Cow<'static, [u8]>);

impl NgramRows {
    /// Rows of the bytes that a file has: (buckets, [`NgramConfig::bucket_bytes`]).
    pub fn new(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Rows of their checks and pairs of numbers, (places) and (places, size / 2).
    ///
    /// # Panics
    /// If there are no whole buckets of both.
    pub fn join(checks: &[u16], pairs: &[u8]) -> Self {
        let half = pairs.len() / checks.len().max(1);
        assert_eq!((checks.len() % WAYS, pairs.len()), (0, half * checks.len()));
        let mut bytes = Vec::with_capacity(2 * checks.len() + pairs.len());
        for (checks, pairs) in checks.chunks(WAYS).zip(pairs.chunks((WAYS * half).max(1))) {
            bytes.extend(checks.iter().flat_map(|check| check.to_le_bytes()));
            bytes.extend_from_slice(pairs);
        }
        Self(bytes.into())
    }

    /// What [`NgramRows::join`] took, of rows of `size` numbers.
    pub fn split(&self, size: usize) -> (Vec<u16>, Vec<u8>) {
        let (mut checks, mut pairs) = (Vec::new(), Vec::new());
        for bucket in self.0.chunks(bucket_bytes(size)) {
            let (own, rows) = bucket.split_at(CHECKS);
            checks.extend(own.as_chunks().0.iter().map(|check| u16::from_le_bytes(*check)));
            pairs.extend_from_slice(rows);
        }
        (checks, pairs)
    }

    /// The bytes that a file has.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether they are rows of the library itself, and no copy.
    pub(super) fn are_of_library(&self) -> bool {
        LIBRARY_ROWS.iter().any(|rows| std::ptr::eq(*rows, self.bytes()))
    }
}

/// The rows of the networks of the library, of one kind after the other, which they share: files need not hold them. Without the
/// feature `networks` there are none.
#[cfg(feature = "networks")]
pub(crate) static LIBRARY_ROWS: &[&[u8]] = &lmic_networks::ROWS; // frozen
#[cfg(not(feature = "networks"))]
pub(crate) static LIBRARY_ROWS: &[&[u8]] = &[]; // frozen

/// Bytes of a bucket's checks.
const CHECKS: usize = 2 * WAYS; // frozen

/// Bytes of a bucket with rows of `size` numbers.
const fn bucket_bytes(size: usize) -> usize {
    CHECKS + WAYS * size / 2
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
        keys(&self.last, self.word)[order]
    }
}

/// The contexts of all orders: their numbers mod 2^64. `last` has the newest symbol first.
fn keys(last: &[u16; MAX_ORDER], word: Word) -> [u64; MAX_ORDER + 1] {
    let mut keys = [word.0; MAX_ORDER + 1];
    let (mut key, mut power) = (0u64, 1u64);
    for (to, &symbol) in keys[1..].iter_mut().zip(last) {
        key = key.wrapping_add(power.wrapping_mul(symbol.into()));
        power = power.wrapping_mul(257);
        *to = key;
    }
    keys
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

    /// Bytes of a bucket of [`NgramRows`]: four checks, four rows.
    pub fn bucket_bytes(&self) -> usize {
        bucket_bytes(self.size)
    }

    /// The row that a context has, if it has one.
    pub fn row(&self, checks: &[u16], kind: usize, key: u64) -> Option<usize> {
        let (from, check) = self.bucket(kind, key);
        checks[from..from + WAYS].iter().position(|&c| c == check).map(|way| from + way)
    }
}

/// Where the row of a context may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    bucket: u32, // of its kind
    check: u16,
}

/// Of eight bytes the lower four bits as numbers of -8 to 7, plus 128.
fn integers(pairs: u64) -> u64 {
    let each = 0x0101_0101_0101_0101;
    // With the sign turned it is the number plus 8.
    ((pairs & (15 * each)) ^ (8 * each)) + 120 * each
}

impl Ngrams {
    /// Where the rows of the contexts may be, one for each kind; memory is asked for them, so that [`Ngrams::read`] need not wait.
    pub(super) fn find(
        &self,
        c: &NgramConfig,
        last: &[u16; MAX_ORDER],
        word: Word,
        places: &mut Vec<Place>,
    ) {
        let (keys, bytes) = (keys(last, word), bucket_bytes(c.size));
        for ((&order, &bits), rows) in c.orders.iter().zip(&c.bits).zip(&self.kinds) {
            let (bucket, check) = place(order, keys[order], bits);
            prefetch(&rows.0, bucket * bytes);
            prefetch(&rows.0, bucket * bytes + bytes - 1);
            places.push(Place { bucket: bucket as u32, check });
        }
    }

    /// Writes the integers of the rows at places of all kinds in turn, (places, size), each plus 128 for the product.
    pub(super) fn read(&self, c: &NgramConfig, places: &[Place], out: &mut [u8]) {
        let (half, bytes) = (c.size / 2, bucket_bytes(c.size));
        let kinds = self.kinds.iter().cycle();
        for ((place, rows), out) in places.iter().zip(kinds).zip(out.chunks_exact_mut(c.size)) {
            let bucket = &rows.0[place.bucket as usize * bytes..][..bytes];
            let (checks, pairs) = bucket.split_at(CHECKS);
            let wanted = place.check.to_le_bytes();
            let Some(way) = checks.as_chunks().0.iter().position(|check| *check == wanted) else {
                out.fill(128);
                continue;
            };
            let (low, high) = out.split_at_mut(half);
            let pairs = &pairs[way * half..][..half];
            let (low, rest_low) = low.as_chunks_mut::<8>();
            let (high, rest_high) = high.as_chunks_mut::<8>();
            let (pairs, rest) = pairs.as_chunks::<8>();
            for ((low, high), pairs) in low.iter_mut().zip(high).zip(pairs) {
                let pairs = u64::from_ne_bytes(*pairs);
                *low = integers(pairs).to_ne_bytes();
                *high = integers(pairs >> 4).to_ne_bytes();
            }
            for ((low, high), &pair) in rest_low.iter_mut().zip(rest_high).zip(rest) {
                let pair = u64::from(pair);
                (*low, *high) = (integers(pair) as u8, integers(pair >> 4) as u8);
            }
        }
    }

    /// Gives the contexts of a text rows, as training does for frequent ones: for tests.
    #[cfg(test)]
    pub(super) fn fill(&mut self, c: &NgramConfig, symbols: &[u16]) {
        let mut last = [START_SYMBOL as u16; MAX_ORDER];
        let mut word = Word::default();
        let (mut checks, pairs): (Vec<_>, Vec<_>) =
            self.kinds.iter().map(|rows| rows.split(c.size)).unzip();
        checks.iter_mut().for_each(|checks| checks.fill(0));
        for &symbol in symbols {
            last.rotate_right(1);
            last[0] = symbol;
            word.push(symbol);
            for ((&order, &bits), checks) in c.orders.iter().zip(&c.bits).zip(&mut checks) {
                let (bucket, check) = place(order, keys(&last, word)[order], bits);
                let places = &mut checks[bucket * WAYS..][..WAYS];
                if !places.contains(&check)
                    && let Some(free) = places.iter_mut().find(|check| **check == 0)
                {
                    *free = check;
                }
            }
        }
        for ((rows, checks), pairs) in self.kinds.iter_mut().zip(&checks).zip(&pairs) {
            *rows = NgramRows::join(checks, pairs);
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
            place(1, keys(&last, word)[1], 4),
            place(3, keys(&last, word)[3], 14),
            place(6, keys(&last, word)[6], 15),
            place(8, keys(&last, word)[8], 24),
            place(0, keys(&last, word)[0], 15),
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
        let c = NgramConfig { orders: vec![2, 0], bits: vec![4, 5], size: 8, layers: vec![0] };
        let contexts = NgramContexts::after(b"in word");
        let (mut checks, pairs): (Vec<u16>, Vec<u8>) = (vec![0; c.rows()], (0..192).collect());
        let mut rows = Vec::new();
        for kind in 0..2 {
            let key = contexts.key(c.orders[kind]);
            let (first, check) = c.bucket(kind, key);
            checks[first + 3] = check;
            rows.push(c.row(&checks, kind, key).unwrap());
            assert_eq!(rows[kind], first + 3);
        }
        assert_eq!(c.row(&checks, 0, NgramContexts::after(b"xy").key(2)), None);
        let kinds = [(0, 16), (16, 48)]
            .map(|(from, to)| NgramRows::join(&checks[from..to], &pairs[4 * from..4 * to]));
        assert_eq!(kinds[1].split(8), (checks[16..].to_vec(), pairs[64..].to_vec()));
        let ngrams = Ngrams { kinds: kinds.to_vec(), proj: Vec::new() };
        let (mut places, mut out) = (Vec::new(), [0; 16]);
        ngrams.find(&c, &contexts.last, contexts.word, &mut places);
        ngrams.read(&c, &places, &mut out);
        for (row, out) in rows.iter().zip(out.chunks(8)) {
            let low = pairs[4 * row..][..4].iter().map(|&pair| (pair << 4) as i8 >> 4);
            let high = pairs[4 * row..][..4].iter().map(|&pair| pair as i8 >> 4);
            let expected: Vec<u8> = low.chain(high).map(|n| (i16::from(n) + 128) as u8).collect();
            assert_eq!(out, expected);
        }
    }
}
