//! Reads a deflate stream (RFC 1951) block by block, as tokens.

use super::bits::BitReader;
use super::matcher::{LEAST, MOST};
use super::prefix::{Decoder, END, Lengths};

/// Most tokens of a block that is undone.
pub(super) const MOST_TOKENS: usize = 1 << 18; // frozen

/// The shortest length and distance of each symbol, and the bits behind it.
pub(super) static LENGTHS: [(u16, u8); 29] = {
    let (mut table, mut symbol) = ([(258, 0); 29], 0);
    while symbol < 28 {
        let bits = if symbol < 8 { 0 } else { symbol / 4 - 1 };
        let start = if symbol < 8 { symbol } else { (4 + symbol % 4) << bits };
        table[symbol] = (3 + start as u16, bits as u8);
        symbol += 1;
    }
    table
}; // frozen
pub(super) static DISTANCES: [(u16, u8); 30] = {
    let (mut table, mut symbol) = ([(0, 0); 30], 0);
    while symbol < 30 {
        let bits = if symbol < 4 { 0 } else { symbol / 2 - 1 };
        let start = if symbol < 4 { symbol } else { (2 + symbol % 2) << bits };
        table[symbol] = (1 + start as u16, bits as u8);
        symbol += 1;
    }
    table
}; // frozen

/// A literal or a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// 0 of a literal.
    pub(super) distance: u16,
    /// A length, or the byte.
    pub(super) value: u16,
}

impl Token {
    pub(super) fn literal(byte: u8) -> Self {
        Self { distance: 0, value: byte.into() }
    }

    /// Bytes of content.
    pub(super) fn len(self) -> usize {
        if self.distance == 0 { 1 } else { self.value.into() }
    }

    /// Appends its content; `None` if that is more than so much, or is not known.
    fn write(self, content: &mut Vec<u8>, most: usize) -> Option<()> {
        let room = most.checked_sub(content.len())?;
        if self.len() > room {
            return None;
        }
        match usize::from(self.distance) {
            0 => content.push(self.value as u8),
            distance => {
                let start = content.len().checked_sub(distance)?;
                if distance >= self.len() {
                    content.extend_from_within(start..start + self.len());
                } else {
                    (start..start + self.len()).for_each(|at| content.push(content[at]));
                }
            }
        }
        Some(())
    }
}

/// A block of a stream.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub(super) last: bool,
    /// 0 stored, 1 with the fixed code, 2 with a code of its own.
    pub(super) kind: u32,
    /// Of a block of kind 2, where its header begins.
    pub(super) header: Option<BitReader<'a>>,
    pub(super) tokens: Vec<Token>,
    /// Of a stored block, its content and the bits before its length.
    pub(super) stored: &'a [u8],
    pub(super) padding: u32,
}

impl Block<'_> {
    /// Appends its content; `None` if all is more than so much, or a distance goes too far.
    pub(super) fn write(&self, content: &mut Vec<u8>, most: usize) -> Option<()> {
        if self.stored.len() > most.checked_sub(content.len())? {
            return None;
        }
        content.extend_from_slice(self.stored);
        self.tokens.iter().try_for_each(|token| token.write(content, most))
    }
}

/// The next block; `None` if it is none, or has more tokens than are undone.
pub(super) fn read<'a>(bits: &mut BitReader<'a>, block: &mut Block<'a>) -> Option<()> {
    *block = Block { tokens: std::mem::take(&mut block.tokens), ..Block::default() };
    block.tokens.clear();
    block.last = bits.take(1)? == 1;
    block.kind = bits.take(2)?;
    let lengths = match block.kind {
        0 => {
            block.padding = bits.take(bits.padding())?;
            let (len, complement) = (bits.take(16)?, bits.take(16)?);
            block.stored = bits.take_bytes(len as usize)?;
            return (len ^ complement == 0xffff).then_some(());
        }
        1 => Lengths::fixed(),
        2 => {
            block.header = Some(bits.clone());
            Lengths::read(|count| bits.take(count))?
        }
        _ => return None,
    };
    let (literals, distances) =
        (Decoder::new(&lengths.literals)?, Decoder::new(&lengths.distances)?);
    loop {
        let token = match literals.next(bits)? {
            END => return Some(()),
            byte @ 0..END => Token::literal(byte as u8),
            symbol => {
                let &(start, extra) = LENGTHS.get(symbol - END - 1)?;
                let len = usize::from(start) + bits.take(extra.into())? as usize;
                // The longest length has a symbol of its own.
                let is_spelled = len < MOST || symbol == END + LENGTHS.len();
                is_spelled.then_some(())?;
                let &(start, extra) = DISTANCES.get(distances.next(bits)?)?;
                let distance = u32::from(start) + bits.take(extra.into())?;
                debug_assert!((LEAST..=MOST).contains(&len));
                Token { distance: distance as u16, value: len as u16 }
            }
        };
        if block.tokens.len() == MOST_TOKENS {
            return None;
        }
        block.tokens.push(token);
    }
}
