//! What a level means: one table, shown by the command's help and the documents.

use super::block::encode_cost;
use super::options::MIXED_BLOCK_SIZE;
use crate::codec::{BlockCoder, Content, Models, StreamModel};
use crate::error::{Error, ErrorKind, Result};

/// The level that is used when none is given.
pub const DEFAULT_LEVEL: u8 = 7;

/// The highest level. Levels 8 and 9 stand for larger networks than the library holds: without one in
/// [`EncodeOptions::model`](super::EncodeOptions::model) they are level 7.
pub const MAX_LEVEL: u8 = 9;

const MIB: usize = 1 << 20;

/// Model number and block size of levels 1 to 7. Bigger blocks compress better; smaller ones keep more
/// threads busy and take less memory.
const PRESETS: [(u8, usize); 7] = [
    (1, 8 * MIB),
    (2, 16 * MIB),
    (3, 32 * MIB),
    (4, 32 * MIB),
    (5, 64 * MIB),
    (6, MIXED_BLOCK_SIZE),
    (7, MIXED_BLOCK_SIZE),
];

/// What a level stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The level asked for, 1 to [`MAX_LEVEL`].
    pub level: u8,
    /// The number of the model that is stored in the archive: 1 to 5 for context mixing alone, 6 and 7 for a network mixed
    /// with it.
    pub model: u8,
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
    let (model, block_size) = model_and_block_size(level)?;
    let memory = match model {
        6 | 7 => MIXED_MEMORY[usize::from(model) - 6],
        _ => memory_of(model, block_size)?,
    };
    Ok(Preset { level, model, block_size, memory })
}

/// Memory of a full block of levels 6 and 7: to work it out, networks would have to be unpacked, which takes longer than all else
/// that a program does when it starts.
const MIXED_MEMORY: [u64; 2] = [339_016_224, 339_384_864];

fn memory_of(model: u8, block_size: usize) -> Result<u64> {
    let coder =
        BlockCoder::new(&StreamModel::of_number(model), Content::Bytes, &Models::default())?;
    Ok(encode_cost(&coder, block_size))
}

/// Of a level: the number of its model, and bytes of content in a block. The model itself is not made.
pub(super) fn model_and_block_size(level: u8) -> Result<(u8, usize)> {
    if !(1..=MAX_LEVEL).contains(&level) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("level {level}; levels are 1 to {MAX_LEVEL}"),
        ));
    }
    Ok(PRESETS[usize::from(level).min(PRESETS.len()) - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_presets_state_is_what_coding_takes() {
        for level in 1..=7 {
            let preset = preset(level).unwrap();
            assert_eq!(
                preset.memory,
                memory_of(preset.model, preset.block_size).unwrap(),
                "{level}"
            );
        }
    }
}
