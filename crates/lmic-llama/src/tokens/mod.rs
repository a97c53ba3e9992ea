//! Bytes to tokens and back, exactly, for any bytes.
//!
//! What each token stands for (its piece) is in a table of our own, so that decoding is joining pieces. Encoding asks the tokenizer
//! that the model was trained with, but checks what it says: if the pieces of its tokens are not the text, the longest
//! pieces that fit are taken instead. A byte that no token stands for is coded as an escape. Special tokens stand for
//! nothing, and what looks like one in the input is text.

mod files;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lmic::{Error, ErrorKind, Result};

pub use files::{from_gguf, from_json};

/// The longest piece in bytes that is looked for without the tokenizer.
const MAX_FALLBACK_PIECE: usize = 32;

/// How often, in one run of text, the tokenizer is asked again behind a place where it was wrong.
const MAX_RETRIES: usize = 16;

/// The vocabulary of a model, and how text becomes tokens.
pub struct Tokens {
    /// What each token stands for; empty for special ones.
    pieces: Vec<Box<[u8]>>,
    /// Tokens by piece, to find the longest that fits.
    by_piece: HashMap<Box<[u8]>, u32>,
    longest: usize,
    /// Tokens that stand for nothing.
    silent: Vec<u32>,
    /// The token that stands before the first one of a window.
    start: u32,
    /// Whether text is taken as if a space stood before it.
    space_before: bool,
    /// Whether spaces are written as `▁` (U+2581) for the tokenizer.
    marked_spaces: bool,
    /// The tokenizer; a model of bytes has none.
    tokenizer: Option<tokenizers::Tokenizer>,
}

/// The mark that stands for a space.
const MARK: char = '\u{2581}';

