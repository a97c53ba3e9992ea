//! `lmic model`: the weights of neural models. All that read a model load all of it, and so check every tensor.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use lmic::nn::{AnyWeights, Config, RecurrentConfig, Tensor};
use serde::Serialize;
use serde_json::Value;

use crate::args::{ModelAddArgs, ModelCommand, ModelQuantizeArgs, ModelShowArgs};
use crate::console::display_name;
use crate::models;
use crate::sink::Sink;
use crate::size;
use crate::table::{self, Column, number, text};

/// A model, as `show` explains it.
#[derive(Debug, Serialize)]
struct ModelFacts {
    model: String,
    name: String,
    /// First heading of the model card, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
    /// In hexadecimal.
    identity: String,
    precision: String,
    parameters: u64,
    tensor_bytes: u64,
    /// The config.json.
    config: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tensors: Vec<TensorRow>,
}

#[derive(Debug, Serialize)]
struct TensorRow {
    tensor: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: u64,
}

const TENSOR_COLUMNS: [Column; 4] =
    [text("Type", 4), number("Shape", 12), number("Bytes", 12), text("Tensor", 0)];

/// Runs one of the commands on models.
pub fn run(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Show(args) => show(args),
        ModelCommand::Verify { model } => verify(&model.path),
        #[cfg(feature = "llama")]
        ModelCommand::Score(args) => super::score::run(&args),
        ModelCommand::Quantize(args) => quantize(&args),
        ModelCommand::Add(args) => add(&args),
        ModelCommand::Remove { name } => remove(&name),
    }
}

fn load(path: &Path) -> Result<AnyWeights> {
    AnyWeights::load(path).with_context(|| display_name(path))
}

fn show(args: ModelShowArgs) -> Result<()> {
    let path = &args.model.path;
    let weights = load(path)?;
    let facts = ModelFacts {
        model: display_name(path),
        name: weights.name().to_owned(),
        card: heading(&path.join("README.md")),
        identity: hex(&weights.identity()),
        precision: weights.precision().to_string(),
        parameters: weights.params(),
        tensor_bytes: weights.byte_len(),
        config: serde_json::from_str(&weights.config_json()).context("cannot write JSON")?,
        tensors: match args.tensors {
            true => weights.tensors().iter().map(TensorRow::new).collect(),
            false => Vec::new(),
        },
    };
    if args.json { table::json(&facts) } else { print(&facts, &weights) }
}

fn verify(path: &Path) -> Result<()> {
    let weights = load(path)?;
    table::say(&format!("{}: {}", display_name(path), hex(&weights.identity())))
}

fn quantize(args: &ModelQuantizeArgs) -> Result<()> {
    let (path, out) = (&args.model.path, &args.out);
    let weights = load(path)?;
    let mut int8 = weights.quantize().with_context(|| display_name(path))?;
    int8.set_name(out.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let file = int8.to_safetensors();
    let mut sink = Sink::file(out, args.force, None)?;
    sink.write_all(&file)?;
    sink.finish(false)?;
    let (before, after) = (weights.byte_len(), file.len() as u64);
    let ratio = size::ratio(after, before);
    table::say(&display_name(out))?;
    field("identity", hex(&int8.identity()))?;
    field("size", format_args!("{after} bytes, {ratio} of the {before} of the f32 tensors"))
}

fn add(args: &ModelAddArgs) -> Result<()> {
    let added = models::add(&args.file, args.force).with_context(|| display_name(&args.file))?;
    table::say(&display_name(&added.path))?;
    field("name", &added.name)?;
    field("identity", hex(&added.identity))
}

fn remove(name: &str) -> Result<()> {
    table::say(&format!("removed {}", display_name(&models::remove(name)?)))
}

impl TensorRow {
    fn new(tensor: &Tensor<'_>) -> Self {
        Self {
            tensor: tensor.name.clone(),
            dtype: tensor.data.dtype(),
            shape: tensor.shape.clone(),
            bytes: tensor.data.byte_len(),
        }
    }
}

fn print(facts: &ModelFacts, weights: &AnyWeights) -> Result<()> {
    table::say(&facts.model)?;
    field("name", &facts.name)?;
    if let Some(card) = &facts.card {
        field("card", card)?;
    }
    field("identity", &facts.identity)?;
    let (bytes, human) = (facts.tensor_bytes, size::human(facts.tensor_bytes));
    field(
        "weights",
        format_args!("{} {}, {bytes} bytes ({human})", facts.parameters, facts.precision),
    )?;
    match weights {
        AnyWeights::Transformer(weights) => print_transformer(&weights.config)?,
        AnyWeights::Recurrent(weights) => print_recurrent(&weights.config)?,
    }
    if facts.tensors.is_empty() {
        return Ok(());
    }
    table::head(&TENSOR_COLUMNS)?;
    for row in &facts.tensors {
        let shape: Vec<_> = row.shape.iter().map(usize::to_string).collect();
        let cells =
            [row.dtype.into(), shape.join(" x "), row.bytes.to_string(), row.tensor.clone()];
        table::row(&TENSOR_COLUMNS, cells)?;
    }
    Ok(())
}

fn print_transformer(config: &Config) -> Result<()> {
    field("layers", config.num_hidden_layers)?;
    let tied = if config.tie_word_embeddings { ", head tied to the embedding" } else { "" };
    field("width", format_args!("{}, MLP {}{tied}", config.hidden_size, config.intermediate_size))?;
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    field(
        "heads",
        format_args!("{heads} of width {}, keys and values {kv_heads}", config.head_dim),
    )?;
    let context = config.max_position_embeddings;
    match config.sliding_window {
        Some(window) => field("context", format_args!("{context}, attention sees {window}"))?,
        None => field("context", context)?,
    }
    let (theta, eps) = (config.rope_theta, config.rms_norm_eps);
    field("constants", format_args!("rope_theta {theta}, rms_norm_eps {eps:e}"))
}

fn print_recurrent(config: &RecurrentConfig) -> Result<()> {
    let conv = if config.conv { ", convolution" } else { "" };
    field("layers", format_args!("{}, recurrent{conv}", config.layers))?;
    field("width", format_args!("{}, MLP {}", config.hidden_size, config.intermediate_size))?;
    field("state", config.state_size)?;
    field("embedding", format_args!("of the last {} bytes", config.taps))
}

fn field(name: &str, value: impl std::fmt::Display) -> Result<()> {
    table::say(&format!("  {name:<9} {value}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of a model card that are searched for its heading.
const MAX_CARD_LEN: u64 = 64 << 10;

/// The first heading of a model card, below the YAML that may stand at its top. A card that cannot be read is none:
/// nothing depends on it.
fn heading(card: &Path) -> Option<String> {
    if !card.is_file() {
        return None; // opening a pipe would wait
    }
    let file = File::open(card).ok()?;
    let lines = BufReader::new(file.take(MAX_CARD_LEN)).lines().map_while(Result::ok);
    let mut in_yaml = false;
    for (i, line) in lines.enumerate() {
        if line.trim_end() == "---" && (i == 0 || in_yaml) {
            in_yaml = !in_yaml;
        } else if let Some(title) = line.strip_prefix("# ").filter(|_| !in_yaml) {
            return Some(title.trim().replace(|c: char| c.is_control(), "?"));
        }
    }
    None
}
