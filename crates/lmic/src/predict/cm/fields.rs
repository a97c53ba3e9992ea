//! What the contexts of a table see: records of fixed length, and numbers in them whose most significant byte comes first.
//!
//! A number is predicted from those above it and beside it in several ways. A context is how the bytes that are known of the number
//! compare with a prediction, and what the prediction has next: so the histories learn how far off predictions are.

/// How many contexts a table has of its own.
pub const COUNT: usize = 12; // frozen

/// The shape of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Bytes of a record.
    pub record: usize,
    /// Bytes of a number, a divisor of `record`: 1, 2, 4 or 8.
    pub width: usize,
}

impl Fields {
    /// The values of all contexts for the byte after `past`.
    pub fn contexts(self, past: &[u8]) -> [u64; COUNT] {
        let Self { record, width } = self;
        let at = past.len();
        let byte = |back: usize| at.checked_sub(back).map_or(0, |i| u64::from(past[i]));
        let [above, above2, above3] = [1, 2, 3].map(|rows| byte(rows * record));
        let (last, last2) = (byte(1), byte(2));
        let place = at % record % width;
        let start = at - place;
        let number = |back: usize| {
            start.checked_sub(back).map_or(0, |from| big_endian(&past[from..from + width]))
        };
        let [n, nn, nnn] = [1, 2, 3].map(|rows| number(rows * record));
        let (w, nw) = match at % record < width {
            true => (nn, nnn), // nothing stands to the left of the first column
            false => (number(width), number(width + record)),
        };
        let known = big_endian(&past[start..]);
        let seen = |prediction: u64| compare(prediction, known, place, width);
        let linear = n.wrapping_mul(2).wrapping_sub(nn);
        let curved = linear.wrapping_add(n).wrapping_sub(nn.wrapping_mul(2)).wrapping_add(nnn);
        let column = (at % record) as u64;
        let moved = distance(n, nn) << 16;
        [
            column | above << 32,
            column | above << 32 | above2 << 40,
            column | above << 32 | last << 40,
            column | last << 32 | last2 << 40,
            above | above2 << 8 | above3 << 16 | last << 24,
            place as u64 | known << 3,
            seen(n) | moved | column << 32,
            seen(linear) | moved | column << 32,
            seen(w.wrapping_add(n).wrapping_sub(nw)) | moved,
            seen(w) | distance(w, n) << 16,
            seen(n) | seen(linear) << 16,
            seen(curved),
        ]
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// Binary digits of the difference.
fn distance(a: u64, b: u64) -> u64 {
    (u64::BITS - a.abs_diff(b).leading_zeros()).into()
}

/// How the `place` bytes of a number that are `known` compare with a prediction, and what follows in the prediction: its next
/// byte, and two more bits, as these decide about carries. 16 bits.
fn compare(prediction: u64, known: u64, place: usize, width: usize) -> u64 {
    let prediction = prediction & u64::MAX >> (64 - 8 * width);
    let rest = 8 * (width - place) as u32;
    let top = prediction.checked_shr(rest).unwrap_or(0);
    let side = (known.wrapping_sub(top) as i64).clamp(-2, 2) + 2;
    let next = prediction << (64 - rest) >> 54;
    place as u64 | (side as u64) << 3 | next << 6
}
