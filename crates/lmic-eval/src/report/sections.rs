//! From records to tables and plots, for each kind of experiment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lmic::stats::{adjusted_rate, bits_per_byte, raw_rate};

use super::{Figure, Good, Picture, Section, Series, Table};
use crate::codec::Commands;
use crate::data::{DataSet, catalogue};
use crate::experiment::{Experiment, Kind};
use crate::record::{Record, Records};

/// Where descriptions and records are.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Folder of experiments.
    pub experiments: PathBuf,
    /// Folder of data set descriptions.
    pub catalogue: PathBuf,
    /// Folder of records.
    pub records: PathBuf,
}

/// Some data sets and codecs of an experiment, in this order; nothing is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names of data sets.
    pub data: Vec<String>,
    /// Names of codecs, or of choices among them.
    pub codecs: Vec<String>,
}

impl Filter {
    /// Leaves in the experiment what it names.
    ///
    /// # Errors
    /// If the experiment has none of a name: a table without rows would be the answer.
    fn apply(&self, experiment: &mut Experiment) -> Result<()> {
        let has = |name: &String| {
            experiment.codecs.contains(name) || experiment.choose.contains_key(name)
        };
        if let Some(name) = self.data.iter().find(|name| !experiment.data.contains(name)) {
            bail!("{name}: no data set of the experiment");
        }
        if let Some(name) = self.codecs.iter().find(|name| !has(name)) {
            bail!("{name}: no codec of the experiment");
        }
        if !self.data.is_empty() {
            experiment.data.clone_from(&self.data);
        }
        if !self.codecs.is_empty() {
            let of =
                |name: &String| experiment.choose.get(name).cloned().unwrap_or(vec![name.clone()]);
            experiment.codecs = self.codecs.iter().flat_map(of).collect();
        }
        Ok(())
    }
}

/// What there is to see of all experiments with records.
///
/// # Errors
/// If a description or a file of records is broken.
pub fn sections(sources: &Sources) -> Result<Vec<Section>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&sources.experiments)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| is_experiment(path));
    let mut sections = Vec::new();
    for path in paths {
        let order = Experiment::read(&path)?.order;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(section) = section(sources, &name, &Filter::default())? {
            sections.push((order, section));
        }
    }
    sections.sort_by(|(a, a_of), (b, b_of)| (a, &a_of.name).cmp(&(b, &b_of.name)));
    Ok(sections.into_iter().map(|(_, section)| section).collect())
}

/// What there is to see of one experiment, if it has records.
///
/// # Errors
/// As [`sections`].
pub fn section(sources: &Sources, name: &str, filter: &Filter) -> Result<Option<Section>> {
    let path = sources.experiments.join(format!("{name}.toml"));
    if !path.exists() {
        return Ok(None);
    }
    let mut experiment = Experiment::read(&path)?;
    let all = Records::open(&sources.records.join(format!("{name}.csv")))?.rows;
    let pictures = pictures(&sources.records.join(name))?;
    let texts = texts(&sources.records.join(name))?;
    if all.is_empty() && pictures.is_empty() && texts.is_empty() {
        return Ok(None);
    }
    let records = chosen(&experiment, &all);
    filter.apply(&mut experiment).with_context(|| name.to_owned())?;
    let view = View {
        name,
        experiment: &experiment,
        data: &catalogue(&sources.catalogue)?,
        commands: &Commands::read(&sources.catalogue.join("../commands.toml"))?,
        records: &records,
        all: &all,
    };
    let mut section = view.section(pictures);
    section.tables.extend(texts);
    Ok(Some(section))
}

