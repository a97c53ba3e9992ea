//! Figure 3.
use std::path::Path;

use anyhow::Result;

use super::{Outcome, Run};

pub fn run(_run: &Run<'_>, _folder: &Path, _outcome: &mut Outcome) -> Result<()> {
    Ok(())
}
