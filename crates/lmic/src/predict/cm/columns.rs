//! Context mixing for tables: blocks of records of fixed length, and of columns of numbers.
//!
//! Numbers are coded with the most significant byte first, whatever their order in the block, and [`super::fields`] gives the
//! contexts.

use super::context_mixer::{ContextMixer, Shape};
use super::fields::Fields;
use super::matcher::View;
use super::store::Whole;
use crate::coder::Coder;

/// The model of a table.
#[derive(Debug)]
pub struct Columns {
    mixer: Strength,
    store: Whole,
    fields: Fields,
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
    pub fn new(profile: u8, fields: Fields, big_endian: bool, len: usize) -> Self {
        let shape = Shape::of_table(profile, fields, len);
        let mixer = match profile {
            0..=4 => Strength::Four(Box::new(ContextMixer::new(&shape))),
            _ => Strength::Five(Box::new(ContextMixer::new(&shape))),
        };
        let coded = Vec::with_capacity(len);
        Self { mixer, store: shape.store(), fields, big_endian, coded }
    }

    /// Bytes that [`Columns::new`] allocates, at most.
    pub fn memory(profile: u8, fields: Fields, len: usize) -> u64 {
        let shape = Shape::of_table(profile, fields, len);
        shape.memory() + shape.store_memory() + len as u64
    }

    /// Codes one number, or a byte of one that is cut short.
    pub fn code<C: Coder>(&mut self, coder: &mut C, next: &mut [u8]) -> usize {
        let width = self.fields.width;
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
