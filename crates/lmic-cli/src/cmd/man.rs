//! `lmic man [COMMAND]`: a manual page in roff on stdout.

use anyhow::{Context, Result};
use clap_mangen::Man;

use crate::args;
use crate::table::write;

/// Prints the page of `command`, or of lmic itself.
pub fn run(command: Option<&str>) -> Result<()> {
    let mut root = args::command();
    root.build(); // gives the commands their full names
    let page = match command {
        // The NAME line is to be short; the rest of the text goes to DESCRIPTION.
        None => root.about(first_line(args::ABOUT)).long_about(args::ABOUT),
        Some(name) => root
            .find_subcommand(name)
            .cloned()
            .with_context(|| format!("{name:?} is no command (see lmic --help)"))?,
    };
    let mut roff = Vec::new();
    Man::new(page).render(&mut roff).context("cannot make the manual page")?;
    write(&roff)
}

fn first_line(text: &'static str) -> &'static str {
    text.lines().next().unwrap_or(text)
}
