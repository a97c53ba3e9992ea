//! `lmic model`: networks and primed states. All that read a model load all of it, and so check every number.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use lmic::hex;
use lmic::models::{FoundModel, Listed, Wanted, files_of, needed_by};
use lmic::nn::{AnyWeights, Config, RecurrentConfig, TensorInfo};
use serde::Serialize;
use serde_json::Value;

use crate::args::{ModelAddArgs, ModelCommand, ModelFetchArgs, ModelQuantizeArgs, ModelShowArgs};
use crate::console::{Console, display_name};
use crate::file_id::FileId;
use crate::models::{self, Added, finder};
use crate::sink::Sink;
use crate::size;
use crate::table::{self, Column, FileName, number, text};

/// A model, as `show` explains it.
#[derive(Debug, Serialize)]
struct ModelFacts {
    model: String,
    /// Bytes of `model` in hexadecimal, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_hex: Option<String>,
    /// What archives call it.
    name: String,
    kind: &'static str,
    /// First heading of the model card, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
    /// The identity, in hexadecimal.
    identity: String,
    /// Bytes of all its files.
    bytes: u64,
    /// What only networks have.
    #[serde(flatten)]
    weights: Option<WeightFacts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tensors: Vec<TensorRow>,
}

#[derive(Debug, Serialize)]
struct WeightFacts {
    precision: String,
    parameters: u64,
    tensor_bytes: u64,
    /// The config.json.
    config: Value,
}

/// What lies in the model folder, or comes with the program, as `list` shows it.
#[derive(Debug, Serialize)]
struct ListRow {
    name: String,
    /// The first of its files, if it has any.
    #[serde(flatten)]
    file: Option<FileName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// The level that codes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    /// Why it cannot be used, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct TensorRow {
    tensor: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: u64,
}

const LIST_COLUMNS: [Column; 5] = [
    text("Name", 24),
    text("Kind", 21),
    number("Bytes", 12),
    text("Identity", 12),
    text("Level", 0),
];

const TENSOR_COLUMNS: [Column; 4] =
    [text("Type", 4), number("Shape", 12), number("Bytes", 12), text("Tensor", 0)];

/// Runs one of the commands on models.
pub fn run(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::List { json } => list(json),
        ModelCommand::Show(args) => show(&args),
        ModelCommand::Verify { model } => verify(&model.path),
        #[cfg(feature = "llama")]
        ModelCommand::Score(args) => super::score::run(&args),
        ModelCommand::Quantize(args) => quantize(&args),
        ModelCommand::Add(args) => add(&args),
        ModelCommand::Fetch(args) => fetch(&args),
        ModelCommand::Remove { name } => remove(&name),
    }
}

fn list(json: bool) -> Result<()> {
    let finder = finder();
    let rows: Vec<_> = finder.listed()?.into_iter().map(ListRow::new).collect();
    if json {
        return table::json(&rows);
    }
    match finder.folder() {
        Some(folder) if folder.is_dir() => table::say(&display_name(folder))?,
        Some(folder) => table::say(&format!("{}: not there yet", display_name(folder)))?,
        None => table::say("no model folder: LMIC_MODELS is not set")?,
    }
    table::head(&LIST_COLUMNS)?;
    for row in rows {
        let identity = row.identity.map_or("-".into(), |identity| identity[..12].into());
        let level = row.level.map(|level| level.to_string());
        let level = row.error.or(level).unwrap_or_default();
        let unusable = if row.file.is_some() { "(cannot be used)" } else { "(not here)" };
        let kind = row.kind.unwrap_or(unusable).into();
        table::row(&LIST_COLUMNS, [row.name, kind, row.bytes.to_string(), identity, level])?;
    }
    Ok(())
}

impl ListRow {
    fn new(listed: Listed) -> Self {
        Self {
            name: listed.name,
            file: listed.path.as_deref().map(FileName::new),
            kind: listed.kind,
            bytes: listed.bytes,
            identity: listed.identity.map(|identity| hex(&identity)),
            level: listed.level,
            error: listed.error,
        }
    }
}

