//! Where `-m` and archives find transformers: a path, or a name in the model folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use lmic::codec::Models;
use lmic::nn::{Transformer, Weights};

use crate::console::display_name;

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
fn named(name: &str) -> Option<PathBuf> {
    // A name from an archive must not lead out of the folder.
    let plain = !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']);
    let folder = folder().filter(|_| plain)?;
    [folder.join(name), folder.join(format!("{name}.safetensors"))].into_iter().find(|p| p.exists())
}

/// What `-m` names.
pub fn open(model: &Path) -> Result<Arc<Transformer>> {
    let found = match model.to_str().filter(|_| !model.exists()) {
        Some(name) => named(name),
        None => Some(model.to_owned()),
    };
    let Some(path) = found else {
        let folder = folder().map_or_else(|| "none".into(), |path| display_name(&path));
        bail!(
            "{}: no such model, as a path or in the model folder ({folder})",
            display_name(model)
        );
    };
    load(&path).with_context(|| display_name(&path))
}

fn load(path: &Path) -> lmic::Result<Arc<Transformer>> {
    Ok(Arc::new(Transformer::new(&Weights::load(path)?)?))
}

/// For decoding: `given` first, then the model folder. What was loaded is kept.
pub fn at_hand(given: Option<Arc<Transformer>>) -> Models {
    let loaded: Mutex<Vec<Arc<Transformer>>> = Mutex::new(given.into_iter().collect());
    Models::found_by(move |wanted| {
        let mut loaded = loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = loaded.iter().find(|model| model.identity() == wanted.identity);
        if let Some(model) = known {
            return Ok(Some(Arc::clone(model)));
        }
        let Some(path) = named(&wanted.name) else { return Ok(None) };
        let model = load(&path)?;
        loaded.push(Arc::clone(&model));
        Ok(Some(model))
    })
}
