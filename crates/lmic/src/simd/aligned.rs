//! Memory that starts at a cache line, so that no vector of a packed matrix lies across two.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

/// Numbers that any bytes are.
///
/// # Safety
/// Every pattern of bits is a value, zeros are 0, and a cache line holds a whole number of them.
pub unsafe trait Number: Copy {}

// SAFETY: a byte.
unsafe impl Number for i8 {}
// SAFETY: a byte.
unsafe impl Number for u8 {}
// SAFETY: four bytes, none of them invalid.
unsafe impl Number for f32 {}

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[expect(dead_code, reason = "read through slices of numbers")] [u8; 64]);

/// A vector that starts at a cache line and grows with zeros.
#[derive(Clone)]
pub struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    numbers: PhantomData<T>,
}

impl<T: Number> Aligned<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let lines = vec![Line([0; 64]); (len * size_of::<T>()).div_ceil(64)];
        Self { lines, len, numbers: PhantomData }
    }

    /// Grows to `len`, if that is more, with zeros.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            self.lines.resize((len * size_of::<T>()).div_ceil(64), Line([0; 64]));
            self.len = len;
        }
    }
}

impl<T: Number> Default for Aligned<T> {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl<T: Number> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers, initialised, and any bytes are numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Number> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_a_cache_line_and_grows_with_zeros() {
        let mut numbers = Aligned::<f32>::zeros(3);
        numbers[2] = 7.0;
        numbers.grow(40);
        numbers.grow(5);
        assert_eq!(numbers.as_ptr() as usize % 64, 0);
        assert_eq!((numbers.len(), numbers[2], &numbers[3..]), (40, 7.0, &[0.0; 37][..]));
        assert!(Aligned::<i8>::zeros(0).is_empty());
    }
}
