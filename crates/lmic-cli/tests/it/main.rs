//! Runs the `lmic` binary as a user would and looks at files, stdout, stderr and exit status.

mod apart;
#[cfg(target_os = "linux")]
mod chaos;
mod encryption;
mod errors;
mod fetch;
mod files;
mod forms;
#[cfg(feature = "llama")]
mod llama;
mod losses;
mod messages;
mod model;
#[cfg(feature = "llama")]
mod model_files;
mod neural;
mod newer;
mod pipes;
#[cfg(target_os = "linux")]
mod refusals;
mod tables;

mod prime;

/// A directory to work in, and calls of the binary.
mod support;

#[cfg(feature = "llama")]
#[path = "../../../lmic-llama/tests/it/gguf.rs"]
#[expect(dead_code, reason = "shared; not all of it is needed here")]
mod gguf;

#[path = "../../../lmic/tests/it/by_hand.rs"]
#[expect(dead_code, reason = "shared; not all of it is needed here")]
mod by_hand;
