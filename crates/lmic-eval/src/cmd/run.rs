//! `lmic eval run`.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use lmic_eval::experiment::{Options, parse_size, run as run_experiment};
use lmic_eval::report::is_experiment;

use super::Places;

/// Shown under the help.
pub const EXAMPLES: &str = "\
Examples:
  lmic eval run --quick             everything, small, on generated data, in a minute or two
  lmic eval run                     everything on the data at hand
  lmic eval run table1 --limit 64K --jobs 2";

/// What may be asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of experiments, or their files [default: all]
    #[arg(value_name = "EXPERIMENT")]
    pub names: Vec<PathBuf>,
    #[command(flatten)]
    pub places: Places,
    /// Measure so many cells at the same time (0: one a core)
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// At most so many bytes of each data set
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub limit: Option<usize>,
    /// Measure again what has been measured
    #[arg(long)]
    pub again: bool,
    /// No progress on the terminal
    #[arg(long)]
    pub no_progress: bool,
}

/// Runs them.
pub fn run(args: &Args) -> Result<()> {
    let folder = args.places.experiments();
    let options = Options {
        data: args.places.data(),
        catalogue: args.places.catalogue(),
        records: args.places.records(),
        jobs: args.jobs,
        limit: args.limit,
        again: args.again,
        progress: !args.no_progress && std::io::stderr().is_terminal(),
    };
    let mut paths = Vec::new();
    for name in &args.names {
        let candidates = [name.clone(), folder.join(name).with_extension("toml")];
        match candidates.into_iter().find(|path| path.is_file()) {
            Some(path) => paths.push(path),
            None => bail!("{}: no such experiment in {}", name.display(), folder.display()),
        }
    }
    if args.names.is_empty() {
        for entry in std::fs::read_dir(&folder)? {
            paths.push(entry?.path());
        }
        paths.retain(|path| is_experiment(path));
        paths.sort();
    }
    ensure!(!paths.is_empty(), "{}: no experiments", folder.display());
    let (mut failed, mut nothing) = (0, Vec::new());
    for path in paths {
        let outcome = run_experiment(&path, &options)?;
        let name = path.file_stem().unwrap_or_default().display().to_string();
        eprintln!("{name}: {} measured, {} known", outcome.measured, outcome.cached);
        for reason in &outcome.skipped {
            eprintln!("  skipped: {reason}");
        }
        for reason in &outcome.failed {
            eprintln!("  failed: {reason}");
        }
        failed += outcome.failed.len();
        if outcome.measured + outcome.cached == 0 {
            nothing.push(name);
        }
    }
    ensure!(failed == 0, "{failed} failed");
    // What was asked for by name should give something.
    ensure!(
        nothing.is_empty() || args.names.is_empty(),
        "{}: nothing measured",
        nothing.join(", ")
    );
    Ok(())
}
