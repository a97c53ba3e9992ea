//! What there is to code with: what lies in the model folder, and what the library brings.

use std::path::{Path, PathBuf};

use super::{Finder, Wanted, entry_name, files_of};
use crate::MAX_LEVEL;
use crate::block::{ApartNetwork, Content, Models, apart_network, built_in_files, level_network};
use crate::error::Result;

/// What lies in the model folder, whether a model or not, or a network of the library.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What archives call it; of what is no model, the file.
    pub name: String,
    /// The first of its files, if it has any.
    pub path: Option<PathBuf>,
    /// What it is, in words, if it can be used.
    pub kind: Option<&'static str>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// What archives know it by, if it can be used.
    pub identity: Option<[u8; 32]>,
    /// The level that codes with it.
    pub level: Option<u8>,
    /// Why it cannot be used, if it cannot.
    pub error: Option<String>,
}

impl Finder {
    /// All that there is: first what the model folder has, in order of name, then the networks of the library and those that levels need
    /// and are not there. All of it is loaded, and so checked.
    ///
    /// # Errors
    /// As [`Finder::entries`].
    pub fn listed(&self) -> Result<Vec<Listed>> {
        let mut listed: Vec<_> =
            self.entries()?.iter().map(|path| self.listed_file(path)).collect();
        for level in 1..=MAX_LEVEL {
            let Some(apart) = apart_network(level) else {
                listed.extend(Listed::built_in(level));
                continue;
            };
            let found = listed.iter_mut().find(|found| found.identity == Some(apart.identity));
            match found {
                Some(found) => found.level = Some(level),
                None => listed.push(Listed::missing(&apart)),
            }
        }
        Ok(listed)
    }

    fn listed_file(&self, path: &Path) -> Listed {
        let model = self.load(path, Wanted::Either);
        let (kind, identity, error) = match &model {
            Ok(model) => (Some(model.kind()), Some(model.identity()), None),
            Err(error) => (None, None, Some(error.to_string().replace(char::is_control, "?"))),
        };
        // A file that is no model keeps its extension.
        let name = match model.is_ok() {
            true => entry_name(path),
            false => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let path = Some(path.to_owned());
        Listed {
            name,
            bytes: file_bytes(path.as_deref()),
            path,
            kind,
            identity,
            level: None,
            error,
        }
    }
}

impl Listed {
    fn missing(network: &ApartNetwork) -> Self {
        let error = level_network(network.level, &Models::default()).err();
        Self {
            name: network.name.into(),
            path: None,
            kind: None,
            bytes: network.bytes,
            identity: Some(network.identity),
            level: Some(network.level),
            error: error.map(|error| error.to_string()),
        }
    }

    fn built_in(level: u8) -> Option<Self> {
        let network = level_network(level, &Models::default()).ok()??;
        let files = built_in_files(level, Content::Bytes);
        Some(Self {
            name: network.name().into(),
            path: None,
            kind: Some("recurrent network"),
            bytes: files.iter().map(|file| file.len() as u64).sum(),
            identity: Some(network.identity()),
            level: Some(level),
            error: None,
        })
    }
}

/// Bytes of all files of a model.
fn file_bytes(path: Option<&Path>) -> u64 {
    let files = path.map(files_of).unwrap_or_default();
    files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
