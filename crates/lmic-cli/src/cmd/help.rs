//! `lmic help [COMMAND]`: what `lmic COMMAND --help` prints.

use anyhow::{Context, Result};

use crate::args;
use crate::table::write;

/// Prints the help of a command, given by its words, or of lmic itself.
pub fn run(words: &[String]) -> Result<()> {
    let mut command = args::command();
    command.build(); // gives the commands their full names
    for word in words {
        let found = command.find_subcommand(word).cloned();
        command = found.with_context(|| format!("{word:?} is no command (see lmic --help)"))?;
    }
    write(command.render_help().to_string().as_bytes())
}
