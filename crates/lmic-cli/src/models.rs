//! Where `-m`, `-p` and archives find networks and primed states: a path, or a name in the model folder.
//!
//! What a file is, it says itself (`lmic::nn::FileFormat`). Extensions only tell what was meant, where a file is none of a model.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use lmic::block::{Models, NeuralModel, PrimedModel};
use lmic::exact::{name_of, short_name};
use lmic::nn::{AnyWeights, FileFormat, Network};
use lmic::records::Primed;
use lmic::{Error, ErrorKind, LevelNetwork, hex};
#[cfg(feature = "llama")]
use lmic_llama::{Llama, PartName};

use crate::console::display_name;
use crate::sink::Sink;

/// The model folder: `$LMIC_MODELS`, or `lmic/models` in the user's data folder.
pub fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = || {
        let home = || Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".local/share"));
        Some(set("XDG_DATA_HOME").or_else(home)?.join("lmic").join("models"))
    };
    set("LMIC_MODELS").or_else(data)
}

/// What `-m` or `-p` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Network,
    Primed,
    Either,
}

impl Wanted {
    /// For messages, with the extensions that such files have.
    fn words(self) -> &'static str {
        match self {
            Self::Network => "safetensors file or GGUF file (.safetensors, .gguf)",
            Self::Primed => "primed state (.lmicp)",
            Self::Either => {
                "safetensors file, GGUF file or primed state (.safetensors, .gguf, .lmicp)"
            }
        }
    }

    /// Whether what is at `path` is of this kind.
    fn is_at(self, path: &Path) -> bool {
        let format = if path.is_dir() { None } else { FileFormat::at(path).ok() };
        match format {
            None => path.is_dir() && self != Self::Primed,
            Some(FileFormat::Safetensors | FileFormat::Gguf) => self != Self::Primed,
            Some(FileFormat::Primed) => self != Self::Network,
            Some(_) => false,
        }
    }

    /// Whether it is, or should be by its extension: a damaged one, or what was put into its place.
    fn is_meant_at(self, path: &Path) -> bool {
        let suffix = suffix(path);
        let by_suffix = match self {
            Self::Network => [TRANSFORMER, GGUF].contains(&&*suffix),
            Self::Primed => suffix == PRIMED,
            Self::Either => SUFFIXES.contains(&&*suffix),
        };
        by_suffix || self.is_at(path)
    }
}

const TRANSFORMER: &str = "safetensors";
/// Extension of llama.cpp's models.
const GGUF: &str = "gguf";
/// Extension of a primed state.
pub const PRIMED: &str = "lmicp";
const SUFFIXES: [&str; 3] = [TRANSFORMER, GGUF, PRIMED];

