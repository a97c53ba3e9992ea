//! The commands.

pub mod data;
pub mod generate;
pub mod inspect;
pub mod report;
pub mod run;

use std::path::PathBuf;

/// Where things are.
#[derive(Debug, Clone, clap::Args)]
pub struct Places {
    /// Folder that the paths of data sets start from [default: $LMIC_DATA, or ../shared/data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Folder of experiments, with the data sets in its folder data
    #[arg(long, value_name = "FOLDER", default_value = "experiments")]
    pub experiments: PathBuf,
    /// Folder of records [default: records; with --quick target/eval]
    #[arg(long, value_name = "FOLDER")]
    pub records: Option<PathBuf>,
    /// The small set on generated data
    #[arg(long)]
    pub quick: bool,
}

impl Places {
    /// See [`Places::data`].
    pub fn data(&self) -> PathBuf {
        let set =
            || std::env::var_os("LMIC_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
        self.data.clone().or_else(set).unwrap_or_else(|| PathBuf::from("../shared/data"))
    }

    /// Descriptions of data sets.
    pub fn catalogue(&self) -> PathBuf {
        self.experiments.join("data")
    }

    /// The experiments.
    pub fn experiments(&self) -> PathBuf {
        if self.quick { self.experiments.join("quick") } else { self.experiments.clone() }
    }

    /// See [`Places::records`].
    pub fn records(&self) -> PathBuf {
        let default = if self.quick { "target/eval" } else { "records" };
        self.records.clone().unwrap_or_else(|| default.into())
    }
}
