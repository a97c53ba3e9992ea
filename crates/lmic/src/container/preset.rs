//! What a level means, for the command's help and the documents.

use super::block::encode_cost;
use crate::block::{self, Choice, Kind, MAX_LEVEL, Models, Numbered, StreamModel};
use crate::error::{Error, ErrorKind, Result};

/// What a level stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preset {
    /// The level asked for, 1 to [`MAX_LEVEL`], which is also the number of the model that is stored in the archive.
    pub level: u8,
    /// Whether a network is mixed with context mixing.
    pub network: bool,
    /// Bytes of content in a block.
    pub block_size: usize,
    /// Bytes of memory that coding a full block takes, per thread, beside the network itself. Decoding takes no more.
    pub memory: u64,
    /// CPU time that coding text takes, as a factor of level 5's, on a processor with AVX2. With AVX-512 levels 6 to 8 take half to
    /// three quarters of it. Data that repeat themselves, or that a network does not help with, take less.
    pub time: f32,
}

/// The times of levels 1 to 9 (docs/measurements/mix.md, The default level).
const TIMES: [f32; MAX_LEVEL as usize] = [0.3, 0.4, 0.5, 0.8, 1.0, 2.9, 5.5, 21.0, 200.0]; // tunable

/// The preset of `level`.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if the level is not 1 to [`MAX_LEVEL`].
pub fn preset(level: u8) -> Result<Preset> {
    let &Numbered { number, block_size, network } = row(level)?;
    let memory = match network {
        Some(network) => network.memory,
        None => memory_of(number, block_size, &Models::default())?,
    };
    let time = TIMES[usize::from(level) - 1];
    Ok(Preset { level, network: network.is_some(), block_size, memory, time })
}

fn memory_of(number: u8, block_size: usize, models: &Models) -> Result<u64> {
    let model = StreamModel::of_number(number);
    let choice = Choice::new(&model, Kind::Bytes, models, false)?;
    Ok(encode_cost(&choice, block_size, block_size))
}

/// The model that a level asks for. A network is not unpacked.
pub(super) fn row(level: u8) -> Result<&'static Numbered> {
    block::number(level).ok_or_else(|| {
        let message = format!("level {level}; levels are 1 to {MAX_LEVEL}");
        Error::new(ErrorKind::InvalidArgument, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{AnyWeights, Network};

    #[test]
    fn the_memory_that_presets_state_is_what_coding_takes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/lmic-9");
        let apart = AnyWeights::load(folder.as_ref()).ok().map(|weights| Network::new(&weights));
        let models = Models::of(apart.into_iter().map(Result::unwrap).collect());
        for level in 1..=MAX_LEVEL {
            let preset = preset(level).unwrap();
            match memory_of(level, preset.block_size, &models) {
                Err(error) if block::apart_network(level).is_some() => {
                    eprintln!("skipped: {error}");
                }
                memory => assert_eq!(preset.memory, memory.unwrap(), "{level}"),
            }
        }
    }
}
