//! `lmic eval data`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lmic_eval::data::{catalogue, fetch_and_unpack, sha256_of};

use super::Places;

/// What may be asked for.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Show the data sets, whether they are there, and their licences
    List(Places),
    /// Download a public data set; goes on where it was interrupted
    #[command(after_help = "Example:\n  lmic eval data fetch enwik8")]
    Fetch {
        /// Its name
        name: String,
        #[command(flatten)]
        places: Places,
    },
    /// Print the SHA-256 of a file or a folder, for the description of a data set
    Hash {
        /// The file or folder
        path: std::path::PathBuf,
    },
}

/// Does it.
pub fn run(args: &Args) -> Result<()> {
    match args {
        Args::List(places) => list(places),
        Args::Fetch { name, places } => get(name, places),
        Args::Hash { path } => {
            println!("{}", sha256_of(path)?);
            Ok(())
        }
    }
}

fn list(places: &Places) -> Result<()> {
    for (name, set) in catalogue(&places.catalogue())? {
        let state = match &set.path {
            None => "generated",
            Some(path) if places.data().join(path).exists() => "here",
            Some(_) if set.download.is_some() => "can be fetched",
            Some(_) => "absent",
        };
        println!("{name:20} {state:14} {:40} {}", set.title, set.licence);
    }
    Ok(())
}

fn get(name: &str, places: &Places) -> Result<()> {
    let sets = catalogue(&places.catalogue())?;
    let set = sets.get(name).with_context(|| format!("{name}: no such data set"))?;
    let (Some(download), Some(path)) = (&set.download, &set.path) else {
        bail!("{name}: its description has no download; it comes from {}", set.source);
    };
    eprintln!("{}: {}", set.title, set.licence);
    let target = places.data().join(path);
    fetch_and_unpack(download, Path::new(&target))?;
    eprintln!("{}", target.display());
    Ok(())
}
