//! What the contexts of an image see whose pixels come again as they are: numbers of colours, drawings, screenshots, single bits.
//!
//! Where bytes hold several pixels, the first in the highest bits, a context is bits of the bytes before, and bits around this byte in
//! the rows above. Where a pixel takes a byte or several, it is whole pixels around, and what is known of this one.

/// How many contexts there are.
pub const COUNT: usize = 13; // frozen

/// The shape of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Bytes from row to row.
    pub row: usize,
    /// Bits of a pixel: 1, 2, 4, 8, 24 or 32.
    pub bits: u32,
}

/// What a context of small pixels sees: how many bits before this byte, and for each of three rows above how many to the left and to the
/// right of the byte above; `None` for nothing of the row. Twice as many where a pixel has more than one bit.
type Template = (u32, [Option<(u32, u32)>; 3]);

const SMALL: [Template; COUNT] = [
    (2, [Some((0, 0)), None, None]),
    (3, [Some((2, 2)), None, None]),
    (4, [Some((3, 3)), Some((1, 1)), None]),
    (1, [Some((1, 1)), Some((1, 1)), None]),
    (2, [Some((2, 2)), Some((2, 2)), Some((0, 0))]),
    (6, [Some((4, 4)), Some((2, 2)), Some((1, 1))]),
    (0, [Some((0, 0)), Some((0, 0)), Some((0, 0))]),
    (8, [Some((0, 0)), None, None]),
    (8, [Some((8, 8)), None, None]),
    (3, [Some((0, 4)), Some((0, 0)), None]),
    (12, [Some((4, 4)), Some((4, 4)), Some((4, 4))]),
    (4, [None, Some((2, 2)), None]),
    (8, [Some((8, 8)), Some((8, 8)), None]),
]; // frozen

/// Pixels around as (columns back, rows up): W, N, NW, NE, WW, NN, NEE, WWW, NNN.
const AROUND: [(isize, isize); 9] =
    [(1, 0), (0, 1), (1, 1), (-1, 1), (2, 0), (0, 2), (-2, 1), (3, 0), (0, 3)]; // frozen

/// Which of them each context of whole pixels sees.
const LARGE: [&[usize]; COUNT] = [
    &[0, 1],
    &[0, 1, 2],
    &[0, 1, 3],
    &[0, 1, 2, 3],
    &[0, 1, 4, 5],
    &[1, 5],
    &[0, 1, 2, 3, 4, 5],
    &[1, 3],
    &[1, 2, 3],
    &[0, 1, 2, 3, 6],
    &[0, 1, 2, 4],
    &[0, 1, 4, 7],
    &[1, 5, 8],
]; // frozen

/// What is seen before a byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    /// The values of all contexts.
    pub contexts: [u64; COUNT],
    /// How the pixels around resemble each other, or what stands two rows above.
    pub alike: u8,
    /// The byte above.
    pub above: u8,
}

impl Rows {
    /// How many contexts [`Rows::plain`] chooses from.
    pub const PLAIN: usize = 512 + 128 + 1024; // frozen

    /// Bytes of a pixel, or one with several.
    pub fn step(self) -> usize {
        self.bits.div_ceil(8) as usize
    }

    /// Whether the pixels around the one after `past` are all equal, and this one is whole within its row: three contexts, of their
    /// colour, of pixels further away, and of the column.
    pub fn plain(self, past: &[u8]) -> Option<[usize; 3]> {
        let (step, at) = (self.step(), past.len());
        let in_row = at % self.row;
        if !in_row.is_multiple_of(step) || in_row + step > self.row {
            return None;
        }
        let pixel = |(back, up): (isize, isize)| {
            bytes(past, at as isize - back * step as isize, up as usize * self.row, step)
        };
        let left = pixel(AROUND[0]);
        if AROUND[1..6].iter().any(|&around| pixel(around) != left) {
            return None;
        }
        let goes_on = (2..9).take_while(|&right| pixel((-right, 1)) == left).count();
        let colour = (joined(left, 0) >> 56) as usize;
        let far = [(3, 0), (0, 3), (-1, 2), (-2, 2)];
        let alike = far.iter().fold(0, |all, &at| all << 1 | usize::from(pixel(at) == left));
        Some([
            colour << 1 | usize::from(goes_on == 7),
            512 + (goes_on << 4 | alike),
            512 + 128 + in_row / step % 1024,
        ])
    }

    /// What is seen before the byte after `past`, whose last eight bytes are `newest`, the newest lowest.
    pub fn look(self, past: &[u8], newest: u64) -> Sight {
        match self.bits {
            0..8 => self.look_at_bits(past, newest),
            _ => self.look_at_pixels(past, newest),
        }
    }

    fn look_at_bits(self, past: &[u8], newest: u64) -> Sight {
        // The byte above is followed by the three to its right.
        let above = [1, 2, 3].map(|up| bytes(past, past.len() as isize - 4, up * self.row, 8));
        let unit = self.bits.min(2);
        let contexts = SMALL.map(|(before, rows)| {
            let before = joined(low(newest, unit * before), 0);
            above.iter().zip(rows).fold(before, |value, (&row, seen)| {
                let Some((left, right)) = seen else { return value };
                let (left, right) = (unit * left, unit * right);
                joined(value, low(row >> (24 - right), left + 8 + right))
            })
        });
        Sight { contexts, alike: (above[1] >> 24) as u8, above: (above[0] >> 24) as u8 }
    }

    fn look_at_pixels(self, past: &[u8], newest: u64) -> Sight {
        let step = self.step();
        let channel = past.len() % self.row % step;
        let start = (past.len() - channel) as isize;
        let pixels = AROUND.map(|(back, up)| {
            bytes(past, start - back * step as isize, up as usize * self.row, step)
        });
        let known = joined(low(newest, 8 * channel as u32) | (channel as u64) << 24, 0);
        let contexts =
            LARGE.map(|seen| seen.iter().fold(known, |value, &i| joined(value, pixels[i])));
        let [w, n, nw, ne, ww, nn, ..] = pixels;
        let pairs = [(w, n), (w, nw), (n, nw), (n, ne), (w, ww), (n, nn), (ww, nw), (nw, ne)];
        let alike = pairs.iter().fold(0, |all, (a, b)| all << 1 | u8::from(a == b));
        let above = bytes(past, past.len() as isize, self.row, 1) as u8;
        Sight { contexts, alike, above }
    }
}

/// The last eight bytes, the newest lowest.
pub fn newest(past: &[u8]) -> u64 {
    bytes(past, past.len() as isize, 8, 8)
}

/// `count` bytes from `back` before `at` on, the last lowest. Those that are not known are 0.
fn bytes(past: &[u8], at: isize, back: usize, count: usize) -> u64 {
    let from = at - back as isize;
    (from..from + count as isize).fold(0, |all, at| {
        let byte = usize::try_from(at).ok().and_then(|at| past.get(at));
        all << 8 | u64::from(byte.copied().unwrap_or(0))
    })
}

/// The lowest bits.
fn low(value: u64, count: u32) -> u64 {
    value & !u64::MAX.checked_shl(count).unwrap_or(0)
}

fn joined(value: u64, next: u64) -> u64 {
    let value = (value ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ value >> 32
}