impl Tokens {
    /// # Errors
    /// `InvalidArgument` if the start token is none.
    fn new(
        pieces: Vec<Box<[u8]>>,
        start: u32,
        space_before: bool,
        marked_spaces: bool,
        tokenizer: Option<tokenizers::Tokenizer>,
    ) -> Result<Self> {
        if start as usize >= pieces.len() {
            let message = format!("start token {start} of {} tokens", pieces.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let mut by_piece = HashMap::new();
        let mut longest = 0;
        let mut silent = Vec::new();
        for (token, piece) in pieces.iter().enumerate() {
            if (1..=MAX_FALLBACK_PIECE).contains(&piece.len()) {
                longest = longest.max(piece.len());
                by_piece.entry(piece.clone()).or_insert(token as u32);
            }
            if piece.is_empty() {
                silent.push(token as u32);
            }
        }
        Ok(Self {
            pieces,
            by_piece,
            longest,
            silent,
            start,
            space_before,
            marked_spaces,
            tokenizer,
        })
    }

    /// The 256 bytes and a start token: a model of bytes.
    pub fn of_bytes() -> Self {
        let mut pieces: Vec<Box<[u8]>> = (0..=255).map(|byte| Box::from([byte])).collect();
        pieces.push(Box::default());
        Self::new(pieces, 256, false, false, None).expect("the start token is the last")
    }

    /// The number of tokens of the vocabulary. Escapes are the 256 numbers behind them.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The token that stands before the first one of a window.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Tokens that stand for nothing, which are never coded.
    pub fn silent(&self) -> &[u32] {
        &self.silent
    }

    /// Whether the first token's piece begins with a space that is not there.
    pub fn space_before(&self) -> bool {
        self.space_before
    }

    /// The byte that an escape stands for.
    pub fn escaped(&self, token: u32) -> Option<u8> {
        (token as usize).checked_sub(self.len()).and_then(|byte| u8::try_from(byte).ok())
    }

    /// The escape of a byte.
    pub fn escape(&self, byte: u8) -> u32 {
        self.len() as u32 + u32::from(byte)
    }

    /// What the model is fed for a token: the token itself, or for an escape the start token.
    pub fn input(&self, token: u32) -> u32 {
        if (token as usize) < self.len() { token } else { self.start }
    }

    /// Appends what a token stands for; false if that is nothing.
    pub fn append(&self, token: u32, out: &mut Vec<u8>) -> bool {
        match self.escaped(token) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(self.pieces.get(token as usize).map_or(&[], |p| p)),
        }
        self.escaped(token).is_some()
            || self.pieces.get(token as usize).is_some_and(|p| !p.is_empty())
    }

    /// Tokens whose pieces are `data`, or a space and `data` if the tokenizer puts one before texts.
    pub fn encode(&self, data: &[u8]) -> Vec<u32> {
        let mut tokens = Vec::new();
        if self.space_before && !data.is_empty() {
            self.encode_exact(&[b" ", data].concat(), &mut tokens);
        } else {
            self.encode_exact(data, &mut tokens);
        }
        tokens
    }

    fn encode_exact(&self, data: &[u8], tokens: &mut Vec<u32>) {
        for chunk in data.utf8_chunks() {
            let mut text = chunk.valid();
            if self.marked_spaces {
                // A mark in the text itself would come back as a space.
                while let Some((before, after)) = text.split_once(MARK) {
                    self.encode_text(before, tokens);
                    self.longest_pieces(MARK.encode_utf8(&mut [0; 4]).as_bytes(), tokens);
                    text = after;
                }
            }
            self.encode_text(text, tokens);
            self.longest_pieces(chunk.invalid(), tokens);
        }
    }

    /// Asks the tokenizer, and takes its tokens as long as their pieces are the text.
    fn encode_text(&self, mut text: &str, tokens: &mut Vec<u32>) {
        for _ in 0..MAX_RETRIES {
            if text.is_empty() {
                return;
            }
            let Some(found) = self.ask(text) else { break };
            let rest = self.take_matching(&found, text.as_bytes(), tokens);
            let done = text.len() - rest;
            if rest == 0 {
                return;
            }
            // Up to the next character, behind which the tokenizer may be right again.
            let mut end = done + 1;
            while !text.is_char_boundary(end) {
                end += 1;
            }
            self.longest_pieces(&text.as_bytes()[done..end], tokens);
            text = &text[end..];
        }
        self.longest_pieces(text.as_bytes(), tokens);
    }

    /// The tokenizer's tokens for `text`. It is a large library: that it panics for some text must not lose a file.
    fn ask(&self, text: &str) -> Option<Vec<u32>> {
        let tokenizer = self.tokenizer.as_ref()?;
        let marked = self.marked_spaces.then(|| text.replace(' ', "\u{2581}"));
        let text = marked.as_deref().unwrap_or(text);
        let ask = AssertUnwindSafe(|| tokenizer.encode_fast(text, false).ok());
        Some(catch_unwind(ask).ok()??.get_ids().to_vec())
    }

    /// Appends tokens while their pieces are `text`; returns how many bytes are left.
    fn take_matching(&self, found: &[u32], mut text: &[u8], tokens: &mut Vec<u32>) -> usize {
        for &token in found {
            let Some(piece) = self.pieces.get(token as usize).filter(|p| !p.is_empty()) else {
                break;
            };
            let Some(rest) = text.strip_prefix(&**piece) else { break };
            tokens.push(token);
            text = rest;
        }
        text.len()
    }

    /// Takes the longest piece that fits, again and again, and an escape where none does.
    fn longest_pieces(&self, mut data: &[u8], tokens: &mut Vec<u32>) {
        while let Some(&byte) = data.first() {
            let most = self.longest.min(data.len());
            let fits = |len: usize| self.by_piece.get(&data[..len]).map(|&token| (token, len));
            let (token, len) = (1..=most).rev().find_map(fits).unwrap_or((self.escape(byte), 1));
            tokens.push(token);
            data = &data[len..];
        }
    }

    /// Adds all that codes depend on to an identity: start token, space before, and for each token the length of its piece
    /// and the piece. How text becomes tokens is the encoder's affair.
    pub fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.start.to_le_bytes());
        hasher.update(&[u8::from(self.space_before)]);
        hasher.update(&(self.pieces.len() as u64).to_le_bytes());
        for piece in &self.pieces {
            hasher.update(&(piece.len() as u32).to_le_bytes());
            hasher.update(piece);
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.pieces.len())
    }
}
