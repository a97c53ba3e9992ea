//! What an image model sees of the samples already coded: the neighbours of one sample, by name.
//!
//! Where a neighbour would lie outside of the image, the nearest known sample stands for it, so that none is taken from the other
//! side of the image.

use super::number::Number;

/// Neighbours of the same channel as (columns back, rows up). Each filter looks at the first ones of this list.
const OWN: [(isize, isize); 14] = [
    (1, 0),
    (0, 1),
    (1, 1),
    (-1, 1),
    (2, 0),
    (0, 2),
    (-1, 2),
    (1, 2),
    (2, 1),
    (-2, 1),
    (3, 0),
    (0, 3),
    (-2, 2),
    (2, 2),
]; // frozen
/// Index of the sample to the left among [`Neighbours::own`].
pub const W: usize = 0; // frozen
/// Above.
pub const N: usize = 1; // frozen
/// Above left.
pub const NW: usize = 2; // frozen
/// Above right.
pub const NE: usize = 3; // frozen
const WW: usize = 4; // frozen
const NN: usize = 5; // frozen
/// Above that, and right.
pub const NNE: usize = 6; // frozen

/// Most inputs that other channels give.
const OTHERS: usize = 12; // frozen

/// The samples that are known.
pub trait Past: Copy {
    /// What stands for a sample where none is known.
    const MIDDLE: i32; // frozen

    /// How many there are.
    fn len(self) -> usize;

    /// One of them; `None` past the last.
    fn get(self, at: usize) -> Option<i32>;
}

impl Past for &[u8] {
    const MIDDLE: i32 = 128; // frozen

    #[inline]
    fn len(self) -> usize {
        self.len()
    }

    #[inline]
    fn get(self, at: usize) -> Option<i32> {
        <[u8]>::get(self, at).map(|&sample| i32::from(sample))
    }
}

/// Samples of two bytes.
#[derive(Debug, Clone, Copy)]
pub struct DeepPast<'a> {
    /// All bytes.
    pub bytes: &'a [u8],
    /// How they are read.
    pub number: Number,
    /// Low bits that are left out.
    pub shift: u32,
}

impl Past for DeepPast<'_> {
    const MIDDLE: i32 = 0; // frozen

    #[inline]
    fn len(self) -> usize {
        self.bytes.len() / 2
    }

    #[inline]
    fn get(self, at: usize) -> Option<i32> {
        let sample: [u8; 2] = *self.bytes.as_chunks().0.get(at)?;
        Some(self.number.short(sample) >> self.shift)
    }
}

/// The surroundings of one sample.
#[derive(Debug)]
pub struct Neighbours {
    /// Samples of the same channel, in the order of [`OWN`].
    pub own: [i32; OWN.len()],
    /// Middle of W and N. Inputs and outputs of the filters are relative to it.
    pub base: i32,
    /// Samples of the other channels, relative to their own base; the rest is zeros.
    pub others: [i32; OTHERS],
    /// How far the channel coded just before rose above its base here.
    pub rise: i32,
    /// What the sample would be if something repeated exactly, as it does in drawings and in decoded JPEG files: the
    /// difference to the channel before this one (second list: two before), as it was at W, N, NW, NE, WW and NN. Where there
    /// is no such channel, gradients and neighbours stand here.
    pub repeats: [[i32; 6]; 2],
}

impl Neighbours {
    /// Looks around sample `past.len()` of an image with `row` samples a row and `step` samples a pixel.
    pub fn new(past: impl Past, row: usize, step: usize) -> Self {
        let place = Place::new(past, row, step);
        let own = OWN.map(|(left, up)| place.sample(left, up, 0));
        let (w, n, nw, ne) = (own[W], own[N], own[NW], own[NE]);
        let mut seen = Self {
            own,
            base: (w + n + 1) >> 1,
            others: [0; OTHERS],
            rise: 0,
            repeats: [
                [w + n - nw, w + ne - n, nw, ne, own[WW], own[NN]],
                [n + ne - own[NNE], w - nw + ne, own[WW], own[NN], nw, ne],
            ],
        };
        if step == 3 {
            seen.look_at_colours(&place);
        }
        seen
    }

