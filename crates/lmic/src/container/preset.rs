//! What a level means, for the command's help and the documents.

use super::block::encode_cost;
use crate::block::{self, Choice, Kind, MAX_LEVEL, Models, Number, StreamModel};
use crate::error::{Error, ErrorKind, Result};

/// What a level stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The level asked for, 1 to [`MAX_LEVEL`], which is also the number of the model that is stored in the archive.
    pub level: u8,
    /// Whether a network is mixed with context mixing.
    pub network: bool,
    /// Bytes of content in a block.
    pub block_size: usize,
    /// Bytes of memory that coding a full block takes, per thread. Decoding takes no more.
    pub memory: u64,
}

/// The preset of `level`.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if the level is not 1 to [`MAX_LEVEL`].
pub fn preset(level: u8) -> Result<Preset> {
    let &Number { number, block_size, network } = row(level)?;
    let memory = match network {
        Some(network) => network.memory,
        None => memory_of(number, block_size)?,
    };
    Ok(Preset { level, network: network.is_some(), block_size, memory })
}

fn memory_of(number: u8, block_size: usize) -> Result<u64> {
    let model = StreamModel::of_number(number);
    let choice = Choice::new(&model, Kind::Bytes, &Models::default(), false)?;
    Ok(encode_cost(&choice, block_size, block_size))
}

/// The model that a level asks for. A network is not unpacked.
pub(super) fn row(level: u8) -> Result<&'static Number> {
    block::number(level).ok_or_else(|| {
        let message = format!("level {level}; levels are 1 to {MAX_LEVEL}");
        Error::new(ErrorKind::InvalidArgument, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_presets_state_is_what_coding_takes() {
        for level in 1..=MAX_LEVEL {
            let preset = preset(level).unwrap();
            assert_eq!(preset.memory, memory_of(level, preset.block_size).unwrap(), "{level}");
        }
    }
}
