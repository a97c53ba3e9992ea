//! What each byte of a file costs and what was expected in its place, on a page.
//!
//! A model that hands out distributions of bytes gives the likeliest; one that decides bit by bit says with each bit how likely
//! the other half of what was left had been, so that alternatives are ranges of bytes.

mod watch;

use anyhow::{Context, Result};
use lmic::progress::Progress;
use maud::{DOCTYPE, PreEscaped, html};
use serde::Serialize;

use crate::codec::open;
use crate::item::Format;
use crate::report::base64;
pub use watch::{Cost, Watch};

/// The bytes under one model.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    /// Bits of all bytes, a hundredth each.
    total: u64,
    /// Of each byte, in hundredths.
    bits: Vec<u32>,
    /// What was expected of each, as text.
    hints: Vec<String>,
}

/// A page that paints `bytes` by what they cost under each of the codecs.
///
/// # Errors
/// If a codec is none of ours, or there is none of its name.
pub fn page(name: &str, bytes: &[u8], codecs: &[String]) -> Result<String> {
    let views: Result<Vec<View>> = codecs.iter().map(|codec| view(codec, bytes)).collect();
    let views = views?;
    // No text of the file may end the script.
    let json = serde_json::to_string(&views)?.replace('<', "\\u003c");
    let script = format!(
        "const bytes = \"{}\", views = {json};\n{}",
        base64(bytes),
        include_str!("inspect.js")
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (name) }
                style { (PreEscaped(include_str!("inspect.css"))) }
            }
            body {
                h1 { (name) }
                p {
                    "Each byte painted by the bits that it costs: "
                    @for bits in [0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
                        span.scale data-bits=(bits) { (bits) }
                    }
                    ". Summed logarithms of the model's probabilities: estimates, without headers."
                }
                div #views {}
                pre #hint { "Point at a byte." }
                script { (PreEscaped(script)) }
            }
        }
    };
    Ok(page.into_string())
}

fn view(codec: &str, bytes: &[u8]) -> Result<View> {
    let opened = open(codec)?;
    let ours = opened.ours().with_context(|| {
        format!("{codec}: only lmic's own models say what they expect (cm, default, lmic:...)")
    })?;
    let mut watch = Watch::new(bytes.len());
    ours.options_told(Format::Bytes).walk(&mut watch, &mut bytes.to_vec(), &Progress::default())?;
    let costs = watch.costs();
    let hundredths = |bits: f64| (bits * 100.0).round() as u32;
    Ok(View {
        name: codec.to_owned(),
        total: (costs.iter().map(|cost| cost.bits).sum::<f64>() * 100.0).round() as u64,
        bits: costs.iter().map(|cost| hundredths(cost.bits)).collect(),
        hints: costs.iter().zip(bytes).map(|(cost, &byte)| cost.hint(byte)).collect(),
    })
}
