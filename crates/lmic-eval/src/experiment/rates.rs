//! Cells in which a codec codes items, each alone.

use anyhow::{Context, Result, ensure};

use super::{Cell, Run};
use crate::codec::{Codec, ModelSize, header_len};
use crate::item::{Item, Told};
use crate::record::{Cost, Record};

/// A codec at work on its items.
struct Work<'a> {
    codec: Box<dyn Codec>,
    items: Vec<&'a Item>,
    record: Record,
    costs: Vec<[Cost; 2]>,
}

/// Codes the items of each cell, decodes and compares: all cells once, then all again, as often as the experiment says.
pub fn measure(run: &Run<'_>, cells: &[&Cell]) -> Vec<Result<Record>> {
    let items: Vec<_> = cells.iter().map(|cell| run.items(cell)).collect();
    let begun = cells.iter().zip(&items).map(|(cell, items)| {
        let items = items.iter().map(AsRef::as_ref).collect();
        Work::begin(run, cell, items)
    });
    let mut works: Vec<Result<Work<'_>>> = begun.collect();
    let runs = run.experiment.runs;
    // One run to warm up, if there are several.
    for number in 0..runs + usize::from(runs > 1) {
        for work in &mut works {
            let Ok(at_work) = work else { continue };
            if let Err(error) = at_work.once(number == 0) {
                *work = Err(error);
            }
        }
    }
    works.into_iter().map(|work| work?.end(run)).collect()
}

impl<'a> Work<'a> {
    fn begin(run: &Run<'_>, cell: &Cell, items: Vec<&'a Item>) -> Result<Self> {
        let mut codec = run.open(&cell.codec)?;
        let mut record = run.record(cell);
        if let Some(train) = &run.loaded[&cell.data].train
            && let Some(learned) = codec.learn(train).context("learning")?
        {
            record.learned_bytes = Some(learned.bytes);
            record.learn_cpu_seconds = learned.cost.cpu.filter(|_| run.jobs == 1);
        }
        record.items = items.len() as u64;
        record.raw_bytes = items.iter().map(|item| item.bytes.len() as u64).sum();
        Ok(Self { codec, items, record, costs: Vec::new() })
    }

    /// `first` asks for the memory that it takes.
    fn once(&mut self, first: bool) -> Result<()> {
        let told: Vec<Told> = self.items.iter().map(|item| item.told()).collect();
        let (coded, encoding) = self.codec.encode_all(&self.items, first).context("encoding")?;
        let (back, decoding) = self.codec.decode_all(&coded, &told, first).context("decoding")?;
        for (item, back) in self.items.iter().zip(&back) {
            ensure!(*back == item.bytes, "an item of {} bytes is not restored", item.bytes.len());
        }
        self.record.coded_bytes = coded.iter().map(|code| code.len() as u64).sum();
        self.costs.push([encoding, decoding]);
        Ok(())
    }

    fn end(self, run: &Run<'_>) -> Result<Record> {
        let Self { codec, items, mut record, mut costs } = self;
        let peaks = costs[0].map(|cost| cost.peak);
        if costs.len() > 1 {
            costs.remove(0);
        }
        if run.jobs > 1 {
            // Times of cells that ran side by side cannot be told apart.
            costs.iter_mut().flatten().for_each(|cost| cost.cpu = None);
        }
        record.set_costs(&costs);
        [record.encode_peak_bytes, record.decode_peak_bytes] = peaks;
        let again = record.items - 1;
        let header = if again > 0 { header_len(&*codec, items[0].format)? } else { 0 };
        record.coded_bytes_header_once = record.coded_bytes.saturating_sub(header * again);
        let mut largest = ModelSize::default();
        for item in items {
            let model = codec.model(item.format)?;
            if model.bytes > largest.bytes {
                largest = model;
            }
        }
        (record.model_bytes, record.model_params) = (largest.bytes, largest.params);
        record.version = codec.version();
        Ok(record)
    }
}
