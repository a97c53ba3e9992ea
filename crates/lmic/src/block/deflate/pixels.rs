//! Rows of pixels as PNG has them: behind a byte that names it, each row is filtered. For a model of images the filters are undone, and
//! the bytes that name them stand apart.

/// The shape of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// Bytes of a row, without the one that names its filter.
    pub(super) row: usize,
    /// Bytes of a pixel, at least 1.
    pub(super) step: usize,
    pub(super) height: usize,
}

impl Rows {
    /// Bytes of the filtered rows; `None` if they are very many.
    pub(super) fn len(self) -> Option<usize> {
        self.row.checked_add(1)?.checked_mul(self.height)
    }
}

/// The number of the last filter.
const FILTERS: u8 = 4; // frozen

/// What a filter takes for a byte, from those at the left, above, and above at the left.
fn predicted(filter: u8, left: u8, above: u8, corner: u8) -> u8 {
    match filter {
        0 => 0,
        1 => left,
        2 => above,
        3 => ((u16::from(left) + u16::from(above)) / 2) as u8,
        _ => {
            let [a, b, c] = [left, above, corner].map(i16::from);
            let [pa, pb, pc] = [(b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs()];
            if pa <= pb && pa <= pc {
                left
            } else if pb <= pc {
                above
            } else {
                corner
            }
        }
    }
}

/// Goes through the bytes of a row of pixels: hands out their places, and what the filter takes for them.
fn each(rows: Rows, filter: u8, row: usize, pixels: &mut [u8], mut byte: impl FnMut(&mut u8, u8)) {
    let start = row * rows.row;
    for x in 0..rows.row {
        let at = start + x;
        let (is_inside, is_below) = (x >= rows.step, row > 0);
        let left = if is_inside { pixels[at - rows.step] } else { 0 };
        let above = if is_below { pixels[at - rows.row] } else { 0 };
        let corner = if is_inside && is_below { pixels[at - rows.row - rows.step] } else { 0 };
        byte(&mut pixels[at], predicted(filter, left, above, corner));
    }
}

/// The filters and the pixels of filtered rows; `None` if they are none.
pub(super) fn unfiltered(filtered: &[u8], rows: Rows) -> Option<(Vec<u8>, Vec<u8>)> {
    (rows.len()? == filtered.len()).then_some(())?;
    let mut filters = Vec::with_capacity(rows.height);
    let mut pixels = vec![0; rows.row * rows.height];
    for (row, bytes) in filtered.chunks_exact(rows.row + 1).enumerate() {
        let (&filter, bytes) = bytes.split_first()?;
        (filter <= FILTERS).then_some(())?;
        filters.push(filter);
        let mut bytes = bytes.iter();
        each(rows, filter, row, &mut pixels, |pixel, predicted| {
            *pixel = bytes.next().map_or(0, |byte| byte.wrapping_add(predicted));
        });
    }
    Some((filters, pixels))
}

/// The filtered rows again. `pixels` are as many as the rows have, and there is a filter for each.
pub(super) fn filtered(filters: &[u8], pixels: &mut [u8], rows: Rows) -> Vec<u8> {
    let mut filtered = Vec::with_capacity(filters.len() + pixels.len());
    for (row, &filter) in filters.iter().enumerate() {
        filtered.push(filter);
        each(rows, filter, row, pixels, |pixel, predicted| {
            filtered.push(pixel.wrapping_sub(predicted));
        });
    }
    filtered
}
