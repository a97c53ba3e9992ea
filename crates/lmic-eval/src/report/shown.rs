//! Tables as experiments describe them: which of codec, data, file and x stand in rows and columns, and what is said of the records
//! of a cell.
//!
//! ```toml
//! [[tables]]
//! name = "rates"
//! columns = "data"
//! values = ["ratio"]
//! tail = ["encode-cpu", "decode-cpu"]     # behind the columns, of all records of the row
//! tail-data = ["enwik8-1m"]               # or of some
//! bold = true
//! ```
//!
//! To add a value: a variant of `Value`, its head, its number.

use lmic::stats::{bits_per_byte, raw_rate};
use serde::Deserialize;

use super::sections::{View, label};
use super::{Good, Table};
use crate::record::Record;

/// A table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Shown {
    /// What markers of documents call it.
    pub name: String,
    /// What stands above; `{}` is what `each` is at.
    pub caption: String,
    /// What stands above the names of rows.
    pub corner: String,
    /// A list in place of numbers.
    pub list: Option<List>,
    /// A table for each of these.
    pub each: Option<By>,
    /// What rows are of; codecs if nothing is said.
    pub rows: Vec<By>,
    /// What columns are of.
    pub columns: Option<By>,
    /// Values in front of the columns, of all records of a row.
    pub lead: Vec<Value>,
    /// Values in each column.
    pub values: Vec<Value>,
    /// Whether there is a column of all columns together.
    pub all: bool,
    /// Values behind the columns.
    pub tail: Vec<Value>,
    /// The data sets that they are of; all if nothing is said.
    pub tail_data: Vec<String>,
    /// Only these data sets, in this order.
    pub data: Vec<String>,
    /// Only these codecs, in this order.
    pub codecs: Vec<String>,
    /// What others are compared with.
    pub base: String,
    /// The codec that a last row compares with the best of those that are not lmic.
    pub margin: String,
    /// Whether the smallest is bold: of a column if rows are codecs, else of a row.
    pub bold: bool,
    /// What an item is called.
    pub items: String,
}

/// What is no table of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum List {
    /// How each codec was called, and its version.
    Commands,
    /// What was coded, and where it comes from.
    Data,
}

/// What tells records apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The codec.
    Codec,
    /// The data set.
    Data,
    /// The length, or what else varies.
    X,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Data => "data",
            Self::X => "length",
        }
    }
}

/// What is said of records. MB are 10^6 bytes; of several records, sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // `head` says it of each.
pub enum Value {
    Raw,
    Items,
    ItemBytes,
    Coded,
    Ratio,
    Bits,
    Wins,
    Model,
    ModelKb,
    ModelMb,
    Adjusted,
    AdjustedGb,
    Pays,
    Gain,
    GainPerMb,
    Learned,
    LearnCpu,
    EncodeCpu,
    DecodeCpu,
    EncodeWall,
    DecodeWall,
    EncodeKb,
    DecodeKb,
    EncodeKbCpu,
    DecodeKbCpu,
    EncodeItems,
    DecodeItems,
    EncodeSeconds,
    DecodeSeconds,
    EncodeCpuSeconds,
    DecodeCpuSeconds,
    EncodePeak,
    DecodePeak,
    EncodeMs,
    DecodeMs,
    BesideBase,
    Block,
    Memory,
}

/// Records added up.
struct Sum {
    raw: u64,
    coded: u64,
    items: u64,
    wall: [f64; 2],
    cpu: [Option<f64>; 2],
    peak: [Option<u64>; 2],
    model: u64,
}

