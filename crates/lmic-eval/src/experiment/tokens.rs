//! Table 2.
use anyhow::{Result, bail};

use super::{Cell, Run};
use crate::record::Record;

/// What [`Run`] calls the text to learn from.
pub const TRAIN: &str = "\0train";

pub fn version(_codec: &str, _run: &Run<'_>) -> Result<String> {
    bail!("todo")
}

pub fn measure(_run: &Run<'_>, _cell: &Cell) -> Result<Record> {
    bail!("todo")
}
