//! Figures of a run: `metrics.csv`, the same as `metrics.jsonl`, and `curve.svg`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;
use serde::Serialize;

use crate::replace::replace;

const HEADER: &str = "step,bytes,seconds,lr,train_bpb,val_bpb,grad_norm";

/// One line of the metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Steps done.
    pub step: u64,
    /// Bytes trained on.
    pub bytes: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Bits per byte of the windows trained on since the line before, each before its step.
    pub train_bpb: f64,
    /// Bits per byte of the validation after this step, if there was one.
    pub val_bpb: Option<f64>,
    /// Norm of the last gradients before clipping.
    pub grad_norm: f64,
}

/// The metrics of one run on disk.
pub struct Metrics {
    rows: Vec<Row>,
    csv: File,
    json: File,
    folder: std::path::PathBuf,
}

impl Metrics {
    /// Opens the metrics of a run that has reached `step`; lines after it, from before a kill, are dropped.
    ///
    /// # Errors
    /// Of the file system; a damaged line of the CSV.
    pub fn open(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join("metrics.csv");
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        let mut rows = Vec::new();
        for line in text.split_inclusive('\n').skip(1) {
            // A kill can cut the last line off.
            let Some(line) = line.strip_suffix('\n') else { break };
            let row = Row::from_csv(line).with_context(|| format!("{}: {line}", path.display()))?;
            if row.step <= step {
                rows.push(row);
            }
        }
        let csv = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        let json = File::create(folder.join("metrics.jsonl"))?;
        let mut metrics = Self { rows: Vec::new(), csv, json, folder: folder.into() };
        writeln!(metrics.csv, "{HEADER}")?;
        rows.into_iter().try_for_each(|row| metrics.add(row))?;
        Ok(metrics)
    }

    /// Appends a line to both files.
    ///
    /// # Errors
    /// Of the file system.
    pub fn add(&mut self, row: Row) -> Result<()> {
        writeln!(self.csv, "{}", row.to_csv())?;
        writeln!(self.json, "{}", serde_json::to_string(&row)?)?;
        self.rows.push(row);
        Ok(())
    }

    /// All lines so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Draws the curves of training and validation over the bytes trained on.
    ///
    /// # Errors
    /// Of the file system.
    pub fn draw(&self, title: &str) -> Result<()> {
        let svg =
            curve(&self.rows, title).map_err(|e| anyhow::anyhow!("drawing the curve: {e}"))?;
        replace(&self.folder.join("curve.svg"), svg.as_bytes())
    }
}

impl Row {
    /// Numbers are written so that they read back the same.
    fn to_csv(&self) -> String {
        let Self { step, bytes, seconds, lr, train_bpb, val_bpb, grad_norm } = self;
        let validation = val_bpb.map(|v| v.to_string()).unwrap_or_default();
        format!("{step},{bytes},{seconds},{lr},{train_bpb},{validation},{grad_norm}")
    }

    fn from_csv(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [step, bytes, seconds, lr, train_bpb, val_bpb, grad_norm] = fields[..] else {
            anyhow::bail!("{} fields, expected 7", fields.len());
        };
        Ok(Self {
            step: step.parse()?,
            bytes: bytes.parse()?,
            seconds: seconds.parse()?,
            lr: lr.parse()?,
            train_bpb: train_bpb.parse()?,
            val_bpb: if val_bpb.is_empty() { None } else { Some(val_bpb.parse()?) },
            grad_norm: grad_norm.parse()?,
        })
    }
}

fn curve(rows: &[Row], title: &str) -> Result<String, Box<dyn std::error::Error>> {
    const MEGA: f64 = 1e6;
    let train: Vec<(f64, f64)> =
        rows.iter().map(|r| (r.bytes as f64 / MEGA, r.train_bpb)).collect();
    let validation: Vec<(f64, f64)> =
        rows.iter().filter_map(|r| Some((r.bytes as f64 / MEGA, r.val_bpb?))).collect();
    let losses = || train.iter().chain(&validation).map(|p| p.1);
    let end = train.last().map_or(1.0, |p| p.0);
    let (low, high) = (losses().fold(f64::MAX, f64::min), losses().fold(f64::MIN, f64::max));

    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (800, 480)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..end, low - 0.05..high + 0.05)?;
        chart.configure_mesh().x_desc("MB trained on").y_desc("bits per byte").draw()?;
        for (points, color, name) in [(train, &BLUE, "training"), (validation, &RED, "validation")]
        {
            chart
                .draw_series(LineSeries::new(points, color))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopened_metrics_drop_what_a_checkpoint_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let row = |step, val_bpb| Row {
            step,
            bytes: step * 10,
            seconds: 0.1,
            lr: 1e-3,
            train_bpb: 1.0 / 3.0,
            val_bpb,
            grad_norm: 2.5,
        };
        let mut metrics = Metrics::open(dir.path(), 0).unwrap();
        for step in 1..=3 {
            metrics.add(row(step, (step == 2).then_some(0.7))).unwrap();
        }
        metrics.draw("t").unwrap();
        let path = dir.path().join("metrics.csv");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap(); // cut within the last line
        let metrics = Metrics::open(dir.path(), 2).unwrap();
        assert_eq!(metrics.rows(), [row(1, None), row(2, Some(0.7))]);
        assert!(fs::read_to_string(dir.path().join("curve.svg")).unwrap().contains("</svg>"));
    }
}
