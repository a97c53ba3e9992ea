//! What can be chosen.

use std::ffi::c_int;

use lmic::block::Models;
use lmic::models::Finder;
use lmic::{DEFAULT_MEMORY_LIMIT, DecodeOptions, EncodeOptions, Result};

use crate::status::invalid;

/// What can be chosen, for encoders and decoders. 0 is the default everywhere, so begin with `lmic_options options = {0};` and set
/// what matters. Fields may be added in place of `reserved`.
#[repr(C)]
pub struct lmic_options {
    /// 1 (fast) to 8 (strong); 0 is 7. 9 needs a network in the model folder. Decoders do not look at it.
    level: c_int,
    /// Threads that work at the same time; 0 is one per core. An archive is the same for any number.
    threads: u32,
    /// Bytes of memory to keep to; 0 is 4 GiB, UINT64_MAX no limit. lmic_decompress() counts what it returns, too.
    memory: u64,
    /// Bytes of content in a block, 256 to 256 MiB; 0 is the level's own. A range takes the time of the blocks that it touches, so
    /// small blocks are for archives of which ranges are read. Decoders do not look at it.
    block_size: usize,
    /// Must be 0.
    reserved: [u64; 4],
}

impl lmic_options {
    /// Checks what no option of the library checks.
    fn check(&self) -> Result<()> {
        match self.reserved {
            [0, 0, 0, 0] => Ok(()),
            _ => Err(invalid("a reserved field of the options is not 0")),
        }
    }

    fn memory_limit(&self) -> Option<u64> {
        match self.memory {
            0 => Some(DEFAULT_MEMORY_LIMIT),
            u64::MAX => None,
            bytes => Some(bytes),
        }
    }
}

/// Options for an encoder.
///
/// # Safety
/// `options` is null or points to options.
pub(crate) unsafe fn to_encode(options: *const lmic_options) -> Result<EncodeOptions> {
    // SAFETY: as the caller ensures.
    let Some(options) = (unsafe { options.as_ref() }) else {
        return Ok(EncodeOptions { models: models(), ..EncodeOptions::default() });
    };
    options.check()?;
    let level = match options.level {
        0 => lmic::DEFAULT_LEVEL,
        // What is out of range for a byte is so for the levels.
        level => u8::try_from(level).unwrap_or(u8::MAX),
    };
    Ok(EncodeOptions {
        level,
        threads: options.threads as usize,
        memory_limit: options.memory_limit(),
        block_size: Some(options.block_size).filter(|&size| size > 0),
        models: models(),
        ..EncodeOptions::default()
    })
}

/// Options for a decoder.
///
/// # Safety
/// `options` is null or points to options.
pub(crate) unsafe fn to_decode(options: *const lmic_options) -> Result<DecodeOptions> {
    // SAFETY: as the caller ensures.
    let Some(options) = (unsafe { options.as_ref() }) else {
        return Ok(DecodeOptions { models: models(), ..DecodeOptions::default() });
    };
    options.check()?;
    Ok(DecodeOptions {
        threads: options.threads as usize,
        memory_limit: options.memory_limit(),
        models: models(),
    })
}

/// The models of the model folder.
fn models() -> Models {
    Finder::of_user().at_hand(None, None)
}
