//! `lmic list`: one row a file from the index alone, -v one row a block. Nothing is decoded. Blocks that only a newer lmic
//! decodes have their rows also without -v.

use std::collections::BTreeSet;
use std::fs::File;

use anyhow::{Result, bail};
use lmic::block::StreamModel;
use lmic::{Archive, BlockInfo, DecodeOptions, StreamInfo};
use lmic_age::Reader;
use serde::Serialize;

use crate::args::ListArgs;
use crate::console::{Console, Skipped};
use crate::keys::Keys;
use crate::size;
use crate::source::{self, Policy, Source};
use crate::table::{self, Column, FileName, number, text};

/// What an archive holds, added up.
#[derive(Debug, Serialize)]
struct FileRow {
    #[serde(flatten)]
    name: FileName,
    streams: usize,
    blocks: usize,
    coded_bytes: u64,
    raw_bytes: u64,
    ratio: Option<f64>,
    models: Vec<String>,
    check: &'static str,
    /// Then the compressed bytes are those of the encrypted file, padding included, and places those of the archive inside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    encrypted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    block_list: Vec<BlockRow>,
    /// The blocks that only a newer lmic decodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs_newer: Vec<BlockRow>,
}

/// One block, for `list -v` and `inspect`.
#[derive(Debug, Clone, Serialize)]
pub struct BlockRow {
    stream: usize,
    block: usize,
    file_offset: u64,
    coded_bytes: u64,
    raw_offset: u64,
    raw_bytes: u64,
    model: String,
    /// Bytes of content that are copies of earlier content; the others are what the model codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_bytes: Option<u64>,
    /// Whether only a newer lmic decodes it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    needs_newer: bool,
}

const FILE_COLUMNS: [Column; 8] = [
    number("Streams", 7),
    number("Blocks", 6),
    number("Compressed", 10),
    number("Uncompressed", 12),
    number("Ratio", 6),
    text("Model", 13), // mix-7 lanes:1
    text("Check", 6),
    text("File", 0),
];

const BLOCK_COLUMNS: [Column; 8] = [
    number("Stream", 8),
    number("Block", 6),
    number("At byte", 12),
    number("Compressed", 12),
    number("Content at", 13),
    number("Uncompressed", 12),
    number("Ratio", 6),
    text("Model", 0),
];

/// Lists all files, then their totals if they are several.
pub fn run(args: ListArgs, console: &Console) -> Result<()> {
    let keys = Keys::of(&args.keys, &args.files.files)?;
    let mut rows = Vec::new();
    for (source, found) in sources(args.files.files, args.files.recursive) {
        let row = found.and_then(|()| read(&source, args.verbose, &keys)).map(|row| rows.push(row));
        let printed = match (row, rows.as_slice()) {
            (Ok(()), [before @ .., row]) if !args.json => print(row, before.last(), args.verbose),
            (row, _) => row,
        };
        console.outcome(source.name(), printed)?;
    }
    if args.json {
        return table::json(&rows);
    }
    if rows.len() > 1 { print_totals(&rows) } else { Ok(()) }
}

fn sources(names: Vec<std::path::PathBuf>, recursive: bool) -> Vec<(Source, Result<()>)> {
    let sources = source::from_names(names);
    match recursive {
        true => source::walk(sources, source::has_suffix),
        false => sources.into_iter().map(|source| (source, Ok(()))).collect(),
    }
}

/// Opens an archive for its index; with the length of the file, if that is encrypted.
pub fn open(source: &Source, keys: &Keys) -> Result<(Archive<Reader<File>>, Option<u64>)> {
    let opened = source.open(Policy::ANY)?;
    if !opened.is_seekable() {
        bail!(Skipped("is not a regular file, so it has no index to read (save it first)".into()));
    }
    let len = opened.len();
    let reader = keys.open(opened.file)?;
    let len = len.filter(|_| reader.is_encrypted());
    Ok((Archive::open(reader, DecodeOptions::default())?, len))
}

fn read(source: &Source, verbose: bool, keys: &Keys) -> Result<FileRow> {
    let (archive, encrypted) = open(source, keys)?;
    let (coded, raw) = (encrypted.unwrap_or(archive.coded_len()), archive.raw_len());
    let name = |s: &StreamInfo, block: &BlockInfo| s.model.of_block(block.kind);
    let streams = archive.streams().iter();
    let models: BTreeSet<_> =
        streams.flat_map(|s| s.blocks.iter().map(move |block| name(s, block))).collect();
    let block_list = block_rows(&archive);
    Ok(FileRow {
        name: FileName::of(source),
        streams: archive.streams().len(),
        blocks: archive.blocks().count(),
        coded_bytes: coded,
        raw_bytes: raw,
        ratio: (raw > 0).then(|| coded as f64 / raw as f64),
        models: models.into_iter().collect(),
        check: "blake3",
        encrypted: encrypted.is_some(),
        needs_newer: block_list.iter().filter(|row| row.needs_newer).cloned().collect(),
        block_list: if verbose { block_list } else { Vec::new() },
    })
}

