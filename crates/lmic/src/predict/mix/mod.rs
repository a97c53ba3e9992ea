//! `mix`: a neural byte distribution and online context mixing in one.
//!
//! A network (`crate::nn`) says how likely each next byte is (`guide` makes integers of it); its opinion on each bit is an
//! input of a network like that of `cm`, chooses a weight set and a last adaptive map (`network`). A block is
//! cut into lanes that share all that is learned (`lanes`), and threads compute distributions ahead (`groups`).
//! `start` is what a block begins with. A primed state may say what it
//! thinks of each bit, too; `guided` is a block with that and without a network.

mod groups;
mod guide;
mod guided;
mod lanes;
mod network;
mod start;

pub(crate) use guided::Guided;
pub(crate) use lanes::Mix;

use crate::coder::Coder;
use crate::predict::cm::Cm;
use crate::predict::cm::matcher::View;
use crate::walk::{CodeLength, walk};
use guide::Path;
use network::{Lane, Network, Recorder};
pub use start::Start;

/// Bits that `data` takes when some distribution of bytes is mixed with `cm`: an estimate, without coding. `path` has
/// for each bit of a byte, the highest first, the probability over 2^16 that it is 1 given the bits before it.
pub fn guided_bits(data: &[u8], path: &[[u16; 8]], start: Option<&Start>) -> f64 {
    let mut network = match start {
        Some(start) => Network::starting(data.len(), start),
        None => Network::new(data.len()),
    };
    let (mut lane, mut coder) = (Lane::new(), CodeLength::default());
    for (at, (&byte, &path)) in data.iter().zip(path).enumerate() {
        let view = View::whole(&data[..at]);
        network.code(&mut coder, &mut lane, view, &mut Path(path), byte);
    }
    coder.bits()
}

/// Learns a start for mixing from `data` in pieces of `piece` bytes, each with empty tables.
pub fn train_start(data: &[u8], path: &[[u16; 8]], piece: usize) -> Start {
    let mut network = Network::new(piece);
    let mut coder = CodeLength::default();
    let pieces = data.len().div_ceil(piece);
    for (i, (data, path)) in data.chunks(piece).zip(path.chunks(piece)).enumerate() {
        network.forget(piece);
        if i == pieces / 4 {
            network.recorder = Some(Box::new(Recorder::default()));
        }
        let mut lane = Lane::new();
        for (at, (&byte, &path)) in data.iter().zip(path).enumerate() {
            let view = View::whole(&data[..at]);
            network.code(&mut coder, &mut lane, view, &mut Path(path), byte);
        }
    }
    network.export()
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
