//! `lmic eval report`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lmic_eval::report::{
    Marker, Section, Sources, draw, fill, markdown, page, part, script_table, section, sections,
};

use super::Places;

/// Shown under the help.
pub const EXAMPLES: &str = "\
Documents have what is generated between a marker and <!-- end -->; plots go to a folder beside them:
  <!-- eval: NAME -->                                    all of an experiment
  <!-- eval: NAME TABLE | data = A, B | codecs = C -->   a table, perhaps of some data sets and codecs
  <!-- csv: FILE -->                                     a table that a script has written

Examples:
  lmic eval report --html report.html
  lmic eval report --markdown docs/results.md --markdown README.md
  lmic eval report --json -";

/// What may be asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub places: Places,
    /// Write one page with everything inside [default, if nothing is asked for: report.html beside the records]
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Put tables between the markers of a document; may be repeated
    #[arg(long, value_name = "FILE")]
    pub markdown: Vec<PathBuf>,
    /// Write the drawings of experiments, size against speed, into this folder
    #[arg(long, value_name = "FOLDER")]
    pub drawings: Option<PathBuf>,
    /// Write JSON; - is stdout
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Makes them.
pub fn run(args: &Args) -> Result<()> {
    let sources = Sources {
        experiments: args.places.experiments(),
        catalogue: args.places.catalogue(),
        records: args.places.records(),
    };
    let sections = sections(&sources)?;
    ensure!(
        !sections.is_empty(),
        "{}: no records; `lmic eval run` makes them",
        sources.records.display()
    );
    let nothing = args.markdown.is_empty() && args.json.is_none() && args.drawings.is_none();
    let html = args.html.clone().or_else(|| nothing.then(|| sources.records.join("report.html")));
    if let Some(path) = html {
        write(&path, &page(&sections)?)?;
        eprintln!("{}", path.display());
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&sections)?;
        match path.as_os_str() == "-" {
            true => println!("{json}"),
            false => write(path, &json)?,
        }
    }
    if let Some(folder) = &args.drawings {
        for (name, svg) in sections.iter().filter_map(|section| section.drawing.as_ref()) {
            write(&folder.join(format!("{name}.svg")), svg)?;
        }
    }
    for path in &args.markdown {
        fill_document(path, &sources)?;
    }
    Ok(())
}

/// Plots and pictures of a document lie beside it, in this folder.
const PICTURES: &str = "eval";

fn fill_document(path: &Path, sources: &Sources) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new("")).join(PICTURES);
    let new = fill(&old, |marker| {
        let (name, table, filter) = match marker {
            Marker::Csv(path) => return script_table(Path::new(path)).map(Some),
            Marker::Eval(name, table, filter) => (name, table.as_deref(), filter),
        };
        let described = sources.experiments.join(format!("{name}.toml"));
        ensure!(described.exists(), "{name}: no such experiment");
        let Some(section) = section(sources, name, filter)? else { return Ok(None) };
        if table.is_none_or(|table| table == "figures") {
            write_pictures(&section, &folder)?;
        }
        Ok(Some(match table {
            None => markdown(&section, PICTURES),
            Some(table) => part(&section, table, PICTURES)?,
        }))
    });
    write(path, &new.with_context(|| path.display().to_string())?)
}

fn write_pictures(section: &Section, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for figure in &section.figures {
        write(&folder.join(format!("{}.svg", figure.name)), &draw(figure)?)?;
    }
    for picture in &section.pictures {
        let name = picture.path.file_name().context("a picture without name")?;
        fs::copy(&picture.path, folder.join(name))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}
