//! Tables and JSON on stdout. A table is written row by row, so that slow rows show as they come:
//! each column has its width from the start.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::source::Source;
use crate::stdio;

/// The name of a file for scripts: in JSON it is as it is, whatever it is made of.
#[derive(Debug, Clone, Serialize)]
pub struct FileName {
    /// What is not UTF-8 in it is replaced by U+FFFD.
    pub file: String,
    /// Its bytes in hexadecimal, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_hex: Option<String>,
}

impl FileName {
    pub fn new(path: &Path) -> Self {
        let hex = || lmic::hex(path.as_os_str().as_encoded_bytes());
        Self {
            file: path.to_string_lossy().into_owned(),
            file_hex: path.to_str().is_none().then(hex),
        }
    }

    pub fn of(source: &Source) -> Self {
        match source {
            Source::File(path) => Self::new(path),
            Source::Stdin => Self { file: source.name(), file_hex: None },
        }
    }
}

/// A text for people: on one line, whatever it is made of.
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// A column: its title and width; `left` aligns text, numbers stand to the right.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub width: usize,
    pub left: bool,
}

/// A column of numbers.
pub const fn number(title: &'static str, width: usize) -> Column {
    Column { title, width, left: false }
}

/// A column of words. The last one of a table may have any width.
pub const fn text(title: &'static str, width: usize) -> Column {
    Column { title, width, left: true }
}

/// Writes the titles.
pub fn head(columns: &[Column]) -> Result<()> {
    line(columns, columns.iter().map(|column| column.title))
}

/// Writes one row, a cell a column.
pub fn row<const N: usize>(columns: &[Column; N], cells: [String; N]) -> Result<()> {
    line(columns, cells.iter().map(String::as_str))
}

/// Writes one line as it is.
pub fn say(text: &str) -> Result<()> {
    stdio::check_stdout()?;
    writeln!(io::stdout(), "{text}").context("cannot write to stdout")
}

/// Writes all of a text that was made elsewhere.
pub fn write(text: &[u8]) -> Result<()> {
    stdio::check_stdout()?;
    let mut stdout = io::stdout();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

fn line<'a>(columns: &[Column], cells: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut text = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let (width, cell) = (column.width, one_line(cell));
        text += if text.is_empty() { "" } else { "  " };
        text += &if column.left { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
    }
    say(text.trim_end())
}

/// Writes a value as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    say(&text)
}
