//! `lmic prime --samples PATH -o OUT`: learns from samples, writes a primed state.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::records::{PrimeOptions, Primed};
use serde::Deserialize;

use crate::args::PrimeArgs;
use crate::console::{Console, display_name};
use crate::models;
use crate::sink::Sink;
use crate::size;

/// A line of a .jsonl file of samples that holds nothing but text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextLine {
    t: String,
}

/// Learns from all samples, writes the state.
pub fn run(args: PrimeArgs, console: &Console) -> Result<()> {
    let started = Instant::now();
    let mut samples = Vec::new();
    for path in &args.samples {
        collect(path, args.whole, &mut samples).with_context(|| display_name(path))?;
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

/// Appends the samples of a file, or of all files below a folder.
pub fn collect(path: &Path, whole: bool, samples: &mut Vec<Vec<u8>>) -> Result<()> {
    if !path.is_dir() {
        let content = fs::read(path)?;
        match whole {
            true => samples.push(content),
            false => split(path, &content, samples)?,
        }
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    // The state depends on the order of samples: not on that of the file system.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() || path.is_file() {
            collect(&path, true, samples).with_context(|| display_name(&path))?;
        }
    }
    Ok(())
}

/// The lines of a file, each a sample.
pub fn split(path: &Path, content: &[u8], samples: &mut Vec<Vec<u8>>) -> Result<()> {
    let is_jsonl = path.extension() == Some(OsStr::new("jsonl"));
    let lines = content.strip_suffix(b"\n").unwrap_or(content).split(|&byte| byte == b'\n');
    if content.is_empty() {
        bail!("is empty, there is nothing to learn from");
    }
    samples.extend(lines.map(|line| match is_jsonl.then(|| serde_json::from_slice(line)) {
        Some(Ok(TextLine { t })) => t.into_bytes(),
        _ => line.to_vec(),
    }));
    Ok(())
}