impl Sum {
    fn of(records: &[&Record]) -> Self {
        let count = |value: fn(&Record) -> u64| records.iter().map(|r| value(r)).sum();
        let wall = |value: fn(&Record) -> f64| records.iter().map(|r| value(r)).sum();
        let cpu = |value: fn(&Record) -> Option<f64>| records.iter().map(|r| value(r)).sum();
        let most =
            |value: fn(&Record) -> Option<u64>| records.iter().filter_map(|r| value(r)).max();
        Self {
            raw: count(|r| r.raw_bytes),
            coded: count(|r| r.coded_bytes),
            items: count(|r| r.items),
            wall: [wall(|r| r.encode_seconds), wall(|r| r.decode_seconds)],
            cpu: [cpu(|r| r.encode_cpu_seconds), cpu(|r| r.decode_cpu_seconds)],
            peak: [most(|r| r.encode_peak_bytes), most(|r| r.decode_peak_bytes)],
            model: records.iter().map(|r| r.model_bytes).max().unwrap_or(0),
        }
    }

    fn ratio(&self) -> f64 {
        raw_rate(self.coded, self.raw)
    }

    /// Units a second; nothing if it was not measured.
    fn speed(&self, units: u64, seconds: Option<f64>) -> String {
        seconds.filter(|&s| s > 0.0).map_or_else(String::new, |s| figure(units as f64 / s))
    }
}

