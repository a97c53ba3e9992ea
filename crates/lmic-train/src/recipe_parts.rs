//! What recipes of both kinds share: the table with overrides, the budget, `[log]`.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// A table with overrides applied.
pub(crate) fn parse(text: &str, overrides: &[String]) -> Result<toml::Table> {
    let mut table: toml::Table = text.parse().context("the recipe is no TOML")?;
    for set in overrides {
        apply_override(&mut table, set)?;
    }
    Ok(table)
}

fn apply_override(table: &mut toml::Table, set: &str) -> Result<()> {
    let Some((key, value)) = set.split_once('=') else {
        bail!("`{set}`: write an override as section.key=value");
    };
    let value = format!("v = {value}")
        .parse::<toml::Table>()
        .map_or_else(|_| toml::Value::String(value.into()), |mut t| t.remove("v").expect("v"));
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().expect("split gives at least one part");
    let mut section = table;
    for part in path {
        section = section
            .entry(part)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .with_context(|| format!("`{set}`: {part} is no section"))?;
    }
    // The three budgets exclude each other: the one given last counts.
    if ["optim.steps", "optim.bytes", "optim.seconds"].contains(&key) {
        for budget in ["steps", "bytes", "seconds"] {
            section.remove(budget);
        }
    }
    section.insert(last.into(), value);
    Ok(())
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many steps.
    Steps(u64),
    /// Until so many bytes were trained on.
    Bytes(u64),
    /// So many seconds of training.
    Seconds(f64),
}

impl Budget {
    /// The one that is given.
    ///
    /// # Errors
    /// None or several are.
    pub(crate) fn new(
        steps: Option<u64>,
        bytes: Option<u64>,
        seconds: Option<f64>,
    ) -> Result<Self> {
        Ok(match (steps, bytes, seconds) {
            (Some(steps), None, None) => Self::Steps(steps),
            (None, Some(bytes), None) => Self::Bytes(bytes),
            (None, None, Some(seconds)) => Self::Seconds(seconds),
            _ => bail!("optim: give exactly one of steps, bytes and seconds"),
        })
    }
}

/// `[log]`: every how many steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A line of metrics.
    pub every: u64,
    /// A validation.
    pub validate_every: u64,
    /// A checkpoint and an export.
    pub checkpoint_every: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every: 10, validate_every: 250, checkpoint_every: 250 }
    }
}

impl LogConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        ensure!(
            self.every > 0 && self.validate_every > 0 && self.checkpoint_every > 0,
            "log.every, validate_every and checkpoint_every: at least 1"
        );
        Ok(())
    }
}
