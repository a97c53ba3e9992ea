//! Experiments: a TOML file says which codecs code which data and how; here it becomes cells, and each cell a record.
//!
//! ```toml
//! title = "Table 1: raw rates of 2048-byte chunks"
//! question = "How do language models and general compressors compare on text, images, speech and noise?"
//! kind = "rates"
//! data = ["enwik8", "patches"]
//! chunk = 2048
//! limit = "512K"          # bytes of each data set
//! codecs = ["gzip", "cm", "default"]
//! ```
//!
//! Codecs are names as `codec` has them, or of `commands.toml` beside the experiments: programs as a user would run them. With
//! `runs`, a cell is measured so often, all codecs on the same data in turn, so that a change of the machine's speed meets all of
//! them; a first run warms up and finds the memory that programs take. A codec whose program is not installed is skipped.
//!
//! To add a kind: a variant of `Kind` with a module that runs its cells, its table in `report`.

mod generation;
mod pipe;
mod rates;
mod tokens;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer};

use crate::codec::{Codec, Commands, open_in};
use crate::data::{Cut, DataSet, Loaded, catalogue};
use crate::item::Item;
use crate::record::{Circumstances, Record, Records};
use crate::report::Shown;

/// What to run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What the report calls it.
    pub title: String,
    /// What it answers.
    pub question: String,
    /// Where it stands in the report; the same numbers by name.
    #[serde(default)]
    pub order: u32,
    /// How its cells are run and shown.
    pub kind: Kind,
    /// Names of data sets.
    pub data: Vec<String>,
    /// Bytes of a chunk; nothing for whole files.
    #[serde(default)]
    pub chunk: Option<usize>,
    /// Bytes of each data set, at most.
    #[serde(deserialize_with = "size")]
    pub limit: usize,
    /// Codecs by name; for [`Kind::Tokens`] `network:hidden=N`, or the path of a model with `{x}` for the vocabulary.
    #[serde(default)]
    pub codecs: Vec<String>,
    /// Codecs that are for some of the data sets alone, and these.
    #[serde(default)]
    pub only: BTreeMap<String, Vec<String>>,
    /// Lengths of beginnings ([`Kind::Context`]; 0 is all), of pieces ([`Kind::Lengths`]), vocabularies ([`Kind::Tokens`]; 0 is bytes).
    #[serde(default)]
    pub x: Vec<usize>,
    /// For [`Kind::Lengths`]: so many pieces of each length, or as many as there are.
    #[serde(default)]
    pub pieces: Vec<usize>,
    /// How often each cell is measured.
    #[serde(default = "once")]
    pub runs: usize,
    /// Whether each file of a data set counts alone.
    #[serde(default)]
    pub per: Per,
    /// Of these codecs the smaller for each data set counts, under another name.
    #[serde(default)]
    pub choose: BTreeMap<String, Vec<String>>,
    /// What is shown, if not what is usual for the kind.
    #[serde(default)]
    pub tables: Vec<Shown>,
    /// For [`Kind::Sizes`]: sizes of data over which the model is spread, in bytes.
    #[serde(default)]
    pub spread: Vec<u64>,
    /// For [`Kind::Tokens`]: text to learn from.
    #[serde(default)]
    pub train: Option<String>,
    /// For [`Kind::Tokens`]: bytes of it.
    #[serde(default = "default_train_limit", deserialize_with = "size")]
    pub train_limit: usize,
    /// The paper's figures, to stand beside ours: codec -> data -> percent.
    #[serde(default)]
    pub paper: BTreeMap<String, BTreeMap<String, f64>>,
    /// The data set on which size is drawn against speed.
    #[serde(default)]
    pub drawing: Option<String>,
    /// What the paper claims, and what is found here: shown under the table.
    #[serde(default)]
    pub finding: String,
    /// What one has to know to judge the numbers.
    #[serde(default)]
    pub bias: String,
}

fn default_train_limit() -> usize {
    1 << 20
}

fn once() -> usize {
    1
}

/// What a cell is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A data set.
    #[default]
    Set,
    /// A file of it.
    File,
}

