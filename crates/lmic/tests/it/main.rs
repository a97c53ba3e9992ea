//! The integration tests of the library, one binary. A module per subject.

mod container;
mod support;
