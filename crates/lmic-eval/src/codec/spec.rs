//! The name of a codec taken apart: `family:key=value:key=value`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};

/// A family and its settings; each must be taken.
#[derive(Debug)]
pub struct Spec {
    /// What stands before the first colon.
    pub family: String,
    settings: BTreeMap<String, String>,
}

impl Spec {
    /// Takes `name` apart.
    pub fn parse(name: &str) -> Result<Self> {
        let mut parts = name.split(':');
        let family = parts.next().unwrap_or_default().trim().to_owned();
        let mut settings = BTreeMap::new();
        for part in parts {
            let (key, value) =
                part.split_once('=').with_context(|| format!("{name}: {part} is no KEY=VALUE"))?;
            if settings.insert(key.trim().to_owned(), value.trim().to_owned()).is_some() {
                bail!("{name}: {key} stands twice");
            }
        }
        Ok(Self { family, settings })
    }

    /// The setting `key`, or `default`.
    pub fn take<T: FromStr<Err: Display>>(&mut self, key: &str, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The setting `key`, if it is there.
    pub fn get<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.settings.remove(key) else { return Ok(None) };
        let value = value.parse().map_err(|e| anyhow!("{}: {key}={value}: {e}", self.family))?;
        Ok(Some(value))
    }

    /// Complains about a setting that nobody took.
    pub fn finish(self) -> Result<()> {
        match self.settings.keys().next() {
            Some(key) => bail!("{}: no setting {key}", self.family),
            None => Ok(()),
        }
    }
}