/// How the cells of an experiment are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Each codec on each data set: Table 1.
    Rates,
    /// Beginnings of items of several lengths: Figure 4, and cost over time.
    Context,
    /// Pieces of several lengths, evenly spaced in each data set.
    Lengths,
    /// So much generated data, through pipes, that no program can keep it.
    Pipe,
    /// Rates with the model spread over sizes of data: Figure 2.
    Sizes,
    /// Vocabularies of tokens: Table 2.
    Tokens,
    /// Continuations, in pictures: Figure 3, appendix C.
    Generation,
}

/// `512K`, `2M` or a number.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Number(usize),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Number(number) => Ok(number),
        Size::Text(text) => parse_size(&text).map_err(serde::de::Error::custom),
    }
}

/// `512K`, `2M` or a number, in powers of 1024.
///
/// # Errors
/// If it is none.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        other => return Err(format!("{text}: {other} is not K, M or G")),
    };
    let number: usize = digits.parse().map_err(|e| format!("{text}: {e}"))?;
    number.checked_mul(1 << scale).ok_or_else(|| format!("{text} is too large"))
}

impl Experiment {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let read = || -> Result<Self> {
            let experiment: Self = toml::from_str(&text)?;
            ensure!(experiment.chunk != Some(0), "chunk = 0: a chunk has bytes");
            ensure!(experiment.runs > 0, "runs = 0: nothing would be measured");
            for (codec, data) in &experiment.only {
                ensure!(experiment.codecs.contains(codec), "only: {codec} is none of the codecs");
                let unknown = data.iter().find(|name| !experiment.data.contains(name));
                ensure!(unknown.is_none(), "only: {unknown:?} is none of the data");
            }
            Ok(experiment)
        };
        read().with_context(|| path.display().to_string())
    }

    /// Values of x; a zero if nothing varies.
    fn xs(&self) -> Vec<usize> {
        if self.x.is_empty() { vec![0] } else { self.x.clone() }
    }

    /// Whether a codec is for a data set.
    fn pairs(&self, codec: &str, data: &String) -> bool {
        self.only.get(codec).is_none_or(|only| only.contains(data))
    }

    /// Whether a record is of one of its cells.
    fn asks_for(&self, r: &Record) -> bool {
        self.codecs.contains(&r.codec)
            && self.data.contains(&r.data)
            && self.pairs(&r.codec, &r.data)
            && self.xs().contains(&(r.x as usize))
    }

    /// How data are cut.
    pub fn cut(&self) -> Cut {
        self.chunk.map_or(Cut::Whole, Cut::Chunk)
    }
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that paths of data sets start from.
    pub data: PathBuf,
    /// Folder of data set descriptions.
    pub catalogue: PathBuf,
    /// Folder of records.
    pub records: PathBuf,
    /// Cells at the same time; 0 is a core each.
    pub jobs: usize,
    /// Bytes of each data set, if less than the experiment says.
    pub limit: Option<usize>,
    /// Measure what has been measured again.
    pub again: bool,
    /// Whether to draw progress.
    pub progress: bool,
}

/// One number to find out.
#[derive(Debug, Clone)]
struct Cell {
    key: String,
    data: String,
    /// The file, by number, where each counts alone.
    item: Option<usize>,
    codec: String,
    x: usize,
}

/// What cells of one experiment share.
struct Run<'a> {
    experiment: &'a Experiment,
    commands: Commands,
    loaded: BTreeMap<String, Loaded>,
    circumstances: Circumstances,
    jobs: u64,
}

impl Run<'_> {
    /// A record of nothing yet.
    fn record(&self, cell: &Cell) -> Record {
        let data = &self.loaded[&cell.data];
        let Circumstances { commit, machine, date, command } = self.circumstances.clone();
        Record {
            key: cell.key.clone(),
            data: cell.data.clone(),
            data_hash: data.hash.clone(),
            item: cell.item.map_or_else(String::new, |i| data.names[i].clone()),
            cut: self.experiment.chunk.map_or("whole".into(), |len| len.to_string()),
            items: data.items.len() as u64,
            raw_bytes: data.raw_bytes(),
            codec: cell.codec.clone(),
            x: cell.x as u64,
            runs: 1,
            jobs: self.jobs,
            commit,
            machine,
            date,
            command,
            ..Record::default()
        }
    }

    /// What is coded in a cell, each alone; nothing if no item is long enough.
    fn items(&self, cell: &Cell) -> Vec<Cow<'_, Item>> {
        let all = &self.loaded[&cell.data].items;
        let all = cell.item.map_or(&all[..], |i| &all[i..=i]);
        let x = cell.x;
        match self.experiment.kind {
            Kind::Context if x > 0 => {
                let long = all.iter().filter(|item| item.bytes.len() >= x);
                long.map(|item| Cow::Owned(item.prefix(x))).collect()
            }
            Kind::Lengths => {
                let at = self.experiment.x.iter().position(|&each| each == x);
                let count = at.and_then(|at| self.experiment.pieces.get(at)).copied().unwrap_or(1);
                all.iter().flat_map(|item| spread(item, x, count)).map(Cow::Owned).collect()
            }
            _ => all.iter().map(Cow::Borrowed).collect(),
        }
    }

    fn open(&self, codec: &str) -> Result<Box<dyn Codec>> {
        open_in(&self.commands, codec)
    }
}

