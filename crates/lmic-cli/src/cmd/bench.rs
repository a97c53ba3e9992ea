//! `lmic bench`: every codec on every file, decoded and compared, as a table or as JSON.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::args::{BenchArgs, usage_error};
use crate::bench::lmic::Neural;
use crate::bench::{self, Entry, Measured};
use crate::cmd::prime::{self, Cut};
use crate::console::Console;
use crate::models::finder;
use crate::progress::Progress;
use crate::size::{self, mb_per_s};
use crate::source::{Policy, Source};
use crate::table::{self, Column, FileName, number, text};

/// One measurement, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    codec: String,
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_hex: Option<String>,
    raw_bytes: u64,
    /// Pieces that were coded alone.
    chunks: usize,
    coded_bytes: u64,
    encode_seconds: f64,
    decode_seconds: f64,
    encode_cpu_seconds: f64,
    decode_cpu_seconds: f64,
    verified: bool,
}

const COLUMNS: [Column; 9] = [
    text("codec", 9),
    number("ratio", 6),
    number("bpb", 6),
    number("coded bytes", 12),
    number("enc MB/s", 9),
    number("dec MB/s", 9),
    number("enc CPU s", 9),
    number("dec CPU s", 9),
    text("verified", 8),
];

/// Measures all files; a codec that fails or restores other bytes is a failure of the command.
pub fn run(args: BenchArgs, console: &Console) -> Result<()> {
    if args.records.iter().chain(&args.files).filter(|path| path.as_os_str() == "-").count() > 1 {
        usage_error("stdin (-) can be read once only");
    }
    let given = args.model.model.is_some() || args.model.primed.is_some();
    let mut entries = match args.codec.is_empty() {
        _ if args.records.is_some() => entries_of_records(&args)?,
        true if given => Vec::new(),
        _ => bench::select(&args.codec),
    };
    if let Some(primed) = &args.model.primed {
        let (name, primed) = finder().primed(primed)?;
        entries.splice(0..0, Entry::primed(&name, &primed));
    }
    if let Some(model) = &args.model.model {
        let network = finder().network(model)?;
        let (windows, alone) = (args.windows.of(&network), args.windows.alone);
        entries.insert(0, Entry::neural(Neural { network, windows, alone }));
    }
    let mut records = Vec::new();
    for (i, source) in args.files.iter().cloned().map(Source::new).enumerate() {
        let raw = match read_all(&source) {
            Ok(raw) => raw,
            Err(error) => {
                console.outcome(source.name(), Err(error))?;
                continue;
            }
        };
        if !args.json {
            print_head(&source, raw.len(), &args, i > 0)?;
        }
        for entry in &entries {
            let outcome = measure(entry, &source, &raw, &args, console).and_then(|record| {
                let printed = if args.json { Ok(()) } else { print(&record) };
                let verified = record.verified;
                records.push(record);
                printed?;
                if verified { Ok(()) } else { bail!("restored other bytes than it was given") }
            });
            console.outcome(format_args!("{}: {}", source.name(), entry.name), outcome)?;
        }
    }
    if args.json { table::json(&records) } else { Ok(()) }
}

fn entries_of_records(args: &BenchArgs) -> Result<Vec<Entry>> {
    let samples = prime::find(args.records.as_slice(), records_of(args))?;
    Ok(Entry::of_records(&prime::read(&samples)?)?.into())
}

/// What of a file is a record, with `--records`.
fn records_of(args: &BenchArgs) -> Cut<'_> {
    args.field.as_deref().map_or(Cut::Lines, Cut::Field)
}

fn read_all(source: &Source) -> Result<Vec<u8>> {
    let mut opened = source.open(Policy::ANY)?;
    let mut data = Vec::new();
    opened.file.read_to_end(&mut data).context("cannot read")?;
    Ok(data)
}

fn measure(
    entry: &Entry,
    source: &Source,
    raw: &[u8],
    args: &BenchArgs,
    console: &Console,
) -> Result<Record> {
    let mut records = Vec::new();
    let chunks = match &args.records {
        Some(_) => {
            prime::split(raw, records_of(args), &mut records)?;
            records.iter().map(Vec::as_slice).collect()
        }
        None => chunks(raw, args.chunk),
    };
    let runs = usize::from(args.runs);
    let mut codec = entry.make(threads(args))?;
    let _progress = Progress::start(console, &entry.name, Arc::default(), None);
    let measured = bench::measure(codec.as_mut(), &chunks, runs)?;
    Ok(record(entry, source, &chunks, measured))
}

/// The pieces that are coded alone. An empty input is one empty piece: it costs something, too.
fn chunks(raw: &[u8], chunk: Option<u64>) -> Vec<&[u8]> {
    match chunk.and_then(|len| usize::try_from(len).ok()) {
        Some(len) if !raw.is_empty() => raw.chunks(len).collect(),
        _ => vec![raw],
    }
}

fn threads(args: &BenchArgs) -> usize {
    match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n.into(),
    }
}

fn record(entry: &Entry, source: &Source, chunks: &[&[u8]], measured: Measured) -> Record {
    let FileName { file, file_hex } = FileName::of(source);
    Record {
        codec: entry.name.to_string(),
        input: file,
        input_hex: file_hex,
        raw_bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        chunks: chunks.len(),
        coded_bytes: measured.coded_bytes,
        encode_seconds: measured.encode.wall,
        decode_seconds: measured.decode.wall,
        encode_cpu_seconds: measured.encode.cpu,
        decode_cpu_seconds: measured.decode.cpu,
        verified: measured.verified,
    }
}

fn print_head(source: &Source, len: usize, args: &BenchArgs, again: bool) -> Result<()> {
    let how = match args.chunk {
        _ if args.records.is_some() => ", each record alone".into(),
        Some(chunk) => format!(", each {chunk} bytes alone"),
        _ => String::new(),
    };
    let threads = match threads(args) {
        1 => "one thread".into(),
        n => format!("{n} threads"),
    };
    let runs = if args.runs > 1 { format!(", median of {}", args.runs) } else { String::new() };
    if again {
        table::say("")?;
    }
    table::say(&format!("{}: {len} bytes{how}, {threads}{runs}", source.name()))?;
    table::head(&COLUMNS)
}

fn print(record: &Record) -> Result<()> {
    let raw = record.raw_bytes;
    let bits = 8.0 * record.coded_bytes as f64 / raw as f64;
    let cells = [
        record.codec.clone(),
        size::ratio(record.coded_bytes, raw),
        if raw == 0 { "-".into() } else { format!("{bits:.3}") },
        record.coded_bytes.to_string(),
        format!("{:.2}", mb_per_s(raw, record.encode_seconds)),
        format!("{:.2}", mb_per_s(raw, record.decode_seconds)),
        format!("{:.3}", record.encode_cpu_seconds),
        format!("{:.3}", record.decode_cpu_seconds),
        if record.verified { "yes" } else { "NO" }.into(),
    ];
    table::row(&COLUMNS, cells)
}
