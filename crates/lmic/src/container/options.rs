//! Options of encoder and decoder.

use super::preset::{DEFAULT_LEVEL, preset};
use super::{MAX_BLOCK_LEN, MIN_BLOCK_SIZE};
use crate::codec::Content;
use crate::error::{Error, ErrorKind, Result};

/// Memory that encoder and decoder keep to unless told otherwise: 4 GiB.
pub const DEFAULT_MEMORY_LIMIT: u64 = 4 << 30;

/// How to encode. Validated once, when an encoder is made.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// 1 (fast) to [`MAX_LEVEL`](super::MAX_LEVEL) (strong).
    pub level: u8,
    /// Bytes of content in a block, [`MIN_BLOCK_SIZE`] to [`MAX_BLOCK_LEN`]; `None` is the level's own.
    pub block_size: Option<usize>,
    /// Blocks coded at the same time; 0 is one per core. The archive is the same for any number.
    pub threads: usize,
    /// Bytes of memory to keep to; `None` is no limit. Fewer threads are used if they do not fit.
    pub memory_limit: Option<u64>,
    /// What the whole input is; `None` recognises it.
    pub content: Option<Content>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            level: DEFAULT_LEVEL,
            block_size: None,
            threads: 0,
            memory_limit: Some(DEFAULT_MEMORY_LIMIT),
            content: None,
        }
    }
}

impl EncodeOptions {
    /// Checks every field; returns the profile and the block size.
    pub(super) fn validate(&self) -> Result<(u8, usize)> {
        let preset = preset(self.level)?;
        let block_size = self.block_size.unwrap_or(preset.block_size);
        if !(MIN_BLOCK_SIZE..=MAX_BLOCK_LEN).contains(&block_size) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "block size {block_size}; allowed are {MIN_BLOCK_SIZE} to {MAX_BLOCK_LEN} bytes"
                ),
            ));
        }
        if let Some(content) = self.content {
            content.validate()?;
        }
        Ok((preset.profile, block_size))
    }
}

/// How to decode.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Blocks decoded at the same time; 0 is one per core.
    pub threads: usize,
    /// Bytes of memory to keep to; `None` is no limit. Fewer threads are used if they do not fit.
    pub memory_limit: Option<u64>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { threads: 0, memory_limit: Some(DEFAULT_MEMORY_LIMIT) }
    }
}