fn suffix(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// A model in memory, of any kind that `-m` or `-p` takes.
#[derive(Debug)]
pub enum Model {
    Bytes(Box<AnyWeights>),
    #[cfg(feature = "llama")]
    Tokens(Arc<Llama>),
    Primed(Arc<Primed>),
}

impl Model {
    /// Loads and checks what is at a path. The message does not name it.
    fn load(path: &Path, wanted: Wanted) -> lmic::Result<Self> {
        if path.is_dir() {
            return match wanted {
                Wanted::Primed => Err(invalid(format!("is a folder, no {}", wanted.words()))),
                _ => Self::load_network(path),
            };
        }
        if wanted == Wanted::Primed && !path.is_file() {
            return Self::load_primed(path); // a pipe, which is read once
        }
        match (FileFormat::at(path)?, wanted) {
            (FileFormat::Primed, Wanted::Network) => {
                Err(invalid("is a primed state, not a network (name it with -p)"))
            }
            (FileFormat::Safetensors | FileFormat::Gguf, Wanted::Primed) => {
                Err(invalid("is a network, not a primed state (name it with -m)"))
            }
            (FileFormat::Primed, _) => Self::load_primed(path),
            (FileFormat::Safetensors | FileFormat::Gguf, _) => Self::load_network(path),
            (other, _) => Err(other.refused(wanted.words())),
        }
    }

    fn load_primed(path: &Path) -> lmic::Result<Self> {
        /// Largest primed state that is read.
        const MAX_LEN: u64 = 256 << 20;
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_LEN {
            return Err(invalid(format!("is longer than a primed state can be, {MAX_LEN} bytes")));
        }
        Ok(Self::Primed(Arc::new(Primed::from_bytes(&bytes)?)))
    }

    fn load_network(path: &Path) -> lmic::Result<Self> {
        #[cfg(feature = "llama")]
        if Llama::describes(path) {
            return Ok(Self::Tokens(Arc::new(Llama::open(path)?)));
        }
        #[cfg(not(feature = "llama"))]
        if matches!(FileFormat::at(path), Ok(FileFormat::Gguf)) {
            return Err(invalid("is a GGUF file, which this build does not read"));
        }
        AnyWeights::load(path).map(|weights| Self::Bytes(Box::new(weights))).map_err(|error| {
            // One of the files of a checkpoint: its configuration beside it says what a byte model cannot be.
            let of_checkpoint = path.is_file() && path.with_file_name("tokenizer.json").exists();
            match of_checkpoint && error.kind() == ErrorKind::InvalidArgument {
                true => invalid("is a file of a checkpoint with a tokenizer (name its folder)"),
                false => error,
            }
        })
    }

    fn into_network(self) -> lmic::Result<Network> {
        match self {
            Self::Bytes(weights) => Network::new(&weights),
            #[cfg(feature = "llama")]
            Self::Tokens(model) => {
                let model: Arc<dyn lmic::nn::TokenModel> = model;
                Ok(model.into())
            }
            Self::Primed(_) => Err(invalid("is a primed state")),
        }
    }

    pub fn identity(&self) -> [u8; 32] {
        match self {
            Self::Bytes(weights) => weights.identity(),
            #[cfg(feature = "llama")]
            Self::Tokens(model) => lmic::nn::TokenModel::identity(&**model),
            Self::Primed(primed) => primed.identity(),
        }
    }

    /// What archives call it, which was loaded from `path`.
    pub fn name(&self, path: &Path) -> String {
        match self {
            Self::Bytes(weights) => short_name(weights.name()),
            #[cfg(feature = "llama")]
            Self::Tokens(model) => lmic::nn::TokenModel::name(&**model).to_owned(),
            Self::Primed(_) => primed_name(path),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(weights) => match **weights {
                AnyWeights::Transformer(_) => "transformer of bytes",
                AnyWeights::Recurrent(_) => "recurrent network",
            },
            #[cfg(feature = "llama")]
            Self::Tokens(_) => "transformer of tokens",
            Self::Primed(_) => "primed state",
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
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
    #[cfg(feature = "llama")]
    if let Some(part) = PartName::of(path) {
        return short_name(&part.stem);
    }
    let suffix = suffix(path);
    if path.is_dir() {
        return name_of(path, None);
    }
    name_of(path, SUFFIXES.contains(&&*suffix).then_some(&suffix))
}

/// What lies in the model folder, models or not, in order of name. A split model is its first part that is there.
pub fn entries() -> Result<Vec<PathBuf>> {
    let Some(folder) = folder() else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| display_name(&folder)),
    };
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| display_name(&folder))?;
    let is_hidden =
        |path: &Path| path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".");
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    paths.dedup_by(|path, before| is_part_of_same(path, before));
    Ok(paths)
}

/// Whether two files are parts of one split model.
fn is_part_of_same(a: &Path, b: &Path) -> bool {
    #[cfg(feature = "llama")]
    if let (Some(a), Some(b)) = (PartName::of(a), PartName::of(b)) {
        return (a.stem, a.count) == (b.stem, b.count);
    }
    a == b
}

