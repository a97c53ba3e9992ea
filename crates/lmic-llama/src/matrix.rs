//! A matrix in its file, and its product with rows of numbers.

use std::sync::atomic::{AtomicUsize, Ordering};

use lmic::exact::Level;
use lmic::{Error, ErrorKind, Result};

use crate::map::Bytes;
use crate::simd::Format;
use crate::simd::{LANES, TILE, add_products, add_streamed, fold};
use crate::threads;

/// A thread takes at least this many outputs of a product at a time. A multiple of [`TILE`].
const SHARE: usize = 32;

/// With at most this many rows of numbers, a product is bound by memory: weights are then widened in pieces that stay in the CPU's
/// first cache.
const FEW_ROWS: usize = 8;

/// Numbers of such a piece. A multiple of every format's block and of [`LANES`].
const PIECE: usize = 512;

/// Weights, (rows, cols), row after row: `rows` outputs, `cols` inputs.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub format: Format,
    pub rows: usize,
    pub cols: usize,
    pub bytes: Bytes,
}

impl Matrix {
    /// Checks that the bytes are those of the shape.
    pub fn new(format: Format, rows: usize, cols: usize, bytes: Bytes) -> Result<Self> {
        let corrupt = |message| Err(Error::new(ErrorKind::Corrupt, message));
        if !cols.is_multiple_of(format.block()) {
            let (name, block) = (format.name(), format.block());
            return corrupt(format!("rows of {cols} numbers in {name}, whose blocks have {block}"));
        }
        let len = (cols / format.block())
            .checked_mul(format.block_bytes())
            .and_then(|row| row.checked_mul(rows));
        if len != Some(bytes.get().len()) {
            let found = bytes.get().len();
            return corrupt(format!(
                "{found} bytes for {rows} x {cols} numbers in {}",
                format.name()
            ));
        }
        Ok(Self { format, rows, cols, bytes })
    }

    /// Bytes of the numbers from `start` on of a row.
    fn piece(&self, row: usize, start: usize, len: usize) -> &[u8] {
        let (block, bytes) = (self.format.block(), self.format.block_bytes());
        let first = (row * (self.cols / block) + start / block) * bytes;
        &self.bytes.get()[first..first + len / block * bytes]
    }

    /// Bytes of rows that follow each other.
    fn rows_bytes(&self, row: usize, count: usize) -> &[u8] {
        let row_bytes = self.cols / self.format.block() * self.format.block_bytes();
        &self.bytes.get()[row * row_bytes..][..count * row_bytes]
    }

    /// The numbers of a row.
    pub fn row(&self, level: Level, row: usize, out: &mut [f32]) {
        self.format.numbers(level, self.piece(row, 0, self.cols), out);
    }

    /// The index of the first number that is infinite or NaN; in formats of blocks, of the first number of its block.
    pub fn not_finite(&self) -> Option<usize> {
        /// A thread looks at no fewer blocks than this.
        const SHARE: usize = 16 << 10;
        let share = SHARE * self.format.block_bytes();
        let first = AtomicUsize::new(usize::MAX);
        let look = |(i, bytes)| {
            if let Some(block) = self.format.not_finite(bytes) {
                first.fetch_min(i * SHARE + block, Ordering::Relaxed);
            }
        };
        threads::for_each(self.bytes.get().chunks(share).enumerate().collect(), look);
        let first = first.into_inner();
        (first != usize::MAX).then(|| first * self.format.block())
    }

    /// All numbers widened to f32, for vectors, which are kept so.
    pub fn numbers(&self, level: Level) -> Vec<f32> {
        let mut numbers = vec![0.0; self.rows * self.cols];
        self.format.numbers(level, self.bytes.get(), &mut numbers);
        numbers
    }

    /// `y = x * w^T`: x is (R, cols), y becomes (R, rows). An output's bits depend on its row of x alone.
    ///
    /// # Panics
    /// If x has no whole rows.
    pub fn product(&self, level: Level, threads: usize, x: &[f32], y: &mut Vec<f32>) {
        let count = x.len() / self.cols;
        assert_eq!(x.len(), count * self.cols, "rows of {}", self.cols);
        let stride = self.cols.next_multiple_of(LANES);
        let padded = (stride != self.cols).then(|| pad(x, self.cols, stride));
        let x = padded.as_deref().unwrap_or(x);
        let share = |out: &mut [f32], first: usize| self.share(level, x, stride, first, out);
        if count == 1 {
            y.resize(self.rows, 0.0);
            return self.split(threads, y, 1, share);
        }
        // Outputs lie side by side for the threads, and are turned afterwards.
        let mut turned = vec![0.0; self.rows * count]; // (rows, R)
        self.split(threads, &mut turned, count, share);
        y.resize(self.rows * count, 0.0);
        // Square by square, so that all of a line of the CPU's cache is used while it is there.
        const SQUARE: usize = 16;
        for (s, square) in turned.chunks(SQUARE * count.max(1)).enumerate() {
            let outputs = square.len() / count;
            for r in 0..count {
                let y = &mut y[r * self.rows + s * SQUARE..][..outputs];
                for (y, outputs) in y.iter_mut().zip(square.chunks_exact(count)) {
                    *y = outputs[r];
                }
            }
        }
    }