/// `count` whole pieces of an item, or as many as there are, evenly spaced.
fn spread(item: &Item, len: usize, count: usize) -> impl Iterator<Item = Item> {
    let there = item.bytes.len() / len.max(1);
    let count = count.min(there);
    (0..count).map(move |i| {
        let start = (2 * i + 1) * there / (2 * count) * len;
        Item { bytes: item.bytes[start..start + len].to_vec(), format: item.format }
    })
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Cells measured now.
    pub measured: usize,
    /// Cells whose record was there.
    pub cached: usize,
    /// Data sets that are not at hand, codecs that cannot be opened, and why.
    pub skipped: Vec<String>,
    /// Cells that failed, and why.
    pub failed: Vec<String>,
}

/// Runs the experiment of the file at `path` and keeps its records under its name.
///
/// # Errors
/// If a description is wrong or records cannot be written. Data and programs that are not there are skipped.
pub fn run(path: &Path, options: &Options) -> Result<Outcome> {
    let mut experiment = Experiment::read(path)?;
    if let Some(limit) = options.limit {
        experiment.limit = experiment.limit.min(limit);
        experiment.train_limit = experiment.train_limit.min(limit);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut outcome = Outcome::default();
    let loaded = load(&experiment, options, &mut outcome)?;
    let run = Run {
        commands: Commands::read(&options.catalogue.join("../commands.toml"))?,
        loaded,
        circumstances: Circumstances::now(format!("lmic eval run {name}")),
        jobs: match options.jobs {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            jobs => jobs as u64,
        },
        experiment: &experiment,
    };
    if experiment.kind == Kind::Generation {
        generation::run(&run, &options.records.join(&name), options.again, &mut outcome)?;
        return Ok(outcome);
    }
    let cells = run.cells(&mut outcome)?;
    let keys: Vec<String> = cells.iter().map(|cell| cell.key.clone()).collect();
    let mut records = Records::open(&options.records.join(format!("{name}.csv")))?;
    if options.again {
        records.forget(&keys);
    }
    let todo: Vec<&Cell> = cells.iter().filter(|c| records.find(&c.key).is_none()).collect();
    outcome.cached = cells.len() - todo.len();
    let records = Mutex::new(records);
    let bar = bar(&name, todo.len(), options.progress);
    let work = |cells: &[&Cell]| -> Vec<Result<(), String>> {
        let measured = run.measure(cells).into_iter().zip(cells);
        let kept = measured.map(|(record, cell)| {
            let kept = record.and_then(|record| {
                records.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(record)
            });
            bar.inc(1);
            bar.set_message(format!("{} on {}", cell.codec, cell.data));
            kept.map_err(|e| format!("{} on {}: {e:#}", cell.codec, cell.data))
        });
        kept.collect()
    };
    let mut todo = todo;
    let mut groups: Vec<&[&Cell]> = todo.chunks(1).collect();
    if experiment.runs > 1 {
        // What is measured in turn: the codecs of the same data.
        todo.sort_by_key(|cell| (&cell.data, cell.item, cell.x));
        groups = todo.chunk_by(|a, b| (&a.data, a.item, a.x) == (&b.data, b.item, b.x)).collect();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build()?;
    let results: Vec<_> = pool
        .install(|| groups.par_iter().with_max_len(1).map(|cells| work(cells)).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .collect();
    bar.finish_and_clear();
    outcome.measured = results.iter().filter(|result| result.is_ok()).count();
    outcome.failed.extend(results.into_iter().filter_map(Result::err));
    // What cannot be measured here, for want of data, a program or a model, may have been elsewhere.
    let elsewhere = |r: &Record| {
        let of_record = |c: &Cell| c.codec == r.codec && c.data == r.data && c.x as u64 == r.x;
        experiment.asks_for(r) && !cells.iter().any(of_record)
    };
    let mut records = records.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    records.arrange(&keys, elsewhere)?;
    Ok(outcome)
}

fn load(
    experiment: &Experiment,
    options: &Options,
    outcome: &mut Outcome,
) -> Result<BTreeMap<String, Loaded>> {
    let catalogue = catalogue(&options.catalogue)?;
    let set = |name: &str| -> Result<&DataSet> {
        catalogue
            .get(name)
            .with_context(|| format!("{name}: no such data set in {}", options.catalogue.display()))
    };
    let mut loaded = BTreeMap::new();
    for name in &experiment.data {
        let set = set(name)?;
        let data = match experiment.kind {
            Kind::Pipe => Ok(pipe::described(set, experiment.limit)),
            _ => set.load(&options.data, experiment.cut(), experiment.limit),
        };
        match data {
            Ok(data) => _ = loaded.insert(name.clone(), data),
            Err(error) => outcome.skipped.push(format!("{error:#}")),
        }
    }
    if let Some(name) = &experiment.train {
        match set(name)?.load(&options.data, Cut::Whole, experiment.train_limit) {
            Ok(data) => _ = loaded.insert(tokens::TRAIN.into(), data),
            Err(error) => outcome.skipped.push(format!("{error:#}")),
        }
    }
    Ok(loaded)
}

impl Run<'_> {
    /// All cells whose data and codecs are at hand.
    fn cells(&self, outcome: &mut Outcome) -> Result<Vec<Cell>> {
        let experiment = self.experiment;
        let xs = experiment.xs();
        let mut cells = Vec::new();
        for codec in &experiment.codecs {
            for &x in &xs {
                let version = match self.version(codec, x) {
                    Ok(version) => version,
                    Err(error) => {
                        outcome.skipped.push(format!("{codec}: {error:#}"));
                        break;
                    }
                };
                for name in experiment.data.iter().filter(|name| experiment.pairs(codec, name)) {
                    let Some(data) = self.loaded.get(name) else { continue };
                    // The lines of a command decide the bytes, not what it is called.
                    let lines = self.commands.find(codec);
                    if lines.as_ref().is_some_and(|lines| !lines.takes(data.items[0].format)) {
                        continue;
                    }
                    let lines = lines.map(|l| l.codec + &l.encode + &l.learn);
                    let named = lines.as_ref().unwrap_or(codec);
                    let at = x.to_string();
                    let parts = [name, &data.hash, named, &version, &at].map(String::as_str);
                    let files = match experiment.per {
                        Per::Set => vec![None],
                        Per::File => (0..data.items.len()).map(Some).collect(),
                    };
                    for item in files {
                        let key = match item {
                            None => key(&parts),
                            Some(i) => key(&[&parts[..], &[&data.names[i]]].concat()),
                        };
                        let (data, codec) = (name.clone(), codec.clone());
                        let cell = Cell { key, data, item, codec, x };
                        // Shorter items do not reach the point that is measured.
                        if experiment.kind == Kind::Tokens || !self.items(&cell).is_empty() {
                            cells.push(cell);
                        }
                    }
                }
            }
        }
        if cells.is_empty() && outcome.skipped.is_empty() {
            bail!("an experiment without data or codecs");
        }
        Ok(cells)
    }

    fn version(&self, codec: &str, x: usize) -> Result<String> {
        match self.experiment.kind {
            Kind::Tokens => tokens::version(codec, x, self),
            _ => Ok(self.open(codec)?.version()),
        }
    }

    /// The records of cells that are measured together.
    fn measure(&self, cells: &[&Cell]) -> Vec<Result<Record>> {
        match self.experiment.kind {
            Kind::Tokens => cells.iter().map(|cell| tokens::measure(self, cell)).collect(),
            Kind::Pipe => cells.iter().map(|cell| pipe::measure(self, cell)).collect(),
            _ => rates::measure(self, cells),
        }
    }
}

fn key(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

fn bar(name: &str, cells: usize, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:12} {wide_bar} {pos}/{len} {eta} {msg:30!}");
    let bar = ProgressBar::new(cells as u64).with_prefix(name.to_owned());
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}
