//! One page with everything inside: plots and bars first, tables under tabs. Works offline, and without scripts shows all of it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{bars, key, lines};
use super::{Figure, Good, Picture, Section, Table};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
/// Before anything is painted: that there are scripts, and the look that the reader chose.
const FIRST: &str = "document.documentElement.classList.add('js');\
    try{document.documentElement.style.colorScheme=localStorage.getItem('lmic-look')||''}catch{}";

/// The page.
///
/// # Errors
/// If a picture cannot be read.
pub fn page(sections: &[Section]) -> Result<String> {
    let mut body = Vec::new();
    for section in sections {
        body.push(section_html(section)?);
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "lmic: experiments" }
                style { (PreEscaped(STYLE)) }
                script { (PreEscaped(FIRST)) }
            }
            body {
                aside {
                    (controls(sections))
                    nav aria-label="Contents" {
                        details open {
                            summary { "Contents" }
                            ol { @for section in sections { li { a href={ "#" (section.name) } { (section.title) } } } }
                        }
                    }
                }
                main {
                    header {
                        h1 { "Experiments of lmic" }
                        p.lead {
                            "What lossless compressors, and models that predict, make of the same bytes, after G. Delétang et al., "
                            em { "Language Modeling Is Compression" } " (ICLR 2024). What was coded was decoded and compared, else there is \
                             no record of it; smaller rates are better, and lmic's own codecs are the "
                            span.ours { "orange" } " ones."
                        }
                        (overview(sections))
                    }
                    @for section in &body { (section) }
                }
                div #hint hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

/// What scripts listen to: hidden where there are none.
fn controls(sections: &[Section]) -> Markup {
    let codecs: BTreeSet<&str> = sections.iter().flat_map(codecs).collect();
    html! {
        div.controls {
            label for="mark" { "Mark a codec" }
            input #mark type="search" list="codecs" placeholder="zstd, lmic -7 \u{2026}" autocomplete="off" spellcheck="false";
            datalist #codecs { @for codec in codecs { option value=(codec) {} } }
            button #look type="button" aria-label="Light or dark" title="Light or dark" { "\u{25d0}" }
            span #marked role="status" {}
        }
    }
}

/// Names of codecs, as rows, columns and lines of a section have them.
fn codecs(section: &Section) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for table in section.tables.iter().filter(|table| !table.good.is_empty()) {
        if table.across {
            let of = table.head.iter().zip(&table.good).filter(|(_, good)| **good != Good::Neither);
            names.extend(of.map(|(name, _)| name.as_str()));
        } else if table.good.iter().any(|good| *good != Good::Neither) {
            let rows = &table.rows[..table.rows.len() - usize::from(table.foot)];
            names.extend(rows.iter().map(|row| row[0].as_str()));
        }
    }
    names
}

/// The picture on top: size against speed, else the first bars or lines that there are.
fn overview(sections: &[Section]) -> Markup {
    let drawn = sections.iter().find_map(|section| Some((section, &section.drawing.as_ref()?.1)));
    let Some((section, drawing)) = drawn else { return html! {} };
    html! {
        figure.overview {
            div.scroll { (inside(drawing)) }
            figcaption {
                "Further left is slower, further down is smaller: filled marks are encoding, hollow ones decoding. The numbers are under "
                a href={ "#" (section.name) } { (section.title) } "."
            }
        }
    }
}

/// A drawing as a part of the page: what it says of colours and of its size is left to the page.
fn inside(svg: &str) -> PreEscaped<String> {
    let cut = |text: &str, from: &str, to: &str| match (text.find(from), text.find(to)) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &text[..start], &text[end + to.len()..])
        }
        _ => text.to_owned(),
    };
    let svg = cut(&cut(svg, "<style>", "</style>"), "<title>", "</title>");
    let rest = svg.split_once("viewBox").map_or(svg.as_str(), |(_, rest)| rest);
    PreEscaped(format!("<svg class=\"drawing\" viewBox{rest}"))
}

