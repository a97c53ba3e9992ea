//! Records: a row for each cell of an experiment, in a CSV file that is also the cache of what has been measured.
//!
//! A row is appended when its cell is done, so an interrupted run goes on where it was. The key of a cell is a hash of all that
//! decides its bytes: data, cut, codec with settings and version. Whoever changes what a codec writes without changing its
//! version runs with `--again`.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What was measured. Every byte counted was decoded and compared, except in [estimates](Record::is_estimate).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of all that decides the bytes.
    pub key: String,
    /// Name of the data set.
    pub data: String,
    /// BLAKE3 over its items (its first 32 digits).
    pub data_hash: String,
    /// The file, where each counts alone.
    #[serde(default)]
    pub item: String,
    /// Bytes of a chunk, or `whole`.
    pub cut: String,
    /// How many were coded, each alone.
    pub items: u64,
    /// Bytes of them.
    pub raw_bytes: u64,
    /// The codec as the experiment names it.
    pub codec: String,
    /// What decides its bytes beside the name.
    pub version: String,
    /// What the experiment varies beside data and codec: the length of the context, the vocabulary; 0 if nothing.
    pub x: u64,
    /// Coded bytes, every header counted.
    pub coded_bytes: u64,
    /// Coded bytes with the code of one zero byte taken off all items but one: "header once", as the paper counts.
    pub coded_bytes_header_once: u64,
    /// Bytes of the model as shipped.
    pub model_bytes: u64,
    /// Parameters of the model; the paper counts 2 bytes for each.
    pub model_params: u64,
    /// How often it was measured; all costs below are medians.
    #[serde(default = "once")]
    pub runs: u64,
    /// Wall seconds of encoding, of all items together.
    pub encode_seconds: f64,
    /// Wall seconds of decoding.
    pub decode_seconds: f64,
    /// Wall seconds of encoding of each run, if there were several.
    #[serde(default)]
    pub encode_runs: String,
    /// Wall seconds of decoding of each run.
    #[serde(default)]
    pub decode_runs: String,
    /// CPU seconds of encoding, of user and system.
    #[serde(default)]
    pub encode_cpu_seconds: Option<f64>,
    /// CPU seconds of decoding.
    #[serde(default)]
    pub decode_cpu_seconds: Option<f64>,
    /// Most bytes of memory at once of the program that encodes.
    #[serde(default)]
    pub encode_peak_bytes: Option<u64>,
    /// Most bytes of memory of the one that decodes.
    #[serde(default)]
    pub decode_peak_bytes: Option<u64>,
    /// Bytes that the codec learned from before.
    #[serde(default)]
    pub learned_bytes: Option<u64>,
    /// CPU seconds of learning.
    #[serde(default)]
    pub learn_cpu_seconds: Option<f64>,
    /// Cells that ran at the same time: speeds of more than one are lower bounds.
    pub jobs: u64,
    /// The commit of the sources, `+` if they were changed.
    pub commit: String,
    /// Processor and cores.
    pub machine: String,
    /// The day.
    pub date: String,
    /// What was run.
    pub command: String,
}

fn once() -> u64 {
    1
}

impl Record {
    /// Takes the medians of what each run took, encoding and decoding.
    pub fn set_costs(&mut self, runs: &[[Cost; 2]]) {
        let of = |way: usize| runs.iter().map(move |run| run[way]);
        let wall = |way| of(way).map(|cost| cost.wall).collect::<Vec<f64>>();
        // Microseconds are enough, and keep the file readable.
        let round = |seconds: f64| (seconds * 1e6).round() / 1e6;
        let cpu =
            |way| of(way).map(|cost| cost.cpu).collect::<Option<Vec<f64>>>().map(median).map(round);
        let peak = |way| of(way).filter_map(|cost| cost.peak).max();
        let all = |way| match runs.len() {
            1 => String::new(),
            _ => wall(way).iter().map(|&s| round(s).to_string()).collect::<Vec<_>>().join(" "),
        };
        self.runs = runs.len() as u64;
        (self.encode_seconds, self.decode_seconds) =
            (round(median(wall(0))), round(median(wall(1))));
        (self.encode_runs, self.decode_runs) = (all(0), all(1));
        (self.encode_cpu_seconds, self.decode_cpu_seconds) = (cpu(0), cpu(1));
        (self.encode_peak_bytes, self.decode_peak_bytes) = (peak(0), peak(1));
    }
}