    /// [`Matrix::product`] of several matrices with the same x. If x is one row, the threads share all matrices at once, because
    /// waking them takes as long as the product of a small matrix.
    pub fn products<const N: usize>(
        matrices: [&Self; N],
        level: Level,
        threads: usize,
        x: &[f32],
        mut ys: [&mut Vec<f32>; N],
    ) {
        let cols = matrices[0].cols;
        let together = x.len() == cols && cols.is_multiple_of(LANES) && threads > 1;
        if !together || matrices.iter().any(|matrix| matrix.cols != cols) {
            for (matrix, y) in matrices.into_iter().zip(ys) {
                matrix.product(level, threads, x, y);
            }
            return;
        }
        let rows: usize = matrices.iter().map(|matrix| matrix.rows).sum();
        let piece = rows.div_ceil(4 * threads).next_multiple_of(SHARE);
        let mut pieces = Vec::with_capacity(4 * threads + N);
        for (matrix, y) in matrices.into_iter().zip(&mut ys) {
            y.resize(matrix.rows, 0.0);
            let parts = y.chunks_mut(piece).enumerate();
            pieces.extend(parts.map(|(i, part)| (matrix, i * piece, part)));
        }
        threads::for_each(pieces, |(matrix, first, y)| {
            matrix.share(level, x, cols, first, y);
        });
    }

    /// Calls `share` with parts of `y`, (rows, count), and the first row of each.
    fn split(
        &self,
        threads: usize,
        y: &mut [f32],
        count: usize,
        share: impl Fn(&mut [f32], usize) + Sync,
    ) {
        if threads <= 1 || self.rows * self.cols * count < 1 << 16 {
            return share(y, 0);
        }
        let rows = self.rows.div_ceil(4 * threads).next_multiple_of(SHARE);
        let parts = y.chunks_mut(rows * count).enumerate().collect();
        threads::for_each(parts, |(i, y)| share(y, i * rows));
    }

    /// Outputs from row `first` on, as many as fit into `y`, (rows, R).
    fn share(&self, level: Level, x: &[f32], stride: usize, first: usize, y: &mut [f32]) {
        let count = x.len() / stride;
        if count == 0 {
            return;
        }
        let piece = if count <= FEW_ROWS { PIECE } else { stride };
        let mut numbers = vec![0.0; TILE * piece];
        let mut sums = vec![0.0; count * TILE * LANES];
        for (t, y) in y.chunks_mut(TILE * count).enumerate() {
            let row = first + t * TILE;
            let rows = y.len() / count;
            if rows == TILE {
                let bytes = self.rows_bytes(row, TILE);
                let widths = [self.cols, stride];
                if add_streamed(level, self.format, x, widths, bytes, &mut sums) {
                    for (r, sums) in sums.chunks_exact(TILE * LANES).enumerate() {
                        for (p, sums) in sums.as_chunks().0.iter().enumerate() {
                            y[p * count + r] = fold(sums);
                        }
                    }
                    continue;
                }
            }
            sums.fill(0.0);
            for start in (0..self.cols).step_by(piece) {
                let len = piece.min(self.cols - start);
                let padded = len.next_multiple_of(LANES);
                let numbers = &mut numbers[..TILE * padded];
                for (p, out) in numbers.chunks_exact_mut(padded).enumerate() {
                    // Rows past the end repeat the last one and are not looked at.
                    let piece = self.piece(row + p.min(rows - 1), start, len);
                    self.format.numbers(level, piece, &mut out[..len]);
                    out[len..].fill(0.0);
                }
                add_products(level, &x[start..], stride, numbers, &mut sums);
            }
            for (r, sums) in sums.chunks_exact(TILE * LANES).enumerate() {
                for (p, sums) in sums.as_chunks().0.iter().enumerate().take(rows) {
                    y[p * count + r] = fold(sums);
                }
            }
        }
    }
}

/// Rows of `width`, each followed by zeros up to `stride`.
pub fn pad(x: &[f32], width: usize, stride: usize) -> Vec<f32> {
    let mut padded = vec![0.0; x.len() / width * stride];
    for (row, out) in x.chunks_exact(width).zip(padded.chunks_exact_mut(stride)) {
        out[..width].copy_from_slice(row);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, cols: usize) -> Matrix {
        let bytes: Vec<u8> = (0..rows * cols)
            .flat_map(|i| (((i * 7919) % 1000) as f32 / 500.0 - 1.0).to_le_bytes())
            .collect();
        Matrix::new(Format::F32, rows, cols, bytes.into()).unwrap()
    }

    #[test]
    fn batch_threads_and_level_do_not_change_a_bit() {
        for (rows, cols) in [(1, 1), (5, 24), (300, 1040), (7, 600)] {
            let w = matrix(rows, cols);
            let x: Vec<f32> = (0..9 * cols).map(|i| ((i * 31) % 77) as f32 - 38.0).collect();
            let mut all = Vec::new();
            w.product(Level::Scalar, 1, &x, &mut all);
            for level in Level::available() {
                for threads in [1, 3] {
                    for batch in [1, 2, 9] {
                        let mut found = Vec::new();
                        for x in x.chunks(batch * cols) {
                            let mut y = Vec::new();
                            w.product(level, threads, x, &mut y);
                            found.extend(y);
                        }
                        assert_eq!(found, all, "{rows} x {cols} {level:?} {threads} {batch}");
                    }
                }
            }
            let exact: f64 =
                (0..cols).map(|i| f64::from(x[i]) * f64::from(w.numbers(Level::Scalar)[i])).sum();
            assert!((f64::from(all[0]) - exact).abs() < 1e-2 + exact.abs() * 1e-4);
        }
    }
}
