//! The progress bar: bytes done, speed and time left, on stderr while the work takes its time.
//!
//! A thread of its own draws it from a counter that encoder and decoder keep, so that it moves on
//! while a long block is coded, and never appears for work that is over at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::console::Console;
use crate::size;

/// Work shorter than this shows nothing.
const DELAY: Duration = Duration::from_millis(300);
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows a counter until it is dropped, if the console wants that.
#[derive(Debug)]
pub struct Progress {
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts on `name`: `done` counts up to `total` bytes, if that is known.
    pub fn start(console: &Console, name: &str, done: Arc<AtomicU64>, total: Option<u64>) -> Self {
        let name = shorten(name);
        let drawing = console.shows_progress().then_some(()).and_then(|()| {
            let (stop, stopped) = mpsc::channel();
            let draw = move || {
                let started = Instant::now();
                let mut bar = None;
                let mut wait = DELAY;
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    let bar = bar.get_or_insert_with(|| new_bar(&name, total));
                    let done = done.load(Ordering::Relaxed);
                    bar.set_message(describe(done, total, started.elapsed()));
                    bar.set_position(done);
                    wait = INTERVAL;
                }
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
            };
            // If the system gives no thread, there is no bar.
            let drawer = thread::Builder::new().name("lmic-progress".into()).spawn(draw);
            Some((stop, drawer.ok()?))
        });
        Self { drawing }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.drawing.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn new_bar(name: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{prefix} [{wide_bar:.cyan}] {percent:>3}%{msg}"),
        None => (ProgressBar::new_spinner(), "{prefix} {spinner:.cyan}{msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(name.to_owned())
}

/// Bytes, speed and time left. The mean speed since the start is steadier than any recent one, and
/// predictors run at much the same speed over a file.
fn describe(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut text = String::new();
    if done > 0 {
        let speed = size::mb_per_s(done, seconds);
        text += &format!("  {}  {speed:.2} MB/s", size::human(done));
    }
    match total {
        Some(total) if done > 0 => {
            let left = seconds * total.saturating_sub(done) as f64 / done as f64;
            text += &format!("  {} left", HumanDuration(Duration::from_secs_f64(left.min(1e9))));
        }
        _ => text += &format!("  {} so far", HumanDuration(elapsed)),
    }
    text
}

/// The end of a long name: it is what differs between the files of a directory.
fn shorten(name: &str) -> String {
    const WIDTH: usize = 24;
    let len = name.chars().count();
    if len <= WIDTH {
        return name.into();
    }
    format!("...{}", name.chars().skip(len - WIDTH + 3).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_mean_speed() {
        let text = describe(2_000_000, Some(8_000_000), Duration::from_secs(4));
        assert_eq!(text, "  1.9 MiB  0.50 MB/s  12 seconds left");
        assert_eq!(describe(0, Some(9), Duration::from_secs(1)), "  1 second so far");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shorten("a.txt"), "a.txt");
        assert_eq!(shorten(&format!("{}/end.txt", "x".repeat(50))), "...xxxxxxxxxxxxx/end.txt");
    }
}
