//! Model directories as Hugging Face has them: `model.safetensors`, `config.json`, `README.md`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::model::{Model, parameter_specs};
use super::recipe::{ModelConfig, Recipe};
use crate::checkpoint::Progress;
use crate::export::{CARD, CONFIG, Card, WEIGHTS};
use crate::network::{START, VOCABULARY};
use crate::parallel::Runs;
use crate::replace::replace;
use crate::tensors::{TensorFile, tensor_values, values};

/// Writes the model of a run into `folder`, each file complete or not at all.
///
/// # Errors
/// Of the file system.
pub fn save(
    folder: &Path,
    model: &Model,
    recipe: &Recipe,
    files: &[String],
    progress: &Progress,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut file = TensorFile::default();
    for (spec, tensor) in parameter_specs(&model.config).iter().zip(&model.parameters) {
        let is_norm = spec.deviation.is_none();
        let shape = if is_norm { vec![spec.shape[1]] } else { spec.shape.to_vec() };
        file.add(spec.name.clone(), shape, &values(tensor));
    }
    // transformers reads a file only if it says what kind of tensors it holds.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    file.write(&folder.join(WEIGHTS), metadata)?;
    let config = serde_json::to_string_pretty(&config_json(&model.config))?;
    replace(&folder.join(CONFIG), config.as_bytes())?;
    let card = model_card(model, recipe, files, progress)?;
    replace(&folder.join(CARD), card.as_bytes())
}

/// Reads a model directory that this module has written.
///
/// # Errors
/// Names the file, and the key or tensor that is missing or of another shape.
pub fn load(folder: &Path, device: &Device, runs: Runs) -> Result<Model> {
    let path = folder.join(CONFIG);
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let config = serde_json::from_slice(&text).map_err(Into::into).and_then(|c| parse_config(&c));
    let config = config.with_context(|| format!("{}", path.display()))?;
    let path = folder.join(WEIGHTS);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let read = || -> Result<Vec<Vec<f32>>> {
        let file = SafeTensors::deserialize(&bytes)?;
        let specs = parameter_specs(&config);
        specs.iter().map(|spec| tensor_values(&file, &spec.name, &spec.shape)).collect()
    };
    let parameters = read().with_context(|| format!("{}", path.display()))?;
    Ok(Model::from_values(&config, parameters, device, runs))
}

fn config_json(config: &ModelConfig) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": false,
        "bos_token_id": START,
        "eos_token_id": null,
        "sliding_window": config.sliding_window,
        "torch_dtype": "float32",
    })
}

fn parse_config(json: &Value) -> Result<ModelConfig> {
    let number = |key: &str| {
        let value = json.get(key).and_then(Value::as_u64);
        value.map(|v| v as usize).with_context(|| format!("{key}: missing or no whole number"))
    };
    let vocabulary = number("vocab_size")?;
    ensure!(vocabulary == VOCABULARY, "vocab_size: {vocabulary}, only {VOCABULARY}");
    let config = ModelConfig {
        hidden_size: number("hidden_size")?,
        layers: number("num_hidden_layers")?,
        heads: number("num_attention_heads")?,
        kv_heads: number("num_key_value_heads")?,
        head_dim: number("head_dim")?,
        intermediate_size: number("intermediate_size")?,
        context: number("max_position_embeddings")?,
        rope_theta: json["rope_theta"].as_f64().context("rope_theta: missing")?,
        rms_norm_eps: json["rms_norm_eps"].as_f64().context("rms_norm_eps: missing")?,
        sliding_window: json["sliding_window"].as_u64().map(|w| w as usize),
    };
    Ok(config)
}

fn model_card(
    model: &Model,
    recipe: &Recipe,
    files: &[String],
    progress: &Progress,
) -> Result<String> {
    let config = &model.config;
    let mut shown = recipe.clone();
    shown.data.root = Default::default();
    let card = Card {
        name: &recipe.name,
        about: format!(
            "A transformer over bytes, made by `lmic-train`: the Llama architecture with {VOCABULARY} symbols, the \
             256 byte values and a start symbol ({START}) at position 0 of every window."
        ),
        size: model.size(),
        shape: format!(
            "| layers, width, MLP | {}, {}, {} |\n\
             | heads, key/value heads, head size | {}, {}, {} |\n\
             | context | {} |\n",
            config.layers,
            config.hidden_size,
            config.intermediate_size,
            config.heads,
            config.kv_heads,
            config.head_dim,
            config.context,
        ),
        estimated: format!(
            "estimated in f32, {} windows of {}",
            recipe.data.validation_windows, config.context
        ),
        files,
        licence: &recipe.data.licence,
        recipe: toml::to_string(&shown)?,
    };
    let begin = "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n";
    Ok(begin.to_string() + &card.text(progress))
}
