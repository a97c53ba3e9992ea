//! Finding models on this machine: by path, or by the name and identity that an archive has, in the model folder.
//!
//! A file itself says what it is ([`FileFormat`](crate::nn::FileFormat)). Extensions only tell what was meant to be there if it
//! is no model. Checkpoints with tokens of their own are opened by a crate above this one, through
//! [`Checkpoints`](crate::models::Checkpoints).

mod found;
mod listed;
mod split;

pub use found::{Checkpoints, FoundModel, NetworkFacts, Wanted};
pub use listed::Listed;
pub use split::PartName;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::block::{Models, NamedNetwork, NamedPrimed};
use crate::error::{Error, ErrorKind, Result};
use crate::hex;
use crate::nn::Network;
use crate::nn::format::{name_of, short_name};
use crate::records::Primed;

/// Extension of byte models, as `lmic model quantize` writes them.
pub const SAFETENSORS: &str = "safetensors";
/// Extension of llama.cpp's models.
pub const GGUF: &str = "gguf";
/// Extension of a primed state.
pub const PRIMED: &str = "lmicp";
const SUFFIXES: [&str; 3] = [SAFETENSORS, GGUF, PRIMED];

/// Finds models. The default has no folder and reads no checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Finder {
    folder: Option<PathBuf>,
    checkpoints: Option<Arc<dyn Checkpoints>>,
}

impl Finder {
    /// A finder with the user's model folder: `$LMIC_MODELS`, or `lmic/models` in the user's data folder.
    pub fn of_user() -> Self {
        let set = |name| std::env::var_os(name).filter(|set| !set.is_empty()).map(PathBuf::from);
        let data = || {
            let home = || Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".local/share"));
            Some(set("XDG_DATA_HOME").or_else(home)?.join("lmic").join("models"))
        };
        Self { folder: set("LMIC_MODELS").or_else(data), checkpoints: None }
    }

    /// The same finder with another model folder.
    #[must_use]
    pub fn in_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The same finder, which opens checkpoints as well.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: Arc<dyn Checkpoints>) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// The model folder, whether or not it is there.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What lies in the model folder, whether models or not, in order of name. Of a split model, the first part that is there.
    ///
    /// # Errors
    /// If there is a folder that cannot be listed.
    pub fn entries(&self) -> Result<Vec<PathBuf>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let listed = fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()
        });
        let mut paths = match listed {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::from(error).at(shown(folder))),
        };
        let is_hidden =
            |path: &Path| path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".");
        paths.retain(|path| !is_hidden(path));
        paths.sort();
        paths.dedup_by(|path, before| is_part_of_same(path, before));
        Ok(paths)
    }

    /// What the model folder has under a name: first the file that has exactly this name, then those that have it with an extension.
    pub fn named(&self, name: &str) -> Vec<PathBuf> {
        if !is_plain(name) {
            return Vec::new();
        }
        let is_called = |path: &Path| path.file_name().is_some_and(|file| file == name);
        let short = short_name(name);
        let is_named = |path: &PathBuf| {
            is_called(path)
                || entry_name(path) == short
                || (path.is_file() && primed_name(path) == short)
        };
        let mut found: Vec<_> =
            self.entries().unwrap_or_default().into_iter().filter(is_named).collect();
        let rank = |path: &PathBuf| {
            let suffix = suffix(path);
            let known = SUFFIXES.iter().rev().position(|known| suffix == *known);
            (is_called(path), known.map(|rank| rank + 1))
        };
        found.sort_by_key(|path| std::cmp::Reverse(rank(path)));
        found
    }

    /// Where a model is: `model` itself if there is such a path, else what the model folder has under that name.
    ///
    /// # Errors
    /// If there is neither.
    pub fn find(&self, model: &Path, wanted: Wanted) -> Result<PathBuf> {
        if model.exists() {
            return Ok(model.to_owned());
        }
        let found = model.to_str().map(|name| self.named(name)).unwrap_or_default();
        // If nothing of the wanted kind is there, the first file of the name is opened all the same, because its error says what it
        // is instead.
        let fits = found.iter().find(|path| wanted.is_at(path)).or(found.first());
        fits.cloned().ok_or_else(|| {
            let folder = self.folder().map_or_else(|| "(there is none)".into(), shown);
            invalid(format!(
                "{}: no such model, as a path or in the model folder {folder} (check the name)",
                shown(model)
            ))
        })
    }

    /// Loads and checks what is at a path. The message does not name it.
    ///
    /// # Errors
    /// If it cannot be read, or is no model of a kind that is wanted.
    pub fn load(&self, path: &Path, wanted: Wanted) -> Result<FoundModel> {
        FoundModel::load(path, wanted, self.checkpoints.as_deref())
    }

    /// The model of a path or name, and where it is.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`load`](Self::load).
    pub fn open(&self, model: &Path, wanted: Wanted) -> Result<(PathBuf, FoundModel)> {
        let path = self.find(model, wanted)?;
        let model = self.load(&path, wanted).map_err(|error| error.at(shown(&path)))?;
        Ok((path, model))
    }

    /// The network of a path or name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn network(&self, model: &Path) -> Result<Network> {
        let (path, model) = self.open(model, Wanted::Network)?;
        model.into_network().map_err(|error| error.at(shown(&path)))
    }

    /// The primed state of a path or name, with the name that archives have for it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn primed(&self, primed: &Path) -> Result<(String, Arc<Primed>)> {
        let (path, model) = self.open(primed, Wanted::Primed)?;
        let primed = model.into_primed().map_err(|error| error.at(shown(&path)))?;
        Ok((primed_name(&path), primed))
    }

    /// The models for a decoder: those that are given, and otherwise those of the model folder. What was loaded is kept.
    pub fn at_hand(&self, given: Option<Network>, primed: Option<Arc<Primed>>) -> Models {
        let networks =
            Kept::new(self, given, Wanted::Network, Network::identity, |finder, path| {
                finder.load(path, Wanted::Network)?.into_network()
            });
        let states = Kept::new(
            self,
            primed,
            Wanted::Primed,
            |state| state.identity(),
            |finder, path| finder.load(path, Wanted::Primed)?.into_primed(),
        );
        Models::found_by(move |wanted: &NamedNetwork| networks.get(&wanted.name, wanted.identity))
            .with_primed(move |wanted: &NamedPrimed| states.get(&wanted.name, wanted.identity))
    }
}

