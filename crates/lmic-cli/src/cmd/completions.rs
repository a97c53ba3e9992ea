//! `lmic completions SHELL`: a completion script on stdout.

use anyhow::Result;
use clap_complete::{Shell, generate};

use crate::args;
use crate::table::write;

/// Prints the script for `shell`.
pub fn run(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut args::command(), "lmic", &mut script);
    write(&script)
}
