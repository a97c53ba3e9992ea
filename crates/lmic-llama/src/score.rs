//! How many bits a model needs for data: the walk of the encoder, with a coder that adds up instead of coding. These are
//! estimates, as no code is made.

use lmic::coder::Coder;
use lmic::nn::Windows;
use lmic::progress::Progress;
use lmic::quantize::{BitProb, Distribution};
use lmic::walk::CodeLength;

use crate::Llama;
use crate::block::Walk;

/// How to score.
#[derive(Debug, Clone, Copy)]
pub struct ScoreOptions {
    /// How blocks are walked; `None` is the model's own.
    pub windows: Option<Windows>,
    /// Bytes that are scored alone: a file is cut into chunks of this many. The paper has 2048.
    pub chunk: usize,
    /// Bytes become ASCII by losing their lowest bit, as the paper has it for images and audio.
    pub ascii: bool,
    /// If not 0, also adds up the bits for coding only the k likeliest tokens as such, and all others behind an escape.
    pub top_k: usize,
    /// Whether tokens that stand for nothing (special and unused ones) get no probability, as in codes. Otherwise the model's
    /// softmax is taken as it is, which is what others report.
    pub as_coded: bool,
    /// How many threads compute products.
    pub threads: usize,
}

/// Sums over all that was scored. The fields add up over files.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Raw bytes.
    pub bytes: u64,
    /// Tokens that the bytes became.
    pub tokens: u64,
    /// Bytes that no token stood for.
    pub escapes: u64,
    /// Sum of `-log2 p` over all tokens and escapes, as the coder has p.
    pub bits: f64,
    /// Bits that were taken out of the data before it was scored (one a byte with `ascii`). A decoder would need them, too.
    pub lost_bits: u64,
    /// The bits with top-k truncation.
    pub top_k_bits: f64,
    /// Tokens outside of the k likeliest.
    pub top_k_escapes: u64,
}

impl Default for ScoreOptions {
    /// Chunks of 64 KiB, windows as when coding, the model's own softmax, one thread.
    fn default() -> Self {
        Self { windows: None, chunk: 64 << 10, ascii: false, top_k: 0, as_coded: false, threads: 1 }
    }
}

impl Score {
    /// Adds what was scored of more data.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.tokens += other.tokens;
        self.escapes += other.escapes;
        self.bits += other.bits;
        self.lost_bits += other.lost_bits;
        self.top_k_bits += other.top_k_bits;
        self.top_k_escapes += other.top_k_escapes;
    }

    /// Bits a byte, all of them counted.
    pub fn bits_per_byte(&self) -> f64 {
        (self.bits + self.lost_bits as f64) / self.bytes.max(1) as f64
    }

    /// What the paper's program reports if bits were taken out before: the bits for what is left, scaled up as if each bit that
    /// was taken out cost as much. In truth the lowest bits of samples cost more.
    pub fn bits_per_byte_scaled(&self) -> f64 {
        let all = 8.0 * self.bytes.max(1) as f64;
        8.0 * self.bits / (all - self.lost_bits as f64)
    }

    /// Bits a token.
    pub fn bits_per_token(&self) -> f64 {
        self.bits / self.tokens.max(1) as f64
    }

    /// 2 to the bits a token.
    pub fn perplexity(&self) -> f64 {
        self.bits_per_token().exp2()
    }

    /// Coded / raw.
    pub fn raw_rate(&self) -> f64 {
        self.bits_per_byte() / 8.0
    }

    /// (Coded + model) / raw.
    pub fn adjusted_rate(&self, model_bytes: u64) -> f64 {
        self.raw_rate() + model_bytes as f64 / self.bytes.max(1) as f64
    }

    /// Bits a byte with top-k truncation.
    pub fn top_k_bits_per_byte(&self) -> f64 {
        (self.top_k_bits + self.lost_bits as f64) / self.bytes.max(1) as f64
    }
}

/// What one token of data costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenCost {
    /// The token; from the size of the vocabulary on, the escape of a byte.
    pub token: u32,
    /// Bytes that it stands for. (A first token whose piece is a space before the text stands for none.)
    pub len: usize,
    /// Its `-log2 p`, for an escape with the bits of the byte.
    pub bits: f64,
}

impl Llama {
    /// Scores `data`.
    pub fn score(&self, data: &[u8], options: &ScoreOptions, progress: &Progress) -> Score {
        let mut tally = Tally { top_k: options.top_k, ..Tally::default() };
        self.score_into(&mut tally, data, options, progress);
        tally.score
    }

