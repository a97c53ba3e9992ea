//! What a block of `mix` begins with: what a run over training text has learned, without its tables.
//!
//! It holds a row of weights for each weight set (the mean over all bits of training, so that each row counts as often as it
//! was used), what each history and each match was worth, and the curves of the map that the guide's opinion chooses.

use crate::predict::cm::matcher::Matcher;

/// The number of hashed contexts.
pub const HASHED: usize = 16; // frozen
/// The number of contexts that need no hash: order 0 and order 1.
pub const DIRECT: usize = 2; // frozen
/// The number of maps of histories.
const MAPS: usize = HASHED + DIRECT; // frozen
/// Weight sets.
pub const SETS: usize = 9; // frozen
/// The number of inputs with padding.
pub const WIDTH: usize = 48; // frozen
/// Steps to which an opinion is rounded when it is used as a context.
pub const OPINION_STEPS: usize = 24; // frozen
/// The number of curves of the map that the guide's opinion chooses.
pub const GUIDE_CURVES: usize = OPINION_STEPS * 8; // frozen

/// What a mix has learned in advance. All numbers are in the units of the parts that begin with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Weights of the first layer, (set, input).
    pub first: Vec<i16>,
    /// Weights of the second layer, (set, input).
    pub last: Vec<i32>,
    /// Probability after each history, (context, state), over 2^16.
    pub maps: Vec<u16>,
    /// Probabilities of the match models over 2^16, by length and then by byte, of one after the other.
    pub matches: Vec<u16>,
    /// Curves of the guide's map over 2^16.
    pub curves: Vec<u16>,
}

impl Start {
    /// How many numbers each part has.
    const LENS: [usize; 5] =
        [SETS * WIDTH, 2 * SETS, 256 * MAPS, 2 * Matcher::PROBABILITIES, 32 * GUIDE_CURVES]; // frozen

    /// Bytes of [`Start::to_bytes`].
    pub const LEN: usize = {
        let [first, last, maps, matches, curves] = Self::LENS;
        2 * (first + maps + matches + curves) + 4 * last
    }; // frozen

    /// All parts in order, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend(self.first.iter().flat_map(|x| x.to_le_bytes()));
        bytes.extend(self.last.iter().flat_map(|x| x.to_le_bytes()));
        for part in [&self.maps, &self.matches, &self.curves] {
            bytes.extend(part.iter().flat_map(|x| x.to_le_bytes()));
        }
        bytes
    }

    /// Reads what [`Start::to_bytes`] wrote; `None` if the length is another.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::LEN {
            return None;
        }
        let mut rest = bytes;
        let mut part = |len: usize| {
            let (now, later) = rest.split_at(len);
            rest = later;
            now
        };
        let [first, last, maps, matches, curves] = Self::LENS;
        let short = |bytes: &[u8]| -> Vec<u16> {
            bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
        };
        Some(Self {
            first: short(part(2 * first)).into_iter().map(|x| x as i16).collect(),
            last: part(4 * last).as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect(),
            maps: short(part(2 * maps)),
            matches: short(part(2 * matches)),
            curves: short(part(2 * curves)),
        })
    }
}
