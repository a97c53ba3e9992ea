//! What a pretrained network sees before a sample: numbers of about the same size whatever the loudness.
//!
//! A channel model gives them relative to its best mean, the centre, and in units of the error that it expects. So the
//! network need not learn the same again for each brightness and contrast.

use super::distribution::FRACTION;

/// The number of inputs of every network. Those that a channel model does not fill are zero.
pub const INPUTS: usize = 160; // frozen
/// Fractional bits of an input.
pub const INPUT_FRACTION: u32 = 6; // frozen
/// Inputs are clamped to this and its negative: to ±16.
const LIMIT: i64 = 1023; // frozen
/// Classes of samples: places in a block of 8 x 8, which decoded JPEG files are made of.
pub const PLACES: usize = 64; // frozen

/// The inputs for one sample, and what its outputs are relative to.
#[derive(Debug, Clone)]
pub struct View {
    /// Inputs with `INPUT_FRACTION` bits.
    pub inputs: [i16; INPUTS],
    /// Inputs filled.
    len: usize,
    /// The class of the sample, below `PLACES`.
    pub place: usize,
    /// Best mean, with the fractional bits of a bell.
    pub centre: i32,
    /// Expected error, with the same.
    pub unit: u32,
}

impl View {
    /// No inputs yet. `unit` is at least 1.
    pub fn new(place: usize, centre: i32, unit: u32) -> Self {
        Self { inputs: [0; INPUTS], len: 0, place, centre, unit }
    }

    #[inline]
    fn push(&mut self, input: i64) {
        self.inputs[self.len] = input.clamp(-LIMIT, LIMIT) as i16;
        self.len += 1;
    }

    /// A plain number, with `INPUT_FRACTION` bits.
    pub fn add(&mut self, input: i32) {
        self.push(i64::from(input));
    }

    /// Means (`FRACTION` bits), from the centre in units.
    #[inline]
    pub fn add_means(&mut self, means: impl IntoIterator<Item = i32>) {
        let inverse = i64::from((1 << 30) / self.unit);
        for mean in means {
            let distance = i64::from(mean) - i64::from(self.centre);
            self.push((distance * inverse) >> (30 - INPUT_FRACTION));
        }
    }

    /// Samples, from the centre in units.
    #[inline]
    pub fn add_samples(&mut self, samples: impl IntoIterator<Item = i32>) {
        self.add_means(samples.into_iter().map(|sample| sample << FRACTION));
    }

    /// Differences of samples, in units of `unit`.
    #[inline]
    pub fn add_differences(&mut self, unit: u32, differences: impl IntoIterator<Item = i32>) {
        let inverse = i64::from((1 << 30) / unit.max(1));
        for difference in differences {
            self.push(((i64::from(difference) << FRACTION) * inverse) >> (30 - INPUT_FRACTION));
        }
    }

    /// Errors, as logarithms relative to the unit.
    #[inline]
    pub fn add_errors(&mut self, errors: impl IntoIterator<Item = u32>) {
        let unit = logarithm(self.unit + 16);
        for error in errors {
            self.add(logarithm(error.saturating_add(16)) - unit);
        }
    }
}

/// Binary logarithm with `INPUT_FRACTION` bits, linear within an octave.
#[inline]
pub fn logarithm(x: u32) -> i32 {
    let x = x.max(1);
    let octave = 31 - x.leading_zeros();
    let fraction = (u64::from(x) << INPUT_FRACTION >> octave) as i32 - (1 << INPUT_FRACTION);
    ((octave as i32) << INPUT_FRACTION) + fraction
}