/// Three digits.
fn figure(value: f64) -> String {
    if value == 0.0 || value >= 99.95 {
        return format!("{value:.0}");
    }
    let digits = (2.0 - value.abs().log10().floor()).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

impl Value {
    fn head(self, shown: &Shown) -> String {
        let items = if shown.items.is_empty() { "items" } else { &shown.items };
        let base = shown.base.strip_prefix("lmic ").unwrap_or(&shown.base);
        match self {
            Self::Raw => "bytes".into(),
            Self::Items => items.to_owned(),
            Self::ItemBytes => format!("bytes, mean of {items}"),
            Self::Coded => "coded bytes".into(),
            Self::Ratio => "coded / raw".into(),
            Self::Bits => "bits per byte".into(),
            Self::Wins => "smallest on".into(),
            Self::Model => "model, bytes".into(),
            Self::ModelKb => "model, KB".into(),
            Self::ModelMb => "MB of network".into(),
            Self::Adjusted => "(coded + model) / raw".into(),
            Self::AdjustedGb => "the same, if 1 GB were coded at this rate (estimate)".into(),
            Self::Pays => format!("smaller than {}, model counted, from", shown.base),
            Self::Gain => "beside the line above, mean".into(),
            Self::GainPerMb => "for each MB more".into(),
            Self::Learned => "MB learned from".into(),
            Self::LearnCpu => "learning CPU s".into(),
            Self::EncodeCpu => "encode MB / CPU s".into(),
            Self::DecodeCpu => "decode MB / CPU s".into(),
            Self::EncodeWall => "encode MB/s".into(),
            Self::DecodeWall => "decode MB/s".into(),
            Self::EncodeKb => "encode KB/s".into(),
            Self::DecodeKb => "decode KB/s".into(),
            Self::EncodeKbCpu => "encode KB / CPU s".into(),
            Self::DecodeKbCpu => "decode KB / CPU s".into(),
            Self::EncodeItems => format!("encode {items} / CPU s"),
            Self::DecodeItems => format!("decode {items} / CPU s"),
            Self::EncodeSeconds => "encode s".into(),
            Self::DecodeSeconds => "decode s".into(),
            Self::EncodeCpuSeconds => "encode CPU s".into(),
            Self::DecodeCpuSeconds => "decode CPU s".into(),
            Self::EncodePeak => "encode, MB of memory".into(),
            Self::DecodePeak => "decode, MB of memory".into(),
            Self::EncodeMs => "start ms, encoding".into(),
            Self::DecodeMs => "start ms, decoding".into(),
            Self::BesideBase => format!("speed beside {base}"),
            Self::Block => "block".into(),
            Self::Memory => "MB stated".into(),
        }
    }

    /// What is better of the same data.
    fn good(self) -> Good {
        match self {
            Self::Coded
            | Self::Ratio
            | Self::Bits
            | Self::Adjusted
            | Self::AdjustedGb
            | Self::LearnCpu
            | Self::EncodeSeconds
            | Self::DecodeSeconds
            | Self::EncodeCpuSeconds
            | Self::DecodeCpuSeconds
            | Self::EncodePeak
            | Self::DecodePeak
            | Self::EncodeMs
            | Self::DecodeMs => Good::Less,
            Self::Wins
            | Self::EncodeCpu
            | Self::DecodeCpu
            | Self::EncodeWall
            | Self::DecodeWall
            | Self::EncodeKb
            | Self::DecodeKb
            | Self::EncodeKbCpu
            | Self::DecodeKbCpu
            | Self::EncodeItems
            | Self::DecodeItems
            | Self::BesideBase => Good::More,
            Self::Raw
            | Self::Items
            | Self::ItemBytes
            | Self::Model
            | Self::ModelKb
            | Self::ModelMb
            | Self::Pays
            | Self::Gain
            | Self::GainPerMb
            | Self::Learned
            | Self::Block
            | Self::Memory => Good::Neither,
        }
    }

    /// Of what is smaller the better, and may be bold, the number itself: digits of a table may be the same.
    fn rank(self, records: &[&Record]) -> Option<f64> {
        match self {
            _ if records.is_empty() => None,
            Self::Coded => Some(Sum::of(records).coded as f64),
            Self::Ratio | Self::Bits => Some(Sum::of(records).ratio()),
            _ => None,
        }
    }

    fn text(
        self,
        records: &[&Record],
        before: Option<&[&Record]>,
        view: &View<'_>,
        base: &[&Record],
    ) -> String {
        let Some(first) = records.first() else { return "-".into() };
        let sum = Sum::of(records);
        // What is coded is the same for all codecs.
        let once: Vec<&Record> =
            records.iter().copied().filter(|r| r.codec == first.codec).collect();
        let once = Sum::of(&once);
        let millions =
            |bytes: Option<u64>| bytes.map_or_else(String::new, |b| figure(b as f64 / 1e6));
        match self {
            Self::Raw => once.raw.to_string(),
            Self::Items => once.items.to_string(),
            Self::ItemBytes => format!("{:.0}", once.raw as f64 / once.items as f64),
            Self::Coded => sum.coded.to_string(),
            Self::Ratio => format!("{:.4}", sum.ratio()),
            Self::Bits => format!("{:.3}", bits_per_byte(sum.coded, sum.raw)),
            Self::Wins => records.iter().filter(|r| view.is_smallest(r)).count().to_string(),
            Self::Model => sum.model.to_string(),
            Self::ModelKb if sum.model == 0 => String::new(),
            Self::ModelKb => format!("{:.0}", sum.model as f64 / 1e3),
            Self::ModelMb => format!("{:.2}", sum.model as f64 / 1e6),
            Self::Adjusted => format!("{:.4}", sum.ratio() + sum.model as f64 / sum.raw as f64),
            Self::AdjustedGb => format!("{:.4}", sum.ratio() + sum.model as f64 / 1e9),
            Self::Pays => {
                let saved = Sum::of(base).ratio() - sum.ratio();
                let from = sum.model as f64 / saved / 1e6;
                if sum.model > 0 && saved > 0.0 { format!("{from:.0} MB") } else { "-".into() }
            }
            Self::Gain => gain(records, before).map_or_else(String::new, |g| format!("{g:.1} %")),
            Self::GainPerMb => {
                gain(records, before).zip(before).map_or_else(String::new, |(g, before)| {
                    let more = sum.model as f64 - Sum::of(before).model as f64;
                    format!("{:.1} %", g / more * 1e6)
                })
            }
            Self::Learned => millions(first.learned_bytes),
            Self::LearnCpu => first.learn_cpu_seconds.map_or_else(String::new, figure),
            Self::EncodeCpu => sum.speed(sum.raw, sum.cpu[0].map(|s| s * 1e6)),
            Self::DecodeCpu => sum.speed(sum.raw, sum.cpu[1].map(|s| s * 1e6)),
            Self::EncodeWall => sum.speed(sum.raw, Some(sum.wall[0] * 1e6)),
            Self::DecodeWall => sum.speed(sum.raw, Some(sum.wall[1] * 1e6)),
            Self::EncodeKb => sum.speed(sum.raw, Some(sum.wall[0] * 1e3)),
            Self::DecodeKb => sum.speed(sum.raw, Some(sum.wall[1] * 1e3)),
            Self::EncodeKbCpu => sum.speed(sum.raw, sum.cpu[0].map(|s| s * 1e3)),
            Self::DecodeKbCpu => sum.speed(sum.raw, sum.cpu[1].map(|s| s * 1e3)),
            Self::EncodeItems => sum.speed(sum.items, sum.cpu[0]),
            Self::DecodeItems => sum.speed(sum.items, sum.cpu[1]),
            Self::EncodeSeconds => figure(sum.wall[0]),
            Self::DecodeSeconds => figure(sum.wall[1]),
            Self::EncodeCpuSeconds => sum.cpu[0].map_or_else(String::new, figure),
            Self::DecodeCpuSeconds => sum.cpu[1].map_or_else(String::new, figure),
            Self::EncodePeak => millions(sum.peak[0]),
            Self::DecodePeak => millions(sum.peak[1]),
            Self::EncodeMs => format!("{:.1}", 1e3 * sum.wall[0]),
            Self::DecodeMs => format!("{:.1}", 1e3 * sum.wall[1]),
            Self::BesideBase => {
                let of = |sum: &Sum| sum.cpu[0].map(|s| sum.raw as f64 / s);
                let beside = of(&sum).zip(of(&Sum::of(base)));
                beside.map_or_else(String::new, |(speed, base)| format!("{:.2}", speed / base))
            }
            Self::Block => stated(&first.codec)
                .map_or_else(String::new, |preset| format!("{} MiB", preset.block_size >> 20)),
            Self::Memory => millions(stated(&first.codec).map(|preset| preset.memory)),
        }
    }
}

/// By how many percent the rates of records are below those of others, in the mean.
fn gain(records: &[&Record], before: Option<&[&Record]>) -> Option<f64> {
    let pairs = records.iter().zip(before?);
    let gains = pairs.map(|(new, old)| {
        raw_rate(new.coded_bytes, new.raw_bytes) / raw_rate(old.coded_bytes, old.raw_bytes) - 1.0
    });
    Some(100.0 * gains.sum::<f64>() / records.len() as f64)
}

/// What lmic says of a level before it codes.
fn stated(codec: &str) -> Option<lmic::Preset> {
    lmic::preset(codec.strip_prefix("lmic -")?.parse().ok()?).ok()
}

/// `2 KiB`, or just the number.
fn length(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} B"),
    }
}

