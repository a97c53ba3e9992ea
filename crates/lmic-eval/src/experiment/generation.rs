//! Continuations, Figure 3 and appendix C: of each data set the first item, of which the second half is made up by every codec.
//! Images and recordings become a picture (original, what is given, each codec), text a file; both have a caption.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use image::RgbImage;

use super::{Outcome, Run};
use crate::codec::open;
use crate::generate::{Choice, Given, beside, complete, enlarged, gray, spectrogram};
use crate::item::{Format, Item};

/// Makes what is not there yet.
pub fn run(run: &Run<'_>, folder: &Path, again: bool, outcome: &mut Outcome) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (data, loaded) in &run.loaded {
        let item = &loaded.items[loaded.items.len() / 2];
        let is_text = item.format == Format::Bytes;
        let path = folder.join(format!("{data}.{}", if is_text { "json" } else { "png" }));
        let versions = run.experiment.codecs.iter().map(|codec| Ok(open(codec)?.version()));
        let versions: Result<Vec<String>> = versions.collect();
        let parts = [run.experiment.codecs.join(" "), versions?.join(" "), loaded.hash.clone()];
        let key = super::key(&parts.each_ref().map(String::as_str));
        let mark = path.with_extension("key");
        if !again && fs::read_to_string(&mark).is_ok_and(|known| known == key) {
            outcome.cached += 1;
            continue;
        }
        match make(run, item, data, &path) {
            Ok(()) => {
                fs::write(mark, key)?;
                outcome.measured += 1;
            }
            Err(error) => outcome.failed.push(format!("{data}: {error:#}")),
        }
    }
    Ok(())
}

fn make(run: &Run<'_>, item: &Item, data: &str, path: &Path) -> Result<()> {
    let row = item.format.row() as usize;
    let half = item.bytes.len() / 2;
    let given = match item.format {
        Format::Gray { .. } => Given::First(half / row * row),
        _ => Given::First(half / 2 * 2),
    };
    let codecs = &run.experiment.codecs;
    let each = |name: &String| {
        complete(&*open(name)?, item, given, Choice::default()).with_context(|| name.clone())
    };
    let made = codecs.iter().map(each).collect::<Result<Vec<Item>>>()?;
    if item.format == Format::Bytes {
        return write_text(item, codecs, &made, half / 2 * 2, path);
    }
    let draw = if matches!(item.format, Format::Gray { .. }) { gray } else { spectrogram };
    let pictures: Vec<RgbImage> =
        [item].into_iter().chain(&made).map(|item| enlarged(&draw(item))).collect();
    beside(&pictures, false).save(path)?;
    let caption = format!(
        "{data}: original; second half drawn from {} (seed 1, temperature 1)",
        codecs.join(", ")
    );
    Ok(fs::write(path.with_extension("txt"), caption)?)
}

/// Continuations as pairs of a codec and a text.
fn write_text(
    item: &Item,
    codecs: &[String],
    made: &[Item],
    given: usize,
    path: &Path,
) -> Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rows = vec![("given".to_owned(), text(&item.bytes[..given]))];
    rows.push(("original".into(), text(&item.bytes[given..])));
    rows.extend(codecs.iter().cloned().zip(made.iter().map(|made| text(&made.bytes[given..]))));
    Ok(fs::write(path, serde_json::to_string_pretty(&rows)?)?)
}
