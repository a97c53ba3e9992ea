//! The files of a folder that hold tensors: `model.safetensors`, or shards that an index names, as Hugging Face has them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::format::{no_weights, read_json};
use super::json::shown;
use crate::error::{Error, ErrorKind, Result};

/// The longest index in bytes, and the most shards.
const MAX_INDEX_LEN: u64 = 16 << 20; // tunable
const MAX_SHARDS: usize = 1000; // tunable

const WHOLE: &str = "model.safetensors"; // frozen
const INDEX: &str = "model.safetensors.index.json"; // frozen

/// The names of the files of `folder` that hold tensors, each once; all of them are there.
///
/// # Errors
/// `Io` if there are none or some are missing, `Corrupt` if the index is damaged or names what is no file of the folder.
pub fn shards(folder: &Path) -> Result<Vec<String>> {
    if folder.join(WHOLE).exists() {
        return Ok(vec![WHOLE.into()]);
    }
    let index = folder.join(INDEX);
    if !index.exists() {
        return Err(no_weights(folder));
    }
    let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("{INDEX}: {what}"));
    let json: Value = serde_json::from_str(&read_json(&index, MAX_INDEX_LEN)?)
        .map_err(|e| corrupt(&e.to_string()))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let mut names = BTreeSet::new();
    for name in map.ok_or_else(|| corrupt("no weight_map"))?.values() {
        let name = name.as_str().ok_or_else(|| corrupt("a name that is no string"))?;
        // Only files of this folder.
        if name.contains(['/', '\\']) || !name.ends_with(".safetensors") {
            return Err(corrupt(&format!("{} is no file of the folder", shown(name))));
        }
        names.insert(name.to_owned());
    }
    if !(1..=MAX_SHARDS).contains(&names.len()) {
        return Err(corrupt(&format!("{} files; 1 to {MAX_SHARDS} are allowed", names.len())));
    }
    let missing: Vec<_> = names.iter().filter(|name| !folder.join(name).exists()).collect();
    if let Some(first) = missing.first() {
        let (missing, all, first) = (missing.len(), names.len(), shown(first));
        let message = format!(
            "{missing} of the {all} files that {INDEX} names are missing, the first is {first} (fetch them, too)"
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, message).into());
    }
    Ok(names.into_iter().collect())
}

/// Whether a folder holds weights, in one file or in shards.
pub fn has_weights(folder: &Path) -> bool {
    folder.join(WHOLE).exists() || folder.join(INDEX).exists()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::nn::file::write;
    use crate::nn::{AnyWeights, RecurrentConfig, RecurrentWeights, Tensor};

    const CONFIG: &str = r#"{"model_type": "lmic_recurrent", "hidden_size": 16, "layers": 2, "intermediate_size": 16}"#;

    /// A folder of three shards; the last has the metadata.
    fn folder(weights: &RecurrentWeights) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lmic-shards-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let tensors = weights.tensors();
        let mut map = serde_json::Map::new();
        for (i, part) in tensors.chunks(tensors.len().div_ceil(3)).enumerate() {
            let name = format!("model-{:05}-of-00003.safetensors", i + 1);
            let metadata = [("lmic_config", CONFIG), ("lmic_name", "sharded")];
            let file = write(if i == 2 { &metadata } else { &[] }, part);
            fs::write(folder.join(&name), file).unwrap();
            map.extend(part.iter().map(|t: &Tensor<'_>| (t.name.clone(), name.clone().into())));
        }
        let index = serde_json::json!({ "weight_map": map }).to_string();
        fs::write(folder.join(INDEX), index).unwrap();
        folder
    }

    #[test]
    fn shards_are_one_model_and_what_is_wrong_with_them_is_named() {
        let config = RecurrentConfig::from_json(CONFIG).unwrap();
        let weights = RecurrentWeights::random(&config, 1);
        let folder = folder(&weights);
        let path = |name: &str| folder.join(name);
        let AnyWeights::Recurrent(found) = AnyWeights::load(&folder).unwrap() else {
            panic!("not recurrent")
        };
        assert_eq!(found.name, "sharded");
        assert!(RecurrentWeights { name: weights.name.clone(), ..found } == weights);

        let refused = |words: &[&str]| {
            let error = AnyWeights::load(&folder).unwrap_err().to_string();
            words.iter().for_each(|word| assert!(error.contains(word), "{word}: {error}"));
        };
        let second = fs::read(path("model-00002-of-00003.safetensors")).unwrap();
        fs::write(path("model-00002-of-00003.safetensors"), &second[..second.len() - 1]).unwrap();
        refused(&["model-00002-of-00003.safetensors: ", "ends after"]);
        fs::remove_file(path("model-00002-of-00003.safetensors")).unwrap();
        refused(&["1 of the 3 files", "model-00002-of-00003.safetensors"]);
        let first = path("model-00001-of-00003.safetensors");
        fs::copy(&first, path("model-00002-of-00003.safetensors")).unwrap();
        refused(&["model-00002-of-00003.safetensors: ", "is in two files"]);

        for (index, words) in [
            (r#"{"weight_map": {}}"#, "0 files"),
            ("{}", "no weight_map"),
            (r#"{"weight_map": {"a": 1}}"#, "no string"),
            (r#"{"weight_map": {"a": "../a.safetensors"}}"#, "no file of the folder"),
            ("[", INDEX),
        ] {
            fs::write(path(INDEX), index).unwrap();
            refused(&[words]);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
