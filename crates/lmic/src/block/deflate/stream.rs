//! The walk over a stream, by which it is undone and redone: what is not as an encoder of zlib's kind would have it is coded.
//!
//! An encoder is told the stream's bits and hands what is unexpected to its coder; a decoder is told the same by its coder, and writes
//! the bits. docs/format/deflate.md specifies it.

use super::bits::{BitReader, BitWriter};
use super::inflate::{self, Block, DISTANCES, LENGTHS, MOST_TOKENS, Token};
use super::matcher::{LEAST, Match, Matcher, Settings};
use super::prefix::{self, END, LITERALS, Lengths};
use crate::block::copies::{Numbers, adaptive};
use crate::coder::Coder;
use crate::predict::cm::counter::Adaptive;
use crate::quantize::BitProb;

/// A bound of what a walk takes beside content and stream.
pub(super) const MEMORY: u64 = Matcher::MEMORY + 8 * MOST_TOKENS as u64 + (1 << 20); // tunable

/// Adaptive bits of what is unexpected: they are shared by all streams of a block.
#[derive(Debug, Clone)]
pub(super) struct Models {
    kinds: [Adaptive; 4],
    lasts: Adaptive,
    /// Whether bits that fill up a byte are not all zero.
    paddings: Adaptive,
    stored: Numbers,
    /// Whether the number of a block's tokens is unexpected, and the number.
    ends: Adaptive,
    counts: Numbers,
    /// Whether the lengths of codes are unexpected.
    headers: Adaptive,
    /// Whether a stream is cut off here.
    cuts: Adaptive,
    tokens: Tokens,
}

/// Adaptive bits of tokens. The first index is what was predicted.
#[derive(Debug, Clone)]
struct Tokens {
    /// Whether it was wrong, by whether the last two were.
    wrong: [[Adaptive; 4]; 7],
    literals: [Adaptive; 7],
    lens: [[Adaptive; 256]; 2],
    links: [Numbers; 2],
    distances: Numbers,
    /// Whether the last two predictions were wrong.
    before: usize,
}

const FRESH: Adaptive = Adaptive::new(32768, 0); // frozen

impl Models {
    pub(super) fn new() -> Self {
        Self {
            kinds: [FRESH; 4],
            lasts: FRESH,
            paddings: FRESH,
            stored: Numbers::new(),
            ends: FRESH,
            counts: Numbers::new(),
            headers: FRESH,
            cuts: FRESH,
            tokens: Tokens {
                wrong: [[FRESH; 4]; 7],
                literals: [FRESH; 7],
                lens: [[FRESH; 256]; 2],
                links: [Numbers::new(), Numbers::new()],
                distances: Numbers::new(),
                before: 0,
            },
        }
    }
}

/// The `bits` bits of a number, the highest first, each with the adaptive bit of those before it.
pub(super) fn tree<C: Coder>(coder: &mut C, tree: &mut [Adaptive], bits: u32, told: u32) -> u32 {
    let mut node = 1;
    for shift in (0..bits).rev() {
        node = node << 1 | usize::from(adaptive(coder, &mut tree[node], told >> shift & 1 == 1));
    }
    node as u32 - (1 << bits)
}

/// Bits that are anything, the lowest first.
fn even<C: Coder>(coder: &mut C, count: u32, told: u32) -> u32 {
    (0..count)
        .fold(0, |found, at| found | u32::from(coder.bit(BitProb::HALF, told >> at & 1 == 1)) << at)
}

