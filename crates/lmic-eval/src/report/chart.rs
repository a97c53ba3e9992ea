//! Lines and bars of the page, as SVG inside it: colours are those of its style, so they follow light, dark and what is marked.
//!
//! Everything is there without scripts, values as titles; a script only shows them sooner.

use maud::{Markup, html};

use super::html::{codec, value};
use super::{Figure, Good, Series, Table};

const WIDTH: f64 = 920.0;
/// Width of a character of labels, a little more than most have.
const CHARACTER: f64 = 7.0;

/// Lines, each with its name at its end.
pub fn lines(figure: &Figure) -> Option<Markup> {
    const HEIGHT: f64 = 430.0;
    const GAP: f64 = 15.0;
    let points = || figure.series.iter().flat_map(|series| series.points.iter().copied());
    let (x_low, x_high) = range(points().map(|p| p.0))?;
    let (y_low, y_high) = range(points().map(|p| p.1))?;
    let longest = figure.series.iter().map(|series| series.name.chars().count()).max()?;
    let (left, top, bottom) = (56.0, 26.0, HEIGHT - 44.0);
    let right = WIDTH - 34.0 - CHARACTER * longest as f64;
    let wide = (x_high / x_low).ln().max(1e-9);
    let x = |value: f64| left + (value / x_low).ln() / wide * (right - left);
    // What falls to a tenth and less is seen to the end only in decades.
    let log = figure.log_y || y_high > 10.0 * y_low;
    let ticks = if log { decades(y_low, y_high) } else { steps(y_high) };
    let (y_first, y_last) = (*ticks.first()?, *ticks.last()?);
    let y = |value: f64| {
        let part = match log {
            true => (value / y_first).ln() / (y_last / y_first).ln(),
            false => value / y_last,
        };
        bottom - part * (bottom - top)
    };
    // The names at the right, from top to bottom, as near to the ends of their lines as they fit.
    let mut ends: Vec<(usize, f64)> = figure
        .series
        .iter()
        .enumerate()
        .filter_map(|(i, series)| Some((i, y(series.points.last()?.1))))
        .collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut names = vec![0.0; figure.series.len()];
    let places = apart(ends.iter().map(|end| end.1).collect(), GAP, top, bottom);
    ends.iter().zip(places).for_each(|(end, place)| names[end.0] = place);

    let line = |(i, series): (usize, &Series)| {
        let place = |&(at, value): &(f64, f64)| format!("{},{}", short(x(at)), short(y(value)));
        let path: Vec<String> = series.points.iter().map(place).collect();
        let end = series.points.last().copied().unwrap_or_default();
        let (name, from, to) = (names[i], x(end.0) + 6.0, right + 18.0);
        html! {
            g class={ "series s" (i % 10) @if i >= 10 { " again" } } data-name=(series.name) {
                polyline points=(path.join(" ")) {}
                polyline.lead points={ (short(from)) "," (short(y(end.1))) " " (short(to - 8.0)) "," (short(name)) " " (short(to)) "," (short(name)) } {}
                text x=(short(to + 4.0)) y=(short(name + 4.0)) { (series.name) }
                @for point in &series.points {
                    circle cx=(short(x(point.0))) cy=(short(y(point.1))) r="3.2" data-x=(number(point.0)) data-y=(number(point.1)) {
                        title { (series.name) "\n" (number(point.0)) ": " (number(point.1)) }
                    }
                }
            }
        }
    };
    Some(html! {
        svg.lines viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(figure.title) {
            @for tick in &ticks {
                line.grid x1=(left) x2=(short(right)) y1=(short(y(*tick))) y2=(short(y(*tick))) {}
                text.end x=(left - 8.0) y=(short(y(*tick) + 4.0)) { (number(*tick)) }
            }
            @for tick in x_ticks(points().map(|p| p.0).collect(), x) {
                line.grid x1=(short(x(tick))) x2=(short(x(tick))) y1=(top) y2=(bottom) {}
                text.middle x=(short(x(tick))) y=(bottom + 17.0) { (number(tick)) }
            }
            text.axis x=(left) y=(top - 12.0) { (figure.y) @if log { ", logarithmic" } }
            text.axis.end x=(short(right)) y=(bottom + 37.0) { (figure.x) " \u{2192}" }
            @for series in figure.series.iter().enumerate() { (line(series)) }
        }
    })
}

