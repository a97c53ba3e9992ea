//! Training text: files to windows of bytes, and the part held out.
//!
//! A source is all its files joined. Held-out blocks cut it into ranges; a training window lies within one
//! range of training blocks, a validation window within one range of held-out blocks, so the two never
//! share a byte position. Windows are drawn by a counter instead of a running generator: window `n` of a
//! seed is the same whatever was drawn before, and a resumed run needs only its step.

mod config;
mod read;

use std::ops::Range;

use anyhow::{Context, Result, ensure};
pub(crate) use config::default_validation_windows;
pub use config::{DataConfig, HeldOut, SourceConfig, Validation, ValidationFiles};
pub use read::read_file;
use read::{display_name, expand, read_all};

use crate::random::{SplitMix64, mix};

/// The sources of a run in memory, split into training and validation.
pub struct Corpus {
    sources: Vec<Source>,
    context: usize,
    validation: Vec<Vec<u8>>,
    /// Names of all files read for training, without folders.
    pub file_names: Vec<String>,
}

struct Source {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>, // training blocks, each long enough for a window
    starts: Vec<u64>,          // window starts in ranges[..=i], cumulative
    share: f64,                // shares of sources[..=i], cumulative, in 0..=1
}

impl Corpus {
    /// Reads all sources of `config`; windows have `context` bytes.
    ///
    /// # Errors
    /// A path that matches nothing or can't be read; a source or a held-out part shorter than a window.
    pub fn load(config: &DataConfig, context: usize) -> Result<Self> {
        let mut file_names = Vec::new();
        let mut sources = Vec::new();
        let mut held_out = Vec::new();
        for (index, item) in config.train.iter().enumerate() {
            let files = expand(&config.root, &item.path)?;
            file_names.extend(files.iter().map(|f| display_name(f)));
            let bytes = read_all(&files, config.records)?;
            let (train, held) = match config.validation {
                Some(Validation::HeldOut(split)) => split_blocks(bytes.len(), index as u64, split),
                _ => (std::iter::once(0..bytes.len()).collect(), Vec::new()),
            };
            held_out.extend(windows_in(&bytes, &held, context));
            let source = Source::new(bytes, train, context, item.weight);
            sources.push(source.with_context(|| format!("training source {}", item.path))?);
        }
        let mut sum = 0.0;
        for source in &mut sources {
            sum += source.share;
            source.share = sum;
        }
        if let Some(Validation::Files(items)) = &config.validation {
            for item in items {
                let mut bytes = read_all(&expand(&config.root, &item.path)?, config.records)?;
                bytes.truncate(item.bytes.unwrap_or(usize::MAX));
                held_out.extend(windows_in(
                    &bytes,
                    std::slice::from_ref(&(0..bytes.len())),
                    context,
                ));
            }
        }
        ensure!(
            !held_out.is_empty() || config.validation.is_none(),
            "validation data has no window of {context} bytes; hold out a larger fraction or smaller blocks"
        );
        let validation = spread(&held_out, config.validation_windows).cloned().collect();
        Ok(Self { sources, context, validation, file_names })
    }

    /// Window `number` of the endless series of `seed`.
    pub fn window(&self, seed: u64, number: u64) -> &[u8] {
        &self.stream(seed, number)[..self.context]
    }

    /// What follows from the start of window `number` on; at least the window.
    pub fn stream(&self, seed: u64, number: u64) -> &[u8] {
        let mut rng = SplitMix64::at(seed, number);
        let total = self.sources[self.sources.len() - 1].share;
        let at = rng.unit() * total;
        let source = self.sources.iter().find(|s| at < s.share).unwrap_or(&self.sources[0]);
        &source.bytes[source.from(rng.below(source.starts[source.starts.len() - 1]))]
    }

    /// The windows of a validation.
    pub fn validation(&self) -> &[Vec<u8>] {
        &self.validation
    }

    /// Bytes that training may see.
    pub fn train_bytes(&self) -> u64 {
        self.sources.iter().flat_map(|s| &s.ranges).map(|r| r.len() as u64).sum()
    }
}

impl Source {
    /// `share` is still this source's own: its weight, or its number of bytes.
    fn new(
        bytes: Vec<u8>,
        mut ranges: Vec<Range<usize>>,
        context: usize,
        weight: Option<f64>,
    ) -> Result<Self> {
        ranges.retain(|r| r.len() >= context);
        ensure!(!ranges.is_empty(), "{} bytes, less than a window of {context}", bytes.len());
        let mut sum = 0;
        let starts: Vec<u64> = ranges
            .iter()
            .map(|r| {
                sum += (r.len() - context + 1) as u64;
                sum
            })
            .collect();
        let size: usize = ranges.iter().map(Range::len).sum();
        Ok(Self { share: weight.unwrap_or(size as f64), bytes, ranges, starts })
    }

