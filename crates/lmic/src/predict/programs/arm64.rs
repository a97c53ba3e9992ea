//! Instructions of AArch64: words of four bytes, of which the highest comes first once branches are absolute.

use super::{CONTEXTS, View};
use crate::predict::cm::text::combine;

/// A word as its bytes stand in a program, with the target of BL and ADRP in place of the distance, or back.
pub(super) fn absolute(word: u32, at: u32) -> u32 {
    shifted(word, at / 4, at / 4096)
}

/// The inverse of [`absolute`].
pub(super) fn relative(word: u32, at: u32) -> u32 {
    shifted(word, (at / 4).wrapping_neg(), (at / 4096).wrapping_neg())
}

/// Adds to the distance of BL, which counts words, and to that of ADRP, which counts pages.
fn shifted(word: u32, words: u32, pages: u32) -> u32 {
    const BRANCH: u32 = 0x03ff_ffff; // frozen
    if word & !BRANCH == 0x9400_0000 {
        return word & !BRANCH | word.wrapping_add(words) & BRANCH;
    }
    if word & 0x9f00_0000 == 0x9000_0000 {
        // Two low bits of the distance stand at bit 29, nineteen high ones at bit 5.
        let distance = (word >> 29 & 3 | (word >> 5 & 0x7_ffff) << 2).wrapping_add(pages);
        return word & 0x9f00_001f | (distance & 3) << 29 | (distance >> 2 & 0x7_ffff) << 5;
    }
    word
}

/// What a model sees of the instructions before the next byte.
#[derive(Debug, Clone)]
pub(super) struct Instructions {
    /// How many bytes of a word are known, and these.
    known: u8,
    word: u32,
    /// The last three words.
    before: [u32; 3],
    /// The last word that began with each byte.
    alike: Box<[u32; 256]>,
}

impl Instructions {
    /// For bytes that begin at `at` of a block, which has whole words.
    pub(super) fn new(at: usize) -> Self {
        Self { known: (at & 3) as u8, word: 0, before: [0; 3], alike: Box::new([0; 256]) }
    }

    /// Takes in the next byte.
    pub(super) fn push(&mut self, byte: u8) {
        self.word = self.word << 8 | u32::from(byte);
        self.known += 1;
        if self.known == 4 {
            let [a, b, _] = self.before;
            self.alike[(self.word >> 24) as usize] = self.word;
            self.before = [self.word, a, b];
            (self.known, self.word) = (0, 0);
        }
    }

    pub(super) fn view(&self) -> View {
        let known = u32::from(self.known);
        let [w0, w1, _] = self.before;
        let [o0, o1, o2] = self.before.map(|word| word >> 21);
        let with = |a, b| combine(combine(a, b), known);
        let first = match known {
            0 => w0 >> 24,
            _ => self.word >> (8 * (known - 1)),
        };
        let alike = if known == 0 { 0 } else { self.alike[first as usize & 255] };
        let contexts: [u32; CONTEXTS] = [
            with(self.word, 0),
            with(self.word, o0),
            with(self.word, combine(o0, o1)),
            with(self.word, combine(combine(o0, o1), o2)),
            with(self.word, w0),
            with(self.word, combine(w0, w1)),
            with(self.word, combine(alike, 1)),
        ];
        let field = (known | (first & 0xfc)) as u8;
        View { contexts, field, opcode: (w0 >> (24 - 8 * known)) as u8 }
    }
}