/// A row of bars for each row of a table, in a panel for each of its columns where something is better; at most nine.
pub fn bars(table: &Table) -> Option<Markup> {
    const ROW: f64 = 21.0;
    const LINE: f64 = 14.0;
    let rows = &table.rows[..table.rows.len() - usize::from(table.foot)];
    let measured = |at: usize| rows.iter().any(|row| value(&row[at]).is_some());
    let good = |at: usize| table.good.get(at).copied().unwrap_or_default();
    let wanted = |&at: &usize| good(at) != Good::Neither && measured(at);
    let columns: Vec<usize> = (1..table.head.len()).filter(wanted).take(9).collect();
    if columns.is_empty() || rows.len() < 2 {
        return None;
    }
    let of = |at: usize| rows.iter().filter_map(move |row| value(&row[at]));
    let all: Vec<f64> = columns.iter().flat_map(|&at| of(at)).collect();
    let (low, high) = range(all.iter().copied())?;
    if table.across && high > 30.0 * low.max(1e-9) {
        return None;
    }
    let longest = rows.iter().map(|row| row[0].chars().count()).max()? as f64;
    let label = (CHARACTER * longest + 14.0).clamp(60.0, 250.0);
    let most = ((label - 12.0) / CHARACTER) as usize;
    let panel = ((WIDTH - label) / columns.len() as f64).min(260.0);
    let digits = |row: &Vec<String>, at: usize| first(&row[at]).chars().count();
    let digits =
        rows.iter().flat_map(|row| columns.iter().map(move |&at| digits(row, at))).max()?;
    let told = CHARACTER * digits as f64 + 12.0;
    let tells = panel >= told + 20.0;
    let room = panel - if tells { told } else { 12.0 };
    let heads: Vec<Vec<String>> = columns
        .iter()
        .map(|&at| wrap(&table.head[at], ((panel - 8.0) / CHARACTER) as usize))
        .collect();
    let mixed = columns.iter().any(|&at| good(at) != good(columns[0]));
    let lines = heads.iter().map(Vec::len).max()? + usize::from(mixed);
    let top = LINE * lines as f64 + 8.0;
    let height = top + ROW * rows.len() as f64 + 4.0;
    // What is far out does not make all others small: its bar ends open.
    let ends: Vec<f64> = columns
        .iter()
        .map(|&at| {
            if table.across {
                return high;
            }
            let mut values: Vec<f64> = of(at).collect();
            values.sort_by(f64::total_cmp);
            let most = values.last().copied().unwrap_or(1.0);
            let middle = values.get(values.len() / 2).copied().unwrap_or(1.0);
            if good(at) == Good::Less { most.min(2.5 * middle) } else { most }
        })
        .collect();
    let bar = |i: usize, row: &[String]| {
        let at = columns[i];
        let left = label + panel * i as f64;
        let told = value(&row[at]);
        let wide = told.map_or(0.0, |v| (v / ends[i].max(1e-9)).clamp(0.0, 1.0) * room);
        let open = told.is_some_and(|v| v > ends[i] * 1.0001);
        let cell = row[at].replace("**", "");
        let paper = cell.split_once('(').and_then(|(_, told)| value(told));
        // What is beyond the scale only the table says.
        let paper = paper.filter(|&v| v <= ends[i]).map(|v| left + v / ends[i].max(1e-9) * room);
        html! {
            @if told.is_some() {
                rect.bar.open[open].ours[table.across && codec(&table.head[at])] data-name=[table.across.then_some(&table.head[at])] x=(short(left)) y="4" width=(short(wide.max(1.0))) height=(ROW - 7.0) rx="2" {
                    @if !tells || cell != first(&cell) { title { (row[0]) "\n" (table.head[at]) ": " (cell) } }
                }
                @if tells { text.value.best[table.is_best(at, row)] x=(short(paper.map_or(left + wide, |at| at.max(left + wide)) + 5.0)) y="15" { (first(&cell)) } }
                @if let Some(at) = paper { line.paper x1=(short(at)) x2=(short(at)) y1="1.5" y2=(ROW - 1.5) {} }
            } @else if tells { text.value x=(short(left)) y="15" { "\u{2013}" } }
        }
    };
    Some(html! {
        svg.bars viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(table.caption) {
            @for (i, head) in heads.iter().enumerate() {
                g.head.ours[codec(&table.head[columns[i]]) && table.across] data-name=(table.head[columns[i]]) {
                    @for (k, line) in head.iter().enumerate() {
                        text x=(short(label + panel * i as f64)) y=(LINE * (k + 1) as f64 - 2.0) { (line) }
                    }
                    @if mixed {
                        text.better x=(short(label + panel * i as f64)) y=(LINE * (head.len() + 1) as f64 - 2.0) {
                            @if good(columns[i]) == Good::More { "more is better" } @else { "less is better" }
                        }
                    }
                }
                line.grid x1=(short(label + panel * i as f64)) x2=(short(label + panel * i as f64)) y1=(top - 2.0) y2=(height - 2.0) {}
            }
            @for (k, row) in rows.iter().enumerate() {
                g.row.ours[table.ours(row)] data-name=(row[0]) transform={ "translate(0 " (short(top + ROW * k as f64)) ")" } {
                    rect.back x="0" y="0.5" width=(WIDTH) height=(ROW - 1.0) rx="3" {}
                    text.label x="6" y="15" { (cut(&row[0], most)) }
                    @if row[0].chars().count() > most { title { (row[0]) } }
                    @for i in 0..columns.len() { (bar(i, row)) }
                }
            }
        }
    })
}

