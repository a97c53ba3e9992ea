//! What is shown, made from records and the descriptions of experiments only: nothing is measured here.
//!
//! `sections` says what there is to see, `shown` for tables that experiments describe; `html`, `markdown` and `svg` say how; JSON is the sections themselves.

mod chart;
mod html;
mod markdown;
mod sections;
mod shown;
mod size_speed;
mod svg;

use serde::Serialize;

pub use html::{base64, page};
pub use markdown::{Marker, fill, markdown, part, script_table};
pub use sections::{Filter, Sources, is_experiment, section, sections};
pub use shown::Shown;
pub use svg::draw;

/// An experiment as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// The name of its files.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it answers.
    pub question: String,
    /// Tables.
    pub tables: Vec<Table>,
    /// Plots.
    pub figures: Vec<Figure>,
    /// A drawing for documents, with the name of its file.
    pub drawing: Option<(String, String)>,
    /// Pictures: what is under each, and its path.
    pub pictures: Vec<Picture>,
    /// Claim and finding.
    pub finding: String,
    /// What one has to know to judge.
    pub bias: String,
    /// When, where, from which sources.
    pub provenance: String,
}

/// A table of texts; the first column is the name of the row.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    /// What markers call it; several may have one name.
    pub name: String,
    /// What it shows, if that is not clear.
    pub caption: String,
    /// Names of columns.
    pub head: Vec<String>,
    /// Rows as long as `head`.
    pub rows: Vec<Vec<String>>,
    /// When, where and from which sources these are, if they stand alone.
    pub note: String,
    /// What a page calls it beside the other tables of its section.
    pub tab: String,
    /// What is better in each column, as long as `head`; of nothing if it is empty.
    pub good: Vec<Good>,
    /// Whether values are compared with those beside them, in place of those above and below.
    pub across: bool,
    /// Whether the last row says something of the others.
    pub foot: bool,
}

/// What is better in a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Good {
    /// Nothing is, or values are not of the same.
    #[default]
    Neither,
    /// What is smaller.
    Less,
    /// What is larger.
    More,
}

/// A plot of lines.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// A name for files.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What runs to the right; logarithmic.
    pub x: String,
    /// What runs up.
    pub y: String,
    /// Whether that is logarithmic.
    pub log_y: bool,
    /// The lines.
    pub series: Vec<Series>,
}

/// A line of a plot.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// A picture in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Picture {
    /// What it shows.
    pub caption: String,
    /// Where it is.
    pub path: std::path::PathBuf,
}
