//! Encrypted archives as whole: round trips, damage, hostile files, places.

mod damage;
mod hostile;
mod keys;
mod lengths;
#[cfg(target_os = "linux")]
mod memory;
mod places;

/// Keys and archives to try.
mod support;