/// All files of what lies at a path of the model folder.
pub fn files_of(path: &Path) -> Vec<PathBuf> {
    #[cfg(feature = "llama")]
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

/// Whether a file of the model folder is, or should be, a model.
pub fn is_meant_for_model(path: &Path) -> bool {
    Wanted::Either.is_meant_at(path)
}

/// What the model folder has under a name. First what is called so altogether, then what is with an extension.
fn named(name: &str) -> Vec<PathBuf> {
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
    let mut found: Vec<_> = entries().unwrap_or_default().into_iter().filter(is_named).collect();
    let rank = |path: &PathBuf| {
        let suffix = suffix(path);
        let known = SUFFIXES.iter().rev().position(|known| suffix == *known);
        (is_called(path), known.map(|rank| rank + 1))
    };
    found.sort_by_key(|path| std::cmp::Reverse(rank(path)));
    found
}

/// A file that was put into the model folder.
pub struct Added {
    /// Several of a split model.
    pub paths: Vec<PathBuf>,
    /// What archives call it.
    pub name: String,
    pub identity: [u8; 32],
}

/// Checks a network or primed state, and copies it into the model folder under the name that archives have for it.
pub fn add(file: &Path, overwrite: bool) -> Result<Added> {
    if file.is_dir() {
        bail!(
            "is a folder; a model folder takes files (of a byte model, `lmic model quantize` makes one)"
        );
    }
    let model = Model::load(file, Wanted::Either)?;
    let (name, identity) = (model.name(file), model.identity());
    if !is_plain(&name) {
        bail!("calls itself {name:?}, which is no name for a file");
    }
    let copies = copies(file, &model, &name);
    let folder = folder().context("there is no model folder: set LMIC_MODELS")?;
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the model folder {}", display_name(&folder)))?;
    let mut sinks = Vec::new();
    let mut paths = Vec::new();
    for (source, name) in copies {
        let path = folder.join(name);
        let mut sink = Sink::file(&path, overwrite, None)?;
        io::copy(&mut File::open(source)?, &mut sink)?;
        sinks.push(sink);
        paths.push(path);
    }
    for sink in sinks {
        sink.finish(false)?;
    }
    Ok(Added { paths, name, identity })
}

/// The files of a model, and what the model folder calls them.
fn copies(file: &Path, model: &Model, name: &str) -> Vec<(PathBuf, String)> {
    let suffix = match model {
        Model::Bytes(_) => TRANSFORMER,
        #[cfg(feature = "llama")]
        Model::Tokens(model) => {
            let split = PartName::of(file).filter(|_| model.files() > 1);
            if let Some(part) = split {
                let file_name = |number| PartName::file(name, number, part.count);
                return part.all_beside(file).zip((1..).map(file_name)).collect();
            }
            GGUF
        }
        Model::Primed(_) => PRIMED,
    };
    vec![(file.to_owned(), format!("{name}.{suffix}"))]
}

/// Removes a network or primed state from the model folder; says which files these were.
pub fn remove(name: &str) -> Result<Vec<PathBuf>> {
    let folder = folder().context("there is no model folder: LMIC_MODELS is not set")?;
    let mut found = named(name);
    found.retain(|path| Wanted::Either.is_meant_at(path));
    if let Some(path) = found.iter().find(|path| path.file_name().is_some_and(|file| file == name))
    {
        found = vec![path.clone()];
    }
    match &found[..] {
        [path] if path.is_dir() => {
            bail!("{}: is a folder, which is not removed (do that yourself)", display_name(path))
        }
        [path] => {
            let files = files_of(path);
            for file in &files {
                fs::remove_file(file).with_context(|| display_name(file))?;
            }
            Ok(files)
        }
        [] => {
            bail!("{name}: no such file of a model in the model folder ({})", display_name(&folder))
        }
        several => {
            let several: Vec<_> = several.iter().filter_map(|path| path.file_name()).collect();
            bail!("{name}: which of {several:?}?")
        }
    }
}

/// What `-m` names.
pub fn open(model: &Path) -> Result<Network> {
    let path = find_network(model)?;
    load_network(&path).with_context(|| display_name(&path))
}

/// Where the network of a path or name is.
pub fn find_network(model: &Path) -> Result<PathBuf> {
    find(model, Wanted::Network)
}

/// Where the primed state of a path or name is.
pub fn find_primed(primed: &Path) -> Result<PathBuf> {
    find(primed, Wanted::Primed)
}

/// What `-p` names, with the name that archives have for it.
pub fn open_primed(primed: &Path) -> Result<(String, Arc<Primed>)> {
    let path = find_primed(primed)?;
    let primed = load_primed(&path).with_context(|| display_name(&path))?;
    Ok((primed_name(&path), primed))
}

/// What either of them names, and where it is.
pub fn open_any(model: &Path) -> Result<(PathBuf, Model)> {
    let path = find(model, Wanted::Either)?;
    let model = load_any(&path).with_context(|| display_name(&path))?;
    Ok((path, model))
}

/// A model of any kind. The message does not name the path.
pub fn load_any(path: &Path) -> lmic::Result<Model> {
    Model::load(path, Wanted::Either)
}

fn load_network(path: &Path) -> lmic::Result<Network> {
    Model::load(path, Wanted::Network)?.into_network()
}

fn load_primed(path: &Path) -> lmic::Result<Arc<Primed>> {
    match Model::load(path, Wanted::Primed)? {
        Model::Primed(primed) => Ok(primed),
        _ => Err(invalid("is a network")),
    }
}

fn find(model: &Path, wanted: Wanted) -> Result<PathBuf> {
    if model.exists() {
        return Ok(model.to_owned());
    }
    let found = model.to_str().map(named).unwrap_or_default();
    // What is there is better than nothing: its error says what it is instead.
    let fits = found.iter().find(|path| wanted.is_at(path)).or(found.first());
    fits.cloned().with_context(|| {
        let folder = folder().map_or_else(|| "(there is none)".into(), |path| display_name(&path));
        format!(
            "{}: no such model, as a path or in the model folder {folder} (check the name)",
            display_name(model)
        )
    })
}

/// The network that a level wants from the model folder.
/// `None` if it is not there.
pub fn of_level(level: u8) -> Result<Option<Network>> {
    path_of_level(level)
        .map(|path| load_network(&path).with_context(|| display_name(&path)))
        .transpose()
}

/// Where that is.
pub fn path_of_level(level: u8) -> Option<PathBuf> {
    match lmic::preset(level).ok()?.network {
        LevelNetwork::Largest => largest(),
        LevelNetwork::Named(name) => {
            named(name).into_iter().find(|path| Wanted::Network.is_meant_at(path))
        }
        _ => None,
    }
}

/// The largest safetensors file of the model folder.
fn largest() -> Option<PathBuf> {
    let is_model = |path: &PathBuf| {
        let is_one = || matches!(FileFormat::at(path), Ok(FileFormat::Safetensors));
        path.is_file() && (suffix(path) == TRANSFORMER || is_one())
    };
    let files = entries().ok()?.into_iter().filter(is_model);
    let sized = files.filter_map(|path| Some((path.metadata().ok()?.len(), path)));
    // Of two of one size the one whose name comes last, in whatever order the folder lists them.
    sized.max().map(|(_, path)| path)
}

/// For decoding: what is given first, then the model folder. What was loaded is kept.
pub fn at_hand(given: Option<Network>, primed: Option<Arc<Primed>>) -> Models {
    let networks = Kept::new(given, Wanted::Network, Network::identity, load_network);
    let states = Kept::new(primed, Wanted::Primed, |state| state.identity(), load_primed);
    Models::found_by(move |wanted: &NeuralModel| networks.get(&wanted.name, wanted.identity))
        .with_primed(move |wanted: &PrimedModel| states.get(&wanted.name, wanted.identity))
}

/// What was given or loaded, and how to load more.
struct Kept<T> {
    given: Option<[u8; 32]>,
    kept: Mutex<Vec<T>>,
    wanted: Wanted,
    identity: fn(&T) -> [u8; 32],
    load: fn(&Path) -> lmic::Result<T>,
}

impl<T: Clone> Kept<T> {
    fn new(
        given: Option<T>,
        wanted: Wanted,
        identity: fn(&T) -> [u8; 32],
        load: fn(&Path) -> lmic::Result<T>,
    ) -> Self {
        let given_identity = given.as_ref().map(identity);
        let kept = Mutex::new(given.into_iter().collect());
        Self { given: given_identity, kept, wanted, identity, load }
    }

    /// The model of this identity, or `None`. What is there under the name and is not it, is said with its file: the archive
    /// may be whole.
    fn get(&self, name: &str, identity: [u8; 32]) -> lmic::Result<Option<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(model) = kept.iter().find(|model| (self.identity)(model) == identity) {
            return Ok(Some(model.clone()));
        }
        let mut others = Vec::new();
        for path in named(name).iter().filter(|path| self.wanted.is_meant_at(path)) {
            let file = display_name(path);
            match (self.load)(path) {
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
        let (what, option) = match self.wanted {
            Wanted::Primed => ("primed state", "-p"),
            _ => ("model", "-m"),
        };
        if let Some(given) = self.given {
            others.push(format!("what {option} names is another one, of identity {}", hex(&given)));
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
