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
            "--window-size=1200,1000",
            "--virtual-time-budget=10000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

#[test]
fn the_report_draws_its_plots_offline() {
    let Some(browser) = browser() else { return };
    let project = project();
    let folder = project.path();
    done(folder, &["run"]);
    done(folder, &["report", "--html", "report.html"]);
    let page = folder.join("report.html");
    let source = std::fs::read_to_string(&page).unwrap();
    assert!(!source.contains("<script src=") && !source.contains("<link"));
    let dom = open(&browser, &page, &["--dump-dom", "--host-resolver-rules=MAP * ~NOTFOUND"]);
    assert!(dom.contains("class=\"scatterlayer"), "no lines were drawn");
    let picture = folder.join("report.png");
    open(&browser, &page, &[&format!("--screenshot={}", picture.display())]);
    assert!(colours(&picture) >= 4, "{}", colours(&picture));
}