fn section_html(section: &Section) -> Result<Markup> {
    let mut pictures = Vec::new();
    for picture in &section.pictures {
        pictures.push(picture_html(picture)?);
    }
    let bars = section.figures.is_empty();
    let first = section.tables.iter().position(|table| bars_of(table).is_some()).unwrap_or(0);
    Ok(html! {
        section id=(section.name) {
            h2 { a href={ "#" (section.name) } { (section.title) } }
            @if !section.question.is_empty() { p.question { (words(&section.question)) } }
            @if !section.figures.is_empty() { div.figures { @for figure in &section.figures { (figure_html(section, figure)) } } }
            @for picture in &pictures { (picture) }
            @if bars {
                @for (i, table) in section.tables.iter().enumerate() {
                    @if let Some(svg) = bars_of(table) {
                        figure.bars-of.on[i == first] data-tab=(i) {
                            figcaption { (words(said(table))) ". " (key(table)) }
                            div.scroll { (svg) }
                        }
                    }
                }
            }
            @if !section.finding.is_empty() { p.finding { b { "Finding. " } (words(&section.finding)) } }
            (tables_html(section))
            @if !section.bias.is_empty() { p.bias { b { "Bias. " } (words(&section.bias)) } }
            p.provenance { (section.provenance) }
        }
    })
}

/// What a table shows: its caption, or what stands in its corner.
fn said(table: &Table) -> &str {
    if table.caption.is_empty() {
        table.head.first().map_or("", String::as_str)
    } else {
        &table.caption
    }
}

/// The bars of a table, if it has any.
fn bars_of(table: &Table) -> Option<Markup> {
    if table.good.iter().all(|good| *good == Good::Neither) { None } else { bars(table) }
}

/// The tables of a section, all but one behind tabs where there are several.
fn tables_html(section: &Section) -> Markup {
    let tables = &section.tables;
    let id = |i: usize| format!("{}-{i}", section.name);
    if let [table] = &tables[..] {
        return html! { div.panel.on { (table_html(section, table)) } };
    }
    html! {
        @if !tables.is_empty() {
            div.tabs role="tablist" aria-label={ "Tables of " (section.title) } {
                @for i in 0..tables.len() {
                    button.on[i == 0] type="button" role="tab" id={ "tab-" (id(i)) } aria-controls=(id(i))
                        data-shared[!tables[i].tab.is_empty()] aria-selected=(i == 0) tabindex=(if i == 0 { "0" } else { "-1" }) { (tab(tables, i)) }
                }
            }
        }
        @for (i, table) in tables.iter().enumerate() {
            div.panel.on[i == 0] role="tabpanel" id=(id(i)) aria-labelledby={ "tab-" (id(i)) } data-tab=(i) { (table_html(section, table)) }
        }
    }
}

/// What a tab is called; a count tells those apart that have one name.
fn tab(tables: &[Table], at: usize) -> String {
    let name = |table: &Table| {
        let names = [&table.tab, &table.name, &table.caption];
        names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or("table".into())
    };
    let of = name(&tables[at]);
    let before = tables[..at].iter().filter(|table| name(table) == of).count();
    if before > 0 { format!("{of} ({})", before + 1) } else { of }
}

impl Table {
    /// Whether a row is of lmic, in a table that has others, too.
    pub fn ours(&self, row: &[String]) -> bool {
        !self.across && codec(&row[0]) && !self.rows.iter().all(|row| codec(&row[0]))
    }

    /// Whether no value of the column, or of the row where those are compared, is better.
    pub fn is_best(&self, at: usize, row: &[String]) -> bool {
        let good = self.good.get(at).copied().unwrap_or_default();
        let Some(own) = value(&row[at]) else { return false };
        let rows = &self.rows[..self.rows.len() - usize::from(self.foot)];
        let others: Vec<f64> = match self.across {
            true => {
                let at = (0..row.len()).filter(|&i| self.good.get(i) == Some(&good));
                at.filter_map(|i| value(&row[i])).collect()
            }
            false => rows.iter().filter_map(|row| value(&row[at])).collect(),
        };
        // Of those that show the same digits only one may be marked as the best.
        let marked = |cell: &String| cell.starts_with("**");
        if rows.iter().any(|row| row.get(at).is_some_and(marked)) && !self.across {
            return marked(&row[at]);
        }
        others.len() > 1
            && match good {
                Good::Neither => false,
                Good::Less => others.iter().all(|&v| v >= own),
                Good::More => others.iter().all(|&v| v <= own),
            }
    }
}

