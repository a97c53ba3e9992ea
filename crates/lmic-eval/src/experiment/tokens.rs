//! Cells of Table 2: a vocabulary and a network of it, learned from one text, code another. `network:hidden=N` is learned
//! on the spot; `lmic:model=FOLDER/N-{x}` is a Llama trained before for the vocabulary `{x}`, and what counts is its archive.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::{Cell, Run};
use crate::codec::Spec;
use crate::record::Record;
use crate::tokens::{Network, Shape, Vocabulary, decode, encode};

/// What [`Run`] calls the text to learn from.
pub const TRAIN: &str = "\0train";

/// `network:hidden=64:context=12`.
fn shape(codec: &str, vocabulary: usize) -> Result<Shape> {
    let mut spec = Spec::parse(codec)?;
    if spec.family != "network" {
        bail!("{}: tokens are coded by `network:hidden=N`", spec.family);
    }
    let shape =
        Shape { vocabulary, hidden: spec.take("hidden", 64)?, context: spec.take("context", 12)? };
    spec.finish()?;
    ensure!((1..=4096).contains(&shape.hidden) && (1..=256).contains(&shape.context), "{codec}");
    Ok(shape)
}

/// A model trained before, for one vocabulary.
fn trained(codec: &str, x: usize) -> Option<String> {
    codec.contains("{x}").then(|| codec.replace("{x}", &x.to_string()))
}

/// What decides the bytes: also what is learned from.
pub fn version(codec: &str, x: usize, run: &Run<'_>) -> Result<String> {
    if let Some(codec) = trained(codec, x) {
        return Ok(crate::codec::open(&codec)?.version());
    }
    shape(codec, 256)?;
    let train = run.loaded.get(TRAIN).context("no text to learn from")?;
    Ok(format!("feed-forward 2, learned from {} bytes of {}", train.raw_bytes(), train.hash))
}

/// Learns, codes, decodes, compares.
pub fn measure(run: &Run<'_>, cell: &Cell) -> Result<Record> {
    if let Some(codec) = trained(&cell.codec, cell.x) {
        let record = super::rates::measure(run, &[&Cell { codec, ..cell.clone() }]).swap_remove(0);
        return record.map(|record| Record { codec: cell.codec.clone(), ..record });
    }
    let all = |name: &str| run.loaded[name].items.iter().flat_map(|i| i.bytes.iter().copied());
    let (train, test): (Vec<u8>, Vec<u8>) = (all(TRAIN).collect(), all(&cell.data).collect());
    let vocabulary = Vocabulary::learn(&train, cell.x)?;
    let shape = shape(&cell.codec, vocabulary.len())?;
    let network = Network::learn(shape, &vocabulary.encode(&train)?);
    let mut record = run.record(cell);
    let start = Instant::now();
    let tokens = vocabulary.encode(&test)?;
    let code = encode(&network, &tokens);
    let between = Instant::now();
    let restored = vocabulary.decode(&decode(&network, &code, tokens.len()));
    record.decode_seconds = between.elapsed().as_secs_f64();
    record.encode_seconds = (between - start).as_secs_f64();
    ensure!(restored == test, "the text is not restored");
    record.items = 1;
    record.coded_bytes = code.len() as u64;
    record.coded_bytes_header_once = record.coded_bytes;
    record.version = version(&cell.codec, cell.x, run)?;
    record.model_params = network.params();
    record.model_bytes = 4 * network.params() + vocabulary.byte_len();
    Ok(record)
}
