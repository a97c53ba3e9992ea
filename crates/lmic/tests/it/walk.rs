//! The walk: encode, decode, score and sample agree with each other and with the predictor.

use lmic::coder::{Coder, RangeEncoder};
use lmic::predict::cm::Cm;
use lmic::predict::{OrderK, Predictor, Uniform};
use lmic::quantize::{BitProb, Distribution};
use lmic::walk::{
    Bytewise, CodeLength, Model, Sampler, code_length, decode, decode_model, encode, encode_model,
    sample, walk,
};
use proptest::prelude::*;

/// Says the same whatever comes.
#[derive(Clone)]
struct Fixed([f32; 256]);

impl Predictor for Fixed {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        *probs = self.0;
    }

    fn update(&mut self, _byte: u8) {}
}

/// A skewed distribution: weight `1 / (b + 1)`, so that byte 0 has 16 % and byte 255 has 0.06 %.
fn zipf() -> Fixed {
    Fixed(std::array::from_fn(|b| 1.0 / (b as f32 + 1.0)))
}

/// Weights of every kind that a broken predictor may produce, other ones after every byte.
struct Broken(u64);

impl Predictor for Broken {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        let mut state = self.0;
        *probs = std::array::from_fn(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            f32::from_bits((state >> 32) as u32) // every exponent, both signs, NaN and infinity
        });
    }

    fn update(&mut self, byte: u8) {
        self.0 = self.0.wrapping_mul(257).wrapping_add(u64::from(byte) + 1);
    }
}

/// A model that decides bit by bit and takes two bytes a step where there are two.
struct Bitwise;

impl Model for Bitwise {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let expected = past.last().copied().unwrap_or(0);
        let step = next.len().min(2);
        for byte in &mut next[..step] {
            let mut decoded = 0;
            for i in (0..8).rev() {
                let p1 = if expected >> i & 1 == 1 { 60000 } else { 5000 };
                decoded = decoded << 1 | u8::from(coder.bit(BitProb::new(p1), *byte >> i & 1 == 1));
            }
            *byte = decoded;
        }
        step
    }
}

/// Encodes, decodes and scores `data` with a fresh model each time.
fn check_round_trip<M: Model>(name: &str, new: impl Fn() -> M, data: &[u8]) {
    let mut given = data.to_vec();
    let code = encode_model(&mut new(), &mut given);
    assert_eq!(given, data, "{name}: encoding changed its input");

    let mut decoded = vec![0xa5; data.len()]; // what was there before must not matter
    decode_model(&mut new(), &code, &mut decoded);
    assert_eq!(decoded, data, "{name}");

    let mut ideal = CodeLength::default();
    walk(&mut new(), &mut ideal, &mut given);
    let ideal = ideal.bits() / 8.0;
    // An interval of length 2^-n holds a code of n bits or one more: rounded up to bytes, below 1.2 more.
    assert!(code.len() as f64 <= ideal + 1.2, "{name}: {} bytes, ideal {ideal}", code.len());
}

fn check_round_trips(data: &[u8]) {
    check_round_trip("uniform", || Bytewise(Uniform), data);
    check_round_trip("zipf", || Bytewise(zipf()), data);
    check_round_trip("broken", || Bytewise(Broken(3)), data);
    check_round_trip("bitwise", || Bitwise, data);
    for order in [0, 1, 2, OrderK::MAX_ORDER] {
        check_round_trip("order k", || Bytewise(OrderK::new(order)), data);
    }
}

proptest! {
    #[test]
    fn any_bytes_round_trip(data in prop::collection::vec(any::<u8>(), 0..100)) {
        check_round_trips(&data);
    }

    #[test]
    fn any_code_decodes_to_the_length_asked_for(code in any::<Vec<u8>>(), len in 0..100usize) {
        for order in [0, 2] {
            assert_eq!(decode(OrderK::new(order), &code, len).len(), len);
        }
        assert_eq!(decode(Broken(1), &code, len).len(), len);
        let mut data = vec![0; len];
        decode_model(&mut Bitwise, &code, &mut data);
    }
}

