//! Size against speed on one plot: what each codec makes of a text, and how fast it does that and undoes it.
//!
//! Each codec is a dumbbell from encoding (filled) to decoding (hollow), on an axis of speed that is logarithmic; ours are joined by a
//! line. Labels try places around their marks until nothing is below them. Colours are of the viewer's scheme, and the picture has its
//! own ground, so that it can be read where the page's scheme is another.

use std::fmt::Write;

use super::sections::{View, label};
use crate::record::Record;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
/// Left, top, right and bottom of the plot itself.
const FRAME: [f64; 4] = [64.0, 62.0, 836.0, 424.0];
const RADIUS: f64 = 5.0;
/// Of labels: height, and width of a character, a little more than most have.
const TEXT: [f64; 2] = [13.0, 7.2];

const STYLE: &str = "
.ground { fill: #ffffff; stroke: #d8dee4 }
text { font: 12.5px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; fill: #57606a }
.title { font-size: 16px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #e7ebef }
.ours text, text.ours { fill: #b83a06; font-weight: 600 }
.ours line, .ours polyline { stroke: #e8590c }
.ours .full { fill: #e8590c; stroke: #e8590c }
.ours .open { fill: #ffffff; stroke: #e8590c }
.theirs text { fill: #424a53 }
.theirs line { stroke: #8c959f }
.theirs .full { fill: #6e7781; stroke: #6e7781 }
.theirs .open { fill: #ffffff; stroke: #6e7781 }
polyline { fill: none; stroke-width: 2; stroke-opacity: 0.35 }
circle { stroke-width: 1.8 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; stroke: #30363d }
text { fill: #9198a1 }
.title { fill: #f0f6fc }
.grid { stroke: #21262d }
.ours text, text.ours { fill: #ffa657 }
.ours line, .ours polyline { stroke: #f0883e }
.ours .full { fill: #f0883e; stroke: #f0883e }
.ours .open { fill: #0d1117; stroke: #f0883e }
.theirs text { fill: #c9d1d9 }
.theirs line { stroke: #6e7681 }
.theirs .full { fill: #9ea7b3; stroke: #9ea7b3 }
.theirs .open { fill: #0d1117; stroke: #9ea7b3 }
}";

/// A codec on the plot.
struct Mark {
    name: String,
    ours: bool,
    y: f64,
    /// Of encoding and decoding.
    x: [f64; 2],
}

/// The name of the file without suffix, and the drawing, if the experiment asks for one.
pub fn drawing(view: &View<'_>) -> Option<(String, String)> {
    let data = view.experiment.drawing.as_ref()?;
    let records: Vec<&Record> = view.records.iter().filter(|r| r.data == *data).collect();
    let speed =
        |r: &Record, cpu: Option<f64>| Some(r.raw_bytes as f64 / 1e6 / cpu.filter(|&s| s > 0.0)?);
    let names = view.names();
    let point = |at: usize| {
        let name = &names[at];
        let r = records.iter().find(|r| r.codec == *name)?;
        let speeds = [speed(r, r.encode_cpu_seconds)?, speed(r, r.decode_cpu_seconds)?];
        Some((name, r.coded_bytes as f64 / r.raw_bytes as f64, speeds))
    };
    let points: Vec<_> = (0..names.len()).filter_map(point).collect();
    let speeds = || points.iter().flat_map(|(_, _, speeds)| *speeds);
    let (slow, fast) = (speeds().reduce(f64::min)?, speeds().reduce(f64::max)?);
    let sizes = || points.iter().map(|&(_, size, _)| size);
    let (small, large) = (sizes().reduce(f64::min)?, sizes().reduce(f64::max)?);
    // Whole steps around all marks, with room for labels.
    let [x_low, x_high] = [(slow * 0.72).log10(), (fast * 1.6).log10()];
    let [y_low, y_high] = [(small / 0.02 - 0.3).floor() * 0.02, (large / 0.02 + 0.5).ceil() * 0.02];
    let x =
        |speed: f64| FRAME[0] + (speed.log10() - x_low) / (x_high - x_low) * (FRAME[2] - FRAME[0]);
    let y = |size: f64| FRAME[3] - (size - y_low) / (y_high - y_low) * (FRAME[3] - FRAME[1]);

    let mut svg = String::new();
    let title = format!("{}: size against speed", view.title(data));
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}\n</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0
    );
    grid(&mut svg, [x_low, x_high], [y_low, y_high], x, y);
    let _ = writeln!(svg, "<text class=\"title\" x=\"{}\" y=\"32\">{title}</text>", FRAME[0]);
    legend(&mut svg);
    let marks: Vec<Mark> = points
        .iter()
        .map(|&(name, size, speeds)| Mark {
            name: label(name),
            ours: name.starts_with("lmic"),
            y: y(size),
            x: speeds.map(x),
        })
        .collect();
    draw(&mut svg, &marks);
    svg += "</svg>\n";
    Some((DRAWING.to_owned(), svg))
}

/// What the file of the drawing is called.
const DRAWING: &str = "size-speed";

fn grid(
    svg: &mut String,
    [x_low, x_high]: [f64; 2],
    [y_low, y_high]: [f64; 2],
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) {
    let [left, top, right, bottom] = FRAME;
    for power in x_low.floor() as i32..=x_high.ceil() as i32 {
        for step in [1.0, 2.0, 5.0] {
            let speed = step * 10f64.powi(power);
            if !(x_low..=x_high).contains(&speed.log10()) {
                continue;
            }
            let at = x(speed);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{speed}</text>",
                bottom + 18.0
            );
        }
    }
    let steps = ((y_high - y_low) / 0.02).round() as usize;
    for step in 0..=steps {
        let size = y_low + 0.02 * step as f64;
        let at = y(size);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{size:.2}</text>",
            left - 8.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">MB a CPU second, faster to the right</text>",
        bottom + 40.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{}\">coded / raw, smaller is lower</text>",
        top - 10.0
    );
}

fn legend(svg: &mut String) {
    let (x, y) = (FRAME[2] - 176.0, FRAME[1] - 14.0);
    let _ = writeln!(
        svg,
        "<g class=\"theirs\"><circle class=\"full\" cx=\"{}\" cy=\"{y}\" r=\"{RADIUS}\"/><text x=\"{}\" y=\"{}\">encoding</text>\
         <circle class=\"open\" cx=\"{}\" cy=\"{y}\" r=\"{RADIUS}\"/><text x=\"{}\" y=\"{}\">decoding</text></g>",
        x,
        x + 11.0,
        y + 4.0,
        x + 96.0,
        x + 107.0,
        y + 4.0
    );
}

fn draw(svg: &mut String, marks: &[Mark]) {
    let line: Vec<String> =
        ours_in_turn(marks).iter().map(|m| format!("{:.1},{:.1}", m.x[0], m.y)).collect();
    let _ = writeln!(svg, "<g class=\"ours\"><polyline points=\"{}\"/></g>", line.join(" "));
    let places = labels(marks);
    for (mark, [left, top, right, _]) in marks.iter().zip(places) {
        // Characters are narrower and wider than guessed: what stands to the left ends at its mark.
        let ends = right <= mark.x[0].min(mark.x[1]);
        let (at, anchor) = if ends { (right, " text-anchor=\"end\"") } else { (left, "") };
        let [encode, decode] = mark.x;
        let y = mark.y;
        let class = if mark.ours { "ours" } else { "theirs" };
        // Hollow marks are larger, so that both are seen where they are one.
        let _ = writeln!(
            svg,
            "<g class=\"{class}\"><line x1=\"{encode:.1}\" y1=\"{y:.1}\" x2=\"{decode:.1}\" y2=\"{y:.1}\"/>\
             <circle class=\"open\" cx=\"{decode:.1}\" cy=\"{y:.1}\" r=\"{}\"/><circle class=\"full\" cx=\"{encode:.1}\" cy=\"{y:.1}\" r=\"{}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\"{anchor}>{}</text></g>",
            RADIUS + 1.0,
            RADIUS - 1.0,
            top + TEXT[0] - 2.5,
            mark.name
        );
    }
}

/// Ours from slow to fast.
fn ours_in_turn(marks: &[Mark]) -> Vec<&Mark> {
    let mut ours: Vec<&Mark> = marks.iter().filter(|mark| mark.ours).collect();
    ours.sort_by(|a, b| a.x[0].total_cmp(&b.x[0]));
    ours
}

/// Small places along the line from one mark to another.
fn along(from: &Mark, to: &Mark) -> impl Iterator<Item = Rect> {
    let [(x0, y0), (x1, y1)] = [(from.x[0], from.y), (to.x[0], to.y)];
    (0..=40).map(move |i| {
        let part = f64::from(i) / 40.0;
        let (x, y) = (x0 + part * (x1 - x0), y0 + part * (y1 - y0));
        [x - 1.0, y - 1.0, x + 1.0, y + 1.0]
    })
}

/// Left, top, right, bottom.
type Rect = [f64; 4];

fn cross(a: &Rect, b: &Rect) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Where each label goes: the first place around its marks where it covers nothing, else the one that covers least.
fn labels(marks: &[Mark]) -> Vec<Rect> {
    let around = RADIUS + 2.0;
    let bars = marks.iter().map(|mark| {
        let [a, b] = mark.x;
        [a.min(b) - around, mark.y - around, a.max(b) + around, mark.y + around]
    });
    let mut taken: Vec<Rect> = bars.collect();
    taken.extend(ours_in_turn(marks).windows(2).flat_map(|pair| along(pair[0], pair[1])));
    let mut places = Vec::new();
    for mark in marks {
        let (width, height) = (TEXT[1] * mark.name.chars().count() as f64, TEXT[0] + 1.0);
        let (low, high) = (mark.x[0].min(mark.x[1]), mark.x[0].max(mark.x[1]));
        let mut candidates = vec![
            [low - around - width - 3.0, mark.y - height / 2.0],
            [high + around + 3.0, mark.y - height / 2.0],
        ];
        for dy in [-around - height, around, -around - 1.6 * height, around + 0.6 * height] {
            let middle = (low + high - width) / 2.0;
            candidates
                .extend([middle, low - around, high - width + around].map(|x| [x, mark.y + dy]));
            candidates.extend([low - width, high].map(|x| [x, mark.y + dy]));
        }
        let rect = |[x, y]: [f64; 2]| [x, y, x + width, y + height];
        let covered = |place: &[f64; 2]| {
            let r = rect(*place);
            let inside = r[0] > FRAME[0] && r[2] < FRAME[2] && r[1] > FRAME[1] && r[3] < FRAME[3];
            taken.iter().filter(|other| cross(&r, other)).count() + usize::from(!inside) * 10
        };
        let best = candidates.iter().copied().min_by_key(covered).unwrap_or([low, mark.y]);
        taken.push(rect(best));
        places.push(rect(best));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cover_neither_marks_nor_each_other() {
        let mark = |name: &str, y, x| Mark { name: name.into(), ours: true, y, x };
        let marks = [
            mark("one", 100.0, [200.0, 210.0]),
            mark("another", 104.0, [215.0, 400.0]),
            mark("a third", 112.0, [230.0, 236.0]),
            mark("the last one", 130.0, [225.0, 500.0]),
        ];
        let rects = labels(&marks);
        for (i, a) in rects.iter().enumerate() {
            assert!(!rects[i + 1..].iter().any(|b| cross(a, b)), "{i}");
            for mark in &marks {
                let [from, to] = mark.x;
                let bar = [from - RADIUS, mark.y - RADIUS, to + RADIUS, mark.y + RADIUS];
                assert!(!cross(a, &bar), "{i} over {}", mark.name);
            }
        }
    }
}
