//! One integration binary: what the library promises, through its public API.

mod by_hand;
mod choice;
mod coder;
mod coder_exact;
mod container;
mod copies;
mod deflate;
mod engine;
mod exact;
mod frozen;
mod golden;
mod hugging_face;
mod limits;
mod lines;
mod mix;
mod model_file;
mod neural;
mod newer;
mod parts;
mod push;
mod records;
mod score;
mod support;
mod truncation;
mod walk;
