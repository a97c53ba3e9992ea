//! Context mixing for blocks whose bytes stand below each other: tables, which are records of fixed length or columns of numbers, and
//! images of palette colours or of bits.
//!
//! Numbers are coded with the most significant byte first, whatever their order in the block. [`super::fields`] and [`super::rows`] give
//! the contexts.

use super::context_mixer::{ContextMixer, Shape};
use super::counter::Adaptive;
use super::fields::Fields;
use super::matcher::View;
use super::rows::Rows;
use super::store::Whole;
use crate::coder::Coder;
use crate::quantize::BitProb;

/// What stands in columns.
#[derive(Debug, Clone, Copy)]
pub enum Layout {
    /// Records.
    Table(Fields),
    /// Pixels.
    Image(Rows),
}

/// The model of such a block.
#[derive(Debug)]
pub struct Columns {
    mixer: Strength,
    store: Whole,
    /// Bytes of a number.
    width: usize,
    big_endian: bool,
    /// What was coded, in the order of coding.
    coded: Vec<u8>,
    plain: Option<Plain>,
}

/// Pixels in the midst of equal ones, which are one bit each: whether they are equal, too. Most of a drawing are.
#[derive(Debug)]
struct Plain {
    rows: Rows,
    equal: Box<[Adaptive; Rows::PLAIN]>,
}

/// What an adaptive bit of [`Plain`] starts with, and the observations after which it slows down no more.
const EQUAL: Adaptive = Adaptive::new(65000, 3); // frozen
const LIMIT: u32 = 250; // frozen

#[derive(Debug)]
enum Strength {
    Four(Box<ContextMixer<10, 6, 32>>),
    Five(Box<ContextMixer<16, 8, 48>>),
}

impl Columns {
    /// A fresh model for a block of `len` bytes.
    pub fn new(profile: u8, layout: Layout, big_endian: bool, len: usize) -> Self {
        let shape = Shape::in_columns(profile, layout, len);
        let width = match layout {
            Layout::Table(fields) => fields.width,
            Layout::Image(_) => 1,
        };
        let mixer = match profile {
            0..=4 => Strength::Four(Box::new(ContextMixer::new(&shape))),
            _ => Strength::Five(Box::new(ContextMixer::new(&shape))),
        };
        let coded = Vec::with_capacity(len);
        let plain = match layout {
            Layout::Table(_) => None,
            Layout::Image(rows) => {
                let equal = Box::new([EQUAL; Rows::PLAIN]);
                Some(Plain { rows, equal })
            }
        };
        Self { mixer, store: shape.store(), width, big_endian, coded, plain }
    }

    /// Bytes that [`Columns::new`] allocates, at most.
    pub fn memory(profile: u8, layout: Layout, len: usize) -> u64 {
        let shape = Shape::in_columns(profile, layout, len);
        shape.memory() + shape.store_memory() + len as u64 + 4 * Rows::PLAIN as u64
    }

    /// Codes one number, a byte of one that is cut short, a pixel among equal ones, or a byte of another.
    pub fn code<C: Coder>(&mut self, coder: &mut C, next: &mut [u8]) -> usize {
        if let Some(len) = self.code_equal(coder, next) {
            return len;
        }
        let width = self.width;
        if next.len() < width {
            next[0] = self.code_byte(coder, next[0]);
            return 1;
        }
        let number = &mut next[..width];
        for i in 0..width {
            let place = if self.big_endian { i } else { width - 1 - i };
            number[place] = self.code_byte(coder, number[place]);
        }
        width
    }

    /// Codes a pixel that is what all around it are; `None` if it is another, or they are not.
    fn code_equal<C: Coder>(&mut self, coder: &mut C, next: &mut [u8]) -> Option<usize> {
        let plain = self.plain.as_mut()?;
        let contexts = plain.rows.plain(&self.coded)?;
        let pixel = next.get_mut(..plain.rows.step())?;
        let left = &self.coded[self.coded.len().checked_sub(pixel.len())?..];
        let p = contexts.iter().map(|&i| plain.equal[i].p()).sum::<u32>() / 3;
        let is_equal = coder.bit(BitProb::new(p), pixel == left);
        contexts.iter().for_each(|&i| plain.equal[i].update(is_equal, LIMIT));
        if !is_equal {
            return None;
        }
        pixel.copy_from_slice(left);
        let len = pixel.len();
        for &byte in &*pixel {
            let view = View::whole(&self.coded);
            match &mut self.mixer {
                Strength::Four(mixer) => mixer.pass(view),
                Strength::Five(mixer) => mixer.pass(view),
            }
            self.coded.push(byte);
        }
        Some(len)
    }

    fn code_byte<C: Coder>(&mut self, coder: &mut C, known: u8) -> u8 {
        let (store, view) = (&mut self.store, View::whole(&self.coded));
        let byte = match &mut self.mixer {
            Strength::Four(mixer) => mixer.code(store, coder, view, known),
            Strength::Five(mixer) => mixer.code(store, coder, view, known),
        };
        self.coded.push(byte);
        byte
    }
}