    fn look_at_colours<P: Past>(&mut self, place: &Place<P>) {
        let channel = place.column % 3;
        let mut others = self.others.iter_mut();
        let mut push = |value| *others.next().expect("2 channels of at most 5") = value;
        for back in 1..3 {
            // Channels before this one in the pixel are known there; the others only around it.
            let known = back <= channel;
            let shift = if known { back as isize } else { back as isize - 3 };
            let [w, n, nw, ne, ww] =
                [(1, 0), (0, 1), (1, 1), (-1, 1), (2, 0)].map(|(x, y)| place.sample(x, y, shift));
            let base = (w + n + 1) >> 1;
            if known {
                let here = place.past.get(place.past.len() - back).expect("a sample of this pixel");
                let there = [w, n, nw, ne, ww, place.sample(0, 2, shift)];
                for ((repeat, own), there) in
                    self.repeats[back - 1].iter_mut().zip(&self.own).zip(there)
                {
                    *repeat = own + here - there;
                }
                if back == 1 {
                    self.rise = here - base;
                }
                push(here - base);
            }
            [w, nw, ne, ww].into_iter().for_each(|value| push(value - base));
        }
    }
}

/// Columns to either side that [`wide`] looks at, in this row (to the left only) and the rows above.
const WIDE: [isize; 9] = [8, 7, 7, 7, 7, 7, 7, 7, 0]; // frozen
/// Samples that [`wide`] gives.
pub const WIDE_LEN: usize = 114; // frozen

/// The samples around the next one of a gray image as far as a network sees them: from left to right in each
/// row, from this row upwards.
pub fn wide(past: &[u8], row: usize) -> [i32; WIDE_LEN] {
    let place = Place::new(past, row, 1);
    let mut samples = [0; WIDE_LEN];
    let reach = WIDE[0] as usize;
    if place.y as usize >= WIDE.len() && place.column >= reach && place.column + reach < row {
        let mut rest = &mut samples[..];
        for (up, &reach) in WIDE.iter().enumerate() {
            let reach = reach as usize;
            let len = if up == 0 { reach } else { 2 * reach + 1 };
            let (head, tail) = rest.split_at_mut(len);
            let seen = &past[past.len() - up * row - reach..][..len];
            head.iter_mut().zip(seen).for_each(|(to, &sample)| *to = i32::from(sample));
            rest = tail;
        }
        return samples;
    }
    let mut at = 0;
    for (up, &reach) in WIDE.iter().enumerate() {
        let right = if up == 0 { 1 } else { -reach };
        for left in (right..=reach).rev() {
            samples[at] = place.sample(left, up as isize, 0);
            at += 1;
        }
    }
    samples
}

/// Where a sample stands.
struct Place<P> {
    past: P,
    row: usize,
    step: usize,
    /// Sample within the row.
    column: usize,
    /// Pixel within the row, pixels of a row (the last may be padding), row.
    x: isize,
    width: isize,
    y: isize,
}

impl<P: Past> Place<P> {
    fn new(past: P, row: usize, step: usize) -> Self {
        let column = past.len() % row;
        Self {
            past,
            row,
            step,
            column,
            x: (column / step) as isize,
            width: row.div_ceil(step) as isize,
            y: (past.len() / row) as isize,
        }
    }

    /// The sample `left` columns left, `up` rows up and `shift` bytes back.
    #[inline]
    fn sample(&self, left: isize, up: isize, shift: isize) -> i32 {
        let x = self.x - left;
        if up > self.y || x < 0 || x >= self.width {
            return self.sample_at_edge(x, up, shift);
        }
        let offset = up * self.row as isize + left * self.step as isize + shift;
        let at = self.past.len().wrapping_sub_signed(offset);
        self.past.get(at).unwrap_or(P::MIDDLE)
    }

    #[cold]
    fn sample_at_edge(&self, x: isize, up: isize, shift: isize) -> i32 {
        let (x, up) = match (x < 0, up.min(self.y)) {
            (true, 0) if self.y > 0 => (0, 1),
            (_, 0) => (x.min(self.x - 1), 0),
            (_, up) => (x.clamp(0, self.width - 1), up),
        };
        let offset = up * self.row as isize + (self.x - x) * self.step as isize + shift;
        let at = self.past.len().wrapping_sub_signed(offset);
        self.past.get(at).unwrap_or(P::MIDDLE)
    }
}
