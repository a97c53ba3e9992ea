//! Table 2: text as tokens of vocabularies of several sizes, coded by small networks that have learned from other text.
//!
//! `vocabulary` makes tokens (byte pair encoding), `network` says how likely each is, and a range coder for any number of
//! symbols codes them; they are decoded again with a network of the same weights.

mod network;
mod vocabulary;

use anyhow::{Result, anyhow};
use constriction::stream::model::DefaultContiguousCategoricalEntropyModel as Categorical;
use constriction::stream::queue::{DefaultRangeDecoder, DefaultRangeEncoder};
use constriction::stream::{Decode, Encode};

pub use network::{Network, Shape};
pub use vocabulary::Vocabulary;

/// The code of tokens, and nothing else: a decoder must be told how many they are.
///
/// # Errors
/// If the coder fails.
pub fn encode(network: &Network, tokens: &[u32]) -> Result<Vec<u8>> {
    let mut coder = DefaultRangeEncoder::new();
    let mut walk = network.walk();
    for &token in tokens {
        let (class, member) = network.place(token);
        put(&mut coder, class, walk.classes())?;
        put(&mut coder, member, walk.members(class))?;
        walk.push(token);
    }
    let words = coder.into_compressed().map_err(|e| anyhow!("{e:?}"))?;
    Ok(words.iter().flat_map(|word| word.to_be_bytes()).collect())
}

/// The tokens of a code.
///
/// # Errors
/// If the code is damaged.
pub fn decode(network: &Network, code: &[u8], len: usize) -> Result<Vec<u32>> {
    let words: Vec<u32> =
        code.as_chunks::<4>().0.iter().map(|&word| u32::from_be_bytes(word)).collect();
    let mut coder =
        DefaultRangeDecoder::from_compressed(words).map_err(|_| anyhow!("a code without words"))?;
    let mut walk = network.walk();
    let mut tokens = Vec::with_capacity(len);
    for _ in 0..len {
        let class = take(&mut coder, walk.classes())?;
        let member = take(&mut coder, walk.members(class))?;
        let token = network.token(class, member);
        walk.push(token);
        tokens.push(token);
    }
    Ok(tokens)
}

/// What has no alternative takes no code: the coder has no such distribution.
fn put(coder: &mut DefaultRangeEncoder, symbol: usize, probs: &[f32]) -> Result<()> {
    if probs.len() > 1 {
        coder.encode_symbol(symbol, &categorical(probs)?).map_err(|e| anyhow!("{e:?}"))?;
    }
    Ok(())
}

fn take(coder: &mut DefaultRangeDecoder, probs: &[f32]) -> Result<usize> {
    match probs.len() {
        1 => Ok(0),
        _ => coder.decode_symbol(&categorical(probs)?).map_err(|e| anyhow!("{e:?}")),
    }
}

fn categorical(probs: &[f32]) -> Result<Categorical> {
    Categorical::from_floating_point_probabilities_fast(probs, None)
        .map_err(|()| anyhow!("no distribution: {} values", probs.len()))
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
            let code = encode(&network, &tokens).unwrap();
            assert_eq!(decode(&network, &code, tokens.len()).unwrap(), tokens, "{size}");
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