#[test]
fn short_and_repetitive_inputs_round_trip() {
    for data in [&b""[..], b"a", b"\0", b"\xff", b"ab", &[0; 2000], &[255; 2000]] {
        check_round_trips(data);
    }
}

#[test]
#[should_panic(expected = "coded 0 of 1 bytes")]
fn a_model_that_codes_nothing_is_refused() {
    struct Idle;
    impl Model for Idle {
        fn code<C: Coder>(&mut self, _: &mut C, _: &[u8], _: &mut [u8]) -> usize {
            0
        }
    }
    encode_model(&mut Idle, &mut [1]);
}

/// Encodes and scores in one pass.
#[derive(Default)]
struct Both(RangeEncoder, CodeLength);

impl Coder for Both {
    const TOLD: bool = true;

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        self.1.bit(p1, self.0.bit(p1, bit))
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        self.1.symbol(distribution, self.0.symbol(distribution, symbol))
    }
}

/// Adds up the bits that a predictor's own floats promise, before the quantizer.
struct Promised<P> {
    predictor: P,
    probs: [f32; 256],
    bits: f64,
}

impl<P: Predictor> Predictor for Promised<P> {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        self.predictor.predict(probs);
        self.probs = *probs;
    }

    fn update(&mut self, byte: u8) {
        let total: f64 = self.probs.iter().map(|&p| f64::from(p)).sum();
        self.bits += (total / f64::from(self.probs[usize::from(byte)])).log2();
        self.predictor.update(byte);
    }
}

/// Coded bytes of `data` within 0.01 % + 8 bytes of the code length, and of what the predictor promises.
fn check_length(name: &str, predictor: impl Predictor, data: &[u8]) {
    let mut model = Bytewise(Promised { predictor, probs: [0.0; 256], bits: 0.0 });
    let (coded, ideal) = code_and_score(&mut model, data);
    for bytes in [ideal, model.0.bits / 8.0] {
        assert_close(name, coded, bytes);
    }
}

/// Coded bytes and code length in bytes.
fn code_and_score(model: &mut impl Model, data: &[u8]) -> (f64, f64) {
    let mut coder = Both::default();
    walk(model, &mut coder, &mut data.to_vec());
    (coder.0.finish().len() as f64, coder.1.bits() / 8.0)
}

fn assert_close(name: &str, coded: f64, ideal: f64) {
    let excess = (coded - ideal).abs();
    assert!(excess <= ideal * 1e-4 + 8.0, "{name}: {coded} bytes coded, {ideal} ideal");
}

/// Enough that a hundredth of a percent is more than a byte.
const MEGABYTE: usize = 1 << 20;