/// Something that rows or columns are of.
#[derive(Debug, Clone, PartialEq)]
struct Key(By, String);

impl Key {
    fn holds(&self, r: &Record) -> bool {
        match self.0 {
            By::Codec => r.codec == self.1,
            By::Data => r.data == self.1,
            By::X => r.x.to_string() == self.1,
        }
    }

    /// Its name, where all the records of a cell are at hand: a length of 0 is all that there is.
    fn name(&self, view: &View<'_>, records: &[&Record]) -> String {
        match self.0 {
            By::Codec => view.label(&self.1),
            By::Data => view.title(&self.1).to_owned(),
            By::X if self.1 == "0" => {
                records.first().map_or_else(String::new, |r| length(r.raw_bytes))
            }
            By::X => length(self.1.parse().unwrap_or(0)),
        }
    }
}

impl Shown {
    /// The tables.
    pub fn tables(&self, view: &View<'_>) -> Vec<Table> {
        let names = view.names();
        let wanted = |r: &&Record| {
            let among = |names: &[String], name: &String| names.is_empty() || names.contains(name);
            among(&self.data, &r.data)
                && among(&self.codecs, &r.codec)
                && view.experiment.data.contains(&r.data)
                && names.contains(&r.codec)
        };
        let records: Vec<&Record> = view.records.iter().filter(wanted).collect();
        if records.is_empty() {
            return Vec::new();
        }
        let mut tables = match (self.list, self.each) {
            (Some(List::Commands), _) => vec![commands(view)],
            (Some(List::Data), _) => vec![data(view, self, &records)],
            (None, None) => vec![self.table(view, &records, self.caption.clone())],
            (None, Some(each)) => keys(view, self, each, &records)
                .into_iter()
                .map(|key| {
                    let of: Vec<&Record> =
                        records.iter().copied().filter(|r| key.holds(r)).collect();
                    let caption = self.caption.replace("{}", &key.name(view, &of));
                    Table { tab: key.name(view, &of), ..self.table(view, &of, caption) }
                })
                .collect(),
        };
        for table in &mut tables {
            table.name.clone_from(&self.name);
        }
        if let (Some(table), None) = (tables.last_mut(), self.list) {
            table.note = view.provenance_of(&records);
        }
        tables
    }

