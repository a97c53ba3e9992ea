//! Instructions of x86: where each begins, what its bytes are, and contexts made of both.
//!
//! The length of an instruction follows from prefixes, opcode, ModRM and SIB. Whoever starts anywhere in a program is in step with
//! it after a few instructions. Nothing is refused: bytes that are no program are cut into some instructions, too.

use super::{CONTEXTS, View};
use crate::predict::cm::text::combine;

/// What the next byte of an instruction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The first byte of an instruction.
    First,
    /// A prefix or the opcode, behind prefixes.
    Opcode,
    /// The opcode behind 0F.
    Second,
    /// The opcode behind 0F 38 or 0F 3A.
    Third,
    /// A byte of a VEX or EVEX prefix behind its first one.
    Vex,
    ModRm,
    Sib,
    Displacement,
    /// A displacement of four bytes from the end of the instruction.
    Relative,
    Immediate,
    /// A branch's distance from the end of the instruction.
    Branch,
}

/// How many there are.
const NEXTS: u8 = 11; // frozen

impl Next {
    /// Whether it is a number in an instruction.
    fn is_value(self) -> bool {
        matches!(self, Self::Displacement | Self::Relative | Self::Immediate | Self::Branch)
    }
}

/// Follows the instructions of a program.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    /// 64-bit mode.
    wide: bool,
    pub(super) next: Next,
    /// Bytes left of what is next, if that is of several bytes.
    pub(super) left: u8,
    /// Bytes of the immediate, or the branch, that ends the instruction.
    immediate: u8,
    immediate_is_branch: bool,
    /// 0 is the map without 0F, 1 that of 0F, 2 of 0F 38, 3 of 0F 3A.
    pub(super) map: u8,
    pub(super) opcode: u8,
    pub(super) modrm: u8,
    /// The opcode of the last whole instruction, in which its map is folded.
    pub(super) done: u8,
    /// Whether an operand has 16 bits, and whether it has 64.
    short: bool,
    long: bool,
}

/// What follows an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operands {
    None,
    Byte,
    Two,
    Three,
    /// Four bytes, or two of a 16-bit operand.
    Full,
    /// Eight bytes of a 64-bit operand, else as `Full`.
    Any,
    /// An address.
    Address,
    /// Six bytes, of which only 32-bit programs have any.
    Far,
    Near,
    Branch,
    ModRm,
    ModRmByte,
    ModRmFull,
    /// A byte if the operation is one of the first two.
    TestByte,
    TestFull,
}

/// What follows an opcode of map 0.
fn operands(opcode: u8) -> Operands {
    use Operands::*;
    match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => ModRm,
            4 => Byte,
            5 => Full,
            _ => None,
        },
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => ModRm,
        0x68 | 0xa9 => Full,
        0x69 | 0x81 | 0xc7 => ModRmFull,
        0x6a | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xd4 | 0xd5 | 0xe4..=0xe7 => Byte,
        0x6b | 0x80 | 0x82 | 0x83 | 0xc0 | 0xc1 | 0xc6 => ModRmByte,
        0x70..=0x7f | 0xe0..=0xe3 | 0xeb => Near,
        0x9a | 0xea => Far,
        0xa0..=0xa3 => Address,
        0xb8..=0xbf => Any,
        0xc2 | 0xca => Two,
        0xc8 => Three,
        0xe8 | 0xe9 => Branch,
        0xf6 => TestByte,
        0xf7 => TestFull,
        _ => None,
    }
}

/// What follows an opcode of map 1.
fn operands_0f(opcode: u8) -> Operands {
    use Operands::*;
    match opcode {
        0x05..=0x09 | 0x0b | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => None,
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => ModRmByte,
        0x80..=0x8f => Branch,
        _ => ModRm,
    }
}

impl Decoder {
    pub(super) fn new(wide: bool) -> Self {
        Self {
            wide,
            next: Next::First,
            left: 0,
            immediate: 0,
            immediate_is_branch: false,
            map: 0,
            opcode: 0,
            modrm: 0,
            done: 0,
            short: false,
            long: false,
        }
    }

    /// If the next four bytes are a distance from the end of the instruction: how many bytes lie between them and that end.
    pub(super) fn distance(&self) -> Option<u32> {
        match (self.next, self.left) {
            (Next::Branch, 4) => Some(0),
            (Next::Relative, 4) => Some(self.immediate.into()),
            _ => None,
        }
    }

    fn begin(&mut self) {
        *self = Self { done: self.opcode ^ self.map << 6, ..Self::new(self.wide) };
    }

    /// Takes in the next byte.
    pub(super) fn push(&mut self, byte: u8) {
        match self.next {
            Next::First | Next::Opcode => self.first(byte),
            Next::Second => match byte {
                0x38 | 0x3a => {
                    self.map = if byte == 0x38 { 2 } else { 3 };
                    self.next = Next::Third;
                }
                _ => self.opcode(byte),
            },
            Next::Third => self.opcode(byte),
            Next::Vex => {
                // The first byte behind C4 or 62 has the map.
                if self.map == 0 {
                    self.map = (byte & 3).max(1);
                }
                self.left -= 1;
                if self.left == 0 {
                    self.next = Next::Third;
                }
            }
            Next::ModRm => self.modrm(byte),
            Next::Sib => match (self.modrm >> 6, byte & 7) {
                (0, 5) => self.displacement(Next::Displacement, 4),
                (1, _) => self.displacement(Next::Displacement, 1),
                (2, _) => self.displacement(Next::Displacement, 4),
                _ => self.immediate(),
            },
            Next::Displacement | Next::Relative => {
                self.left -= 1;
                if self.left == 0 {
                    self.immediate();
                }
            }
            Next::Immediate | Next::Branch => {
                self.left -= 1;
                if self.left == 0 {
                    self.begin();
                }
            }
        }
    }

