//! Table 2: text as tokens of vocabularies of several sizes, coded by small networks that have learned from other text.
//!
//! `vocabulary` makes tokens (byte pair encoding), `network` says how likely each is, and the range coder of `lmic` codes
//! them; they are decoded again with a network of the same weights.

mod network;
mod vocabulary;

use lmic::coder::{Coder, RangeDecoder, RangeEncoder};
use lmic::quantize::Symbols;

pub use network::{Network, Shape};
pub use vocabulary::Vocabulary;

/// The code of tokens, and nothing else: a decoder must be told how many they are.
pub fn encode(network: &Network, tokens: &[u32]) -> Vec<u8> {
    let mut coder = RangeEncoder::new();
    walk(network, &mut coder, &mut tokens.to_vec());
    coder.finish()
}

/// The tokens of a code. A damaged one gives other tokens.
pub fn decode(network: &Network, code: &[u8], len: usize) -> Vec<u32> {
    let mut tokens = vec![0; len];
    walk(network, &mut RangeDecoder::new(code), &mut tokens);
    tokens
}

/// An encoder reads tokens, a decoder fills them in: the class of each, then which of its members it is.
fn walk<C: Coder>(network: &Network, coder: &mut C, tokens: &mut [u32]) {
    let (mut walk, mut symbols) = (network.walk(), Symbols::default());
    let mut code = |probs: &[f32], known| {
        symbols.quantize(probs, 0);
        coder.symbol(&symbols, known)
    };
    for token in tokens {
        let (class, member) = network.place(*token);
        let class = code(walk.classes(), class);
        let member = code(walk.members(class), member);
        *token = network.token(class, member);
        walk.push(*token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        let words = ["the ", "cat ", "sat ", "on ", "a ", "mat. ", "\n", "\u{e9}t\u{e9} "];
        lmic::walk::sample(lmic::predict::Uniform, 6000, 3)
            .into_iter()
            .flat_map(|b| words[usize::from(b) * usize::from(b) / 8200].bytes())
            .collect()
    }

    #[test]
    fn tokens_of_every_vocabulary_are_decoded_and_cost_less_than_uniform_bytes() {
        let text = text();
        let (train, test) = text.split_at(text.len() * 3 / 4);
        for size in [0, 300, 1000] {
            let vocabulary = Vocabulary::learn(train, size).unwrap();
            let tokens = vocabulary.encode(test).unwrap();
            assert_eq!(vocabulary.decode(&tokens), test, "{size}");
            let shape = Shape { vocabulary: vocabulary.len(), hidden: 16, context: 4 };
            let network = Network::learn(shape, &vocabulary.encode(train).unwrap());
            let code = encode(&network, &tokens);
            assert_eq!(decode(&network, &code, tokens.len()), tokens, "{size}");
            // 8 words, unevenly distributed: below 3 bits a word of 4 bytes, and what little networks lose.
            assert!(code.len() * 6 < test.len(), "{size}: {} of {}", code.len(), test.len());
        }
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        let vocabulary = Vocabulary::learn(&text(), 500).unwrap();
        let noise = lmic::walk::sample(lmic::predict::Uniform, 3000, 9);
        assert_eq!(vocabulary.decode(&vocabulary.encode(&noise).unwrap()), noise);
    }
}