    fn table(&self, view: &View<'_>, records: &[&Record], caption: String) -> Table {
        let by: &[By] = if self.rows.is_empty() { &[By::Codec] } else { &self.rows };
        let columns = self.columns.map_or_else(Vec::new, |by| keys(view, self, by, records));
        let mut head = vec![self.corner.clone()];
        head.extend(by.iter().skip(1).map(|by| by.name().to_owned()));
        head.extend(self.lead.iter().map(|value| value.head(self)));
        let all = self.all.then(|| "all".to_owned());
        for name in columns.iter().map(|key| key.name(view, records)).chain(all) {
            // The first value needs no name where the column has one.
            head.push(name);
            head.extend(self.values.iter().skip(1).map(|value| value.head(self)));
        }
        if columns.is_empty() {
            head.extend(self.values.iter().map(|value| value.head(self)));
        }
        head.extend(self.tail.iter().map(|value| value.head(self)));

        let rows = self.rows_of(view, by, records);
        let mut before: Option<&[&Record]> = None;
        let mut cells: Vec<Vec<Cell>> = Vec::new();
        for (names, of) in &rows {
            let mut row: Vec<Cell> = names.iter().map(|name| Cell::text(name)).collect();
            let mut put = |values: &[Value], of: &[&Record]| {
                let same = |r: &&&Record| of.iter().any(|o| o.data == r.data && o.x == r.x);
                let base = records.iter().filter(|r| r.codec == self.base).filter(same);
                let base: Vec<&Record> = base.copied().collect();
                let cell = |value: &Value| Cell {
                    text: value.text(of, before, view, &base),
                    rank: value.rank(of),
                };
                row.extend(values.iter().map(cell));
            };
            put(&self.lead, of);
            for key in &columns {
                put(&self.values, &of.iter().copied().filter(|r| key.holds(r)).collect::<Vec<_>>());
            }
            if columns.is_empty() || self.all {
                put(&self.values, of);
            }
            put(&self.tail, &self.tail_of(view, of));
            cells.push(row);
            before = Some(of);
        }
        if self.bold {
            embolden(&mut cells, by.len() + self.lead.len(), by.contains(&By::Codec));
        }
        let mut rows: Vec<Vec<String>> =
            cells.into_iter().map(|row| row.into_iter().map(|cell| cell.text).collect()).collect();
        if !self.margin.is_empty() {
            let mut row = vec![format!("{} beside the best other", self.margin)];
            row.extend(columns.iter().map(|key| margin(&self.margin, key, records)));
            row.resize(head.len(), String::new());
            rows.push(row);
        }
        let good = self.good(by, columns.len());
        let across = self.columns == Some(By::Codec);
        Table {
            caption,
            head,
            rows,
            good,
            across,
            foot: !self.margin.is_empty(),
            ..Table::default()
        }
    }