    /// From the start of the window with this number among all windows of the source to the end of its range.
    fn from(&self, number: u64) -> Range<usize> {
        let i = self.starts.partition_point(|&end| end <= number);
        let before = if i == 0 { 0 } else { self.starts[i - 1] };
        self.ranges[i].start + (number - before) as usize..self.ranges[i].end
    }
}

/// Ranges of training blocks and of held-out blocks. A block is held out by a hash of its place and not by
/// the run's seed, so that runs with several seeds are validated on the same bytes.
fn split_blocks(len: usize, source: u64, split: HeldOut) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut train, mut held): (Vec<Range<usize>>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
    for start in (0..len).step_by(split.block) {
        let range = start..len.min(start + split.block);
        let draw = SplitMix64::new(mix(source) ^ start as u64).unit();
        let side = if draw < split.fraction { &mut held } else { &mut train };
        match side.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => side.push(range),
        }
    }
    (train, held)
}

/// Windows of `context` bytes side by side in `ranges`.
fn windows_in(bytes: &[u8], ranges: &[Range<usize>], context: usize) -> Vec<Vec<u8>> {
    let windows = ranges.iter().flat_map(|r| bytes[r.clone()].chunks_exact(context));
    windows.map(<[u8]>::to_vec).collect()
}

/// At most `count` items at even distances.
pub(crate) fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).map(move |i| &items[i * items.len() / count])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn config(root: &Path, train: &[(&str, Option<f64>)], validation: Validation) -> DataConfig {
        let train = train.iter().map(|&(path, weight)| SourceConfig { path: path.into(), weight });
        DataConfig {
            root: root.into(),
            train: train.collect(),
            validation: Some(validation),
            validation_windows: 1 << 20,
            licence: String::new(),
            records: false,
        }
    }

    #[test]
    fn sources_are_mixed_by_weight_or_by_bytes() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), vec![b'a'; 30_000]).unwrap();
        fs::write(dir.path().join("b"), vec![b'b'; 10_000]).unwrap();
        for (weights, share_of_a) in [([None, None], 0.75), ([Some(1.0), Some(4.0)], 0.2)] {
            let sources = [("a", weights[0]), ("b", weights[1])];
            let files = Validation::Files(vec![ValidationFiles { path: "a".into(), bytes: None }]);
            let corpus = Corpus::load(&config(dir.path(), &sources, files), 32).unwrap();
            let a = (0..4000).filter(|&n| corpus.window(7, n)[0] == b'a').count();
            // Standard deviation of the share: below 0.8 %.
            assert!((a as f64 / 4000.0 - share_of_a).abs() < 0.03, "{a}");
        }
    }

    #[test]
    fn held_out_blocks_never_meet_training_windows() {
        let dir = tempfile::tempdir().unwrap();
        // Every 4 bytes are their own position, so that windows tell where they are from.
        let text: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        fs::write(dir.path().join("t"), &text).unwrap();
        let split = HeldOut { fraction: 0.1, block: 1000 };
        let config = config(dir.path(), &[("t", None)], Validation::HeldOut(split));
        let corpus = Corpus::load(&config, 64).unwrap();

        let mut held = vec![false; text.len()];
        for window in corpus.validation() {
            let start = window_start(window);
            held[start..start + 64].fill(true);
        }
        let share = held.iter().filter(|&&h| h).count() as f64 / held.len() as f64;
        assert!((0.05..0.15).contains(&share), "{share}");
        for n in 0..20_000 {
            let window = corpus.window(1, n);
            let start = window_start(window);
            assert_eq!(window, &text[start..start + 64]);
            assert!(held[start..start + 64].iter().all(|h| !h), "window {n} at {start}");
        }

        /// The window may begin within a number; the first whole one tells. Numbers are below 2^16, so of
        /// four neighbouring bytes the two upper ones are 0.
        fn window_start(window: &[u8]) -> usize {
            for shift in 0..4 {
                let number = |i: usize| {
                    u32::from_le_bytes(window[shift + 4 * i..shift + 4 * i + 4].try_into().unwrap())
                };
                if (0..10).all(|i| number(i + 1) == number(i) + 1) {
                    return number(0) as usize * 4 - shift;
                }
            }
            unreachable!("a window of the text");
        }
    }

    #[test]
    fn a_stream_goes_on_from_its_window_and_stays_in_its_range() {
        let dir = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        fs::write(dir.path().join("t"), &text).unwrap();
        let split = HeldOut { fraction: 0.5, block: 1000 };
        let config = config(dir.path(), &[("t", None)], Validation::HeldOut(split));
        let corpus = Corpus::load(&config, 64).unwrap();
        let training = &corpus.sources[0].ranges;
        for n in 0..1000 {
            let stream = corpus.stream(1, n);
            assert_eq!(corpus.window(1, n), &stream[..64]);
            let start = stream.as_ptr() as usize - corpus.sources[0].bytes.as_ptr() as usize;
            assert!(training.iter().any(|r| r.contains(&start) && r.end == start + stream.len()));
        }
    }
}
