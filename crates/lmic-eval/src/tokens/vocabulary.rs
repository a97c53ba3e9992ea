//! Byte pair encoding over bytes: each byte is a character of the same number, so that any bytes are text.

use std::collections::HashSet;

use anyhow::{Context, Result, anyhow};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

/// Words with the space before them, numbers, runs of signs or of spaces: as GPT-2 cuts text before it merges.
const WORDS: &str = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// From bytes to tokens and back.
pub struct Vocabulary {
    /// `None`: bytes.
    tokenizer: Option<Tokenizer>,
    /// The bytes of each token.
    strings: Vec<Vec<u8>>,
}

impl Vocabulary {
    /// Learns `size` tokens; 0 is bytes.
    ///
    /// # Errors
    /// If the tokenizer cannot learn them.
    pub fn learn(text: &[u8], size: usize) -> Result<Self> {
        if size == 0 {
            return Ok(Self { tokenizer: None, strings: (0..=255).map(|b| vec![b]).collect() });
        }
        let mut tokenizer = Tokenizer::new(BPE::default());
        let pattern = SplitPattern::Regex(WORDS.into());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        tokenizer.with_pre_tokenizer(Some(split.map_err(|e| anyhow!("{e}"))?));
        let alphabet: HashSet<char> = (0..=255u8).map(char::from).collect();
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(size)
            .initial_alphabet(alphabet)
            .build();
        let lines: Vec<String> = lines(text).collect();
        tokenizer
            .train(&mut TrainerWrapper::from(trainer), lines.into_iter())
            .map_err(|e| anyhow!("{e}"))?;
        let mut strings = vec![Vec::new(); tokenizer.get_vocab_size(false)];
        for (string, id) in tokenizer.get_vocab(false) {
            *strings.get_mut(id as usize).context("ids are not dense")? =
                string.chars().map(|c| c as u8).collect();
        }
        Ok(Self { tokenizer: Some(tokenizer), strings })
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.strings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// Bytes of the strings of all tokens, with a length each: what a decoder must have of it.
    pub fn byte_len(&self) -> u64 {
        match self.tokenizer {
            None => 0,
            Some(_) => self.strings.iter().map(|string| string.len() as u64 + 1).sum(),
        }
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>> {
        let Some(tokenizer) = &self.tokenizer else {
            return Ok(text.iter().map(|&byte| byte.into()).collect());
        };
        let mut tokens = Vec::new();
        for line in lines(text) {
            tokens.extend_from_slice(
                tokenizer.encode(line, false).map_err(|e| anyhow!("{e}"))?.get_ids(),
            );
        }
        Ok(tokens)
    }

    /// The text of tokens.
    pub fn decode(&self, tokens: &[u32]) -> Vec<u8> {
        tokens.iter().flat_map(|&token| self.strings[token as usize].iter().copied()).collect()
    }
}

/// Lines with their ends, each byte as a character.
fn lines(text: &[u8]) -> impl Iterator<Item = String> + '_ {
    text.split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.iter().map(|&b| char::from(b)).collect())
}
