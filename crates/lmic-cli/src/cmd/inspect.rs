//! `lmic inspect`: every field of an archive in words. Nothing is decoded.

use anyhow::Result;
use lmic::block::{Kind, StreamModel};
use lmic::nn::Windows;
use lmic::{BlockInfo, FORMAT_VERSION, StreamInfo};
use serde::Serialize;

use crate::args::InspectArgs;
use crate::cmd::list::{self, BlockRow};
use crate::console::Console;
use crate::keys::Keys;
use crate::size;
use crate::source::{self, Source};
use crate::table::{self, FileName};

/// An archive, field by field.
#[derive(Debug, Serialize)]
struct FileFacts {
    #[serde(flatten)]
    name: FileName,
    /// Bytes of the file, if it is encrypted; all that follows is of the archive inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted_bytes: Option<u64>,
    coded_bytes: u64,
    raw_bytes: u64,
    /// Zeros between and behind streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_bytes: Option<u64>,
    streams: Vec<StreamFacts>,
    blocks: Vec<BlockRow>,
}

#[derive(Debug, Serialize)]
struct StreamFacts {
    format_version: u8,
    model: String,
    #[serde(skip)]
    kind: &'static str,
    /// The identity of the weights, in hexadecimal; none for a model without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_identity: Option<String>,
    /// The windows and lanes by which the network is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<WindowFacts>,
    file_offset: u64,
    file_bytes: u64,
    raw_bytes: u64,
    blocks: usize,
    /// Lines, or parts of them, that are coded alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// Bytes of content that are copies of what stands before them.
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_bytes: Option<u64>,
    /// Headers, checks, index and footer: all that is not payload.
    overhead_bytes: u64,
    /// The hash of the content, in hexadecimal; none in a stream of one block.
    content_hash: Option<String>,
}

#[derive(Debug, Serialize)]
struct WindowFacts {
    context: u32,
    overlap: u32,
    lanes: u8,
}

impl WindowFacts {
    fn new(Windows { context, overlap, lanes }: Windows) -> Self {
        Self { context, overlap, lanes }
    }
}

/// Explains each file.
pub fn run(args: InspectArgs, console: &Console) -> Result<()> {
    let keys = Keys::of(&args.keys, &args.files)?;
    let mut all = Vec::new();
    for source in source::from_names(args.files) {
        let outcome = read(&source, &keys).and_then(|facts| match args.json {
            true => {
                all.push(facts);
                Ok(())
            }
            false => print(&facts),
        });
        console.outcome(source.name(), outcome)?;
    }
    if args.json { table::json(&all) } else { Ok(()) }
}

fn read(source: &Source, keys: &Keys) -> Result<FileFacts> {
    let (archive, encrypted_bytes) = list::open(source, keys)?;
    let of_streams: u64 = archive.streams().iter().map(|stream| stream.file_len).sum();
    Ok(FileFacts {
        name: FileName::of(source),
        zero_bytes: Some(archive.coded_len() - of_streams).filter(|&zeros| zeros > 0),
        encrypted_bytes,
        coded_bytes: archive.coded_len(),
        raw_bytes: archive.raw_len(),
        streams: archive.streams().iter().map(StreamFacts::new).collect(),
        blocks: list::block_rows(&archive),
    })
}

impl StreamFacts {
    fn new(stream: &StreamInfo) -> Self {
        let payload: u64 = stream.blocks.iter().map(|block| block.coded_len).sum();
        let hash = stream.content_hash;
        let named = match &stream.model {
            StreamModel::Network(model)
            | StreamModel::Mixed(model)
            | StreamModel::Tokens(model) => Some(model),
            _ => None,
        };
        Self {
            format_version: stream.version,
            model: stream.model.to_string(),
            kind: match &stream.model {
                StreamModel::Profile(_) => "context mixing, no weights",
                StreamModel::Network(_) => "transformer",
                StreamModel::Tokens(_) => "transformer of tokens, windows in tokens",
                StreamModel::Primed(_) => "primed state",
                StreamModel::Unknown(_) => "needs a newer lmic",
                _ => "network and context mixing",
            },
            model_identity: match &stream.model {
                StreamModel::Primed(model) => Some(model.identity_hex()),
                _ => named.map(|model| model.identity_hex()),
            },
            windows: named.map(|model| WindowFacts::new(model.windows)),
            file_offset: stream.file_offset,
            file_bytes: stream.file_len,
            raw_bytes: stream.raw_len,
            blocks: stream.blocks.len(),
            records: records(stream),
            copied_bytes: stream
                .blocks
                .iter()
                .filter_map(list::copied)
                .reduce(|sum, more| sum + more),
            overhead_bytes: stream.file_len - payload,
            content_hash: hash.map(|hash| lmic::hex(&hash)),
        }
    }
}