/// The records that count: of codecs that others are chosen from, the smaller, and only of those that restored every file of a data
/// set, as a sum of fewer files cannot be compared.
fn chosen(experiment: &Experiment, all: &[Record]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for r in all {
        let name = experiment.choose.iter().find(|(_, of)| of.contains(&r.codec));
        let name = name.map_or(&r.codec, |(name, _)| name);
        let same =
            |o: &&mut Record| (&o.codec, &o.data, &o.item, o.x) == (name, &r.data, &r.item, r.x);
        let new = Record { codec: name.clone(), ..r.clone() };
        match records.iter_mut().find(same) {
            Some(old) if r.coded_bytes < old.coded_bytes => *old = new,
            Some(_) => {}
            None => records.push(new),
        }
    }
    let of = |r: &Record| (r.codec.clone(), r.data.clone(), r.x);
    let mut files: BTreeMap<_, usize> = BTreeMap::new();
    records.iter().for_each(|r| *files.entry(of(r)).or_default() += 1);
    let most = |data: &String, x: u64| {
        files.iter().filter(|((_, d, at), _)| (d, *at) == (data, x)).map(|(_, &n)| n).max()
    };
    records.retain(|r| files.get(&of(r)).copied() == most(&r.data, r.x));
    records
}

/// The PNG files of a folder, named by what they show.
fn pictures(folder: &Path) -> Result<Vec<Picture>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "png"));
    paths.sort();
    let picture = |path: PathBuf| {
        let caption = path.with_extension("txt");
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Picture { caption: std::fs::read_to_string(caption).unwrap_or(stem), path }
    };
    Ok(paths.into_iter().map(picture).collect())
}

/// Continuations of text: a table for each JSON file of a folder.
fn texts(folder: &Path) -> Result<Vec<Table>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let table = |path: PathBuf| {
        let rows: Vec<(String, String)> = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        // On one line, as cells are, and not more of what is given than its end.
        let end = |text: &str| {
            text.chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect()
        };
        let begin = |text: &str| text.chars().take(160).collect();
        let plain = |text: String| {
            let shown = |c: char| if c.is_control() || c == '\u{fffd}' { '\u{b7}' } else { c };
            text.replace('\n', " \u{21b5} ").chars().map(shown).collect::<String>()
        };
        let row = |(i, (who, text)): (usize, (String, String))| {
            vec![label(&who), plain(if i == 0 { end(&text) } else { begin(&text) })]
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Table {
            caption: format!(
                "{name}: the second half drawn from each (seed 1, temperature 1), its first characters"
            ),
            head: vec!["from".into(), "text".into()],
            rows: rows.into_iter().enumerate().map(row).collect(),
            ..Table::default()
        })
    };
    paths.into_iter().map(table).collect()
}

/// An experiment and its records.
#[derive(Clone, Copy)]
pub struct View<'a> {
    name: &'a str,
    pub experiment: &'a Experiment,
    pub data: &'a BTreeMap<String, DataSet>,
    pub commands: &'a Commands,
    /// Those that count.
    pub records: &'a [Record],
    pub all: &'a [Record],
}

