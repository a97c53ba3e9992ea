//! Plots as pictures, for documents.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::Figure;

/// A plot as SVG.
///
/// # Errors
/// If there is nothing to draw.
pub fn draw(figure: &Figure) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (760, 460)).into_drawing_area();
        area.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let points = || figure.series.iter().flat_map(|series| series.points.iter().copied());
        let (x_low, x_high) = range(points().map(|p| p.0)).ok_or_else(|| anyhow!("no points"))?;
        let (y_low, y_high) = range(points().map(|p| p.1)).ok_or_else(|| anyhow!("no points"))?;
        let mut builder = ChartBuilder::on(&area);
        builder
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .caption(&figure.title, ("sans-serif", 16));
        let x = (x_low..x_high).log_scale();
        // The two kinds of axes are two types.
        macro_rules! lines {
            ($chart:expr) => {{
                let mut chart = $chart.map_err(|e| anyhow!("{e}"))?;
                chart
                    .configure_mesh()
                    .x_desc(&figure.x)
                    .y_desc(&figure.y)
                    .light_line_style(WHITE)
                    .draw()
                    .map_err(|e| anyhow!("{e}"))?;
                for (i, series) in figure.series.iter().enumerate() {
                    let color = Palette99::pick(i).to_rgba();
                    let line =
                        LineSeries::new(series.points.iter().copied(), color.stroke_width(2))
                            .point_size(2);
                    chart
                        .draw_series(line)
                        .map_err(|e| anyhow!("{e}"))?
                        .label(&series.name)
                        .legend(move |(x, y)| {
                            PathElement::new(vec![(x, y), (x + 16, y)], color.stroke_width(2))
                        });
                }
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::UpperRight)
                    .background_style(WHITE.mix(0.8))
                    .draw()
                    .map_err(|e| anyhow!("{e}"))?;
            }};
        }
        if figure.log_y {
            lines!(builder.build_cartesian_2d(x, (y_low * 0.9..y_high * 1.1).log_scale()));
        } else {
            lines!(builder.build_cartesian_2d(x, 0.0..y_high * 1.05));
        }
        area.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(text)
}

/// Least and largest; apart, so that an axis has a length.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) =
        values.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    (low <= high).then_some((low, if low == high { low * 2.0 + 1.0 } else { high }))
}