impl Tokens {
    /// Codes the token at `at`, which is told if the coder is; `None` if it is none.
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        matcher: &mut Matcher<'_>,
        at: usize,
        told: Option<Token>,
    ) -> Option<Token> {
        let Match { len, distance } = matcher.predict(at);
        let guess = match len {
            0 => Token::literal(matcher.byte(at)),
            _ => Token { distance: distance as u16, value: len as u16 },
        };
        let class = match len {
            0 => usize::from(matcher.looks_ahead()),
            3 => 2,
            4..=5 => 3,
            6..=15 => 4,
            16..=257 => 5,
            _ => 6,
        };
        let is_wrong = told.is_some_and(|token| token != guess);
        let is_wrong = adaptive(coder, &mut self.wrong[class][self.before], is_wrong);
        self.before = (self.before << 1 | usize::from(is_wrong)) & 3;
        let token = if is_wrong { self.other(coder, matcher, at, class, told)? } else { guess };
        matcher.pass(at, token.len(), !is_wrong);
        Some(token)
    }

    fn other<C: Coder>(
        &mut self,
        coder: &mut C,
        matcher: &mut Matcher<'_>,
        at: usize,
        class: usize,
        told: Option<Token>,
    ) -> Option<Token> {
        let is_match = class >= 2;
        if is_match {
            let is_literal = told.is_some_and(|token| token.distance == 0);
            if adaptive(coder, &mut self.literals[class], is_literal) {
                return Some(Token::literal(matcher.byte(at)));
            }
        }
        let value = told.map_or(0, |token| u32::from(token.value) - LEAST as u32);
        let len = LEAST + tree(coder, &mut self.lens[usize::from(is_match)], 8, value) as usize;
        (at + len <= matcher.len()).then_some(())?;
        matcher.chain_to(at + 1);
        let distance = told.map_or(1, |token| usize::from(token.distance));
        let link = match C::TOLD {
            true => matcher.link_of(at, len, distance).map_or(0, |link| link as u64 + 1),
            false => 0,
        };
        let found = self.links[usize::from(is_match)].code(coder, link);
        let distance = match usize::try_from(found).ok()?.checked_sub(1) {
            Some(_) if C::TOLD => distance,
            Some(link) => matcher.linked(at, len, link)?,
            None => usize::try_from(1 + self.distances.code(coder, distance as u64 - 1)).ok()?,
        };
        (distance <= 1 << 15).then_some(Token { distance: distance as u16, value: len as u16 })
    }
}

/// A stream that is told: its bits, and of how many blocks they are.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) bits: BitReader<'a>,
    pub(super) blocks: usize,
}

/// Walks the stream of `content`, which is told if the coder is, and writes it to `out`; before each block it asks whether to go on,
/// with the bytes so far. `None` if it does not fit together.
pub(super) fn walk<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    content: &[u8],
    settings: Settings,
    mut told: Option<Told<'_>>,
    out: &mut BitWriter,
    go_on: impl Fn(usize) -> bool,
) -> Option<()> {
    let mut matcher = Matcher::new(content, settings);
    let (mut block, mut at) = (Block::default(), 0);
    loop {
        if let Some(told) = &mut told {
            inflate::read(&mut told.bits, &mut block)?;
            told.blocks -= 1;
        }
        go_on(out.len()).then_some(())?;
        let last = adaptive(coder, &mut models.lasts, block.last);
        let kind = tree(coder, &mut models.kinds, 2, block.kind);
        out.push(kind << 1 | u32::from(last), 3);
        match kind {
            0 => {
                padding(coder, &mut models.paddings, out, told.as_ref().map(|_| block.padding));
                let len = models.stored.code(coder, block.stored.len() as u64);
                let len = u16::try_from(len).ok()?;
                let stored = content[at..].get(..len.into())?;
                out.push(len.into(), 16);
                out.push((!len).into(), 16);
                out.extend(stored);
                at += stored.len();
                matcher.pass_stored();
            }
            1 | 2 => {
                tokens(coder, models, &mut matcher, &mut block, &mut at, C::TOLD)?;
                let lengths = match kind {
                    1 => Lengths::fixed(),
                    _ => header(coder, &mut models.headers, &block, out)?,
                };
                write(&block.tokens, &lengths, out)?;
            }
            _ => return None,
        }
        let is_cut = !last && {
            let is_cut = told.as_ref().is_some_and(|told| told.blocks == 0);
            adaptive(coder, &mut models.cuts, is_cut)
        };
        if last || is_cut {
            let bits = told.and_then(|mut told| told.bits.take(told.bits.padding()));
            padding(coder, &mut models.paddings, out, bits);
            return (at == content.len()).then_some(());
        }
    }
}

/// Bits up to the next whole byte.
fn padding<C: Coder>(coder: &mut C, model: &mut Adaptive, out: &mut BitWriter, told: Option<u32>) {
    let count = out.padding();
    let told = told.unwrap_or(0);
    if count > 0 {
        let bits = match adaptive(coder, model, told != 0) {
            true => even(coder, count, told),
            false => 0,
        };
        out.push(bits, count);
    }
}

