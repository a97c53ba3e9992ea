//! The experiments of *Language Modeling Is Compression* and more: what to run is data, what came out is a record, what is
//! shown is made from records.
//!
//! ```text
//! experiments/data/*.toml -> data -> items -\
//! experiments/*.toml ---------------------- experiment -> records/*.csv -> report -> HTML, Markdown, JSON
//!                      name -> codec ------/
//! ```

/// What is coded at once.
pub mod item;

/// Data sets.
pub mod data;

/// Compressors, ours and others.
pub mod codec;

/// What to run.
pub mod experiment;

/// What came out.
pub mod record;

/// What is shown.
pub mod report;

/// Compressors as generators.
pub mod generate;

/// Text as tokens.
pub mod tokens;

/// What each byte of a file costs.
pub mod inspect;