/// Models of one kind that were given or loaded, and how to load more.
struct Kept<T> {
    finder: Finder,
    given: Option<[u8; 32]>,
    kept: Mutex<Vec<T>>,
    wanted: Wanted,
    identity: fn(&T) -> [u8; 32],
    load: fn(&Finder, &Path) -> Result<T>,
}

impl<T: Clone> Kept<T> {
    fn new(
        finder: &Finder,
        given: Option<T>,
        wanted: Wanted,
        identity: fn(&T) -> [u8; 32],
        load: fn(&Finder, &Path) -> Result<T>,
    ) -> Self {
        let given_identity = given.as_ref().map(identity);
        let kept = Mutex::new(given.into_iter().collect());
        Self { finder: finder.clone(), given: given_identity, kept, wanted, identity, load }
    }

    /// The model of this identity, or `None`. If another model has the name, the error names its file, because the archive may be
    /// whole.
    fn get(&self, name: &str, identity: [u8; 32]) -> Result<Option<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = kept.iter().find(|model| (self.identity)(model) == identity) {
            return Ok(Some(model.clone()));
        }
        let mut others = Vec::new();
        for path in self.finder.named(name).iter().filter(|path| self.wanted.is_meant_at(path)) {
            let file = shown(path);
            match (self.load)(&self.finder, path) {
                Ok(model) if (self.identity)(&model) == identity => {
                    kept.push(model.clone());
                    return Ok(Some(model));
                }
                Ok(model) => {
                    let other = hex(&(self.identity)(&model));
                    others.push(format!("{file} is another one, of identity {other}"));
                }
                Err(error) => others.push(match error.kind() {
                    ErrorKind::Corrupt => format!("{file} is damaged: {error}"),
                    ErrorKind::Truncated => format!("{file} is not complete: {error}"),
                    _ => format!("{file}: {error}"),
                }),
            }
        }
        let what = match self.wanted {
            Wanted::Primed => "primed state",
            _ => "model",
        };
        if let Some(given) = self.given {
            others.push(format!("the one that was given is another, of identity {}", hex(&given)));
        }
        if others.is_empty() {
            return Ok(None);
        }
        let message = format!(
            "the archive is coded with the {what} {name:?} of identity {}, which is not at hand: {}",
            hex(&identity),
            others.join("; ")
        );
        Err(Error::new(ErrorKind::WrongModel, message))
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// A path for a message: on one line, whatever it is made of.
fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(|c: char| c.is_control(), "?")
}

fn suffix(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// What archives call a primed state: its file, without the extension, whichever that is.
fn primed_name(path: &Path) -> String {
    short_name(&path.file_stem().unwrap_or_default().to_string_lossy())
}

/// Whether a name, which may come from an archive or a model, does not lead out of the folder.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

/// The name of what lies in the model folder: as archives have it, unless a file of bytes says another itself.
pub fn entry_name(path: &Path) -> String {
    if let Some(part) = PartName::of(path) {
        return short_name(&part.stem);
    }
    let suffix = suffix(path);
    if path.is_dir() {
        return name_of(path, None);
    }
    name_of(path, SUFFIXES.contains(&&*suffix).then_some(&suffix))
}

/// Whether two files are parts of one split model.
fn is_part_of_same(a: &Path, b: &Path) -> bool {
    match (PartName::of(a), PartName::of(b)) {
        (Some(a), Some(b)) => (a.stem, a.count) == (b.stem, b.count),
        _ => a == b,
    }
}

/// All files of what lies at a path of the model folder.
pub fn files_of(path: &Path) -> Vec<PathBuf> {
    if let Some(part) = PartName::of(path) {
        return part.all_beside(path).filter(|path| path.exists()).collect();
    }
    if path.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        return entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    }
    vec![path.to_owned()]
}

/// All files without which a model cannot be used: a file of weights may have its configuration beside it.
pub fn needed_by(path: &Path) -> Vec<PathBuf> {
    let mut files = files_of(path);
    let config = path.with_file_name("config.json");
    if path.is_file() && config.is_file() {
        files.push(config);
    }
    files
}
