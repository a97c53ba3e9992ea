//! lmic as a library for C: pointers and codes in place of slices and results, and nothing else. The names are those of the
//! header, `include/lmic.h`, which cbindgen makes of these files.
//!
//! Invariants
//! - No panic leaves a function: it becomes `LMIC_INTERNAL`, and what it happened in cannot be used further.
//! - Bytes of a caller become a slice in `memory`, and nowhere else.

#![allow(unsafe_code, reason = "pointers of callers in C, and names that they call")]
#![allow(non_camel_case_types, reason = "the names of the header")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the header says once, at its top, what pointers must be"
)]

/// Statuses, messages of errors, and where panics end.
mod status;

/// Pointers to slices, and buffers that are handed out.
mod memory;

/// What can be chosen.
mod options;

/// A whole input at once.
mod whole;

/// Input and output in pieces.
mod stream;

/// Any range of an archive.
mod archive;

use std::ffi::c_char;

/// The version of the library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn lmic_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
