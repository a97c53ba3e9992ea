//! Recurrent byte models: trained on streams whose state is carried from step to step, written in the form of
//! [`lmic::nn::RecurrentWeights`]. On the CPU only; recipes/train_recurrent.py trains the same on GPUs.
//!
//! A row of a step reads on in its stream, with the state that it had (no gradient goes back through it), or starts anew
//! elsewhere with the start symbol and a state of zeros, so that models learn both long memory and first bytes.

mod model;
mod ngrams;
mod optim;
mod recipe;
mod recurrence;
mod rounding;
mod train;

pub use model::{Model, Segment, is_model};
pub use recipe::{MuonConfig, RecurrentRecipe, ShapeConfig, StreamsConfig};
pub(crate) use train::Streams;