/// The number of records in coded blocks; `None` if there are none.
fn records(stream: &StreamInfo) -> Option<u64> {
    let of_block = |block: &BlockInfo| match block.kind {
        Kind::Records { count, .. } => Some(u64::from(count)),
        _ => None,
    };
    stream.blocks.iter().filter_map(of_block).reduce(|sum, count| sum + count)
}

fn print(facts: &FileFacts) -> Result<()> {
    let (coded, raw) = (facts.coded_bytes, facts.raw_bytes);
    table::say(&table::one_line(&facts.name.file))?;
    match facts.encrypted_bytes {
        Some(len) => {
            field("file", format_args!("{}, encrypted (age); inside of it:", bytes(len)))?;
            field("archive", bytes(coded))?;
        }
        None => field("file", bytes(coded))?,
    }
    field("content", bytes(raw))?;
    if raw > 0 {
        let bits = 8.0 * coded as f64 / raw as f64;
        let ratio = size::ratio(coded, raw);
        field("ratio", format_args!("{ratio} of the content, {bits:.3} bits per byte"))?;
    }
    if let Some(zeros) = facts.zero_bytes {
        field(
            "zeros",
            format_args!("{zeros} bytes between or behind streams, which mean nothing"),
        )?;
    }
    for (i, stream) in facts.streams.iter().enumerate() {
        table::say(&format!("stream {} of {}", i + 1, facts.streams.len()))?;
        print_stream(stream)?;
    }
    list::print_blocks(&facts.blocks)
}

/// A size exactly, and if that is long, also for people.
fn bytes(size: u64) -> String {
    let (exact, human) = (format!("{size} bytes"), size::human(size));
    if human == format!("{size} B") { exact } else { format!("{exact} ({human})") }
}

fn print_stream(stream: &StreamFacts) -> Result<()> {
    let StreamFacts { file_offset, file_bytes, raw_bytes, overhead_bytes, .. } = stream;
    field("place", format_args!("byte {file_offset}, {file_bytes} bytes"))?;
    field(
        "format",
        format_args!("version {} (this lmic reads 1 to {FORMAT_VERSION})", stream.format_version),
    )?;
    match (&stream.model_identity, &stream.windows) {
        (Some(identity), Some(windows)) => {
            field("model", format_args!("{}: {}", stream.model, stream.kind))?;
            field("", format_args!("identity {identity}"))?;
            let WindowFacts { context, overlap, lanes } = windows;
            let how = format_args!("of {context}, overlap {overlap}; up to {lanes} lanes");
            field("windows", how)?;
        }
        (Some(identity), None) => {
            field("model", format_args!("{}: {}", stream.model, stream.kind))?;
            field("", format_args!("identity {identity}"))?;
        }
        _ => field("model", format_args!("{}: {}", stream.model, stream.kind))?,
    }
    field("content", format_args!("{raw_bytes} bytes in blocks: {}", stream.blocks))?;
    if let Some(records) = stream.records {
        field("records", format_args!("{records} in coded blocks, each coded alone"))?;
    }
    if let Some(copied) = stream.copied_bytes {
        let why = "are copies of earlier bytes of the stream, and not coded";
        field("copies", format_args!("{copied} bytes {why}"))?;
    }
    field("overhead", format_args!("{overhead_bytes} bytes of headers, checks and index"))?;
    let each = "BLAKE3 of each block (first 4 bytes)";
    match &stream.content_hash {
        Some(hash) => {
            field("checks", format_args!("{each}, and of all content (first 16):"))?;
            field("", hash)
        }
        None => field("checks", each),
    }
}

fn field(name: &str, value: impl std::fmt::Display) -> Result<()> {
    table::say(&table::one_line(&format!("  {name:<9} {value}")))
}
