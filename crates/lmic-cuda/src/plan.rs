//! How rows are taken through a network: what `kernels/recurrent.cu` is launched with.

use std::ffi::CStr;

use lmic::nn::RecurrentConfig;

use crate::driver::Shape;
use crate::model::{MODEL_WORDS, Model, ROW, padded};

/// Kernels by rows of a piece, and from how many rows of a launch on the second is taken. With fewer, more multiprocessors work.
const BLOCK_ROWS: [usize; 2] = [32, 64];
const FROM: usize = 1025; // tunable

/// From how many rows on there are two blocks of threads for each multiprocessor, so that one launch fills it. With fewer, several
/// launches do.
const TWICE: usize = 4096; // tunable

/// Names of the kernels.
pub const NAMES: [&CStr; 2] = [c"lmic_feed_32", c"lmic_feed_64"];

/// Threads of a block, of which each warp has a row where rows are rounded.
const THREADS: usize = 256;
/// Bytes of shared memory for stages of what a product reads ahead.
const SHARED: usize = 90_112;
/// Bytes of `Layer` of the kernel.
const LAYER: usize = 8 * (3 + 5 * 4);

/// Words of `Launch` of the kernels.
pub const LAUNCH_WORDS: usize = MODEL_WORDS + 18;

/// How rows are taken through a network.
#[derive(Debug, Clone)]
pub struct Plan {
    hidden: usize,
    state: usize,
    layers: usize,
    /// Most pieces that a block of rows has.
    pieces: usize,
    /// Bytes of a row of integers, and of one of rows for contexts.
    x_stride: usize,
    contexts_stride: usize,
    /// Numbers of a row of y.
    y_stride: usize,
}

/// What is launched: rows where the GPU sees them.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub rows: u64,
    pub count: usize,
    /// Whether a stream has several.
    pub follow: bool,
    /// [`Plan::counters`].
    pub counters: u64,
    /// Where the kernel writes what in the end.
    pub done: u64,
    pub ticket: u64,
}

impl Plan {
    pub fn new(c: &RecurrentConfig) -> Self {
        let [hidden, state, inner] = [c.hidden_size, c.state_size, c.intermediate_size];
        let ngrams = c.ngrams.as_ref();
        Self {
            hidden,
            state,
            layers: c.layers,
            pieces: hidden.max(state).max(inner).max(256).div_ceil(64),
            x_stride: padded(hidden).max(padded(state)).max(padded(inner)),
            contexts_stride: padded(ngrams.map_or(0, |n| n.width())).max(16),
            y_stride: state.max(inner).max(256),
        }
    }

    /// Which kernel takes so many rows.
    fn kernel(rows: usize, fixed: Option<usize>) -> usize {
        let fixed = fixed.and_then(|n| BLOCK_ROWS.iter().position(|&rows| rows == n));
        fixed.unwrap_or((rows >= FROM).into())
    }

    /// Bytes of each part of a launch's memory for so many rows: rows, h, y, gates, x, contexts, scales, largest.
    fn parts(&self, rows: usize, follow: bool) -> [usize; 8] {
        let gates = if follow { 3 * 4 * self.state } else { 0 };
        let of_row = [ROW, 4 * self.hidden, 4 * self.y_stride, gates];
        let of_row = of_row.into_iter().chain([self.x_stride, self.contexts_stride, 4, 4]);
        let mut parts = [0; 8];
        for (part, bytes) in parts.iter_mut().zip(of_row) {
            *part = (rows * bytes).next_multiple_of(256);
        }
        parts
    }

    /// Bytes of memory of the GPU for a launch of so many rows.
    pub fn scratch(&self, rows: usize, follow: bool) -> usize {
        self.parts(rows.next_multiple_of(BLOCK_ROWS[1]), follow).iter().sum()
    }

    /// Bytes of counters for a launch of so many rows, which are zeros before and after each launch.
    pub fn counters(rows: usize) -> usize {
        4 * (2 + rows.div_ceil(BLOCK_ROWS[0]))
    }

    /// Bytes of shared memory that a block of threads needs.
    fn shared(&self) -> usize {
        // Stages of a product, or all inputs of 32 rows and twice their sums; or weights of a norm, and a row of the residual stream for
        // each warp.
        let inputs = self.x_stride.max(self.contexts_stride) + 16;
        let split = 32 * (inputs + 2 * 4 * (3 * 64 + 4));
        let piece = SHARED.max(split).max((1 + THREADS / 32) * 4 * self.hidden);
        16 + (self.layers * LAYER).next_multiple_of(16) + piece
    }

    /// Whether a multiprocessor with so much shared memory has enough.
    pub fn fits(&self, shared_memory: u32) -> bool {
        self.shared() <= shared_memory as usize
    }

    /// Place of the kernel among [`NAMES`], its shape, and its argument.
    pub fn launch(
        &self,
        model: &Model,
        rows: Rows,
        scratch: u64,
        block_rows: Option<usize>,
        blocks: Option<usize>,
        multiprocessors: usize,
    ) -> (usize, Shape, [u64; LAUNCH_WORDS]) {
        let which = Self::kernel(rows.count, block_rows);
        let padded_rows = rows.count.next_multiple_of(BLOCK_ROWS[which]);
        let mut at = scratch;
        let places = self.parts(padded_rows, rows.follow).map(|bytes| {
            at += bytes as u64;
            at - bytes as u64
        });
        let sizes = [rows.count, padded_rows, rows.follow.into()];
        let strides = [self.x_stride, self.contexts_stride, self.y_stride];
        let numbers = sizes.into_iter().chain(strides).map(|n| n as u64);
        let words = model.words.into_iter().chain([rows.rows]).chain(places);
        let words = words.chain([rows.counters, rows.done, rows.ticket]).chain(numbers);
        let mut launch = [0; LAUNCH_WORDS];
        launch.iter_mut().zip(words).for_each(|(to, word)| *to = word);
        // More than have a piece each are of no use.
        let pieces = padded_rows / BLOCK_ROWS[which] * self.pieces;
        let fitting = pieces.min(multiprocessors * if rows.count < TWICE { 1 } else { 2 });
        let shape = Shape {
            blocks: blocks.unwrap_or(fitting) as u32,
            threads: THREADS as u32,
            shared: self.shared() as u32,
        };
        (which, shape, launch)
    }
}

#[cfg(test)]
mod tests {
    use lmic::nn::NgramConfig;

    use super::*;

    #[test]
    fn the_network_of_level_9_fits_into_every_gpu() {
        let config = RecurrentConfig {
            hidden_size: 768,
            state_size: 1024,
            intermediate_size: 896,
            layers: 7,
            taps: 4,
            ngrams: Some(NgramConfig {
                orders: vec![2, 3, 4, 5, 6, 8, 0],
                bits: vec![14, 17, 18, 19, 19, 18, 18],
                size: 16,
                layers: vec![0, 7],
            }),
            weight_levels: 31,
        };
        // Stages of 88 KiB, and 1.3 KiB of layers; a GPU since Ampere has 99 KiB or more.
        let plan = Plan::new(&config);
        assert_eq!(plan.shared(), 16 + 1296 + 90_112);
        assert!(plan.fits(99 << 10) && !plan.fits(64 << 10));
    }
}
