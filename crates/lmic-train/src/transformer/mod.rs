//! Transformers over bytes: trained on windows, each alone, written as Hugging Face Llama directories.

mod attention;
mod export;
mod model;
mod optim;
mod recipe;
mod train;

pub use export::load;
pub use model::{Model, ParameterSpec, parameter_specs};
pub use recipe::{ModelConfig, OptimConfig, Recipe};
pub(crate) use train::Windows;