impl View<'_> {
    /// Names of codecs, those that others are chosen from under the name of the choice.
    pub fn names(&self) -> Vec<String> {
        let chosen = |codec: &String| {
            let choice = self.experiment.choose.iter().find(|(_, of)| of.contains(codec));
            choice.map_or(codec, |(name, _)| name).clone()
        };
        let mut names: Vec<String> = self.experiment.codecs.iter().map(chosen).collect();
        names.dedup();
        names
    }

    /// Whether no other codec made what a record is of smaller.
    pub fn is_smallest(&self, record: &Record) -> bool {
        let of = |r: &&Record| (&r.data, &r.item, r.x) == (&record.data, &record.item, record.x);
        self.records.iter().filter(of).all(|r| r.coded_bytes >= record.coded_bytes)
    }

    fn section(&self, pictures: Vec<Picture>) -> Section {
        let (tables, figures) = match self.experiment.kind {
            _ if !self.experiment.tables.is_empty() => {
                let shown = self.experiment.tables.iter();
                (shown.flat_map(|shown| shown.tables(self)).collect(), self.length_figures())
            }
            Kind::Rates | Kind::Lengths | Kind::Pipe => (self.rates(), Vec::new()),
            Kind::Context => (self.context_tables(), self.context_figures()),
            Kind::Sizes => (self.size_tables(), self.size_figures()),
            Kind::Tokens => (self.token_tables(), Vec::new()),
            Kind::Generation => (Vec::new(), Vec::new()),
        };
        Section {
            name: self.name.to_owned(),
            title: self.experiment.title.clone(),
            question: self.experiment.question.clone(),
            tables,
            figures,
            drawing: super::size_speed::drawing(self),
            pictures,
            finding: self.experiment.finding.trim().to_owned(),
            bias: self.experiment.bias.trim().to_owned(),
            provenance: self.provenance(),
        }
    }

    /// The data sets that there are records of.
    fn columns(&self) -> Vec<&str> {
        let measured = |name: &&str| self.records.iter().any(|r| r.data == **name);
        self.experiment.data.iter().map(String::as_str).filter(measured).collect()
    }

    fn codecs(&self) -> Vec<&str> {
        let measured = |name: &&str| self.records.iter().any(|r| r.codec == **name);
        self.experiment.codecs.iter().map(String::as_str).filter(measured).collect()
    }

    fn find(&self, codec: &str, data: &str, x: u64) -> Option<&Record> {
        self.records.iter().find(|r| r.codec == codec && r.data == data && r.x == x)
    }

    pub fn title<'t>(&'t self, data: &'t str) -> &'t str {
        self.data.get(data).map_or(data, |set| &set.title)
    }

    /// A row a codec, a column a data set.
    fn by_data(
        &self,
        tab: &str,
        caption: &str,
        value: impl Fn(&Record) -> Option<f64>,
        paper: bool,
    ) -> Table {
        let columns = self.columns();
        let head = ["codec"].into_iter().chain(columns.iter().map(|data| self.title(data)));
        let values: Vec<Vec<Option<f64>>> = self
            .codecs()
            .iter()
            .map(|codec| columns.iter().map(|data| value(self.find(codec, data, 0)?)).collect())
            .collect();
        let best = |column: usize| {
            values.iter().filter_map(|row| row[column]).min_by(f64::total_cmp).unwrap_or(f64::NAN)
        };
        let rows = self.codecs().into_iter().zip(&values).map(|(codec, row)| {
            let cell = |(i, value): (usize, &Option<f64>)| {
                let mut text = number(*value, *value == Some(best(i)));
                let told = self.experiment.paper.get(codec).and_then(|row| row.get(columns[i]));
                if let Some(told) = told.filter(|_| paper) {
                    text += &format!(" ({told:.1})");
                }
                text
            };
            [label(codec)].into_iter().chain(row.iter().enumerate().map(cell)).collect()
        });
        Table {
            caption: caption.into(),
            head: head.map(str::to_owned).collect(),
            rows: rows.collect(),
            tab: tab.into(),
            good: good(1, columns.len(), Good::Less),
            ..Table::default()
        }
    }

    fn rates(&self) -> Vec<Table> {
        let beside =
            if self.experiment.paper.is_empty() { "" } else { "; the paper's figure in brackets" };
        let percent = |rate: f64| Some(100.0 * rate);
        let mut tables = vec![self.by_data(
            "raw rate",
            &format!("Raw rate, coded / raw in percent, every header counted{beside}"),
            |r| percent(raw_rate(r.coded_bytes, r.raw_bytes)),
            true,
        )];
        if self.records.iter().any(|r| r.items > 1) {
            tables.push(self.by_data(
                "header once",
                "The paper's convention: header once (what one zero byte takes is counted for one chunk only), percent",
                |r| percent(raw_rate(r.coded_bytes_header_once, r.raw_bytes)),
                false,
            ));
        }
        let is_masked = |r: &Record| self.data.get(&r.data).is_some_and(|set| set.masked);
        if self.records.iter().any(is_masked) {
            tables.push(self.by_data(
                "7 bits",
                "The paper's convention for bytes without their lowest bit: the code of 7 bits times 8 / 7, percent",
                |r| percent(raw_rate(8 * r.coded_bytes, 7 * r.raw_bytes)).filter(|_| is_masked(r)),
                false,
            ));
        }
        if self.records.iter().any(|r| r.model_bytes > 0) {
            tables.push(self.by_data(
                "adjusted",
                "Adjusted rate: with the model as shipped, over the bytes measured, percent",
                |r| percent(adjusted_rate(r.coded_bytes, r.model_bytes, r.raw_bytes)),
                false,
            ));
            tables.push(self.by_data(
                "adjusted, 1 GB",
                "The paper's convention: adjusted rate with 2 bytes a parameter, if 1 GB (10^9 bytes) were coded at this raw rate, percent",
                |r| percent(raw_rate(r.coded_bytes, r.raw_bytes) + 2.0 * r.model_params as f64 / 1e9),
                false,
            ));
        }
        tables.push(self.speeds());
        tables
    }

    fn speeds(&self) -> Table {
        let speed = |bytes: u64, seconds: f64| {
            if seconds > 0.0 { format!("{:.3}", bytes as f64 / 1e6 / seconds) } else { "-".into() }
        };
        let sum = |codec: &str| {
            let rows = self.records.iter().filter(|r| r.codec == codec);
            rows.fold((0, 0.0, 0.0), |(bytes, encode, decode), r| {
                (bytes + r.raw_bytes, encode + r.encode_seconds, decode + r.decode_seconds)
            })
        };
        let rows = self.codecs().into_iter().map(|codec| {
            let (bytes, encode, decode) = sum(codec);
            vec![label(codec), speed(bytes, encode), speed(bytes, decode)]
        });
        Table {
            caption:
                "MB a wall second, all data together (lower bounds where several cells ran at once)"
                    .into(),
            head: ["codec", "encode", "decode"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
            tab: "speed".into(),
            good: good(1, 2, Good::More),
            ..Table::default()
        }
    }

    /// A row a codec, a column a value of x, a table a data set.
    fn by_x(
        &self,
        data: &str,
        caption: String,
        x_name: &str,
        value: impl Fn(&Record) -> f64,
    ) -> Table {
        let xs = &self.experiment.x;
        let name = |&x: &usize| if x == 0 { "bytes".into() } else { short(x as u64) };
        let rows = self.codecs().into_iter().map(|codec| {
            let values: Vec<_> =
                xs.iter().map(|&x| self.find(codec, data, x as u64).map(&value)).collect();
            [label(codec)].into_iter().chain(values.into_iter().map(|v| number(v, false))).collect()
        });
        Table {
            caption,
            head: [x_name.to_owned()].into_iter().chain(xs.iter().map(name)).collect(),
            rows: rows.collect(),
            tab: self.title(data).into(),
            good: good(1, xs.len(), Good::Less),
            ..Table::default()
        }
    }

    fn context_tables(&self) -> Vec<Table> {
        let table = |data: &&str| {
            let caption = format!(
                "{}: raw rate of the first bytes, percent, every header counted",
                self.title(data)
            );
            self.by_x(data, caption, "first bytes", |r| {
                100.0 * raw_rate(r.coded_bytes, r.raw_bytes)
            })
        };
        self.columns().iter().map(table).collect()
    }

    /// What pieces of each length come to, in the mean of the data sets: of lengths that all have.
    fn length_figures(&self) -> Vec<Figure> {
        if self.experiment.kind != Kind::Lengths {
            return Vec::new();
        }
        let line = |codec: &str| {
            let mean = |&x: &usize| {
                let of: Option<Vec<&Record>> =
                    self.columns().iter().map(|data| self.find(codec, data, x as u64)).collect();
                let rates = of?.into_iter().map(|r| raw_rate(r.coded_bytes, r.raw_bytes));
                Some((x as f64, rates.sum::<f64>() / self.columns().len() as f64))
            };
            let points = self.experiment.x.iter().filter_map(mean).collect();
            Series { name: self.label(codec), points }
        };
        vec![Figure {
            name: self.name.to_owned(),
            title: self.experiment.title.clone(),
            x: "bytes of a piece".into(),
            y: "coded / raw, mean".into(),
            log_y: false,
            series: self.codecs().into_iter().map(line).collect(),
        }]
    }

    fn context_figures(&self) -> Vec<Figure> {
        let figure = |data: &&str| Figure {
            name: format!("{}-{data}", self.name),
            title: format!("{}: {}", self.experiment.title, self.title(data)),
            x: "bytes coded".into(),
            y: "raw rate, %".into(),
            log_y: false,
            series: self.lines(data, |r| 100.0 * raw_rate(r.coded_bytes, r.raw_bytes)),
        };
        self.columns().iter().map(figure).collect()
    }

    /// [`label`], with the word for codecs whose bytes are estimates.
    pub fn label(&self, codec: &str) -> String {
        let estimated = self.records.iter().any(|r| r.codec == codec && r.is_estimate());
        label(codec) + if estimated { ", estimate" } else { "" }
    }

    fn lines(&self, data: &str, value: impl Fn(&Record) -> f64) -> Vec<Series> {
        let line = |codec: &str| {
            let xs = self.experiment.x.iter();
            let points =
                xs.filter_map(|&x| Some((x as f64, value(self.find(codec, data, x as u64)?))));
            Series { name: self.label(codec), points: points.collect() }
        };
        self.codecs().into_iter().map(line).collect()
    }

    fn size_tables(&self) -> Vec<Table> {
        self.columns().into_iter().map(|data| self.size_table(data)).collect()
    }

    fn size_table(&self, data: &str) -> Table {
        let spread = &self.experiment.spread;
        let rows: Vec<&Record> =
            self.codecs().iter().filter_map(|codec| self.find(codec, data, 0)).collect();
        let adjusted = |r: &Record, bytes: u64| {
            100.0 * (raw_rate(r.coded_bytes, r.raw_bytes) + r.model_bytes as f64 / bytes as f64)
        };
        let best = |bytes: u64| {
            rows.iter().map(|r| adjusted(r, bytes)).min_by(f64::total_cmp).unwrap_or(f64::NAN)
        };
        let row = |r: &&Record| {
            let mut cells = vec![
                label(&r.codec),
                r.model_params.to_string(),
                r.model_bytes.to_string(),
                number(Some(100.0 * raw_rate(r.coded_bytes, r.raw_bytes)), false),
            ];
            let spread = spread.iter().map(|&bytes| {
                let rate = adjusted(r, bytes);
                number(Some(rate), rate == best(bytes))
            });
            cells.extend(spread);
            cells
        };
        let head = ["model", "parameters", "bytes", "raw rate, %"].map(str::to_owned).into_iter();
        Table {
            caption: format!(
                "{}: adjusted rate in percent, the model as shipped spread over so much data at the raw rate measured; the optimal size of each in bold",
                self.title(data)
            ),
            head: head
                .chain(spread.iter().map(|&bytes| format!("{} of data", short(bytes))))
                .collect(),
            rows: rows.iter().map(row).collect(),
            tab: self.title(data).into(),
            good: good(3, spread.len() + 1, Good::Less),
            ..Table::default()
        }
    }

    fn size_figures(&self) -> Vec<Figure> {
        let figure = |data: &&str| {
            let mut rows: Vec<&Record> =
                self.codecs().iter().filter_map(|codec| self.find(codec, data, 0)).collect();
            rows.retain(|r| r.model_params > 0);
            rows.sort_by_key(|r| r.model_params);
            let line = |&bytes: &u64| Series {
                name: format!("{} of data", short(bytes)),
                points: rows
                    .iter()
                    .map(|r| {
                        let rate = raw_rate(r.coded_bytes, r.raw_bytes);
                        (
                            r.model_params as f64,
                            100.0 * (rate + r.model_bytes as f64 / bytes as f64),
                        )
                    })
                    .collect(),
            };
            Figure {
                name: format!("{}-{data}", self.name),
                title: format!("{}: {}", self.experiment.title, self.title(data)),
                x: "parameters".into(),
                y: "adjusted rate, %".into(),
                log_y: true,
                series: self.experiment.spread.iter().map(line).collect(),
            }
        };
        self.columns().iter().map(figure).collect()
    }

    fn token_tables(&self) -> Vec<Table> {
        let table = |data: &&str| {
            let caption = format!(
                "{}: bits for each byte of text, tokens decoded and compared",
                self.title(data)
            );
            self.by_x(data, caption, "model", |r| bits_per_byte(r.coded_bytes, r.raw_bytes))
        };
        let mut tables: Vec<Table> = self.columns().iter().map(table).collect();
        tables.extend(self.columns().iter().map(|data| {
            let caption = format!("{}: parameters of the model, thousands", self.title(data));
            let tab = format!("{}, parameters", self.title(data));
            let table = self.by_x(data, caption, "model", |r| r.model_params as f64 / 1e3);
            Table { tab, good: Vec::new(), ..table }
        }));
        tables
    }

    fn provenance(&self) -> String {
        let bytes: Vec<String> = self
            .columns()
            .iter()
            .filter_map(|data| {
                let r =
                    self.records.iter().filter(|r| r.data == *data).max_by_key(|r| r.raw_bytes)?;
                Some(format!("{} {} bytes in {} items", self.title(data), r.raw_bytes, r.items))
            })
            .collect();
        match self.records.is_empty() {
            true => String::new(),
            false => {
                let records: Vec<&Record> = self.records.iter().collect();
                format!("{}. {}", bytes.join("; "), self.provenance_of(&records))
            }
        }
    }

    /// When, where and from which sources records are.
    pub fn provenance_of(&self, records: &[&Record]) -> String {
        let mut parts = Vec::new();
        for (of, what) in [
            (|r: &Record| r.date.clone()) as fn(&Record) -> String,
            |r| r.machine.clone(),
            |r| format!("commit {}", r.commit),
        ]
        .iter()
        .zip([", ", "; ", ", "])
        {
            let mut values: Vec<String> = records.iter().map(|r| of(r)).collect();
            values.sort();
            values.dedup();
            parts.push(values.join(what));
        }
        let least = records.iter().map(|r| r.runs).min().filter(|&runs| runs > 1);
        parts.extend(least.map(|runs| format!("medians of {runs} runs in turn")));
        format!("{}.", parts.join(", "))
    }
}