/// The tokens of a block that begins at `at`.
fn tokens<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    matcher: &mut Matcher<'_>,
    block: &mut Block<'_>,
    at: &mut usize,
    is_told: bool,
) -> Option<()> {
    let end = matcher.len();
    let full = matcher.settings().capacity();
    let is_odd = is_told && {
        let len: usize = block.tokens.iter().map(|token| token.len()).sum();
        block.tokens.len() != full && (block.tokens.len() > full || *at + len != end)
    };
    let count = match adaptive(coder, &mut models.ends, is_odd) {
        true => Some(models.counts.code(coder, block.tokens.len() as u64)),
        false => None,
    };
    let most = count.unwrap_or(full as u64);
    (most <= MOST_TOKENS as u64).then_some(())?;
    let mut told = std::mem::take(&mut block.tokens);
    let mut found = Vec::new();
    while (found.len() as u64) < most && (count.is_some() || *at < end) {
        // A token needs a byte at least.
        (*at < end).then_some(())?;
        let told = is_told.then(|| told[found.len()]);
        let token = models.tokens.code(coder, matcher, *at, told)?;
        *at += token.len();
        (*at <= end).then_some(())?;
        found.push(token);
    }
    told.clear();
    block.tokens = found;
    Some(())
}

/// The header of a block with a code of its own.
fn header<C: Coder>(
    coder: &mut C,
    model: &mut Adaptive,
    block: &Block<'_>,
    out: &mut BitWriter,
) -> Option<Lengths> {
    let (mut literals, mut distances) = ([0; LITERALS], [0; prefix::DISTANCES]);
    literals[END] = 1;
    for &token in &block.tokens {
        match token.distance {
            0 => literals[usize::from(token.value)] += 1,
            distance => {
                literals[END + 1 + length_symbol(token.value)] += 1;
                distances[distance_symbol(distance)] += 1;
            }
        }
    }
    let chosen = Lengths::chosen(&literals, &distances);
    let mut written = BitWriter::default();
    chosen.write(&mut written);
    let (count, mut written) = (written.bits(), written.into_bytes());
    written.extend([0; 8]);
    let mut written = BitReader::new(&written);
    let mut pieces = (0..count).step_by(16).map(|start| (count - start).min(16) as u32);
    let is_odd = block.header.clone().is_some_and(|mut header| {
        let mut written = written.clone();
        pieces.clone().any(|bits| header.take(bits) != written.take(bits))
    });
    if !adaptive(coder, model, is_odd) {
        pieces.try_for_each(|bits| {
            out.push(written.take(bits)?, bits);
            Some(())
        })?;
        return Some(chosen);
    }
    let mut told = block.header.clone();
    Lengths::read(|count| {
        let bits = told.as_mut().map_or(Some(0), |told| told.take(count))?;
        let bits = even(coder, count, bits);
        out.push(bits, count);
        Some(bits)
    })
}

/// Writes tokens and the end of their block; `None` if one of them has no code.
fn write(tokens: &[Token], lengths: &Lengths, out: &mut BitWriter) -> Option<()> {
    let literals = prefix::codes(&lengths.literals)?;
    let distances = prefix::codes(&lengths.distances)?;
    let push = |out: &mut BitWriter, codes: &[u16], lengths: &[u8], symbol: usize| {
        let length = *lengths.get(symbol).filter(|&&length| length > 0)?;
        out.push(codes[symbol].into(), length.into());
        Some(())
    };
    for &Token { distance, value } in tokens {
        if distance == 0 {
            push(out, &literals, &lengths.literals, value.into())?;
            continue;
        }
        let symbol = length_symbol(value);
        push(out, &literals, &lengths.literals, END + 1 + symbol)?;
        let (start, bits) = LENGTHS[symbol];
        out.push((value - start).into(), bits.into());
        let symbol = distance_symbol(distance);
        push(out, &distances, &lengths.distances, symbol)?;
        let (start, bits) = DISTANCES[symbol];
        out.push((distance - start).into(), bits.into());
    }
    push(out, &literals, &lengths.literals, END)
}

/// The symbol of a length, from 0.
fn length_symbol(len: u16) -> usize {
    match usize::from(len) - LEAST {
        255 => 28,
        rest @ 0..8 => rest,
        rest => {
            let bits = rest.ilog2() as usize - 2;
            4 * bits + (rest >> bits)
        }
    }
}

/// The symbol of a distance.
fn distance_symbol(distance: u16) -> usize {
    match usize::from(distance) - 1 {
        rest @ 0..4 => rest,
        rest => {
            let bits = rest.ilog2() as usize - 1;
            2 * bits + (rest >> bits)
        }
    }
}
