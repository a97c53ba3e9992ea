//! Takes rows through a network product by product, each a launch of its own: `WIDE` in `kernels/recurrent.cu`.
//!
//! For networks whose weights are so many that reading them for each few rows would take longest.

use std::ffi::CStr;

use lmic::nn::RecurrentConfig;

use crate::driver::{Result, Shape};
use crate::model::{MODEL_WORDS, Model, ROW, padded};

/// From how many weights on a network is taken through product by product.
const WEIGHTS: usize = 8 << 20; // tunable

/// Most rows of a block of threads, and from how many rows of a launch on it has so many. With fewer, more multiprocessors work.
const BLOCK_ROWS: [(usize, usize); 2] = [(128, 1536), (64, 0)]; // tunable

/// Threads of a block that computes a product, and stages of what it reads ahead.
const THREADS: u32 = 256;
const STAGES: usize = 4;
/// Bytes of a row in a stage.
const STRIDE: usize = 80;

/// Words of `Launch` of the kernels.
pub const LAUNCH_WORDS: usize = MODEL_WORDS + 18;

/// The kernels, in the order of [`NAMES`]; those of products are there for each number of rows.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    Embed,
    Norm,
    Round,
    GoThrough,
    Weigh,
    Done,
    Add,
    Logits,
    Recur,
    Gate,
}

/// Names of the kernels.
pub const NAMES: [&CStr; 14] = [
    c"lmic_embed",
    c"lmic_norm",
    c"lmic_round",
    c"lmic_go_through",
    c"lmic_weigh",
    c"lmic_done",
    c"lmic_add_128",
    c"lmic_logits_128",
    c"lmic_recur_128",
    c"lmic_gate_128",
    c"lmic_add_64",
    c"lmic_logits_64",
    c"lmic_recur_64",
    c"lmic_gate_64",
];

/// Whether a network is taken through product by product.
pub fn is_wide(c: &RecurrentConfig) -> bool {
    c.layers * c.hidden_size * (4 * c.state_size + 3 * c.intermediate_size) >= WEIGHTS
}

/// How rows are taken through a network.
#[derive(Debug, Clone)]
pub struct Plan {
    hidden: usize,
    state: usize,
    inner: usize,
    /// Of each layer, and of what comes after the last, whether rows for contexts are added before.
    contexts: Vec<bool>,
    /// Bytes of a row of integers, and of one of rows for contexts.
    x_stride: usize,
    contexts_stride: usize,
    /// Numbers of a row of y.
    y_stride: usize,
}

