//! Cells in which a codec codes items, each alone.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{Cell, Run};
use crate::codec::{self, header_len};
use crate::item::Item;
use crate::record::Record;

/// Codes every item, or so many first bytes of each, decodes and compares.
pub fn measure(run: &Run<'_>, cell: &Cell, prefix: Option<usize>) -> Result<Record> {
    let codec = codec::open(&cell.codec)?;
    let data = &run.loaded[&cell.data];
    let mut record = run.record(cell);
    (record.items, record.raw_bytes) = (0, 0);
    let mut largest = codec::ModelSize::default();
    for item in &data.items {
        let shortened = prefix.map(|len| item.prefix(len));
        let item: &Item = shortened.as_ref().unwrap_or(item);
        // Shorter items do not reach the point that is measured.
        if prefix.is_some_and(|len| item.bytes.len() < len) {
            continue;
        }
        let start = Instant::now();
        let coded = codec.encode(item).context("encoding")?;
        let between = Instant::now();
        let restored = codec.decode(&coded, item.told()).context("decoding")?;
        record.decode_seconds += between.elapsed().as_secs_f64();
        record.encode_seconds += (between - start).as_secs_f64();
        ensure!(restored == item.bytes, "an item of {} bytes is not restored", item.bytes.len());
        record.items += 1;
        record.raw_bytes += item.bytes.len() as u64;
        record.coded_bytes += coded.len() as u64;
        let model = codec.model(item.format)?;
        if model.bytes > largest.bytes {
            largest = model;
        }
    }
    ensure!(record.items > 0, "no item has {} bytes", prefix.unwrap_or(0));
    let header = header_len(&*codec, data.items[0].format)?;
    record.coded_bytes_header_once = record.coded_bytes.saturating_sub(header * (record.items - 1));
    record.version = codec.version();
    (record.model_bytes, record.model_params) = (largest.bytes, largest.params);
    // Microseconds are enough, and keep the file readable.
    for seconds in [&mut record.encode_seconds, &mut record.decode_seconds] {
        *seconds = (*seconds * 1e6).round() / 1e6;
    }
    Ok(record)
}