    /// What each token of `data` costs. There are no lanes, so that every token has all before it in its window as context. After
    /// [`Progress::stop`] some are missing.
    pub fn token_costs(
        &self,
        data: &[u8],
        options: &ScoreOptions,
        progress: &Progress,
    ) -> Vec<TokenCost> {
        let windows = options.windows.unwrap_or(self.default_windows());
        let options = ScoreOptions { windows: Some(Windows { lanes: 1, ..windows }), ..*options };
        let mut tally = Tally { costs: Some(Vec::new()), ..Tally::default() };
        self.score_into(&mut tally, data, &options, progress);
        let tokens = data.chunks(options.chunk.max(1)).flat_map(|chunk| {
            let chunk = if options.ascii { &seven_bits(chunk) } else { chunk };
            let mut spaces = usize::from(self.tokens.space_before());
            self.tokens(chunk).into_iter().map(move |token| {
                let mut piece = Vec::new();
                self.tokens.append(token, &mut piece);
                (token, piece.len() - std::mem::take(&mut spaces))
            })
        });
        let costs = tally.costs.unwrap_or_default();
        tokens.zip(costs).map(|((token, len), bits)| TokenCost { token, len, bits }).collect()
    }

    /// What each byte of `data` costs, in bits: all bytes of a token cost the same, their part of what [`Llama::token_costs`] says
    /// of it.
    pub fn byte_costs(&self, data: &[u8], options: &ScoreOptions, progress: &Progress) -> Vec<f64> {
        let mut costs = Vec::with_capacity(data.len());
        let mut before = 0.0; // of a token without bytes
        for TokenCost { len, bits, .. } in self.token_costs(data, options, progress) {
            before += bits;
            if len > 0 {
                costs.extend(std::iter::repeat_n(before / len as f64, len));
                before = 0.0;
            }
        }
        costs
    }

    fn score_into(
        &self,
        tally: &mut Tally,
        data: &[u8],
        options: &ScoreOptions,
        progress: &Progress,
    ) {
        let walk = Walk {
            model: &self.model,
            tokens: &self.tokens,
            windows: options.windows.unwrap_or(self.default_windows()),
            threads: options.threads,
            masked: options.as_coded,
            progress,
        };
        for chunk in data.chunks(options.chunk.max(1)) {
            let mut chunk = if options.ascii { seven_bits(chunk) } else { chunk.to_vec() };
            if options.ascii {
                tally.score.lost_bits += chunk.len() as u64;
            }
            tally.score.bytes += chunk.len() as u64;
            walk.code(tally, &mut chunk).expect("a scorer is told tokens that fit");
        }
    }
}

/// Bytes without their lowest bit.
fn seven_bits(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte >> 1).collect()
}

/// The coder that adds up the scores.
#[derive(Debug, Default)]
struct Tally {
    score: Score,
    top_k: usize,
    /// Whether the next symbol is the byte that an escape stands for.
    in_escape: bool,
    /// The bits of each token, if they are wanted.
    costs: Option<Vec<f64>>,
}

impl Tally {
    /// Bits of a token if only the k likeliest tokens have intervals and all others are behind an escape. The probability of the
    /// escape is how often there was one so far.
    fn truncated<D: Distribution>(&mut self, tokens: &D, token: usize, bits: f64) -> f64 {
        let k = self.top_k.min(tokens.symbols());
        let size = |token| tokens.size(token);
        let mut sorted: Vec<u32> = (0..tokens.symbols()).map(size).collect();
        let (likely, kth, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        let kth = *kth;
        let inside: f64 = likely.iter().map(|&s| f64::from(s)).sum::<f64>() + f64::from(kth);
        let seen = self.score.tokens as f64;
        let escape = (self.score.top_k_escapes as f64 + 0.5) / (seen + 1.0);
        let inside_bits = f64::from(D::BITS) - inside.log2();
        if size(token) >= kth {
            return bits - inside_bits - (1.0 - escape).log2();
        }
        self.score.top_k_escapes += 1;
        let outside = (1.0 - inside / f64::from(1u32 << D::BITS)).max(f64::MIN_POSITIVE);
        bits + outside.log2() - escape.log2()
    }
}

impl Coder for Tally {
    const TOLD: bool = true;

    fn bit(&mut self, _p1: BitProb, _bit: bool) -> bool {
        unreachable!("a model of tokens codes symbols")
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        let mut length = CodeLength::default();
        length.symbol(distribution, symbol);
        let bits = length.bits();
        self.score.bits += bits;
        if self.in_escape {
            self.score.top_k_bits += if self.top_k > 0 { bits } else { 0.0 };
            self.in_escape = false;
            if let Some(last) = self.costs.as_mut().and_then(|costs| costs.last_mut()) {
                *last += bits;
            }
            return symbol;
        }
        if self.top_k > 0 {
            self.score.top_k_bits += self.truncated(distribution, symbol, bits);
        }
        if let Some(costs) = &mut self.costs {
            costs.push(bits);
        }
        self.score.tokens += 1;
        self.in_escape = symbol + 1 == distribution.symbols();
        self.score.escapes += u64::from(self.in_escape);
        symbol
    }
}