    fn first(&mut self, byte: u8) {
        self.next = Next::Opcode;
        match byte {
            0x66 => self.short = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf0 | 0xf2 | 0xf3 => {}
            0x40..=0x4f if self.wide => self.long = byte & 8 != 0,
            0x0f => {
                self.map = 1;
                self.next = Next::Second;
            }
            0xc5 if self.wide => self.vex(1, 1),
            0xc4 if self.wide => self.vex(0, 2),
            0x62 if self.wide => self.vex(0, 3),
            _ => self.opcode(byte),
        }
    }

    fn vex(&mut self, map: u8, left: u8) {
        (self.map, self.left, self.next) = (map, left, Next::Vex);
    }

    fn opcode(&mut self, byte: u8) {
        self.opcode = byte;
        let full = if self.short { 2 } else { 4 };
        let operands = match self.map {
            0 => operands(byte),
            1 => operands_0f(byte),
            2 => Operands::ModRm,
            _ => Operands::ModRmByte,
        };
        let (has_modrm, immediate) = match operands {
            Operands::None => (false, 0),
            Operands::Byte | Operands::Near => (false, 1),
            Operands::Two => (false, 2),
            Operands::Three => (false, 3),
            Operands::Full => (false, full),
            Operands::Any => (false, if self.long { 8 } else { full }),
            Operands::Address => (false, if self.wide { 8 } else { 4 }),
            Operands::Far => (false, if self.wide { 0 } else { 6 }),
            Operands::Branch => (false, 4),
            Operands::ModRm | Operands::TestByte | Operands::TestFull => (true, 0),
            Operands::ModRmByte => (true, 1),
            Operands::ModRmFull => (true, full),
        };
        self.immediate = immediate;
        self.immediate_is_branch = matches!(operands, Operands::Branch | Operands::Near);
        if has_modrm {
            self.next = Next::ModRm;
        } else {
            self.immediate();
        }
    }

    fn modrm(&mut self, byte: u8) {
        self.modrm = byte;
        if self.map == 0 && matches!(self.opcode, 0xf6 | 0xf7) && byte >> 3 & 7 < 2 {
            self.immediate = match (self.opcode, self.short) {
                (0xf6, _) => 1,
                (_, true) => 2,
                (_, false) => 4,
            };
        }
        match (byte >> 6, byte & 7) {
            (3, _) => self.immediate(),
            (_, 4) => self.next = Next::Sib,
            (0, 5) if self.wide => self.displacement(Next::Relative, 4),
            (0, 5) => self.displacement(Next::Displacement, 4),
            (0, _) => self.immediate(),
            (1, _) => self.displacement(Next::Displacement, 1),
            _ => self.displacement(Next::Displacement, 4),
        }
    }

    fn displacement(&mut self, next: Next, bytes: u8) {
        (self.next, self.left) = (next, bytes);
    }

    fn immediate(&mut self) {
        if self.immediate == 0 {
            return self.begin();
        }
        self.left = self.immediate;
        self.next = if self.immediate_is_branch { Next::Branch } else { Next::Immediate };
    }
}

/// What a model sees of the instructions before the next byte.
#[derive(Debug, Clone)]
pub(super) struct Instructions {
    decoder: Decoder,
    /// Hashes of this instruction so far: of all bytes, of those that are no numbers, and of the number that has begun.
    all: u32,
    head: u32,
    value: u32,
    sib: u8,
    /// Of the instructions before: all bytes of the last one, heads of the last three, opcodes.
    whole: u32,
    heads: [u32; 3],
    opcodes: u32,
}

impl Instructions {
    pub(super) fn new(wide: bool) -> Self {
        let decoder = Decoder::new(wide);
        Self { decoder, all: 0, head: 0, value: 0, sib: 0, whole: 0, heads: [0; 3], opcodes: 0 }
    }

    /// What the next byte is, and how many bytes are left of it.
    fn field(&self) -> u32 {
        u32::from(self.decoder.next as u8 + NEXTS * self.decoder.left)
    }

    /// Takes in the next byte.
    pub(super) fn push(&mut self, byte: u8) {
        let (next, left) = (self.decoder.next, self.decoder.left);
        self.all = combine(self.all, u32::from(byte) | self.field() << 8);
        self.decoder.push(byte);
        if !next.is_value() {
            self.head = combine(self.head, byte.into());
        } else if left > 1 {
            self.value = combine(self.value, byte.into());
        } else {
            self.value = 0;
        }
        if next == Next::Sib {
            self.sib = byte;
        }
        if self.decoder.next == Next::First {
            self.heads = [self.head, self.heads[0], self.heads[1]];
            self.opcodes = self.opcodes << 8 | u32::from(self.decoder.done);
            self.whole = self.all;
            (self.all, self.head, self.value, self.sib) = (0, 0, 0, 0);
        }
    }

    pub(super) fn view(&self) -> View {
        let [h0, h1, h2] = self.heads;
        let decoder = &self.decoder;
        let base = match self.sib {
            0 => u32::from(decoder.modrm & 0xc7),
            sib => 256 | u32::from(sib),
        };
        let field = self.field();
        let with = |a, b| combine(combine(a, b), field);
        let contexts: [u32; CONTEXTS] = [
            with(self.all, 0),
            with(self.all, h0),
            with(self.all, combine(h0, h1)),
            with(self.all, combine(combine(h0, h1), h2)),
            with(self.all, self.opcodes & 0xff_ffff),
            with(self.value, base),
            with(self.all, self.whole),
        ];
        let opcode = if decoder.next == Next::First { decoder.done } else { decoder.opcode };
        View { contexts, field: field as u8, opcode }
    }
}