/// The first word of a cell: its number, without the paper's.
fn first(cell: &str) -> &str {
    cell.trim_matches('*').split(' ').next().unwrap_or_default().trim_matches('*')
}

/// What bars of a table say, in words.
pub fn key(table: &Table) -> String {
    let has = |good: Good| table.good.contains(&good);
    let mut text = match (has(Good::Less), has(Good::More)) {
        (true, true) => "Each column has its own scale.",
        (true, false) if table.across => "Shorter is better.",
        (true, false) => "Shorter is better; each column has its own scale.",
        _ => "Longer is better.",
    }
    .to_owned();
    if table.rows.iter().flatten().skip(1).any(|cell| cell.ends_with(')') && value(cell).is_some())
    {
        text += " Upright marks are the paper's figures.";
    }
    text
}

/// Least and largest of what is above zero.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values = values.filter(|&v| v > 0.0);
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

/// Round steps from zero to above `high`.
fn steps(high: f64) -> Vec<f64> {
    let power = 10f64.powf((high / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    let step = step.into_iter().find(|s| high / s <= 6.0).unwrap_or(10.0 * power);
    (0..=(high / step).ceil() as u32).map(|i| f64::from(i) * step).collect()
}

/// 1, 2 and 5 times powers of ten, around a range.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all: Vec<f64> =
        powers.flat_map(|p| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(p))).collect();
    let first = all.iter().rposition(|&v| v <= low).unwrap_or(0);
    let last = all.iter().position(|&v| v >= high).unwrap_or(all.len() - 1);
    all[first..=last.max(first + 1).min(all.len() - 1)].to_vec()
}

/// Those of the values that have room for their names.
fn x_ticks(mut values: Vec<f64>, x: impl Fn(f64) -> f64) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let mut ticks: Vec<f64> = Vec::new();
    for value in values {
        if ticks.last().is_none_or(|&last| x(value) - x(last) > 58.0) {
            ticks.push(value);
        }
    }
    ticks
}

/// Moves sorted places so that each is `gap` below the one above and all are between `top` and `bottom`, if they can be.
fn apart(mut places: Vec<f64>, gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut least = top;
    for place in &mut places {
        *place = place.max(least);
        least = *place + gap;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - gap;
    }
    places
}

/// A number as axes have it.
fn number(value: f64) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.*}", if value < 1.0 { 4 } else { 2 });
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    };
    match value {
        v if v >= 1024.0 && v.log2().fract() == 0.0 => match v.log2() {
            power if power >= 20.0 => format!("{} Mi", v / 1_048_576.0),
            _ => format!("{} Ki", v / 1024.0),
        },
        v if v >= 1e6 => format!("{} M", plain(v / 1e6)),
        v if v >= 1e4 => format!("{} K", plain(v / 1e3)),
        v => plain(v),
    }
}

/// A place with as many digits as a screen can show.
fn short(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.max(2) - 1).chain(['\u{2026}']).collect(),
        false => text.to_owned(),
    }
}

/// Lines of at most so many characters, four at most.
fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(cut(word, most)),
        }
    }
    lines.truncate(4);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_do_not_cover_each_other() {
        let places = apart(vec![10.0, 11.0, 12.0, 95.0, 99.0], 15.0, 0.0, 100.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 15.0), "{places:?}");
        assert!(places.iter().all(|place| (0.0..=100.0).contains(place)), "{places:?}");
    }

    #[test]
    fn axes_hold_their_values() {
        assert_eq!(steps(48.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(decades(15.0, 700.0), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(
            [16.0, 2048.0, 21_234.0, 3_200_000.0].map(number),
            ["16", "2 Ki", "21.23 K", "3.2 M"]
        );
    }
}
