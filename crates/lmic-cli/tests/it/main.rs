//! Runs the `lmic` binary as a user would and looks at files, stdout, stderr and exit status.

#[cfg(target_os = "linux")]
mod chaos;
mod errors;
mod files;
mod forms;
#[cfg(feature = "llama")]
mod llama;
mod losses;
mod model;
mod neural;
mod pipes;
#[cfg(target_os = "linux")]
mod refusals;
mod tables;

/// A directory to work in, and calls of the binary.
mod prime;
mod support;
