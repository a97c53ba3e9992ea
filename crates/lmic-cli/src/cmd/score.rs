//! `lmic model score`, which is `lmic eval score`: what a model of tokens says of files, in bits.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::models::Wanted;
use lmic::nn::{TokenModel, Windows};
use lmic::progress::Progress;
use lmic_llama::{Llama, Score, ScoreOptions};
use serde::Serialize;

use crate::args::ModelScoreArgs;
use crate::console::display_name;
use crate::models::finder;
use crate::stdio;
use crate::table;

/// Everything that is printed as JSON.
#[derive(Debug, Serialize)]
struct Facts {
    model: String,
    identity: String,
    shape: String,
    parameters: u64,
    model_bytes: u64,
    bytes: u64,
    tokens: u64,
    escapes: u64,
    bits_per_byte: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_byte_as_in_the_paper: Option<f64>,
    bits_per_token: f64,
    perplexity: f64,
    raw_rate: f64,
    adjusted_rate_2_bytes: f64,
    adjusted_rate_file: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<TopK>,
    seconds: f64,
    tokens_per_second: f64,
}

#[derive(Debug, Serialize)]
struct TopK {
    k: usize,
    bits_per_byte: f64,
    escapes: u64,
}

/// Scores all files together.
pub fn run(args: &ModelScoreArgs) -> Result<()> {
    let path = finder().find(&args.model, Wanted::Network)?;
    let model = Llama::open(&path).with_context(|| display_name(&path))?;
    let options = options(args, &model)?;
    let mut sum = Score::default();
    let started = Instant::now();
    for file in &inputs(args)? {
        let data = read(file).with_context(|| display_name(file))?;
        sum.add(&model.score(&data, &options, &Progress::default()));
    }
    let seconds = started.elapsed().as_secs_f64();
    let facts = Facts::new(args, &model, &sum, seconds);
    if args.json { table::json(&facts) } else { print(&facts) }
}

fn options(args: &ModelScoreArgs, model: &Llama) -> Result<ScoreOptions> {
    let usual = model.windows();
    let context = args.context.unwrap_or(usual.context);
    let overlap = args.overlap.unwrap_or(context / 4);
    let windows = Windows { context, overlap, lanes: 1 };
    windows.validate()?;
    if context as usize > model.context() {
        bail!("a context of {context}; the model has {}", model.context());
    }
    let threads = match args.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads.into(),
    };
    let chunk = args.chunk.unwrap_or(64 << 10);
    Ok(ScoreOptions {
        windows: Some(windows),
        chunk: usize::try_from(chunk).unwrap_or(usize::MAX),
        ascii: args.ascii,
        top_k: args.top_k,
        as_coded: args.as_coded,
        threads,
    })
}

/// All files: those of folders in order of their names.
fn inputs(args: &ModelScoreArgs) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in &args.data {
        let path = found(path)?;
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let entries = path.read_dir().with_context(|| display_name(&path))?;
        let entries: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut inside: Vec<PathBuf> = entries
            .with_context(|| display_name(&path))?
            .into_iter()
            .filter(|p| p.is_file())
            .collect();
        if inside.is_empty() {
            bail!("{}: no files in it", display_name(&path));
        }
        inside.sort();
        files.append(&mut inside);
    }
    files.extend(args.files.iter().cloned());
    Ok(files)
}

/// Where a path of `--data` is.
fn found(path: &Path) -> Result<PathBuf> {
    if path.exists() || path.as_os_str() == "-" {
        return Ok(path.into());
    }
    let folder = std::env::var_os("LMIC_DATA").map(PathBuf::from);
    match folder.map(|folder| folder.join(path)).filter(|path| path.exists()) {
        Some(path) => Ok(path),
        None => bail!("{}: not found, neither here nor in $LMIC_DATA", display_name(path)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    if path.as_os_str() == "-" {
        stdio::check_stdin()?;
        std::io::stdin().read_to_end(&mut data)?;
    } else {
        File::open(path)?.read_to_end(&mut data)?;
    }
    Ok(data)
}

impl Facts {
    fn new(args: &ModelScoreArgs, model: &Llama, score: &Score, seconds: f64) -> Self {
        Self {
            model: model.name().replace(char::is_control, "?"),
            identity: model.identity_hex(),
            shape: model.facts().summary,
            parameters: model.params(),
            model_bytes: model.byte_len(),
            bytes: score.bytes,
            tokens: score.tokens,
            escapes: score.escapes,
            bits_per_byte: score.bits_per_byte(),
            bits_per_byte_as_in_the_paper: args.ascii.then(|| score.bits_per_byte_scaled()),
            bits_per_token: score.bits_per_token(),
            perplexity: score.perplexity(),
            raw_rate: score.raw_rate(),
            adjusted_rate_2_bytes: score.adjusted_rate(2 * model.params()),
            adjusted_rate_file: score.adjusted_rate(model.byte_len()),
            top_k: (args.top_k > 0).then(|| TopK {
                k: args.top_k,
                bits_per_byte: score.top_k_bits_per_byte(),
                escapes: score.top_k_escapes,
            }),
            seconds,
            tokens_per_second: score.tokens as f64 / seconds,
        }
    }
}

fn print(facts: &Facts) -> Result<()> {
    let line = |name: &str, value: String| table::say(&format!("  {name:<16} {value}"));
    table::say(&format!("{} ({})", facts.model, facts.shape))?;
    line("identity", facts.identity.clone())?;
    line("parameters", format!("{}, {} bytes of tensors", facts.parameters, facts.model_bytes))?;
    line(
        "data",
        format!("{} bytes, {} tokens, {} escapes", facts.bytes, facts.tokens, facts.escapes),
    )?;
    line("bits a byte", format!("{:.4} (estimated: nothing is coded)", facts.bits_per_byte))?;
    if let Some(bits) = facts.bits_per_byte_as_in_the_paper {
        line("  as in paper", format!("{bits:.4}: the code of seven bits, times 8/7"))?;
    }
    line(
        "bits a token",
        format!("{:.4}, perplexity {:.3}", facts.bits_per_token, facts.perplexity),
    )?;
    line("raw rate", format!("{:.4}", facts.raw_rate))?;
    line(
        "adjusted rate",
        format!(
            "{:.4} with 2 bytes a parameter, {:.4} with the tensors as they are",
            facts.adjusted_rate_2_bytes, facts.adjusted_rate_file
        ),
    )?;
    if let Some(top) = &facts.top_k {
        let TopK { k, bits_per_byte, escapes } = top;
        line(&format!("top {k}"), format!("{bits_per_byte:.4} bits a byte, {escapes} escapes"))?;
    }
    line("speed", format!("{:.1} tokens a second", facts.tokens_per_second))
}
