//! A whole input at once.

use std::ffi::c_void;

use lmic::{compress_with, decompress_with};

use crate::memory::{bytes, lmic_buffer, put};
use crate::options::{lmic_options, to_decode, to_encode};
use crate::status::guard;
use crate::status::lmic_status::{self, LMIC_OK};

/// Compresses `len` bytes to an archive. After an error the buffer is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_compress(
    data: *const c_void,
    len: usize,
    options: *const lmic_options,
    archive: *mut lmic_buffer,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let (data, options) = unsafe {
            put(archive, lmic_buffer::EMPTY)?;
            (bytes(data, len)?, to_encode(options)?)
        };
        let coded = compress_with(data, &options)?;
        // SAFETY: as above.
        unsafe { put(archive, lmic_buffer::of(coded)) }?;
        Ok(LMIC_OK)
    })
}

/// Restores what an archive of `len` bytes holds, of all of its streams. After an error the buffer is empty: content is given out
/// only if its checks held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_decompress(
    archive: *const c_void,
    len: usize,
    options: *const lmic_options,
    content: *mut lmic_buffer,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let (archive, options) = unsafe {
            put(content, lmic_buffer::EMPTY)?;
            (bytes(archive, len)?, to_decode(options)?)
        };
        let decoded = decompress_with(archive, &options)?;
        // SAFETY: as above.
        unsafe { put(content, lmic_buffer::of(decoded)) }?;
        Ok(LMIC_OK)
    })
}
