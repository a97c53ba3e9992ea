//! One integration binary: what the library promises, through its public API.

mod container;
mod limits;
mod support;
mod truncation;
