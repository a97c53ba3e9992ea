//! One integration binary: what the library promises, through its public API.

mod container;
mod golden;
mod limits;
mod support;
mod truncation;