/// Bytes of all files of a model.
fn file_bytes(path: &Path) -> u64 {
    files_of(path).iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

fn show(args: &ModelShowArgs) -> Result<()> {
    let (path, model) = finder().open(&args.model.path, Wanted::Either)?;
    let FileName { file: model_name, file_hex } = FileName::new(&path);
    let mut facts = ModelFacts {
        model: model_name,
        model_hex: file_hex,
        name: model.name(&path),
        kind: model.kind(),
        card: heading(&path.join("README.md")),
        identity: hex(&model.identity()),
        bytes: file_bytes(&path),
        weights: None,
        tensors: Vec::new(),
    };
    if let Some(network) = model.facts() {
        facts.weights = Some(WeightFacts {
            precision: network.precision,
            parameters: network.params,
            tensor_bytes: network.bytes,
            config: serde_json::from_str(&network.config_json).context("cannot write JSON")?,
        });
        facts.tensors = network.tensors.into_iter().map(TensorRow::new).collect();
    }
    if !args.tensors {
        facts.tensors.clear();
    }
    if args.json { table::json(&facts) } else { print(&facts, &model) }
}

fn verify(path: &Path) -> Result<()> {
    let (path, model) = finder().open(path, Wanted::Either)?;
    table::say(&format!("{}: {}", display_name(&path), hex(&model.identity())))
}

fn quantize(args: &ModelQuantizeArgs) -> Result<()> {
    let (path, out) = (&args.model.path, &args.out);
    let (path, FoundModel::Bytes(weights)) = finder().open(path, Wanted::Either)? else {
        bail!("{}: is no byte model, which is what becomes int8", display_name(path));
    };
    let mut int8 = weights.quantize().with_context(|| display_name(&path))?;
    int8.set_name(out.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let file = int8.to_safetensors();
    let written = FileId::at(out);
    if written.is_some() && needed_by(&path).iter().any(|file| FileId::at(file) == written) {
        bail!("{}: is of the model itself (name another file)", display_name(out));
    }
    let mut sink = Sink::named(out, args.force, None)?;
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
    say_added(&added)
}

fn fetch(args: &ModelFetchArgs) -> Result<()> {
    match super::fetch::run(args, &Console::new(0, false, !args.no_progress))? {
        Some(added) => say_added(&added),
        None => table::say(&format!("{}: is there already", args.name)),
    }
}

fn say_added(added: &Added) -> Result<()> {
    for path in &added.paths {
        table::say(&display_name(path))?;
    }
    field("name", &added.name)?;
    field("identity", hex(&added.identity))
}

fn remove(name: &str) -> Result<()> {
    for path in models::remove(name)? {
        table::say(&format!("removed {}", display_name(&path)))?;
    }
    Ok(())
}

impl TensorRow {
    fn new(tensor: TensorInfo) -> Self {
        Self {
            tensor: tensor.name.replace(char::is_control, "?"),
            dtype: tensor.format,
            shape: tensor.shape,
            bytes: tensor.bytes,
        }
    }
}

fn print(facts: &ModelFacts, model: &FoundModel) -> Result<()> {
    table::say(&table::one_line(&facts.model))?;
    field("name", &facts.name)?;
    field("kind", facts.kind)?;
    if let Some(card) = &facts.card {
        field("card", card)?;
    }
    field("identity", &facts.identity)?;
    if let Some(weights) = &facts.weights {
        let (bytes, human) = (weights.tensor_bytes, size::human(weights.tensor_bytes));
        field(
            "weights",
            format_args!("{} {}, {bytes} bytes ({human})", weights.parameters, weights.precision),
        )?;
    }
    match model {
        FoundModel::Bytes(weights) => match &**weights {
            AnyWeights::Transformer(weights) => print_transformer(&weights.config)?,
            AnyWeights::Recurrent(weights) => print_recurrent(&weights.config)?,
        },
        FoundModel::Tokens(model) => field("shape", model.facts().summary)?,
        FoundModel::Primed(primed) => {
            let (bytes, memory) = (facts.bytes, size::human(primed.memory()));
            field("size", format_args!("{bytes} bytes, {memory} in memory"))?;
        }
        _ => {}
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
    field("layers", format_args!("{}, recurrent", config.layers))?;
    field("width", format_args!("{}, MLP {}", config.hidden_size, config.intermediate_size))?;
    field("state", config.state_size)?;
    field("embedding", format_args!("of the last {} bytes", config.taps))
}

fn field(name: &str, value: impl std::fmt::Display) -> Result<()> {
    table::say(&format!("  {name:<9} {value}"))
}

/// Bytes of a model card that are searched for its heading.
const MAX_CARD_LEN: u64 = 64 << 10;

/// The first heading of a model card, below the YAML that may stand at its top. A card that cannot be read counts as none, because
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