/// Whether a file of the folder of experiments is one.
pub fn is_experiment(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "toml") && !path.ends_with("commands.toml")
}

/// A codec in a table: its path without folders, a program without the names of its files.
pub fn label(codec: &str) -> String {
    if let Some(lines) = codec.strip_prefix("cmd:") {
        let encode = lines.split(';').next().unwrap_or_default().split_whitespace();
        return encode.filter(|word| !word.contains('{')).collect::<Vec<_>>().join(" ");
    }
    codec
        .split(':')
        .map(|part| match part.rsplit_once('/') {
            Some((before, file)) if before.starts_with("model=") => {
                file.trim_end_matches(".safetensors").trim_end_matches("-{x}").to_owned()
            }
            _ => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Of a table where this is better in all columns behind the first ones.
fn good(first: usize, others: usize, good: Good) -> Vec<Good> {
    [vec![Good::Neither; first], vec![good; others]].concat()
}

fn number(value: Option<f64>, bold: bool) -> String {
    match value {
        None => "-".into(),
        Some(value) if bold => format!("**{value:.2}**"),
        Some(value) => format!("{value:.2}"),
    }
}

/// `2K`, `10 MB`.
fn short(n: u64) -> String {
    match n {
        n if n >= 1_000_000_000 && n % 100_000_000 == 0 => format!("{} GB", n as f64 / 1e9),
        n if n >= 1_000_000 && n % 100_000 == 0 => format!("{} MB", n as f64 / 1e6),
        n if n >= 1000 && n % 1000 == 0 => format!("{} K", n / 1000),
        n => n.to_string(),
    }
}
