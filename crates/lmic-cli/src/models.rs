//! The models of this user: where `-m`, `-p` and archives find them (`lmic::models`), and what is put into the model folder and
//! taken out of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lmic::models::{self, Finder, FoundModel, PartName, Wanted};

use crate::console::display_name;
use crate::sink::Sink;

/// Finds models in the user's model folder, of all kinds that this build reads.
pub fn finder() -> Finder {
    let finder = Finder::of_user();
    #[cfg(feature = "llama")]
    let finder = finder.with_checkpoints(std::sync::Arc::new(lmic_llama::Checkpoints));
    finder
}

/// A file that was put into the model folder.
pub struct Added {
    /// Its path; several of a split model.
    pub paths: Vec<PathBuf>,
    /// The name by which archives call the model.
    pub name: String,
    pub identity: [u8; 32],
}

/// Checks a network or primed state, and copies it into the model folder under the name that archives have for it. A network of
/// bytes in a folder, perhaps in shards, becomes one file.
pub fn add(file: &Path, overwrite: bool) -> Result<Added> {
    let finder = finder();
    let model = finder.load(file, Wanted::Either)?;
    let (name, identity) = (model.name(file), model.identity());
    if !models::is_plain(&name) {
        bail!("calls itself {name:?}, which is no name for a file");
    }
    let joined = match &model {
        FoundModel::Bytes(weights) if file.is_dir() => Some(weights.to_safetensors()),
        _ if file.is_dir() => {
            bail!("is the folder of a checkpoint, which stays where it is (name it with -m)")
        }
        _ => None,
    };
    let copies = copies(file, &model, &name);
    let folder = finder.folder().context("there is no model folder: set LMIC_MODELS")?;
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the model folder {}", display_name(folder)))?;
    let mut sinks = Vec::new();
    let mut paths = Vec::new();
    for (source, name) in copies {
        let path = folder.join(name);
        let mut sink = Sink::file(&path, overwrite, None)?;
        match &joined {
            Some(bytes) => sink.write_all(bytes)?,
            None => _ = io::copy(&mut File::open(source)?, &mut sink)?,
        }
        sinks.push(sink);
        paths.push(path);
    }
    for sink in sinks {
        sink.finish(false)?;
    }
    Ok(Added { paths, name, identity })
}

/// The files of a model, and what the model folder calls them.
fn copies(file: &Path, model: &FoundModel, name: &str) -> Vec<(PathBuf, String)> {
    let suffix = match model {
        FoundModel::Tokens(model) => {
            let split = PartName::of(file).filter(|_| model.facts().files > 1);
            if let Some(part) = split {
                let file_name = |number| PartName::file(name, number, part.count);
                return part.all_beside(file).zip((1..).map(file_name)).collect();
            }
            models::GGUF
        }
        FoundModel::Primed(_) => models::PRIMED,
        _ => models::SAFETENSORS,
    };
    vec![(file.to_owned(), format!("{name}.{suffix}"))]
}

/// Removes a network or primed state from the model folder; says which files these were.
pub fn remove(name: &str) -> Result<Vec<PathBuf>> {
    let finder = finder();
    let folder = finder.folder().context("there is no model folder: LMIC_MODELS is not set")?;
    let mut found = finder.named(name);
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
            let files = models::files_of(path);
            for file in &files {
                fs::remove_file(file).with_context(|| display_name(file))?;
            }
            Ok(files)
        }
        [] => {
            bail!("{name}: no such file of a model in the model folder ({})", display_name(folder))
        }
        several => {
            let several: Vec<_> = several.iter().filter_map(|path| path.file_name()).collect();
            bail!("{name}: which of {several:?}?")
        }
    }
}
