//! One page with everything inside: tables, plots to zoom and hover over, pictures. Works offline.

use std::fs;

use anyhow::{Context, Result};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotly::common::{Mode, Title};
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Plot, Scatter};

use super::{Figure, Picture, Section, Table};

const STYLE: &str = include_str!("style.css");

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
                meta name="viewport" content="width=device-width";
                title { "lmic: experiments" }
                style { (PreEscaped(STYLE)) }
                @if sections.iter().any(|section| !section.figures.is_empty()) {
                    (PreEscaped(Plot::offline_js_sources()))
                }
            }
            body {
                h1 { "Experiments" }
                p {
                    "After G. Delétang et al., " em { "Language Modeling Is Compression" }
                    " (ICLR 2024). Every coded number was decoded and compared."
                }
                nav { ul { @for section in sections { li { a href={ "#" (section.name) } { (section.title) } } } } }
                @for section in &body { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section_html(section: &Section) -> Result<Markup> {
    let mut pictures = Vec::new();
    for picture in &section.pictures {
        pictures.push(picture_html(picture)?);
    }
    Ok(html! {
        section id=(section.name) {
            h2 { (section.title) }
            p { (section.question) }
            @for figure in &section.figures { (figure_html(figure)) }
            @for table in &section.tables { (table_html(table)) }
            @for picture in &pictures { (picture) }
            @if !section.finding.is_empty() { p { b { "Finding. " } (section.finding) } }
            @if !section.bias.is_empty() { p { b { "Bias. " } (section.bias) } }
            p.provenance { (section.provenance) }
        }
    })
}

fn table_html(table: &Table) -> Markup {
    let cell = |text: &str| match text.strip_prefix("**") {
        Some(rest) => html! { b { (rest.replacen("**", "", 1)) } },
        None => html! { (text) },
    };
    html! {
        table {
            caption { (table.caption) }
            thead { tr { @for name in &table.head { th { (name) } } } }
            tbody { @for row in &table.rows { tr { @for text in row { td.text[text.len() > 40] { (cell(text)) } } } } }
        }
    }
}

fn picture_html(picture: &Picture) -> Result<Markup> {
    let bytes = fs::read(&picture.path).with_context(|| picture.path.display().to_string())?;
    let source = format!("data:image/png;base64,{}", base64(&bytes));
    Ok(
        html! { figure { img src=(source) alt=(picture.caption); figcaption { (picture.caption) } } },
    )
}

fn figure_html(figure: &Figure) -> Markup {
    let mut plot = Plot::new();
    for series in &figure.series {
        let (x, y): (Vec<f64>, Vec<f64>) = series.points.iter().copied().unzip();
        plot.add_trace(Scatter::new(x, y).name(&series.name).mode(Mode::LinesMarkers));
    }
    let y = Axis::new().title(Title::with_text(&figure.y));
    let y = if figure.log_y { y.type_(AxisType::Log) } else { y };
    plot.set_layout(
        Layout::new()
            .title(Title::with_text(&figure.title))
            .height(480)
            .x_axis(Axis::new().title(Title::with_text(&figure.x)).type_(AxisType::Log))
            .y_axis(y),
    );
    html! { div.plot { (PreEscaped(plot.to_inline_html(Some(&figure.name)))) } }
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
