//! Where `-m`, `-p` and archives find networks and primed states: a path, or a name in the model folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use lmic::codec::Models;
use lmic::codec::PrimedModel;
use lmic::nn::{AnyWeights, Network};
use lmic::records::Primed;

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

/// The file or folder of a model by its name, if the model folder has it.
fn named(name: &str, suffix: &str) -> Option<PathBuf> {
    let folder = folder().filter(|_| is_plain(name))?;
    let mut paths = vec![folder.join(name), folder.join(format!("{name}.{suffix}"))];
    if suffix == TRANSFORMER {
        paths.push(folder.join(format!("{name}.{GGUF}")));
    }
    paths.into_iter().find(|path| path.exists())
}

/// Whether a name, which may come from an archive or a model, does not lead out of the folder.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

const TRANSFORMER: &str = "safetensors";
/// Extension of llama.cpp's models.
const GGUF: &str = "gguf";
/// Extension of a primed state.
pub const PRIMED: &str = "lmicp";

/// A file that was put into the model folder.
pub struct Added {
    pub path: PathBuf,
    /// What archives call it.
    pub name: String,
    pub identity: [u8; 32],
}

/// Checks a network or primed state, and copies it into the model folder under the name that archives have for it.
pub fn add(file: &Path, overwrite: bool) -> Result<Added> {
    let mut source = File::open(file)?;
    if source.metadata()?.is_dir() {
        bail!(
            "is a folder; a model folder takes files (of a byte model, `lmic model quantize` makes one)"
        );
    }
    let suffix = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let (name, identity) = match suffix.as_str() {
        PRIMED => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (stem, load_primed(file)?.identity())
        }
        TRANSFORMER | GGUF => {
            let network = load(file)?;
            (network.name().to_owned(), network.identity())
        }
        _ => bail!("is no .{TRANSFORMER}, .{GGUF} or .{PRIMED} file"),
    };
    if !is_plain(&name) {
        bail!("calls itself {name:?}, which is no name for a file");
    }
    let folder = folder().context("there is no model folder: set LMIC_MODELS")?;
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the model folder {}", display_name(&folder)))?;
    let path = folder.join(format!("{name}.{suffix}"));
    let mut sink = Sink::file(&path, overwrite, None)?;
    io::copy(&mut source, &mut sink)?;
    sink.finish(false)?;
    Ok(Added { path, name, identity })
}

/// Removes the file of a network or primed state from the model folder; says which it was.
pub fn remove(name: &str) -> Result<PathBuf> {
    let folder = folder().context("there is no model folder: LMIC_MODELS is not set")?;
    let is_model = |path: &PathBuf| {
        let suffix = path.extension().unwrap_or_default();
        path.is_file() && [TRANSFORMER, GGUF, PRIMED].iter().any(|&known| suffix == known)
    };
    let suffixes = [TRANSFORMER, GGUF, PRIMED].map(|suffix| format!("{name}.{suffix}"));
    let names = std::iter::once(name.to_owned()).chain(suffixes).filter(|name| is_plain(name));
    let found: Vec<PathBuf> = names.map(|name| folder.join(name)).filter(is_model).collect();
    match &found[..] {
        [path] => {
            fs::remove_file(path).with_context(|| display_name(path))?;
            Ok(path.clone())
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
    load(&path).with_context(|| display_name(&path))
}

/// Where the network of a path or name is.
pub fn find_network(model: &Path) -> Result<PathBuf> {
    find(model, TRANSFORMER)
}

/// Where the primed state of a path or name is.
pub fn find_primed(primed: &Path) -> Result<PathBuf> {
    find(primed, PRIMED)
}

/// What `-p` names, with the name that archives have for it.
pub fn open_primed(primed: &Path) -> Result<(String, Arc<Primed>)> {
    let path = find_primed(primed)?;
    let primed = load_primed(&path).with_context(|| display_name(&path))?;
    Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), primed))
}

fn find(model: &Path, suffix: &str) -> Result<PathBuf> {
    let found = match model.to_str().filter(|_| !model.exists()) {
        Some(name) => named(name, suffix),
        None => Some(model.to_owned()),
    };
    found.with_context(|| {
        let folder = folder().map_or_else(|| "none".into(), |path| display_name(&path));
        format!(
            "{}: no such model, as a path or in the model folder ({folder})",
            display_name(model)
        )
    })
}

/// Largest primed state that is read.
const MAX_PRIMED_LEN: u64 = 256 << 20;

fn load_primed(path: &Path) -> lmic::Result<Arc<Primed>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_PRIMED_LEN).read_to_end(&mut bytes)?;
    Ok(Arc::new(Primed::from_bytes(&bytes)?))
}

/// The model of a level above those of the program: `recurrent-large`, or for the highest the largest of the model folder.
/// `None` if it is not there.
pub fn of_level(level: u8) -> Result<Option<Network>> {
    let path =
        if level == lmic::MAX_LEVEL { largest() } else { named("recurrent-large", "safetensors") };
    path.map(|path| load(&path).with_context(|| display_name(&path))).transpose()
}

/// The largest file of the model folder.
fn largest() -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder()?).ok()?.flatten();
    let is_model = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    let files = entries.map(|entry| entry.path()).filter(is_model);
    let sized = files.filter_map(|path| Some((path.metadata().ok()?.len(), path)));
    // Of two of one size the one whose name comes last, in whatever order the folder lists them.
    sized.max().map(|(_, path)| path)
}

fn load(path: &Path) -> lmic::Result<Network> {
    #[cfg(feature = "llama")]
    if lmic_llama::Llama::describes(path) {
        let model: Arc<dyn lmic::nn::TokenModel> = Arc::new(lmic_llama::Llama::open(path)?);
        return Ok(model.into());
    }
    Network::new(&AnyWeights::load(path)?)
}

/// For decoding: what is given first, then the model folder. What was loaded is kept.
pub fn at_hand(given: Option<Network>, primed: Option<Arc<Primed>>) -> Models {
    let transformers: Mutex<Vec<Network>> = Mutex::new(given.into_iter().collect());
    let states: Mutex<Vec<Arc<Primed>>> = Mutex::new(primed.into_iter().collect());
    let models = Models::found_by(move |wanted| {
        let is_wanted = |model: &Network| model.identity() == wanted.identity;
        kept_or_loaded(&transformers, is_wanted, named(&wanted.name, TRANSFORMER), load)
    });
    models.with_primed(move |wanted: &PrimedModel| {
        let is_wanted = |primed: &Arc<Primed>| primed.identity() == wanted.identity;
        kept_or_loaded(&states, is_wanted, named(&wanted.name, PRIMED), load_primed)
    })
}

fn kept_or_loaded<T: Clone>(
    kept: &Mutex<Vec<T>>,
    is_wanted: impl Fn(&T) -> bool,
    path: Option<PathBuf>,
    load: impl Fn(&Path) -> lmic::Result<T>,
) -> lmic::Result<Option<T>> {
    let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(model) = kept.iter().find(|model| is_wanted(model)) {
        return Ok(Some(model.clone()));
    }
    let Some(path) = path else { return Ok(None) };
    let model = load(&path)?;
    kept.push(model.clone());
    Ok(Some(model))
}
