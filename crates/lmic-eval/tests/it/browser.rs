//! Pages are looked at in a browser without a window: its picture must show what scripts have painted.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{done, project};

/// Chromium by the names that it goes by, or `None` and a word about it.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let mut places = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        println!("skipped: no Chromium on the path");
    }
    found
}

fn open(browser: &Path, page: &Path, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--window-size=1200,1000",
            "--virtual-time-budget=10000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many colours, of so many levels a channel, cover at least a ten-thousandth of the picture.
fn colours(picture: &Path) -> usize {
    let image = image::open(picture).unwrap().into_rgb8();
    let mut counts = std::collections::HashMap::new();
    image.pixels().for_each(|pixel| *counts.entry(pixel.0.map(|v| v / 32)).or_insert(0u32) += 1);
    let least = image.width() * image.height() / 10_000;
    counts.values().filter(|&&count| count >= least).count()
}

#[test]
fn costs_of_bytes_are_painted_and_explained() {
    let Some(browser) = browser() else { return };
    let project = project();
    let folder = project.path();
    let text = "</script>to be, or not to be: \u{e9}t\u{e9}, that is the question.\n\0\u{1F600}";
    std::fs::write(folder.join("notes.txt"), text).unwrap();
    done(folder, &["inspect", "--html", "cost.html", "--by", "cm", "--by", "default", "notes.txt"]);
    let page = folder.join("cost.html");
    let dom = open(&browser, &page, &["--dump-dom"]);
    assert!(dom.contains("data-ready=\"yes\""));
    // A span a byte in both panes.
    assert_eq!(dom.matches("data-at=").count(), 2 * text.len());
    assert!(dom.contains("bits per byte") && dom.contains("\u{1F600}"));
    let picture = folder.join("cost.png");
    open(&browser, &page, &[&format!("--screenshot={}", picture.display())]);
    assert!(colours(&picture) >= 6, "{}", colours(&picture));
}

/// A page of experiments on generated data.
fn report(folder: &Path) -> PathBuf {
    done(folder, &["run"]);
    done(folder, &["report", "--html", "report.html"]);
    folder.join("report.html")
}

/// What a script at the end of the page says, a line a call of `say`; the console must stay empty.
fn told(browser: &Path, page: &Path, script: &str) -> Vec<String> {
    let copy = page.with_file_name("told.html");
    let source = std::fs::read_to_string(page).unwrap();
    let script = format!(
        "<pre id=told></pre><script>{{ const say = (text) => document.getElementById('told').append(`${{text}}\n`);\n{script} }}</script></body>"
    );
    std::fs::write(&copy, source.replace("</body>", &script)).unwrap();
    let dom = open(browser, &copy, &["--dump-dom"]);
    let (_, said) = dom.split_once("<pre id=\"told\">").expect("the script says something");
    said.split("</pre>").next().unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_report_is_one_page_that_asks_for_nothing() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    let source = std::fs::read_to_string(&page).unwrap();
    assert!(!source.contains("<script src=") && !source.contains("<link"));
    assert!(
        !source.contains("http://") && !source.contains("https://") && !source.contains("url(")
    );
    assert!(source.len() < 200_000, "{}", source.len());
    let said = told(
        &browser,
        &page,
        "say(document.body.dataset.ready); say(performance.getEntriesByType('resource').length);",
    );
    assert_eq!(said, ["yes", "0"]);
    assert!(
        source.contains("<polyline") && source.contains("svg class=\"bars\""),
        "nothing is drawn"
    );
    let picture = project.path().join("report.png");
    open(&browser, &page, &[&format!("--screenshot={}", picture.display())]);
    assert!(colours(&picture) >= 4, "{}", colours(&picture));
}

#[test]
fn tabs_of_the_report_show_one_table_and_are_remembered() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    let script = "
        const shown = () => [...document.querySelectorAll('#rates .panel, #rates .bars-of')].filter((part) => part.offsetHeight > 0);
        const tabs = [...document.querySelectorAll('#rates [role=tab]')];
        say(tabs.map((tab) => tab.textContent).join());
        const told = () => say(shown().map((part) => `${part.tagName} ${part.dataset.tab}`).join());
        told();
        tabs[1].click();
        told();
        tabs[1].focus();
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true }));
        told();
        say(tabs.map((tab) => tab.getAttribute('aria-selected')).join());
        say(localStorage.getItem('lmic-tab'));";
    let said = told(&browser, &page, script);
    let names: Vec<&str> = said[0].split(',').collect();
    let last = names.len() - 1;
    assert_eq!(names[0], "raw rate");
    assert!(last >= 2, "{names:?}");
    assert_eq!(said[1..3], ["FIGURE 0,DIV 0", "FIGURE 1,DIV 1"]);
    assert_eq!(said[3], format!("FIGURE {last},DIV {last}"));
    assert_eq!(said[4], format!("{}true", "false,".repeat(last)));
    assert_eq!(said[5], names[last]);
    // Without scripts all of them are there.
    let source = std::fs::read_to_string(&page).unwrap();
    let (_, plain) = source.split_once("</style>").unwrap();
    assert!(names.iter().all(|name| plain.contains(name)));
    assert_eq!(plain.matches("role=\"tabpanel\"").count(), names.len());
}

