//! Markdown, and its place between markers of a document.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::sections::Filter;
use super::{Section, Table};

/// A section in Markdown, without its title: documents have their own headings. `pictures` is the folder of plots and
/// pictures as the document sees it.
pub fn markdown(section: &Section, pictures: &str) -> String {
    let mut text = format!("{}\n\n", section.question);
    for table in &section.tables {
        text += &table_markdown(table);
    }
    for figure in &section.figures {
        text += &format!("![{}]({pictures}/{}.svg)\n\n", figure.title, figure.name);
    }
    for picture in &section.pictures {
        let file = picture.path.file_name().unwrap_or_default().to_string_lossy();
        text +=
            &format!("{}\n\n![{}]({pictures}/{file})\n\n", picture.caption.trim(), section.title);
    }
    for (what, said) in [("Finding", &section.finding), ("Bias", &section.bias)] {
        if !said.is_empty() {
            text += &format!("**{what}.** {said}\n\n");
        }
    }
    if !section.provenance.is_empty() {
        text += &format!("{}\n", section.provenance);
    }
    text
}

/// The tables of a name, with what one has to know about them; `figures` are the plots.
///
/// # Errors
/// If there is none.
pub fn part(section: &Section, name: &str, pictures: &str) -> Result<String> {
    if name == "figures" {
        let image = |f: &super::Figure| format!("![{}]({pictures}/{}.svg)\n", f.title, f.name);
        return Ok(section.figures.iter().map(image).collect());
    }
    let mut text = String::new();
    for table in section.tables.iter().filter(|table| table.name == name) {
        text += &table_markdown(table);
        if !table.note.is_empty() {
            text += &format!("{}\n", table.note);
        }
    }
    ensure!(!text.is_empty(), "{}: no table {name}", section.name);
    Ok(format!("{}\n", text.trim_end()))
}

/// A table that a script has written, ready to be shown: lines with `#` are notes under it.
///
/// # Errors
/// If it cannot be read.
pub fn script_table(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let cells = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect::<Vec<String>>();
    let head = cells(reader.headers()?);
    let rows: csv::Result<Vec<_>> = reader.records().map(|row| Ok(cells(&row?))).collect();
    let table = Table { head, rows: rows?, ..Table::default() };
    let notes = text.lines().filter_map(|line| line.strip_prefix("# "));
    let notes: String = notes.map(|note| format!("{note}\n")).collect();
    Ok(format!("{}{notes}", table_markdown(&table)))
}

fn table_markdown(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: String = (0..table.head.len())
        .map(|column| match table.rows.iter().all(|row| is_number(&row[column])) {
            true => "-:|",
            false => "-|",
        })
        .collect();
    let rule = format!("|{rule}\n");
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    let caption = if table.caption.is_empty() { "" } else { ":\n\n" };
    format!("{}{caption}{}{rule}{rows}\n", table.caption, line(&table.head))
}

/// Whether a cell stands with others under their units: a number, perhaps with marks, a unit and one in brackets, or nothing.
fn is_number(cell: &str) -> bool {
    cell.chars().all(|c| c.is_ascii_digit() || " .-+*()%,MKGiBe".contains(c))
}

/// What stands in a document between `<!-- WHAT: WHICH -->` and `<!-- end -->`.
#[derive(Debug, Clone, PartialEq)]
pub enum Marker {
    /// `eval: NAME`, a section; `eval: NAME TABLE | data = A, B | codecs = C, D`, a table of some data sets and codecs of it.
    Eval(String, Option<String>, Filter),
    /// `csv: FILE`, a table that a script has written.
    Csv(String),
}

impl Marker {
    fn parse(what: &str, which: &str) -> Result<Self> {
        if what == "csv" {
            return Ok(Self::Csv(which.to_owned()));
        }
        let mut parts = which.split('|').map(str::trim);
        let (name, table) = match parts.next().unwrap_or_default().split_once(' ') {
            Some((name, table)) => (name, Some(table.to_owned())),
            None => (which.split('|').next().unwrap_or_default().trim(), None),
        };
        let mut filter = Filter::default();
        for part in parts {
            let (key, list) =
                part.split_once('=').with_context(|| format!("{part}: KEY = A, B"))?;
            let list = list.split(',').map(|name| name.trim().to_owned()).collect();
            match key.trim() {
                "data" => filter.data = list,
                "codecs" => filter.codecs = list,
                other => anyhow::bail!("{which}: {other} is neither data nor codecs"),
            }
        }
        Ok(Self::Eval(name.to_owned(), table, filter))
    }
}

/// A document whose markers are filled; `content` says with what, or `None` if that stays as it is.
///
/// # Errors
/// If a marker cannot be understood or has no end.
pub fn fill(
    document: &str,
    mut content: impl FnMut(&Marker) -> Result<Option<String>>,
) -> Result<String> {
    const START: &str = "<!-- ";
    const END: &str = "<!-- end -->";
    let mut new = String::new();
    let mut rest = document;
    while let Some(start) = rest.find(START) {
        let (before, from) = rest.split_at(start);
        new += before;
        let line = &from[START.len()..from.find(" -->").unwrap_or(START.len())];
        let marker = match line.split_once(": ") {
            Some((what @ ("eval" | "csv"), which)) => Marker::parse(what, which)?,
            _ => {
                new += START;
                rest = &from[START.len()..];
                continue;
            }
        };
        // The end of the next marker is none of this one: what stands between would be lost.
        let end = from.find(END).with_context(|| format!("{line}: no end"))?;
        let next = ["<!-- eval: ", "<!-- csv: "].map(|begin| from[1..end].contains(begin));
        ensure!(!next.contains(&true), "{line}: no end before the next marker");
        match content(&marker)? {
            Some(text) => new += &format!("<!-- {line} -->\n{text}"),
            None => new += &from[..end],
        }
        new += END;
        rest = &from[end + END.len()..];
    }
    Ok(new + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document = "<!-- note -->a\n<!-- eval: one -->\nold\n<!-- end -->\nb\n<!-- eval: two t -->\n<!-- end -->\n";
        let new = fill(document, |marker| {
            Ok(matches!(marker, Marker::Eval(name, ..) if name == "one").then(|| "new\n".into()))
        });
        assert_eq!(new.unwrap(), document.replace("old", "new"));
        assert!(fill("<!-- eval: one -->", |_| Ok(None)).is_err());
        let unclosed = "<!-- eval: one -->\nprose\n<!-- eval: two -->\n<!-- end -->\n";
        assert!(fill(unclosed, |_| Ok(None)).is_err());
        assert!(fill("<!-- eval: one | dta = x --><!-- end -->", |_| Ok(None)).is_err());
    }

    #[test]
    fn markers_choose_tables_data_and_codecs() {
        let marker = Marker::parse("eval", "texts rates | data = a, b | codecs = lmic -7").unwrap();
        let filter = Filter { data: vec!["a".into(), "b".into()], codecs: vec!["lmic -7".into()] };
        assert_eq!(marker, Marker::Eval("texts".into(), Some("rates".into()), filter));
        let marker = Marker::parse("eval", "texts").unwrap();
        assert_eq!(marker, Marker::Eval("texts".into(), None, Filter::default()));
    }

    #[test]
    fn tables_of_scripts_are_shown_with_their_notes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "model,bits\nx,\"1,234\"\n# On a machine.\n").unwrap();
        let text = "| model | bits |\n|-|-:|\n| x | 1,234 |\n\nOn a machine.\n";
        assert_eq!(script_table(&path).unwrap(), text);
    }
}
