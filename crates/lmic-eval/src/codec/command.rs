//! Any program, by a template of its command lines: `cmd: ENCODE [; DECODE]`.
//!
//! A line reads stdin and writes stdout, or names files: `{raw}`, `{coded}`, `{back}`, with `{raw.pgm}` and `{back.pgm}` for
//! grey images and `{coded.jxl}` for a program that wants a suffix. Without DECODE, it is the program with `-d -c`.
//! Lines are run by `sh`, so that they may have pipes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Codec;
use crate::item::{Item, Told};

/// A program.
#[derive(Debug)]
pub struct Command {
    encode: String,
    decode: String,
}

impl Command {
    /// Reads a template.
    pub fn new(template: &str) -> Result<Self> {
        let (encode, decode) = match template.split_once(';') {
            Some((encode, decode)) => (encode.trim().to_owned(), decode.trim().to_owned()),
            None => {
                let encode = template.trim().to_owned();
                let program = encode.split_whitespace().next().unwrap_or_default().to_owned();
                let decode = if program == "cat" { program } else { format!("{program} -d -c") };
                (encode, decode)
            }
        };
        ensure!(!encode.is_empty() && !decode.is_empty(), "cmd: without a program");
        Ok(Self { encode, decode })
    }
}

impl Codec for Command {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        if self.encode.contains("{raw.pgm}") {
            fs::write(folder.path().join("raw.pgm"), pgm(item))?;
        }
        if self.encode.contains("{raw}") {
            fs::write(folder.path().join("raw"), &item.bytes)?;
        }
        run(&self.encode, folder.path(), "{coded", &item.bytes)
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        if let Some(name) = named(&self.decode, "{coded") {
            fs::write(folder.path().join(name), coded)?;
        }
        let back = run(&self.decode, folder.path(), "{back", coded)?;
        if self.decode.contains("{back.pgm}") { from_pgm(&back, told) } else { Ok(back) }
    }

    fn version(&self) -> String {
        let program = self.encode.split_whitespace().next().unwrap_or_default();
        let said = Process::new(program).arg("--version").stdin(Stdio::null()).output();
        let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
        let first = said.ok().and_then(|said| said.lines().next().map(str::to_owned));
        first.unwrap_or_else(|| program.to_owned())
    }
}

/// The name of the file that a placeholder stands for.
fn named<'a>(line: &'a str, placeholder: &str) -> Option<&'a str> {
    let start = line.find(placeholder)?;
    line[start + 1..].split('}').next()
}

/// Runs a line; its output is the file that `output` stands for, or stdout.
fn run(line: &str, folder: &Path, output: &str, input: &[u8]) -> Result<Vec<u8>> {
    let written = named(line, output);
    let bare = line.replace(['{', '}'], "");
    let mut child = Process::new("sh")
        .args(["-c", &bare])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| bare.clone())?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let done = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that reads a file, or enough, leaves the rest.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output()
    })?;
    if !done.status.success() {
        bail!("{bare}: {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    match written {
        Some(name) => {
            fs::read(folder.join(name)).with_context(|| format!("{bare} wrote no {name}"))
        }
        None => Ok(done.stdout),
    }
}

fn pgm(item: &Item) -> Vec<u8> {
    let width = item.format.row() as usize;
    let height = item.bytes.len().div_ceil(width).max(1);
    let mut file = format!("P5\n{width} {height}\n255\n").into_bytes();
    let end = file.len() + width * height;
    file.extend_from_slice(&item.bytes);
    file.resize(end, 0);
    file
}

/// The samples of a PGM file: what stands behind three numbers and one white space.
fn from_pgm(file: &[u8], told: Told) -> Result<Vec<u8>> {
    let width = told.format.row() as usize;
    let samples = told.len.div_ceil(width).max(1) * width;
    let start = file.len().checked_sub(samples).context("a PGM that is too short")?;
    Ok(file[start..][..told.len].to_vec())
}
