//! Contexts for bytes of any kind: what of the past selects a history.

use super::columns::Layout;
use super::fields::{self, Fields};
use super::rows::{Rows, Sight, newest};
use super::text::{Text, spread};
use crate::predict::programs::{Code, Machine};

/// A view of the past, whose hash selects a history. The byte orders look at that many last bytes; the others catch
/// regularities that orders cannot.
#[derive(Debug, Clone, Copy)]
pub enum Context {
    /// The last `n` bytes, 1 to 8.
    Order(u32),
    /// Those of the last eight bytes where the mask is `0xff`: a pattern with holes.
    Sparse(u64),
    /// The word so far, or what stands between words.
    Word,
    /// [`Context::Word`] and the word before.
    Bigram,
    /// [`Context::Word`] and the word before the last.
    SkipBigram,
    /// The kinds of the last characters, in which a run of one kind counts as one, and the last byte.
    Shape,
    /// [`Context::Shape`] without the last character.
    ShapeBefore,
    /// The last eight characters, with only the kind of letters and digits, and the last byte.
    Kinds,
    /// The byte above in the line before, the column and the last byte.
    Above,
    /// The two bytes that followed the last byte the last times, and the last byte.
    Indirect1,
    /// The two bytes that followed the last two bytes the last times, and the last two bytes.
    Indirect2,
    /// One of the contexts of instructions, in a program.
    Code(usize),
    /// One of those that a table or an image has of its own, by its number.
    Field(usize),
}

/// Facts about the past from which contexts are made, updated once a byte.
#[derive(Debug, Clone)]
pub struct Past {
    /// Last 8 bytes, newest lowest.
    pub bytes: u64,
    /// Words and kinds of characters.
    pub text: Text,
    line_start: usize,
    line_before: usize,
    structure: Structure,
}

/// What the bytes of a block form.
#[derive(Debug, Clone)]
enum Structure {
    /// Lines, if they are text.
    Lines,
    /// The instructions of a program.
    Program(Box<Code>),
    /// A table: its shape, and the values of its contexts.
    Table(Fields, [u64; fields::COUNT]),
    /// An image, and what is seen of it.
    Image(Rows, Sight),
}

/// The two bytes that followed each byte, and each pair of bytes, the last times.
#[derive(Debug)]
pub struct Successors {
    after1: Box<[u16; 256]>,
    after2: Box<[u16; 65536]>,
}

impl Successors {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self {
            after1: Box::new([0; 256]),
            after2: vec![0; 65536].try_into().expect("65536 values"),
        }
    }

    /// Bytes on the heap.
    pub const MEMORY: u64 = 2 * (256 + 65536); // tunable
}

impl Past {
    /// Nothing seen yet.
    pub fn new() -> Self {
        let structure = Structure::Lines;
        Self { bytes: 0, text: Text::default(), line_start: 0, line_before: 0, structure }
    }

    /// Nothing seen yet of a program for `machine`, from `at` of a block on.
    pub fn of_program(machine: Machine, at: usize) -> Self {
        Self { structure: Structure::Program(Box::new(Code::new(machine, at))), ..Self::new() }
    }

    /// Nothing seen yet of what stands in columns.
    pub fn in_columns(layout: Layout) -> Self {
        let structure = match layout {
            Layout::Table(fields) => Structure::Table(fields, fields.contexts(&[])),
            Layout::Image(rows) => Structure::Image(rows, rows.look(&[], 0)),
        };
        Self { structure, ..Self::new() }
    }

    /// Takes in the byte that came last.
    pub fn push(&mut self, past: &[u8], successors: &mut Successors) {
        let Some(&byte) = past.last() else { return };
        for after in [
            &mut successors.after1[self.bytes as usize & 0xff],
            &mut successors.after2[self.bytes as usize & 0xffff],
        ] {
            *after = *after << 8 | u16::from(byte);
        }
        self.bytes = self.bytes << 8 | u64::from(byte);
        self.text.push(byte);
        match &mut self.structure {
            Structure::Lines => self.push_line(byte, past.len()),
            Structure::Program(code) => {
                code.push(byte);
                self.text.shape = code.view.field.into();
            }
            Structure::Table(fields, values) => {
                *values = fields.contexts(past);
                self.line_start = past.len() - past.len() % fields.record;
            }
            Structure::Image(rows, sight) => {
                // There may be several that were left alone.
                self.bytes = newest(past);
                *sight = rows.look(past, self.bytes);
                self.text.shape = sight.alike.into();
            }
        }
    }

    fn push_line(&mut self, byte: u8, len: usize) {
        if byte == b'\n' {
            self.line_before = self.line_start;
            self.line_start = len;
        }
    }

    /// Bytes since the line began. A program has no lines: there, it is the opcode. In an image, it is the byte above.
    pub fn column(&self, past: &[u8]) -> usize {
        match &self.structure {
            Structure::Program(code) => code.view.opcode.into(),
            Structure::Image(_, sight) => sight.above.into(),
            _ => past.len() - self.line_start,
        }
    }

    /// The byte at this column in the line before, 0 where that was shorter.
    fn above(&self, past: &[u8]) -> u8 {
        let at = self.line_before + self.column(past);
        if at < self.line_start { past[at] } else { 0 }
    }

    /// Hash of a context. All contexts share one table; `index` goes into the hash so that two of them do not meet in it.
    #[inline]
    pub fn hash(
        &self,
        index: usize,
        context: Context,
        past: &[u8],
        successors: &Successors,
    ) -> u32 {
        let newest = |n: u32| self.bytes & (u64::MAX >> (64 - 8 * n));
        let value = match context {
            Context::Order(n) => newest(n),
            Context::Sparse(mask) => self.bytes & mask,
            Context::Word => self.text.this_word(),
            Context::Bigram => self.text.with_word(0),
            Context::SkipBigram => self.text.with_word(1),
            Context::Shape => u64::from(self.text.shape) | newest(1) << 32,
            Context::ShapeBefore => u64::from(self.text.shape >> 4),
            Context::Kinds => u64::from(self.text.kinds) | newest(1) << 32,
            Context::Above => {
                let column = self.column(past).min(255) as u64;
                u64::from(self.above(past)) | newest(1) << 8 | column << 16
            }
            Context::Indirect1 => {
                u64::from(successors.after1[self.bytes as usize & 0xff]) | newest(1) << 16
            }
            Context::Indirect2 => {
                u64::from(successors.after2[self.bytes as usize & 0xffff]) | newest(2) << 16
            }
            Context::Code(i) => match &self.structure {
                Structure::Program(code) => code.view.contexts[i].into(),
                _ => 0,
            },
            Context::Field(i) => match &self.structure {
                Structure::Table(_, values) => values[i],
                Structure::Image(_, sight) => sight.contexts[i],
                _ => 0,
            },
        };
        spread(value ^ (index as u64 + 1) << 57)
    }
}
