//! Asks for memory before coding begins. The system may refuse it, which in the middle of coding would end the process.

use crate::error::{Error, ErrorKind, Result};

/// Refuses work for which the system does not give `bytes` of memory.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`].
pub fn check_available(bytes: u64) -> Result<()> {
    if is_available(bytes) { Ok(()) } else { Err(out_of_memory(bytes)) }
}

/// Whether the system would give `bytes` of memory now. Systems that overcommit nearly always say yes. Where a process is
/// limited (`ulimit -v`), or the system does not overcommit, the answer turns an abort into an error.
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
