//! Pointers to slices, and buffers that are handed out.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;

use lmic::Result;

use crate::status::invalid;

/// Bytes that the library has allocated. Give them back with lmic_buffer_free(), and not with free(): the length of an archive
/// or of its content is not known before it is made, so the library allocates, by means of its own.
#[repr(C)]
pub struct lmic_buffer {
    /// Null if there are none.
    data: *mut u8,
    /// Their number.
    len: usize,
    /// Private to the library.
    capacity: usize,
}

impl lmic_buffer {
    pub(crate) const EMPTY: Self = Self { data: ptr::null_mut(), len: 0, capacity: 0 };

    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        if bytes.capacity() == 0 {
            return Self::EMPTY;
        }
        let mut bytes = ManuallyDrop::new(bytes);
        Self { data: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }
}

/// Frees the bytes of a buffer and makes it empty. An empty one, and null, are left as they are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_buffer_free(buffer: *mut lmic_buffer) {
    // SAFETY: the caller's pointer is null or points to a buffer.
    let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
    let lmic_buffer { data, len, capacity } = std::mem::replace(buffer, lmic_buffer::EMPTY);
    if !data.is_null() {
        // SAFETY: `lmic_buffer::of` took these three from a `Vec`, and nothing frees them twice, as the buffer is empty now.
        drop(unsafe { Vec::from_raw_parts(data, len, capacity) });
    }
}

/// The `len` bytes at `data`.
///
/// # Safety
/// `data` is null or points to `len` initialised bytes that stay as they are for `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if check(data, len)? {
        return Ok(&[]);
    }
    // SAFETY: not null and of a length that a slice may have; the caller ensures the rest.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// The `len` bytes at `data`, to be written.
///
/// # Safety
/// `data` is null or points to `len` bytes, which nobody else reads or writes for `'a`. (They may be without a value: what
/// gets the slice only writes.)
pub(crate) unsafe fn bytes_mut<'a>(data: *mut c_void, len: usize) -> Result<&'a mut [u8]> {
    if check(data, len)? {
        return Ok(&mut []);
    }
    // SAFETY: not null and of a length that a slice may have; the caller ensures the rest. Memory of C has some value in each
    // byte as far as this code can see, since no compiler looks across this border.
    Ok(unsafe { slice::from_raw_parts_mut(data.cast(), len) })
}

/// Whether there are no bytes.
fn check(data: *const c_void, len: usize) -> Result<bool> {
    match len {
        0 => Ok(true),
        _ if data.is_null() => Err(invalid(format!("a null pointer to {len} bytes"))),
        _ if len > isize::MAX as usize => {
            Err(invalid(format!("{len} bytes, more than memory has")))
        }
        _ => Ok(false),
    }
}

/// What a pointer points to.
///
/// # Safety
/// It is null or points to an initialised value that nobody else uses for `'a`.
pub(crate) unsafe fn at<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: as the caller ensures.
    unsafe { pointer.as_mut() }.ok_or_else(|| invalid(format!("{what} is a null pointer")))
}

/// Puts what a function makes to where its caller wants it.
///
/// # Safety
/// `place` is null or may be written.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result<()> {
    if place.is_null() {
        return Err(invalid("the place for the result is a null pointer"));
    }
    // SAFETY: not null, and the caller's to be written. What stood there had no value to be dropped.
    unsafe { place.write(value) };
    Ok(())
}

/// Moves a value to where a pointer in C can own it.
pub(crate) fn into_pointer<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Drops what [`into_pointer`] moved.
///
/// # Safety
/// `pointer` is null or came from [`into_pointer`], and was not freed before.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as the caller ensures.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
