//! Context mixing for blocks whose bytes stand below each other: tables, which are records of fixed length or columns of numbers, and
//! images of palette colours or of bits.
//!
//! Numbers are coded with the most significant byte first, whatever their order in the block. [`super::fields`] and [`super::rows`] give
//! the contexts.

use super::context_mixer::{ContextMixer, Shape};
use super::fields::Fields;
use super::matcher::View;
use super::rows::Rows;
use super::store::Whole;
use crate::coder::Coder;

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
}

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
        Self { mixer, store: shape.store(), width, big_endian, coded }
    }

    /// Bytes that [`Columns::new`] allocates, at most.
    pub fn memory(profile: u8, layout: Layout, len: usize) -> u64 {
        let shape = Shape::in_columns(profile, layout, len);
        shape.memory() + shape.store_memory() + len as u64
    }

    /// Codes one number, or a byte of one that is cut short.
    pub fn code<C: Coder>(&mut self, coder: &mut C, next: &mut [u8]) -> usize {
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
