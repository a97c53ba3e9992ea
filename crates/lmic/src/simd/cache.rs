//! Keys and values of the positions so far, one cache per layer, stream and key/value head, laid out as the
//! packed matrices of [`super::gemm_f32`] and [`super::gemm_i8`]: attention then is two products.
//!
//! Positions come in order. Memory grows by 64 positions at a time, up to the capacity given.

use super::{Level, aligned::Aligned, gemm_i8::stride};

/// Heads are at most this wide.
pub const MAX_HEAD_DIM: usize = 256;

/// A cache holds at most this many positions: 2^16 products of a byte and an `i8` fit an `i32`.
pub const MAX_POSITIONS: usize = 1 << 16;

/// Memory grows by this many positions.
const GROWTH: usize = 64;

/// What all four kinds count.
struct Positions {
    head_dim: usize,
    capacity: usize,
    len: usize,
}

impl Positions {
    fn new(head_dim: usize, capacity: usize) -> Self {
        assert!((1..=MAX_HEAD_DIM).contains(&head_dim), "head of {head_dim}");
        assert!(capacity <= MAX_POSITIONS, "cache of {capacity} positions");
        Self { head_dim, capacity, len: 0 }
    }

    /// Takes the next position; returns it, and the positions to hold memory for.
    fn push(&mut self, row: &[f32]) -> (usize, usize) {
        assert!(self.len < self.capacity, "cache of {} positions is full", self.capacity);
        assert_eq!(row.len(), self.head_dim, "width of a head");
        self.len += 1;
        (self.len - 1, self.len.next_multiple_of(GROWTH))
    }
}

/// The methods that all four kinds have.
macro_rules! common {
    () => {
        /// Positions held.
        pub fn len(&self) -> usize {
            self.positions.len
        }

        /// Width of the head.
        pub fn head_dim(&self) -> usize {
            self.positions.head_dim
        }

        /// Forgets all positions; keeps the memory.
        pub fn reset(&mut self) {
            self.positions.len = 0;
        }
    };
}

/// Quantises one row as [`Level::quantize_i8`].
fn quantize(level: Level, row: &[f32]) -> ([i8; MAX_HEAD_DIM], f32) {
    let mut numbers = [0; MAX_HEAD_DIM];
    let mut scale = [0.0];
    level.quantize_i8(row, row.len(), &mut numbers[..stride(row.len())], &mut scale);
    (numbers, scale[0])
}

/// Keys in 8 bits with a scale per position.
pub struct KeyCacheI8 {
    positions: Positions,
    pub(super) data: Aligned<i8>, // (ceil(len / 16), ceil(head_dim / 4), 16, 4)
    pub(super) offsets: Vec<i32>, // (len): -128 * the sum of a position's numbers
    pub(super) scales: Vec<f32>,  // (len)
}

impl KeyCacheI8 {
    /// An empty cache.
    ///
    /// # Panics
    /// If `head_dim` isn't in `1..=`[`MAX_HEAD_DIM`], or `capacity` is above [`MAX_POSITIONS`].
    pub fn new(head_dim: usize, capacity: usize) -> Self {
        let positions = Positions::new(head_dim, capacity);
        Self { positions, data: Aligned::zeros(0), offsets: Vec::new(), scales: Vec::new() }
    }

    common!();

    /// Quantises the key of the next position, as [`Level::quantize_i8`], and keeps it.
    ///
    /// # Panics
    /// If the cache is full, or `key` has another width.
    pub fn push(&mut self, level: Level, key: &[f32]) {
        let (position, room) = self.positions.push(key);
        let quads = key.len().div_ceil(4);
        if room > self.scales.len() {
            self.data.grow(room * quads * 4);
            self.offsets.resize(room, 0);
            self.scales.resize(room, 0.0);
        }
        let (numbers, scale) = quantize(level, key);
        let block = &mut self.data[position / 16 * quads * 64..][..quads * 64];
        for (quad, from) in block.chunks_exact_mut(64).zip(numbers.chunks_exact(4)) {
            quad[position % 16 * 4..][..4].copy_from_slice(from);
        }
        self.offsets[position] = -128 * numbers.iter().map(|&x| i32::from(x)).sum::<i32>();
        self.scales[position] = scale;
    }
}