/// Whether a name is one of lmic's own codecs or models.
pub fn codec(name: &str) -> bool {
    let first = name.split(' ').next().unwrap_or_default();
    ["lmic", "cm", "default", "network"].contains(&first)
        || ["lmic-", "byte-", "big-"].iter().any(|start| first.starts_with(start))
}

/// The number that a cell begins with.
pub fn value(cell: &str) -> Option<f64> {
    let text = cell.trim_start_matches('*');
    let end = text.find(|c: char| !c.is_ascii_digit() && !".+-".contains(c)).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn table_html(section: &Section, table: &Table) -> Markup {
    let cell = |text: &str| match text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
        Some(code) => html! { code { (code) } },
        None => html! { (text.replacen("**", "", 2)) },
    };
    let wordy =
        |at: usize| table.rows.iter().any(|row| value(&row[at]).is_none() && row[at].len() > 14);
    let wordy: Vec<bool> = (0..table.head.len()).map(wordy).collect();
    let good = |at: usize| match table.good.get(at) {
        Some(Good::Less) => Some("less"),
        Some(Good::More) => Some("more"),
        _ => None,
    };
    let (rows, foot) = table.rows.split_at(table.rows.len() - usize::from(table.foot));
    let row = |row: &Vec<String>| {
        html! {
            tr.ours[table.ours(row)] {
                @for (i, text) in row.iter().enumerate() {
                    @if i == 0 { th.long[text.chars().count() > 34] scope="row" { (text) } }
                    @else { td.best[table.is_best(i, row)].text[wordy[i]] { (cell(text)) } }
                }
            }
        }
    };
    html! {
        @if !table.caption.is_empty() { p.caption { (words(&table.caption)) } }
        div.box tabindex="0" role="region" aria-label=(if table.caption.is_empty() { "Table" } else { &table.caption }) {
            table data-across[table.across] {
                thead { tr {
                    @for (i, name) in table.head.iter().enumerate() {
                        th scope="col" data-good=[good(i)] .brief[name.len() < 13] .text[wordy[i]].ours[table.across && codec(name)] { (name) }
                    }
                } }
                tbody { @for of in rows { (row(of)) } }
                @if !foot.is_empty() { tfoot { @for of in foot { (row(of)) } } }
            }
        }
        @if !section.provenance.ends_with(&table.note) { p.provenance { (table.note) } }
    }
}

/// Text with what is between backticks as code, as documents have it.
fn words(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn picture_html(picture: &Picture) -> Result<Markup> {
    let bytes = fs::read(&picture.path).with_context(|| picture.path.display().to_string())?;
    let source = format!("data:image/png;base64,{}", base64(&bytes));
    Ok(html! {
        figure { img src=(source) alt=(picture.caption) loading="lazy"; figcaption { (picture.caption) } }
    })
}

fn figure_html(section: &Section, figure: &Figure) -> Markup {
    // The title of the section stands above already.
    let title = match figure.title.strip_prefix(&section.title) {
        Some("") => format!("{} for {}", figure.y, figure.x),
        Some(rest) => rest.trim_start_matches([':', ' ']).to_owned(),
        None => figure.title.clone(),
    };
    html! {
        @if let Some(svg) = lines(figure) {
            figure { figcaption { (title) } div.scroll { (svg) } }
        }
    }
}

/// Base64 as data addresses want it.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_one_two_and_three_bytes() {
        assert_eq!(base64(b"M"), "TQ==");
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(base64(b"Man"), "TWFu");
    }
}