/// The blocks of an archive, numbered from 1 in each stream.
pub fn block_rows(archive: &Archive<Reader<File>>) -> Vec<BlockRow> {
    let streams = archive.streams().iter().enumerate();
    streams
        .flat_map(|(s, stream)| {
            let blocks = stream.blocks.iter().enumerate();
            blocks.map(move |(b, block)| BlockRow::new(s + 1, b + 1, &stream.model, block))
        })
        .collect()
}

impl BlockRow {
    fn new(stream: usize, block: usize, model: &StreamModel, info: &BlockInfo) -> Self {
        Self {
            stream,
            block,
            file_offset: info.file_offset,
            coded_bytes: info.coded_len,
            raw_offset: info.raw_offset,
            raw_bytes: info.raw_len,
            model: model.of_block(info.kind),
            copied_bytes: copied(info),
            needs_newer: model.needs_newer(info.kind),
        }
    }
}

/// Bytes of a block's content that are copies; `None` if it has none.
pub fn copied(info: &BlockInfo) -> Option<u64> {
    Some(info.raw_len - info.literals).filter(|&copied| copied > 0)
}

/// Prints blocks with exact sizes.
pub fn print_blocks(rows: &[BlockRow]) -> Result<()> {
    table::head(&BLOCK_COLUMNS)?;
    for row in rows {
        let copied = row.copied_bytes.map(|bytes| format!(", {bytes} copied")).unwrap_or_default();
        let newer = if row.needs_newer { " (needs a newer lmic)" } else { "" };
        let cells = [
            row.stream.to_string(),
            row.block.to_string(),
            row.file_offset.to_string(),
            row.coded_bytes.to_string(),
            row.raw_offset.to_string(),
            row.raw_bytes.to_string(),
            size::ratio(row.coded_bytes, row.raw_bytes),
            format!("{}{copied}{newer}", row.model),
        ];
        table::row(&BLOCK_COLUMNS, cells)?;
    }
    Ok(())
}

impl FileRow {
    /// The blocks that have a row each.
    fn shown_blocks(&self) -> &[BlockRow] {
        if self.block_list.is_empty() { &self.needs_newer } else { &self.block_list }
    }

    /// An empty line, if rows of blocks would run into what follows.
    fn set_off(&self) -> Result<()> {
        if self.shown_blocks().is_empty() { Ok(()) } else { table::say("") }
    }
}

fn print(row: &FileRow, before: Option<&FileRow>, verbose: bool) -> Result<()> {
    before.map_or(Ok(()), FileRow::set_off)?;
    if before.is_none() || verbose {
        table::head(&FILE_COLUMNS)?;
    }
    let model = match row.models.as_slice() {
        [model] => model.clone(),
        models => format!("{} kinds", models.len()),
    };
    print_sizes(
        [row.streams, row.blocks],
        row.coded_bytes,
        row.raw_bytes,
        [&model, if row.encrypted { "age" } else { row.check }, &row.name.file],
    )?;
    match row.shown_blocks() {
        [] => Ok(()),
        blocks => print_blocks(blocks),
    }
}

fn print_totals(rows: &[FileRow]) -> Result<()> {
    let sum = |field: fn(&FileRow) -> u64| rows.iter().map(field).sum::<u64>();
    let streams = rows.iter().map(|row| row.streams).sum();
    let blocks = rows.iter().map(|row| row.blocks).sum();
    rows.last().map_or(Ok(()), FileRow::set_off)?;
    table::say(&"-".repeat(79))?;
    let name = format!("{} files", rows.len());
    print_sizes([streams, blocks], sum(|r| r.coded_bytes), sum(|r| r.raw_bytes), ["", "", &name])
}

fn print_sizes(counts: [usize; 2], coded: u64, raw: u64, words: [&str; 3]) -> Result<()> {
    let [model, check, file] = words.map(str::to_owned);
    let cells = [
        counts[0].to_string(),
        counts[1].to_string(),
        size::human(coded),
        size::human(raw),
        size::ratio(coded, raw),
        model,
        check,
        file,
    ];
    table::row(&FILE_COLUMNS, cells)
}