/// What one run of something took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Seconds on the clock.
    pub wall: f64,
    /// Seconds of user and system, if they could be told from those of others.
    pub cpu: Option<f64>,
    /// Most bytes of memory, of programs.
    pub peak: Option<u64>,
}

impl Cost {
    /// Adds what comes after it.
    pub fn add(&mut self, next: Self) {
        self.wall += next.wall;
        self.cpu = self.cpu.zip(next.cpu).map(|(a, b)| a + b);
        self.peak = self.peak.max(next.peak);
    }
}

/// The middle, or the mean of the two middles.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

impl Record {
    /// Whether its bytes are `-log2 p` added up and no code was made: so it is with some that were measured before archives of such a
    /// kind could be. It is called an estimate wherever it is shown.
    pub fn is_estimate(&self) -> bool {
        self.version.ends_with(", estimated")
    }
}

/// The records of one experiment.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    /// In the order of the file.
    pub rows: Vec<Record>,
    /// Columns of the file: one of an older version has fewer.
    columns: usize,
}

/// Columns of a file that is written now.
const COLUMNS: usize = 30;

impl Records {
    /// Opens the file, which need not be there. A last line that an interrupted run left unfinished is dropped.
    ///
    /// # Errors
    /// If it is no file of records.
    pub fn open(path: &Path) -> Result<Self> {
        let mut rows = Vec::new();
        let mut columns = 0;
        if path.exists() {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let mut reader = csv::Reader::from_reader(whole.as_bytes());
            columns = reader.headers()?.len();
            for row in reader.deserialize() {
                rows.push(row.with_context(|| path.display().to_string())?);
            }
        }
        Ok(Self { path: path.to_owned(), rows, columns })
    }

    /// The record of a cell.
    pub fn find(&self, key: &str) -> Option<&Record> {
        self.rows.iter().find(|row| row.key == key)
    }

    /// Adds a record, in memory and at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, record: Record) -> Result<()> {
        if self.columns != COLUMNS {
            self.rows.push(record);
            return self.write();
        }
        let file = OpenOptions::new().append(true).open(&self.path)?;
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        writer.serialize(&record)?;
        writer.flush()?;
        self.rows.push(record);
        Ok(())
    }

    /// Keeps the records of these cells in this order, behind them others that are `wanted`, and drops the rest.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn arrange(&mut self, keys: &[String], wanted: impl Fn(&Record) -> bool) -> Result<()> {
        let cells = keys.iter().filter_map(|key| self.find(key));
        let others = self.rows.iter().filter(|row| !keys.contains(&row.key) && wanted(row));
        self.rows = cells.chain(others).cloned().collect();
        self.write()
    }

    /// Drops the records of these cells.
    pub fn forget(&mut self, keys: &[String]) {
        self.rows.retain(|row| !keys.contains(&row.key));
    }

    /// Writes all of them: a temporary file that takes the place of the old one.
    fn write(&mut self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let partial = self.path.with_extension("csv.part");
        let file = File::create(&partial).with_context(|| partial.display().to_string())?;
        let mut writer = csv::Writer::from_writer(file);
        for row in &self.rows {
            writer.serialize(row)?;
        }
        writer.flush()?;
        drop(writer);
        self.columns = if self.rows.is_empty() { 0 } else { COLUMNS };
        Ok(fs::rename(&partial, &self.path)?)
    }
}

/// What is the same for all records of a run.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// See [`Record::commit`].
    pub commit: String,
    /// See [`Record::machine`].
    pub machine: String,
    /// See [`Record::date`].
    pub date: String,
    /// See [`Record::command`].
    pub command: String,
}

impl Circumstances {
    /// Looks around. The command is without folders: where the data lie on this machine is nobody's business.
    pub fn now(command: String) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cpu = cpu.map_or(std::env::consts::ARCH, |(_, name)| name);
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        Self { commit: commit(), machine: format!("{cpu}, {cores} cores"), date: today(), command }
    }
}