/// What is launched: rows and jobs where the GPU sees them.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub rows: u64,
    pub jobs: u64,
    pub count: usize,
    pub job_count: usize,
    /// Whether a stream has several.
    pub follow: bool,
    /// Where the last kernel writes what.
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
            inner,
            contexts: (0..=c.layers)
                .map(|layer| ngrams.is_some_and(|n| n.layers.contains(&layer)))
                .collect(),
            x_stride: padded(hidden).max(padded(state)).max(padded(inner)),
            contexts_stride: padded(ngrams.map_or(0, |n| n.width())).max(16),
            y_stride: state.max(inner).max(256),
        }
    }

    /// Rows of a block of threads for so many rows, by their place in [`BLOCK_ROWS`].
    fn block_rows(&self, rows: usize, fixed: Option<usize>) -> usize {
        let fixed = fixed.and_then(|n| BLOCK_ROWS.iter().position(|&(rows, _)| rows == n));
        let fitting = || BLOCK_ROWS.iter().position(|&(_, from)| rows >= from);
        fixed.or_else(fitting).expect("the last one fits any number of rows")
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
        self.parts(rows.next_multiple_of(BLOCK_ROWS[0].0), follow).iter().sum()
    }

    /// Calls `start` with each launch in order: place of the kernel among [`NAMES`], its shape, and its arguments.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn run(
        &self,
        model: &Model,
        rows: Rows,
        scratch: u64,
        block_rows: Option<usize>,
        mut start: impl FnMut(usize, Shape, &mut [u64; LAUNCH_WORDS], u32, u32) -> Result<()>,
    ) -> Result<()> {
        let which = self.block_rows(rows.count, block_rows);
        let block_rows = BLOCK_ROWS[which].0;
        let padded_rows = rows.count.next_multiple_of(block_rows);
        let mut at = scratch;
        let places = self.parts(padded_rows, rows.follow).map(|bytes| {
            at += bytes as u64;
            at - bytes as u64
        });
        let mut launch = [0; LAUNCH_WORDS];
        launch[..MODEL_WORDS].copy_from_slice(&model.words);
        launch[MODEL_WORDS..][..2].copy_from_slice(&[rows.rows, rows.jobs]);
        launch[MODEL_WORDS + 2..][..8].copy_from_slice(&places);
        let sizes = [rows.count, padded_rows, rows.follow.into()];
        let strides = [self.x_stride, self.contexts_stride, self.y_stride];
        let numbers = sizes.into_iter().chain(strides).map(|n| n as u64);
        for (word, n) in launch[MODEL_WORDS + 10..]
            .iter_mut()
            .zip([rows.done, rows.ticket].into_iter().chain(numbers))
        {
            *word = n;
        }

        let mut start = |kernel: Kernel, outputs: usize, layer: usize, which_one: usize| {
            let rows_of = padded_rows / block_rows;
            // Groups of 16 outputs, or of two and three times 16 that meet in a gate.
            let product = |groups: usize, parts: usize| Shape {
                blocks: (rows_of * groups.div_ceil(4)) as u32,
                threads: THREADS,
                shared: (STAGES * (4 * parts * 1024 + block_rows * STRIDE)) as u32,
            };
            let simple = |blocks: usize| Shape { blocks: blocks as u32, threads: 128, shared: 0 };
            let tiles = outputs / 16;
            let shape = match kernel {
                Kernel::Embed => Shape { threads: 32, ..simple(padded_rows) },
                Kernel::Norm => simple(padded_rows / 8),
                Kernel::Round | Kernel::Weigh => simple(padded_rows / 4),
                Kernel::GoThrough => simple(rows.job_count * self.state.div_ceil(128)),
                Kernel::Done => Shape { threads: 1, ..simple(1) },
                Kernel::Add | Kernel::Logits => product(tiles.div_ceil(2), 2),
                Kernel::Recur => product(tiles, 3),
                Kernel::Gate => product(tiles, 2),
            };
            let place = kernel as usize;
            let of_products = Kernel::Add as usize;
            let place = if place < of_products { place } else { place + 4 * which };
            start(place, shape, &mut launch, layer as u32, which_one as u32)
        };
        start(Kernel::Embed, 0, 0, 0)?;
        let layers = self.contexts.len() - 1;
        for layer in 0..layers {
            if self.contexts[layer] {
                start(Kernel::Add, self.hidden, layer, 0)?;
            }
            start(Kernel::Norm, 0, layer, 0)?;
            start(Kernel::Recur, self.state, layer, 0)?;
            if rows.follow {
                start(Kernel::GoThrough, 0, layer, 0)?;
            }
            start(Kernel::Round, 0, layer, self.state)?;
            start(Kernel::Add, self.hidden, layer, 1)?;
            start(Kernel::Norm, 0, layer, 1)?;
            start(Kernel::Gate, self.inner, layer, 0)?;
            start(Kernel::Round, 0, layer, self.inner)?;
            start(Kernel::Add, self.hidden, layer, 2)?;
        }
        if self.contexts[layers] {
            start(Kernel::Add, self.hidden, 0, 3)?;
        }
        start(Kernel::Norm, 0, 0, 2)?;
        start(Kernel::Logits, 256, 0, 0)?;
        start(Kernel::Weigh, 0, 0, 0)?;
        start(Kernel::Done, 0, 0, 0)
    }
}
