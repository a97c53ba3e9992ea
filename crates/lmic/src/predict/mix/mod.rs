//! `mix`: a network's byte distribution and online context mixing in one.
//!
//! A network (`crate::nn`) says how likely each next byte is, and `guide` makes of it an opinion on each bit. The opinion goes
//! into a mixer like that of `cm` (`guided_mixer`): as an input, to choose a row of weights, and to choose a curve of the
//! last adaptive map. A block is cut into lanes, and those of a team share the histories of contexts (`block`). `start` is what a
//! block begins with: weights, maps and curves that were learned in advance. A primed state can give an opinion on each bit, too;
//! `guided` is a block with a primed state and without a network.

mod block;
mod guide;
mod guided;
mod guided_mixer;
mod start;

pub(crate) use block::Mix;
pub(crate) use guided::Guided;

use crate::coder::Coder;
use crate::predict::cm::Cm;
use crate::predict::cm::matcher::View;
use crate::walk::{CodeLength, walk};
use guide::Path;
use guided_mixer::{GuidedMixer, WeightSums};
pub use start::Start;

/// Bits that `data` takes when some distribution of bytes is mixed with `cm`: an estimate, without coding. `path` has
/// for each bit of a byte, the highest first, the probability over 2^16 that it is 1 given the bits before it.
pub fn guided_bits(data: &[u8], path: &[[u16; 8]], start: Option<&Start>) -> f64 {
    let mut mixer = match start {
        Some(start) => GuidedMixer::starting(start),
        None => GuidedMixer::new(),
    };
    let mut store = GuidedMixer::store(data.len());
    let mut coder = CodeLength::default();
    for (at, (&byte, &path)) in data.iter().zip(path).enumerate() {
        let view = View::whole(&data[..at]);
        mixer.code(&mut store, &mut coder, view, &mut Path(path), byte);
    }
    coder.bits()
}

/// Learns a start for mixing from `data` in pieces of `piece` bytes, each with empty tables.
pub fn train_start(data: &[u8], path: &[[u16; 8]], piece: usize) -> Start {
    let mut mixer = GuidedMixer::new();
    let mut coder = CodeLength::default();
    let pieces = data.len().div_ceil(piece);
    for (i, (data, path)) in data.chunks(piece).zip(path.chunks(piece)).enumerate() {
        mixer.forget();
        let mut store = GuidedMixer::store(piece);
        if i == pieces / 4 {
            mixer.sums = Some(Box::new(WeightSums::default()));
        }
        for (at, (&byte, &path)) in data.iter().zip(path).enumerate() {
            let view = View::whole(&data[..at]);
            mixer.code(&mut store, &mut coder, view, &mut Path(path), byte);
        }
    }
    mixer.export()
}

/// Bits that `data` takes under `cm` alone, at its strongest profile: an estimate.
pub fn unguided_bits(data: &[u8]) -> f64 {
    let mut coder = CodeLength::default();
    walk(&mut Cm::new(5, data.len()), &mut coder, &mut data.to_vec());
    coder.bits()
}

/// Bits that `data` takes by `path` alone.
pub fn guide_bits(data: &[u8], path: &[[u16; 8]]) -> f64 {
    let mut coder = CodeLength::default();
    for (&byte, path) in data.iter().zip(path) {
        for (i, &p) in path.iter().enumerate() {
            let p = crate::quantize::BitProb::new(p.into());
            coder.bit(p, byte >> (7 - i) & 1 == 1);
        }
    }
    coder.bits()
}
