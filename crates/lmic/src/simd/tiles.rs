//! How a product is cut into tiles whose sums stay in registers.

#![allow(unsafe_op_in_unsafe_fn, reason = "one contract for all: that of the product")]

/// A product of rows with a matrix in panels of 16 outputs, for one kind of register.
pub trait Tiles {
    /// How many sums and operands a tile may keep: R * P sums and P operands.
    const REGISTERS: usize;

    /// The most rows of a tile.
    const ROWS: usize = 8;

    fn rows(&self) -> usize;

    fn panels(&self) -> usize;

    /// R rows by P panels, summed in registers.
    ///
    /// # Safety
    /// The contract of the product, and the rows and panels are there.
    unsafe fn tile<const R: usize, const P: usize>(&self, panel: usize, row: usize);
}

/// All tiles: a few panels at a time, which stay in the cache for all rows.
///
/// # Safety
/// The contract of the product.
#[inline(always)]
pub unsafe fn run<T: Tiles>(product: &T) {
    let (rows, count) = (product.rows(), product.panels());
    if rows == 0 {
        return;
    }
    let most = (T::REGISTERS / (rows.min(8) + 1)).max(1);
    let mut panel = 0;
    while panel < count {
        panel += match most.min(count - panel) {
            4.. if T::REGISTERS >= 2 * 4 => panels::<T, 4>(product, panel),
            3.. if T::REGISTERS >= 2 * 3 => panels::<T, 3>(product, panel),
            2.. if T::REGISTERS >= 2 * 2 => panels::<T, 2>(product, panel),
            _ => panels::<T, 1>(product, panel),
        };
    }
}

/// P panels for all rows, as many rows at a time as the registers hold.
#[inline(always)]
unsafe fn panels<T: Tiles, const P: usize>(product: &T, panel: usize) -> usize {
    let mut row = 0;
    while row < product.rows() {
        let left = product.rows() - row;
        row += match left.min(T::REGISTERS / P - 1).min(T::ROWS) {
            8.. if P * 9 <= T::REGISTERS => tile::<T, 8, P>(product, panel, row),
            6.. if T::REGISTERS < 9 && P * 7 <= T::REGISTERS && left != 8 => {
                tile::<T, 6, P>(product, panel, row)
            }
            4.. if P * 5 <= T::REGISTERS => tile::<T, 4, P>(product, panel, row),
            2.. if P * 3 <= T::REGISTERS => tile::<T, 2, P>(product, panel, row),
            _ => tile::<T, 1, P>(product, panel, row),
        };
    }
    P
}

#[inline(always)]
unsafe fn tile<T: Tiles, const R: usize, const P: usize>(
    product: &T,
    panel: usize,
    row: usize,
) -> usize {
    product.tile::<R, P>(panel, row);
    R
}
