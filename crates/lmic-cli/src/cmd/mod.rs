//! The commands that are more than a transform of files.

#[cfg(feature = "bench")]
pub mod bench;
pub mod cat;
pub mod completions;
pub mod external;
pub mod fetch;
pub mod help;
pub mod inspect;
pub mod list;
pub mod man;
pub mod model;
pub mod prime;
#[cfg(feature = "llama")]
pub mod score;
