//! Checkpoints as transformers saves them, and GGUF files: what is computed, coded, and refused. `scripts/llama_fixtures.py` made
//! the fixtures.

mod gguf;
mod score;
mod support;

mod archives;
mod files;
mod golden;
mod hostile;
mod parity;
mod tokens;
