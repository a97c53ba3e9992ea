//! `lmic inspect --html`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use lmic_eval::experiment::parse_size;
use lmic_eval::inspect::page;

/// Shown under the help.
pub const EXAMPLES: &str = "\
Examples:
  lmic inspect --html cost.html notes.txt
  lmic inspect --html cost.html --by cm --by lmic:level=7 notes.txt.lmic";

/// What may be asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The page to write
    #[arg(long, value_name = "PAGE")]
    pub html: PathBuf,
    /// Whose bits; twice for two side by side: cm, default, lmic:level=7, lmic:model=PATH... [default: default]
    #[arg(long, value_name = "CODEC")]
    pub by: Vec<String>,
    /// Only so many first bytes: a page of more is slow
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "64K")]
    pub limit: usize,
    /// A file, or an archive whose content is shown
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Writes the page.
pub fn run(args: &Args) -> Result<()> {
    let [file] = &args.files[..] else { anyhow::bail!("one file a page") };
    let mut bytes = fs::read(file).with_context(|| file.display().to_string())?;
    if file.extension().is_some_and(|e| e == "lmic") {
        bytes = lmic::decompress(&bytes).with_context(|| file.display().to_string())?;
    }
    ensure!(!bytes.is_empty(), "{}: empty", file.display());
    bytes.truncate(args.limit);
    let by = if args.by.is_empty() { vec!["default".to_owned()] } else { args.by.clone() };
    let name = file.file_name().unwrap_or_default().display().to_string();
    fs::write(&args.html, page(&name, &bytes, &by)?)
        .with_context(|| args.html.display().to_string())
}