/// The commit that the sources are of, `+` if they were changed.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let said = Command::new("git").args(arguments).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let commit = git(&["log", "-1", "--format=%h"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.lock"]);
    let mark = if changed.is_some_and(|c| !c.is_empty()) { "+" } else { "" };
    commit + mark
}

/// The day in UTC, `2026-11-25`.
fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let (year, month, day) = civil(now.map_or(0, |t| t.as_secs() / 86_400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date of a day since 1970, by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str) -> Record {
        Record {
            key: key.into(),
            data: "text".into(),
            data_hash: "0".into(),
            cut: "2048".into(),
            items: 2,
            raw_bytes: 4096,
            codec: "gzip, with a comma".into(),
            version: "zlib".into(),
            runs: 1,
            coded_bytes: 2000,
            coded_bytes_header_once: 1980,
            encode_seconds: 0.5,
            decode_seconds: 0.25,
            jobs: 1,
            commit: "abc".into(),
            machine: "m".into(),
            date: "2026-01-01".into(),
            command: "run".into(),
            ..Record::default()
        }
    }

    #[test]
    fn records_survive_an_interruption_and_keep_the_order_of_cells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.csv");
        let mut records = Records::open(&path).unwrap();
        for key in ["b", "a", "old"] {
            records.push(record(key)).unwrap();
        }
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("half a li");
        fs::write(&path, text).unwrap();
        let mut again = Records::open(&path).unwrap();
        assert_eq!(again.rows, records.rows);
        again.push(record("of a machine with more")).unwrap();
        let wanted = |r: &Record| r.key.starts_with("of");
        again.arrange(&["a".into(), "b".into(), "c".into()], wanted).unwrap();
        let keys: Vec<_> = Records::open(&path).unwrap().rows.into_iter().map(|r| r.key).collect();
        assert_eq!(keys, ["a", "b", "of a machine with more"]);
    }

    #[test]
    fn records_of_an_older_version_are_read_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut records = Records::open(&path).unwrap();
        records.push(record("a")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next().unwrap().split(',').count(), COLUMNS);
        // Without what was added since.
        let new = ["item", "runs", "encode_runs", "decode_runs", "learned_bytes"];
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let heads = reader.headers().unwrap().clone();
        let mut writer = csv::Writer::from_path(&path).unwrap();
        let old = |row: &csv::StringRecord| -> Vec<String> {
            let kept = heads.iter().zip(row).filter(|(head, _)| !new.contains(head));
            kept.map(|(_, cell)| cell.to_owned()).collect()
        };
        writer.write_record(old(&heads)).unwrap();
        reader.records().for_each(|row| writer.write_record(old(&row.unwrap())).unwrap());
        drop(writer);
        let mut again = Records::open(&path).unwrap();
        assert_eq!(again.rows, [record("a")]);
        again.push(record("b")).unwrap();
        assert_eq!(Records::open(&path).unwrap().rows, [record("a"), record("b")]);
    }

    #[test]
    fn costs_are_medians_and_peaks_the_highest() {
        let cost = |wall, cpu, peak| Cost { wall, cpu, peak };
        let decode = cost(1.0, None, None);
        let runs = [
            [cost(3.0, Some(2.0), Some(10)), decode],
            [cost(1.0, Some(1.0), None), decode],
            [cost(2.0, Some(9.0), Some(30)), decode],
        ];
        let mut record = record("a");
        record.set_costs(&runs);
        assert_eq!(
            (record.runs, record.encode_seconds, record.encode_cpu_seconds),
            (3, 2.0, Some(2.0))
        );
        assert_eq!((record.encode_runs.as_str(), record.encode_peak_bytes), ("3 1 2", Some(30)));
        assert_eq!((record.decode_seconds, record.decode_cpu_seconds), (1.0, None));
        record.set_costs(&runs[..2]);
        assert_eq!(record.encode_seconds, 2.0); // the mean of the two
    }

    #[test]
    fn days_have_their_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_782), (2026, 11, 25));
    }
}