/// Values in 8 bits with a scale per position.
pub struct ValueCacheI8 {
    positions: Positions,
    pub(super) data: Aligned<i8>, // (ceil(len / 4), head_dim up to a multiple of 16, 4)
    pub(super) scales: Vec<f32>,  // (len)
}

impl ValueCacheI8 {
    /// An empty cache.
    ///
    /// # Panics
    /// If `head_dim` isn't in `1..=`[`MAX_HEAD_DIM`], or `capacity` is above [`MAX_POSITIONS`].
    pub fn new(head_dim: usize, capacity: usize) -> Self {
        let positions = Positions::new(head_dim, capacity);
        Self { positions, data: Aligned::zeros(0), scales: Vec::new() }
    }

    common!();

    /// Quantises the value of the next position, as [`Level::quantize_i8`], and keeps it.
    ///
    /// # Panics
    /// If the cache is full, or `value` has another width.
    pub fn push(&mut self, level: Level, value: &[f32]) {
        let (position, room) = self.positions.push(value);
        let width = value.len().next_multiple_of(16);
        if room > self.scales.len() {
            self.data.grow(room * width);
            self.scales.resize(room, 0.0);
        }
        let (numbers, scale) = quantize(level, value);
        let block = &mut self.data[position / 4 * width * 4..][..width * 4];
        for (four, &from) in block.as_chunks_mut::<4>().0.iter_mut().zip(&numbers) {
            four[position % 4] = from;
        }
        self.scales[position] = scale;
    }
}

/// Keys as they are.
pub struct KeyCacheF32 {
    positions: Positions,
    pub(super) data: Aligned<f32>, // (ceil(len / 16), head_dim, 16)
}

impl KeyCacheF32 {
    /// An empty cache.
    ///
    /// # Panics
    /// If `head_dim` isn't in `1..=`[`MAX_HEAD_DIM`], or `capacity` is above [`MAX_POSITIONS`].
    pub fn new(head_dim: usize, capacity: usize) -> Self {
        Self { positions: Positions::new(head_dim, capacity), data: Aligned::zeros(0) }
    }

    common!();

    /// Keeps the key of the next position.
    ///
    /// # Panics
    /// If the cache is full, or `key` has another width.
    pub fn push(&mut self, key: &[f32]) {
        let (position, room) = self.positions.push(key);
        self.data.grow(room * key.len());
        let block = &mut self.data[position / 16 * key.len() * 16..];
        for (sixteen, &from) in block.as_chunks_mut::<16>().0.iter_mut().zip(key) {
            sixteen[position % 16] = from;
        }
    }
}

/// Values as they are.
pub struct ValueCacheF32 {
    positions: Positions,
    pub(super) data: Aligned<f32>, // (len, head_dim up to a multiple of 16)
}

impl ValueCacheF32 {
    /// An empty cache.
    ///
    /// # Panics
    /// If `head_dim` isn't in `1..=`[`MAX_HEAD_DIM`], or `capacity` is above [`MAX_POSITIONS`].
    pub fn new(head_dim: usize, capacity: usize) -> Self {
        Self { positions: Positions::new(head_dim, capacity), data: Aligned::zeros(0) }
    }

    common!();

    /// Keeps the value of the next position.
    ///
    /// # Panics
    /// If the cache is full, or `value` has another width.
    pub fn push(&mut self, value: &[f32]) {
        let (position, room) = self.positions.push(value);
        let width = value.len().next_multiple_of(16);
        self.data.grow(room * width);
        self.data[position * width..][..value.len()].copy_from_slice(value);
    }
}
