//! The range coder: against the exact one, at the ends of its numbers, and beside the ideal length.

use crate::coder_exact::{ExactDecoder, ExactEncoder};
use lmic::coder::{Coder, RangeDecoder, RangeEncoder};
use lmic::predict::Uniform;
use lmic::quantize::{BitProb, Cdf};
use lmic::walk::{CodeLength, Sampler, sample};
use proptest::prelude::*;

/// One coded symbol: a bit or a byte under its probabilities.
#[derive(Debug, Clone)]
enum Symbol {
    Bit(BitProb, bool),
    Byte(Box<Cdf>, u8),
}

impl Symbol {
    /// The same distribution, with the symbol that `coder` makes of it.
    fn code(&self, coder: &mut impl Coder) -> Self {
        match self {
            Self::Bit(p1, bit) => Self::Bit(*p1, coder.bit(*p1, *bit)),
            Self::Byte(cdf, byte) => Self::Byte(cdf.clone(), coder.byte(cdf, *byte)),
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bit(_, a), Self::Bit(_, b)) => a == b,
            (Self::Byte(_, a), Self::Byte(_, b)) => a == b,
            _ => false,
        }
    }
}

fn run(coder: &mut impl Coder, symbols: &[Symbol]) -> Vec<Symbol> {
    symbols.iter().map(|symbol| symbol.code(coder)).collect()
}

fn assert_same(decoded: &[Symbol], symbols: &[Symbol]) {
    assert_eq!(decoded.len(), symbols.len());
    for (i, (a, b)) in decoded.iter().zip(symbols).enumerate() {
        assert!(a.same(b), "symbol {i}: {a:?} decoded, {b:?} encoded");
    }
}

/// Encodes with both coders, compares the codes, decodes with both.
fn check_against_exact(symbols: &[Symbol]) -> Vec<u8> {
    let mut fast = RangeEncoder::new();
    run(&mut fast, symbols);
    let code = fast.finish();

    let mut exact = ExactEncoder::new();
    run(&mut exact, symbols);
    assert_eq!(code, exact.finish(), "the fast code differs from the exact one");

    assert_same(&run(&mut RangeDecoder::new(&code), symbols), symbols);
    assert_same(&run(&mut ExactDecoder::new(&code), symbols), symbols);
    code
}

/// Mostly the ends of the scale, where coders go wrong.
fn bit_prob() -> impl Strategy<Value = BitProb> {
    prop_oneof![Just(1), Just(65535), Just(32768), 1..65536u32].prop_map(BitProb::new)
}

fn cdf() -> impl Strategy<Value = Box<Cdf>> {
    let one_hot = any::<u8>().prop_map(|byte| {
        let mut probs = [0.0; 256];
        probs[usize::from(byte)] = 1.0;
        probs
    });
    let powers = (any::<u64>(), 0.0..0.3f32).prop_map(|(seed, slope)| {
        // Weights over up to 2^76, in random order.
        let order = sample(Uniform, 256, seed);
        std::array::from_fn(|b| (f32::from(order[b]) * slope).exp2())
    });
    prop_oneof![one_hot, powers].prop_map(|probs| Box::new(Cdf::quantize(&probs)))
}

fn symbol() -> impl Strategy<Value = Symbol> {
    prop_oneof![
        (bit_prob(), any::<bool>()).prop_map(|(p1, bit)| Symbol::Bit(p1, bit)),
        (cdf(), any::<u8>()).prop_map(|(cdf, byte)| Symbol::Byte(cdf, byte)),
    ]
}

/// Codes that make carries run: long runs of ones and zeros.
fn extreme_code() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0xff), 4 => Just(0), 1 => any::<u8>()];
    let run = (byte, 1..12usize).prop_map(|(byte, len)| vec![byte; len]);
    prop::collection::vec(run, 0..8).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn codes_equal_the_exact_coder(symbols in prop::collection::vec(symbol(), 0..60)) {
        check_against_exact(&symbols);
    }

    /// The symbols of an arbitrary code, encoded again: their interval straddles that code, so runs of
    /// ones wait for a carry that comes, or does not.
    #[test]
    fn symbols_of_any_code_encode_again(
        code in extreme_code(),
        kinds in prop::collection::vec(symbol(), 0..60),
    ) {
        let symbols = run(&mut RangeDecoder::new(&code), &kinds);
        let again = check_against_exact(&symbols);
        assert_same(&run(&mut RangeDecoder::new(&again), &kinds), &symbols);
    }
}

#[test]
fn a_code_above_every_interval_decodes_to_something() {
    // 2^64 - 1 is the one start that no encoder writes: the first interval ends before it.
    let mut decoder = RangeDecoder::new(&[0xff; 4000]);
    let one_hot = Cdf::quantize(&std::array::from_fn(|b| f32::from(u8::from(b == 7))));
    for i in 0..2000u32 {
        decoder.bit(BitProb::new(i.wrapping_mul(40503) & 0xffff), false);
        decoder.byte(&one_hot, 0);
    }
}

#[test]
fn garbage_decodes_without_panic_under_extreme_models() {
    let first = Cdf::quantize(&std::array::from_fn(|b| f32::from(u8::from(b == 0))));
    let last = Cdf::quantize(&std::array::from_fn(|b| f32::from(u8::from(b == 255))));
    for seed in 0..300 {
        let code = sample(Uniform, seed % 100, seed as u64);
        let mut decoder = RangeDecoder::new(&code);
        for i in 0..300 {
            decoder.bit(BitProb::new(if i % 2 == 0 { 1 } else { 65535 }), false);
            decoder.byte(if i % 3 == 0 { &first } else { &last }, 0);
        }
    }
}

#[test]
fn nothing_coded_is_no_bytes() {
    assert!(check_against_exact(&[]).is_empty());
}

#[test]
fn certain_bits_cost_almost_nothing() {
    let mut encoder = RangeEncoder::new();
    for _ in 0..65536 {
        encoder.bit(BitProb::new(65535), true);
    }
    // 65536 decisions of -log2(65535/65536) bits: 1.44 bits in all.
    assert!(encoder.finish().len() <= 1);
}

/// Coded bits of 8 Mi bits (1 MiB) of which the model says `p1`, drawn with probability `true_p1`.
fn check_skewed_bits(p1: u32, true_p1: u32) {
    let (p1, true_p1) = (BitProb::new(p1), BitProb::new(true_p1));
    let mut bits = Sampler::new(7);
    let mut encoder = RangeEncoder::new();
    let mut ideal = CodeLength::default();
    for _ in 0..8 << 20 {
        let bit = bits.bit(true_p1, false);
        encoder.bit(p1, bit);
        ideal.bit(p1, bit);
    }
    let coded = 8.0 * encoder.finish().len() as f64;
    // It may well be less: zeros at the end of the code are cut.
    assert!(
        coded <= ideal.bits() * 1.0001 + 64.0,
        "p1 {p1:?}, drawn with {true_p1:?}: {coded} bits coded, {} ideal",
        ideal.bits()
    );
}

#[test]
fn skewed_bits_cost_their_ideal_length() {
    for (p1, true_p1) in [(1, 1), (65535, 65535), (3, 3), (60000, 60000), (32768, 32768)] {
        check_skewed_bits(p1, true_p1);
    }
    // A model that is wrong pays what its probabilities say, not more.
    for (p1, true_p1) in [(1, 65535), (65535, 32768), (600, 6000)] {
        check_skewed_bits(p1, true_p1);
    }
}
