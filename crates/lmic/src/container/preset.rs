//! What a level means: one table, shown by the command's help and the documents.

use super::block::encode_cost;
use crate::codec::{BlockCoder, BlockModel, Content};
use crate::error::{Error, ErrorKind, Result};

/// The level that is used when none is given.
pub const DEFAULT_LEVEL: u8 = 5;

/// The highest level. Levels 6 to 9 are reserved for neural models and mean level 5 until these exist.
pub const MAX_LEVEL: u8 = 9;

const MIB: usize = 1 << 20;

/// Profile and block size of levels 1 to 5. Bigger blocks compress better; smaller ones keep more
/// threads busy and take less memory.
const PRESETS: [(u8, usize); 5] =
    [(1, 8 * MIB), (2, 16 * MIB), (3, 32 * MIB), (4, 32 * MIB), (5, 64 * MIB)];

/// What a level stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The level asked for, 1 to [`MAX_LEVEL`].
    pub level: u8,
    /// The model profile that is stored in the archive, 1 to 5.
    pub profile: u8,
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
    if !(1..=MAX_LEVEL).contains(&level) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("level {level}; levels are 1 to {MAX_LEVEL}"),
        ));
    }
    let (profile, block_size) = PRESETS[usize::from(level).min(PRESETS.len()) - 1];
    let memory = encode_cost(
        &BlockCoder::Mixing(BlockModel { profile, content: Content::Bytes }),
        block_size,
    );
    Ok(Preset { level, profile, block_size, memory })
}
