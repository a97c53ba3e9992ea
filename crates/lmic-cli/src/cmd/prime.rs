//! `lmic prime --samples PATH -o OUT`: learns from samples, writes a primed state.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::records::{PrimeOptions, Primed};
use serde_json::Value;

use crate::args::PrimeArgs;
use crate::console::{Console, display_name};
use crate::models;
use crate::sink::Sink;
use crate::size;

/// What of a file is a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records<'a> {
    /// The whole file.
    Whole,
    /// Each line, as `--records` codes it.
    Lines,
    /// Pieces of so many bytes.
    Chunks(usize),
    /// Of each line, which is a JSON object, the string of this name.
    Field(&'a str),
}

/// Learns from all samples, writes the state.
pub fn run(args: PrimeArgs, console: &Console) -> Result<()> {
    let started = Instant::now();
    let mut samples = Vec::new();
    let records = match &args.field {
        Some(name) => Records::Field(name),
        None if args.whole => Records::Whole,
        None => args.chunk.map_or(Records::Lines, |len| Records::Chunks(len.max(1) as usize)),
    };
    for path in &args.samples {
        collect(path, records, &mut samples).with_context(|| display_name(path))?;
    }
    let bytes: usize = samples.iter().map(Vec::len).sum();
    let out = with_extension(&args.output);
    let mut sink = Sink::file(&out, args.force, None)?;
    let options = PrimeOptions { table_bits: args.table_bits };
    let samples: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    let file = Primed::learn(&samples, &options)?.to_bytes();
    sink.write_all(&file)?;
    sink.finish(false)?;
    if !args.quiet {
        console.note(format_args!(
            "{}: {} samples, {} -> {}, {:.1} s",
            display_name(&out),
            samples.len(),
            size::human(bytes as u64),
            size::human(file.len() as u64),
            started.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

fn with_extension(path: &Path) -> PathBuf {
    match path.extension() {
        Some(_) => path.to_owned(),
        None => path.with_extension(models::PRIMED),
    }
}

/// Appends the samples of a file, or of all files below a folder: those are a sample each, if they are not cut into pieces.
pub fn collect(path: &Path, records: Records<'_>, samples: &mut Vec<Vec<u8>>) -> Result<()> {
    if !path.is_dir() {
        return split(&fs::read(path)?, records, samples);
    }
    let of_files = match records {
        Records::Chunks(_) => records,
        _ => Records::Whole,
    };
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    // The state depends on the order of samples: not on that of the file system.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() || path.is_file() {
            collect(&path, of_files, samples).with_context(|| display_name(&path))?;
        }
    }
    Ok(())
}

/// Appends the records of a file's content.
pub fn split(content: &[u8], records: Records<'_>, samples: &mut Vec<Vec<u8>>) -> Result<()> {
    if records == Records::Whole {
        samples.push(content.to_vec());
        return Ok(());
    }
    if content.is_empty() {
        bail!("is empty, there are no records");
    }
    if let Records::Chunks(len) = records {
        samples.extend(content.chunks(len).map(<[u8]>::to_vec));
        return Ok(());
    }
    let lines = content.strip_suffix(b"\n").unwrap_or(content).split(|&byte| byte == b'\n');
    for (number, line) in (1..).zip(lines) {
        samples.push(match records {
            Records::Field(name) => text_of(line, name).with_context(|| {
                format!("line {number} is no JSON object with a string {name:?} (without --field lines are records as they are)")
            })?,
            _ => line.to_vec(),
        });
    }
    Ok(())
}

/// The string `name` of the JSON object that a line is.
fn text_of(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let object: Value = serde_json::from_slice(line).ok()?;
    Some(object.get(name)?.as_str()?.as_bytes().to_vec())
}