    /// What is better in each column, where codecs stand below each other or, of the same value, beside.
    fn good(&self, by: &[By], columns: usize) -> Vec<Good> {
        let codecs = by == [By::Codec];
        let across = self.columns == Some(By::Codec);
        let of = |values: &[Value], wanted: bool| -> Vec<Good> {
            values.iter().map(|value| if wanted { value.good() } else { Good::Neither }).collect()
        };
        let mut good = vec![Good::Neither; by.len()];
        good.extend(of(&self.lead, codecs));
        let groups = columns + usize::from(columns == 0 || self.all);
        for group in 0..groups {
            let mut of = of(&self.values, codecs || across && group < columns);
            if across {
                of.iter_mut().skip(1).for_each(|good| *good = Good::Neither);
            }
            good.extend(of);
        }
        good.extend(of(&self.tail, codecs));
        good
    }

    /// What the tail of a row is of, which may be data that have no column.
    fn tail_of<'r>(&self, view: &View<'r>, of: &[&'r Record]) -> Vec<&'r Record> {
        if self.tail_data.is_empty() {
            return of.to_vec();
        }
        let codec = of.first().map_or("", |r| &r.codec);
        let wanted = |r: &&Record| r.codec == codec && self.tail_data.contains(&r.data);
        view.records.iter().filter(wanted).collect()
    }

    /// Names and records of each row.
    fn rows_of<'r>(
        &self,
        view: &View<'_>,
        by: &[By],
        records: &[&'r Record],
    ) -> Vec<(Vec<String>, Vec<&'r Record>)> {
        let mut rows = vec![(Vec::new(), records.to_vec())];
        for &by in by {
            let split = |(names, of): (Vec<String>, Vec<&'r Record>)| {
                let keys = keys(view, self, by, &of).into_iter();
                let row = move |key: Key| {
                    let of: Vec<&Record> = of.iter().copied().filter(|r| key.holds(r)).collect();
                    ([names.clone(), vec![key.name(view, &of)]].concat(), of)
                };
                keys.map(row).collect::<Vec<_>>()
            };
            rows = rows.into_iter().flat_map(split).collect();
        }
        rows
    }
}

/// What there are records of, in the order of the table or the experiment.
fn keys(view: &View<'_>, shown: &Shown, by: By, records: &[&Record]) -> Vec<Key> {
    let experiment = view.experiment;
    let all: Vec<String> = match by {
        By::Codec if !shown.codecs.is_empty() => shown.codecs.clone(),
        By::Data if !shown.data.is_empty() => shown.data.clone(),
        By::Codec => view.names(),
        By::Data => experiment.data.clone(),
        By::X => experiment.x.iter().map(ToString::to_string).collect(),
    };
    let keys = all.into_iter().map(|name| Key(by, name));
    keys.filter(|key| records.iter().any(|r| key.holds(r))).collect()
}

/// What stands in a table, and the number that it is smaller than others by.
struct Cell {
    text: String,
    rank: Option<f64>,
}

impl Cell {
    fn text(text: &str) -> Self {
        Self { text: text.to_owned(), rank: None }
    }
}

/// Marks the smallest of each column from `first` on, or of each row.
fn embolden(rows: &mut [Vec<Cell>], first: usize, down: bool) {
    let width = rows.first().map_or(0, Vec::len);
    let (outer, inner) = if down { (width, rows.len()) } else { (rows.len(), width) };
    for o in 0..outer {
        let places = (0..inner).map(|i| if down { (i, o) } else { (o, i) });
        let places: Vec<_> = places.filter(|&(_, at)| at >= first).collect();
        let ranks = places.iter().filter_map(|&(row, at)| rows[row][at].rank);
        let Some(least) = ranks.min_by(f64::total_cmp) else { continue };
        for (row, at) in places {
            if rows[row][at].rank == Some(least) {
                rows[row][at].text = format!("**{}**", rows[row][at].text);
            }
        }
    }
}

/// By how much a codec is below (-) or above (+) the smallest that is not lmic.
fn margin(ours: &str, key: &Key, records: &[&Record]) -> String {
    let of = |wanted: &dyn Fn(&Record) -> bool| {
        let found = records.iter().filter(|r| key.holds(r) && wanted(r));
        found.map(|r| r.coded_bytes).min().map(|bytes| bytes as f64)
    };
    let others = of(&|r| !r.codec.starts_with("lmic"));
    of(&|r| r.codec == ours)
        .zip(others)
        .map_or_else(String::new, |(ours, other)| format!("{:+.1} %", 100.0 * (ours / other - 1.0)))
}

/// Also of codecs of which only the better counts.
fn commands(view: &View<'_>) -> Table {
    let row = |codec: &String| {
        let record = view.all.iter().find(|r| r.codec == *codec)?;
        let line = view
            .commands
            .find(codec)
            .map_or_else(|| codec.clone(), |lines| lines.codec + &lines.encode);
        let line = line
            .replace("{raw", "{FILE")
            .replace("{coded", "{CODED")
            .replace(".any}", "}")
            .replace(['{', '}'], "");
        Some(vec![label(codec), format!("`{line}`"), record.version.clone()])
    };
    Table {
        head: ["codec", "command", "version"].map(str::to_owned).to_vec(),
        rows: view.experiment.codecs.iter().filter_map(row).collect(),
        ..Table::default()
    }
}

fn data(view: &View<'_>, shown: &Shown, records: &[&Record]) -> Table {
    let row = |key: Key| {
        let of = records.iter().filter(|r| key.holds(r));
        let most = of.max_by_key(|r| r.raw_bytes).copied();
        let (bytes, hash) = most.map_or((0, ""), |r| (r.raw_bytes, &r.data_hash));
        let set = view.data.get(&key.1);
        let path = set
            .and_then(|set| set.path.as_ref())
            .map_or_else(String::new, |p| p.display().to_string());
        let first = set.map_or(0, |set| set.bytes);
        let path = if first > 0 { format!("the first {first} bytes of {path}") } else { path };
        vec![
            view.title(&key.1).to_owned(),
            bytes.to_string(),
            format!("`{}`", &hash[..hash.len().min(16)]),
            path,
        ]
    };
    Table {
        head: ["data", "bytes", "BLAKE3", "from"].map(str::to_owned).to_vec(),
        rows: keys(view, shown, By::Data, records).into_iter().map(row).collect(),
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_lengths_their_units() {
        let figures = [0.0, 0.07219, 0.45, 2.5, 12.94, 99.96, 207.6, 1234.4].map(figure);
        assert_eq!(figures, ["0", "0.0722", "0.45", "2.5", "12.9", "100", "208", "1234"]);
        let lengths = [256, 2048, 131_072, 1 << 20, 10_000_000].map(length);
        assert_eq!(lengths, ["256 B", "2 KiB", "128 KiB", "1 MiB", "10000000 B"]);
    }

    #[test]
    fn the_smallest_is_bold_by_its_number_not_by_its_digits() {
        let cell = |rank: f64| Cell { text: format!("{rank:.1}"), rank: Some(rank) };
        let mut rows = vec![vec![Cell::text("a"), cell(1.02)], vec![Cell::text("b"), cell(1.01)]];
        embolden(&mut rows, 1, true);
        assert_eq!((rows[0][1].text.as_str(), rows[1][1].text.as_str()), ("1.0", "**1.0**"));
        let mut rows = vec![vec![cell(3.0), cell(2.0)]];
        embolden(&mut rows, 0, false);
        assert_eq!((rows[0][0].text.as_str(), rows[0][1].text.as_str()), ("3.0", "**2.0**"));
    }
}
