//! The one loop: encode, decode, score and sample are the same walk over a model.
//!
//! A [`Model`](crate::walk::Model) codes the next bytes through a [`Coder`](crate::coder::Coder); only the coder differs
//! between the four uses. An encoder reads the buffer (and writes back what it held), a decoder fills it.

use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::predict::Predictor;
use crate::quantize::{BIT_BITS, BitProb, Cdf, Distribution};
use crate::random::SplitMix64;

/// Something that can be walked: predicts the next bytes, codes them, learns them.
///
/// Most predictors implement the simpler [`Predictor`] and are walked through [`Bytewise`]; a model
/// implements this trait directly when it decides bit by bit ([`crate::predict::cm`]).
pub trait Model {
    /// Codes at least one byte at the front of `next` and returns how many, given the bytes `past` that
    /// came before. In a decoder `next` holds nothing yet: pass its bits or bytes to `coder`, write what
    /// comes back into it, and learn from that alone.
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize;
}

/// Walks all of `data`: an encoder reads it, a decoder fills it.
///
/// # Panics
/// If the model codes no byte, or more than there are.
pub fn walk<M: Model, C: Coder>(model: &mut M, coder: &mut C, data: &mut [u8]) {
    let mut done = 0;
    while done < data.len() {
        let (past, next) = data.split_at_mut(done);
        let left = next.len();
        coder.begin(done);
        let coded = model.code(coder, past, next);
        assert!((1..=left).contains(&coded), "a model coded {coded} of {left} bytes");
        done += coded;
    }
}

/// A [`Predictor`] as a [`Model`]: predict, quantize, code, update.
#[derive(Debug)]
pub struct Bytewise<P>(pub P);

impl<P: Predictor> Model for Bytewise<P> {
    fn code<C: Coder>(&mut self, coder: &mut C, _past: &[u8], next: &mut [u8]) -> usize {
        let mut probs = [0.0; 256];
        self.0.predict(&mut probs);
        next[0] = coder.byte(&Cdf::quantize(&probs), next[0]);
        self.0.update(next[0]);
        1
    }
}

/// Encodes `data` under `predictor`: the bare code, without length or checksum (the container adds them).
///
/// ```
/// use lmic::predict::OrderK;
/// use lmic::walk::{decode, encode};
///
/// let text = b"abracadabra abracadabra abracadabra";
/// let code = encode(OrderK::new(1), text);
/// assert!(code.len() < text.len());
/// assert_eq!(decode(OrderK::new(1), &code, text.len()), text);
/// ```
pub fn encode(predictor: impl Predictor, data: &[u8]) -> Vec<u8> {
    encode_model(&mut Bytewise(predictor), &mut data.to_vec())
}

/// Decodes `len` bytes with a predictor in the state in which [`encode`] got it. A wrong or damaged code
/// gives other bytes, never a panic.
pub fn decode(predictor: impl Predictor, code: &[u8], len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    decode_model(&mut Bytewise(predictor), code, &mut data);
    data
}

/// Sum of `-log2 p` over `data`, in bits: what [`encode`] needs, but for a few bytes.
///
/// ```
/// use lmic::predict::{OrderK, Uniform};
/// use lmic::walk::{code_length, encode};
///
/// assert_eq!(code_length(Uniform, b"abcd"), 32.0);
/// let bits = code_length(OrderK::new(0), &[7; 1000]);
/// assert!(encode(OrderK::new(0), &[7; 1000]).len() as f64 <= bits / 8.0 + 2.0);
/// ```
pub fn code_length(predictor: impl Predictor, data: &[u8]) -> f64 {
    let mut coder = CodeLength::default();
    walk(&mut Bytewise(predictor), &mut coder, &mut data.to_vec());
    coder.bits()
}

/// Draws `len` bytes from the predictor: decoding random bits. The same seed gives the same bytes.
///
/// ```
/// use lmic::predict::{OrderK, Predictor};
/// use lmic::walk::sample;
///
/// let mut predictor = OrderK::new(2);
/// for &byte in b"the cat and the hat and the bat ".repeat(100).iter() {
///     predictor.update(byte);
/// }
/// // It goes on from what it has learned, and learns from what it draws.
/// println!("{}", sample(predictor, 80, 1).escape_ascii());
/// ```
pub fn sample(predictor: impl Predictor, len: usize, seed: u64) -> Vec<u8> {
    let mut data = vec![0; len];
    walk(&mut Bytewise(predictor), &mut Sampler::new(seed), &mut data);
    data
}

/// [`encode`] for any model. `data` is left as it was.
pub fn encode_model(model: &mut impl Model, data: &mut [u8]) -> Vec<u8> {
    let mut coder = RangeEncoder::new();
    walk(model, &mut coder, data);
    coder.finish()
}

/// [`decode`] for any model: fills `data`.
pub fn decode_model(model: &mut impl Model, code: &[u8], data: &mut [u8]) {
    walk(model, &mut RangeDecoder::new(code), data);
}

/// Adds up the ideal code length instead of coding.
#[derive(Debug, Clone)]
pub struct CodeLength {
    bits: f64,
    /// Probability of all symbols that `bits` does not have yet. A product is quicker than a logarithm for each bit.
    product: f64,
}

impl Default for CodeLength {
    fn default() -> Self {
        Self { bits: 0.0, product: 1.0 }
    }
}

impl CodeLength {
    /// 2^-900. No single symbol is less likely than 2^-32, so the product never becomes 0.
    const LEAST: f64 = f64::from_bits((1023 - 900) << 52); // tunable

    /// The sum so far, in bits.
    pub fn bits(&self) -> f64 {
        self.bits - self.product.log2()
    }

    #[inline(always)]
    fn add(&mut self, size: u32, total_bits: u32) {
        self.product *= f64::from(size) / (1u64 << total_bits) as f64;
        if self.product < Self::LEAST {
            *self = Self { bits: self.bits(), product: 1.0 };
        }
    }
}

impl Coder for CodeLength {
    const TOLD: bool = true;

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        let p1 = p1.get();
        self.add(if bit { p1 } else { (1 << BIT_BITS) - p1 }, BIT_BITS);
        bit
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        self.add(distribution.size(symbol), D::BITS);
        symbol
    }
}

/// Draws symbols from the model's distribution with a seeded generator.
#[derive(Debug)]
pub struct Sampler(SplitMix64);

impl Sampler {
    /// A sampler whose draws depend on `seed` only.
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
}

impl Coder for Sampler {
    const TOLD: bool = false;

    fn bit(&mut self, p1: BitProb, _bit: bool) -> bool {
        ((self.0.next_u64() >> (64 - BIT_BITS)) as u32) < p1.get()
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, _symbol: usize) -> usize {
        distribution.symbol_at((self.0.next_u64() >> (64 - D::BITS)) as u32)
    }
}
