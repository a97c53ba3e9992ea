//! Trains byte-level transformers and writes them as Hugging Face Llama directories, and recurrent byte models
//! in the form of `lmic`.
//!
//! ```text
//! recipe.toml ─> Recipe ─┬─> data::Corpus ── windows ──┐
//!                        └─> model::Model ─ gradients ─┴─> optim::AdamW ─> checkpoint, export, metrics
//! ```
//!
//! This crate alone uses a tensor framework (burn). Nothing here ever feeds a coder: weights leave as
//! safetensors only, and `lmic` computes its own forward pass.
//!
//! A training run depends on its recipe, its data and the kind of device: every window is drawn from a
//! counter, gradients are added in a fixed order, and on the CPU each sequence is computed by one thread. So
//! a run on the CPU gives the same losses bit for bit with any number of threads, and after any interruption.

/// What to train, on what, for how long: a TOML file.
pub mod recipe;

/// Training text: files to windows of bytes, and the part held out.
pub mod data;

/// The network: parameters, forward pass, loss.
pub mod model;

/// Attention on the CPU.
mod attention;

/// Functions for vector code.
mod math;

/// Parts of a batch on several threads.
mod parallel;

/// Recurrent models: recipe, network, training step, files.
pub mod recurrent;

/// AdamW, clipping by the global norm, the course of the learning rate.
pub mod optim;

/// The state of a run on disk.
pub mod checkpoint;

/// Model directories: safetensors, configuration, model card.
pub mod export;

/// Figures of a run: CSV, JSON lines, a curve.
pub mod metrics;

/// The training loop.
pub mod train;

/// Bits per byte and logits of a finished model.
pub mod eval;
