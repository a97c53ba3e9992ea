//! Markdown, and its place between markers of a document.

use anyhow::{Context, Result};

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
    format!("{}:\n\n{}{rule}{rows}\n", table.caption, line(&table.head))
}

/// Whether a cell stands with others under their units: a number, perhaps with marks and one in brackets, or nothing.
fn is_number(cell: &str) -> bool {
    cell.chars().all(|c| c.is_ascii_digit() || " .-*()%".contains(c))
}

/// Puts `text` between `<!-- eval: NAME -->` and the next `<!-- end -->` of a document, or returns `None` if it has no such
/// marker.
///
/// # Errors
/// If the end is missing.
pub fn replace(document: &str, name: &str, text: &str) -> Result<Option<String>> {
    let marker = format!("<!-- eval: {name} -->");
    let Some(start) = document.find(&marker) else { return Ok(None) };
    let start = start + marker.len();
    let end =
        document[start..].find("<!-- end -->").with_context(|| format!("{marker} has no end"))?;
    Ok(Some(format!("{}\n{text}{}", &document[..start], &document[start + end..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document =
            "a\n<!-- eval: one -->\nold\n<!-- end -->\nb\n<!-- eval: two -->\n<!-- end -->\n";
        let new = replace(document, "one", "new\n").unwrap().unwrap();
        assert_eq!(new, document.replace("old", "new"));
        assert_eq!(replace(document, "three", "x").unwrap(), None);
        assert!(replace("<!-- eval: one -->", "one", "x").is_err());
    }
}