#[test]
fn a_megabyte_costs_what_its_predictor_promises() {
    let skewed = sample(zipf(), MEGABYTE, 1);
    check_length("right", zipf(), &skewed);
    check_length("order 1", OrderK::new(1), &skewed);
    // Surer than the quantizer allows: 255 units of 2^-24 a byte, 2.9 bytes in all.
    let sure = Fixed(std::array::from_fn(|b| f32::from(u8::from(b == 65))));
    check_length("sure", sure, &[65; MEGABYTE]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes ten seconds unoptimised; runs in release")]
fn a_megabyte_costs_what_the_mixing_model_promises() {
    let mut pattern = sample(zipf(), 3000, 1).repeat(MEGABYTE / 3000 + 1);
    pattern.truncate(MEGABYTE);
    for (name, data) in [("skewed", sample(zipf(), MEGABYTE, 2)), ("repetitive", pattern)] {
        let (coded, ideal) = code_and_score(&mut Cm::new(1, data.len()), &data);
        assert_close(name, coded, ideal);
    }
}

/// Chi-square of `data` against a fixed distribution: 255 +- 23 if the data follow it.
fn chi_square(data: &[u8], model: &Fixed) -> f64 {
    let total: f64 = model.0.iter().map(|&p| f64::from(p)).sum();
    let mut counts = [0.0; 256];
    for &byte in data {
        counts[usize::from(byte)] += 1.0;
    }
    let terms = counts.iter().zip(model.0).map(|(&count, p): (&f64, f32)| {
        let expected = data.len() as f64 * f64::from(p) / total;
        (count - expected).powi(2) / expected
    });
    terms.sum()
}

/// Eight standard deviations either way; data of another model are thousands off.
const FOLLOWS: std::ops::Range<f64> = 75.0..435.0;

#[test]
fn samples_follow_the_model() {
    for seed in 0..3 {
        let drawn = sample(zipf(), 200_000, seed);
        assert!(FOLLOWS.contains(&chi_square(&drawn, &zipf())), "seed {seed}");
        assert!(!FOLLOWS.contains(&chi_square(&drawn, &Fixed([1.0; 256]))), "seed {seed}");
    }
}

#[test]
fn decoding_random_bits_is_sampling() {
    for seed in 0..2 {
        // Entropy 6.19 bits a byte: 200,000 bytes use up 155,000 of these.
        let noise = sample(Uniform, 200_000, seed);
        let drawn = decode(zipf(), &noise, 200_000);
        assert!(FOLLOWS.contains(&chi_square(&drawn, &zipf())), "seed {seed}");
        // And encoding them gives the bits back.
        let code = encode(zipf(), &drawn);
        assert_eq!(code[..code.len() - 8], noise[..code.len() - 8], "seed {seed}");
    }
}

#[test]
fn bits_are_drawn_with_their_probability() {
    let mut sampler = Sampler::new(5);
    let ones = (0..100_000).filter(|_| sampler.bit(BitProb::new(5000), false)).count();
    // 100,000 * 5000 / 65536 = 7629 +- 84.
    assert!((7200..8060).contains(&ones), "{ones}");
}

#[test]
fn samples_depend_on_the_seed_alone() {
    assert_eq!(sample(OrderK::new(1), 1000, 9), sample(OrderK::new(1), 1000, 9));
    assert_ne!(sample(OrderK::new(1), 1000, 9), sample(OrderK::new(1), 1000, 10));
}

#[test]
fn a_sample_costs_the_entropy_of_its_model() {
    let total: f64 = zipf().0.iter().map(|&p| f64::from(p)).sum();
    let entropy: f64 = zipf().0.iter().map(|&p| f64::from(p) / total).map(|p| -p * p.log2()).sum();
    let bits = code_length(zipf(), &sample(zipf(), 200_000, 3)) / 200_000.0;
    // The deviation of the mean is below 0.01 bits: each byte's cost varies by about 2.
    assert!((bits - entropy).abs() < 0.03, "{bits} bits a byte, entropy {entropy}");
}

#[test]
fn a_longer_context_predicts_better_what_depends_on_it() {
    let text = b"in the beginning was the word, and the word was with the reader. ".repeat(100);
    let bits = [0, 1, 2].map(|order| code_length(OrderK::new(order), &text));
    assert!(bits[2] < bits[1] && bits[1] < bits[0], "{bits:?}");
}

#[test]
fn order_k_follows_its_formula() {
    let mut predictor = OrderK::new(1);
    b"abab".iter().for_each(|&byte| predictor.update(byte));
    let mut probs = [0.0; 256];
    predictor.predict(&mut probs);
    // Of 4 bytes 2 were a; after b came one a and nothing else.
    let order0 = (2.0 + 8.0 / 256.0) / (4.0 + 8.0);
    assert_eq!(probs[usize::from(b'a')], (1.0 + 8.0 * order0) / (1.0 + 8.0));
    assert_eq!(probs[usize::from(b'b')], (8.0 * order0) / (1.0 + 8.0));
}
