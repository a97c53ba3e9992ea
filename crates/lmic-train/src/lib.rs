//! Trains byte-level transformers and writes them as Hugging Face Llama directories, and recurrent byte models
//! in the form of `lmic`.
//!
//! ```text
//! recipe.toml ─> AnyRecipe ─┬─> data::Corpus ─ windows, streams ─┐
//!                           └─> Model ─────── gradients ─────────┴─> optimizer ─> checkpoint, export, metrics
//! ```
//!
//! `transformer` and `recurrent` know nothing of each other: what both need is in the files above them here, what tells
//! them apart in those below.
//!
//! This crate alone uses a tensor framework (burn). Nothing here ever feeds a coder: weights leave as
//! safetensors only, and `lmic` computes its own forward pass.
//!
//! A training run depends on its recipe, its data and the kind of device: every window is drawn from a
//! counter, gradients are added in a fixed order, and on the CPU each sequence is computed by one thread. So
//! a run on the CPU gives the same losses bit for bit with any number of threads, and after any interruption.

/// Random numbers from a counter.
mod random;

/// Functions for vector code.
mod math;

/// Files that are complete or not there at all.
mod replace;

/// Tensors to numbers and files, and back.
mod tensors;

/// How a batch is computed.
pub mod parallel;

/// Training text: files to windows of bytes, and the part held out.
pub mod data;

/// What recipes of both kinds share.
pub mod recipe_parts;

/// What networks of both kinds share.
pub mod network;

/// What optimizers of both kinds share.
mod adam;

/// The state of a run on disk.
pub mod checkpoint;

/// Model directories.
pub mod export;

/// What the training loop asks of a kind of model.
mod learner;

/// Transformers: recipe, network, training step, files.
pub mod transformer;

/// Recurrent models: recipe, network, training step, files.
pub mod recurrent;

/// What to train, on what, for how long: a TOML file of either kind.
pub mod recipe;

/// Figures of a run: CSV, JSON lines, a curve.
pub mod metrics;

/// The training loop.
pub mod train;

/// Bits per byte and logits of a finished model.
pub mod eval;
