//! Memory that the system may refuse. What fails in the middle of coding ends the process, so it is asked for before.

use crate::error::{Error, ErrorKind, Result};

/// Refuses work for which there are not `bytes` of memory.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`].
pub fn check_available(bytes: u64) -> Result<()> {
    if is_available(bytes) { Ok(()) } else { Err(out_of_memory(bytes)) }
}

/// Whether the system would give so many bytes now. Systems that promise more than they have nearly always say so; where a
/// process is limited (`ulimit -v`) or nothing is promised, it is the difference between an error and an abort.
pub(crate) fn is_available(bytes: u64) -> bool {
    let Ok(bytes) = usize::try_from(bytes) else { return false };
    let mut memory = Vec::<u8>::new();
    let is_there = memory.try_reserve_exact(bytes).is_ok();
    // Otherwise a compiler may leave the allocation out, as nobody uses it.
    std::hint::black_box(&memory);
    is_there
}

/// The error for `bytes` that the system does not give.
pub(crate) fn out_of_memory(bytes: u64) -> Error {
    Error::new(
        ErrorKind::OutOfMemory,
        format!("the system does not give the {bytes} bytes of memory that are needed"),
    )
}