#[test]
fn columns_of_the_report_sort_and_what_is_missing_is_last() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    let script = "
        const table = document.querySelector('#rates table');
        const body = table.tBodies[0];
        for (const text of ['-', '9.5', '100.25 (48.1)', '']) {
            const row = body.rows[0].cloneNode(true);
            row.cells[1].textContent = text;
            body.append(row);
        }
        while (body.rows.length > 4) body.rows[0].remove();
        const told = () => say([...body.rows].map((row) => row.cells[1].textContent).join(';'));
        const head = table.tHead.rows[0].cells[1];
        told();
        for (let i = 0; i < 3; i++) {
            head.querySelector('button').click();
            say(head.getAttribute('aria-sort'));
            told();
        }";
    let said = told(&browser, &page, script);
    let expected = [
        "-;9.5;100.25 (48.1);",
        "ascending",
        "9.5;100.25 (48.1);-;",
        "descending",
        "100.25 (48.1);9.5;-;",
        "null",
        "-;9.5;100.25 (48.1);",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_codec_of_the_report_is_marked_everywhere_and_the_address_says_so() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    let script = "
        const field = document.getElementById('mark');
        const enter = (text) => { field.value = text; field.dispatchEvent(new Event('input')); };
        const count = (selector) => document.querySelectorAll(selector).length;
        const told = () => say(['tr.mine', '.series.mine', '.row.mine'].map((of) => count(of) > 0).join());
        told();
        enter('GZip');
        told();
        say(location.hash);
        say([...document.querySelectorAll('tr.mine th')].every((head) => head.textContent === 'gzip'));
        enter('zip');
        told();
        enter('');
        say(location.hash);";
    let said = told(&browser, &page, script);
    let none = "false,false,false";
    assert_eq!(said, [none, "true,true,true", "#mark=GZip", "true", none, ""]);
}

#[test]
fn the_report_has_a_light_and_a_dark_look() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    let script = "
        const of = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
        const told = () => say([of('body', 'backgroundColor'), of('.series polyline', 'stroke'), of('.bar', 'fill')].join(' | '));
        told();
        document.getElementById('look').click();
        told();
        document.getElementById('look').click();
        told();";
    let said = told(&browser, &page, script);
    assert_eq!(said[0], said[2]);
    for (light, dark) in said[0].split(" | ").zip(said[1].split(" | ")) {
        assert_ne!(light, dark);
    }
}

#[test]
fn the_report_fits_a_narrow_screen() {
    let Some(browser) = browser() else { return };
    let project = project();
    let page = report(project.path());
    // Windows have a least width, frames have none; they are not told of each other's insides but by messages.
    let source = std::fs::read_to_string(&page).unwrap();
    let script = "<script>parent.postMessage(`${document.documentElement.clientWidth} ${document.documentElement.scrollWidth}`, '*')</script></body>";
    std::fs::write(&page, source.replace("</body>", script)).unwrap();
    let frame = project.path().join("frame.html");
    std::fs::write(
        &frame,
        "<p id=told></p><script>onmessage = (event) => (document.getElementById('told').textContent = event.data)</script>\
         <iframe style=\"border: 0; width: 400px; height: 900px\" src=\"report.html\"></iframe>",
    )
    .unwrap();
    let dom = open(&browser, &frame, &["--dump-dom"]);
    let (_, told) = dom.split_once("<p id=\"told\">").unwrap();
    let (seen, all) = told.split_once("</p>").unwrap().0.split_once(' ').expect("two widths");
    assert_eq!(seen, all);
    assert!(seen.parse::<u32>().unwrap() <= 400, "{seen}");
}
