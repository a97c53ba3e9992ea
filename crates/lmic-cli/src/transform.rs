//! One file after the other through the encoder or the decoder: `compress`, `decompress` and `test`.
//!
//! Order of events for a file: check names, open the source, open the sink (a temporary), code,
//! complete the sink (attributes, rename), only then remove the source if that was asked for.

use std::fs;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::{Archive, DecodeOptions, Decoder, EncodeOptions, Encoder};

use crate::console::{Console, Skipped, display_name};
use crate::progress::Progress;
use crate::sink::Sink;
use crate::size;
use crate::source::{self, Opened, Policy, SUFFIX, Source};

const BUFFER_LEN: usize = 256 << 10;

/// Which way, and how.
#[derive(Debug)]
pub enum Direction {
    Compress(EncodeOptions),
    Decompress(DecodeOptions),
}

/// Where the results go.
#[derive(Debug)]
pub enum Target {
    /// Beside the source, with the suffix added or removed; from stdin to stdout.
    Beside,
    Stdout,
    Named(PathBuf),
    /// Decode and verify only.
    Nowhere,
}

/// All that is asked for, validated.
#[derive(Debug)]
pub struct Transform {
    pub direction: Direction,
    pub sources: Vec<Source>,
    pub recursive: bool,
    pub target: Target,
    pub force: bool,
    pub remove_source: bool,
}

/// What became of one file.
#[derive(Debug)]
struct Sizes {
    raw: u64,
    coded: u64,
}

impl Transform {
    /// Does the work, file by file; failures go to the console and the next file gets its turn.
    pub fn run(mut self, console: &Console) -> Result<()> {
        let sources = std::mem::take(&mut self.sources);
        let sources = match self.recursive {
            true => source::walk(sources, |path| self.picks(path)),
            false => sources.into_iter().map(|source| (source, Ok(()))).collect(),
        };
        if matches!(self.target, Target::Named(_)) && sources.len() > 1 {
            bail!("--output takes one file, here are {} (leave it out)", sources.len());
        }
        for (source, found) in sources {
            let outcome = found.and_then(|()| self.one(&source, console));
            console.outcome(source.name(), outcome)?;
        }
        Ok(())
    }

    /// Whether a file found in a directory is one to work on.
    fn picks(&self, path: &Path) -> bool {
        source::has_suffix(path) == matches!(self.direction, Direction::Decompress(_))
    }

    fn one(&self, source: &Source, console: &Console) -> Result<()> {
        let target = self.target_of(source)?;
        let explicit = !matches!(self.target, Target::Beside);
        let policy = Policy { links: explicit || self.force, special: explicit };
        let opened = self.open(source, policy)?;
        let sink = self.sink(target.as_deref(), source, &opened)?;
        let removes = self.remove_source && sink.is_file();

        let started = Instant::now();
        let sizes = match &self.direction {
            Direction::Compress(options) => {
                compress(options, opened, sink, &source.name(), console, removes)
            }
            Direction::Decompress(options) => {
                decompress(options, opened, sink, source, console, removes)
            }
        }?;
        if removes && let Source::File(path) = source {
            fs::remove_file(path).context("cannot remove it")?;
        }
        self.report(console, source, &sizes, started.elapsed().as_secs_f64());
        Ok(())
    }

    /// The name to write to; `None` is stdout, or nowhere.
    fn target_of(&self, source: &Source) -> Result<Option<PathBuf>> {
        match (&self.target, source) {
            (Target::Named(path), _) => Ok(Some(path.clone())),
            (Target::Beside, Source::File(path)) => self.name_beside(path).map(Some),
            _ => Ok(None),
        }
    }

    fn name_beside(&self, path: &Path) -> Result<PathBuf> {
        match (&self.direction, source::has_suffix(path)) {
            (Direction::Compress(_), true) => bail!(Skipped(format!(
                "ends in {SUFFIX} already, skipped (name the output with -o)"
            ))),
            (Direction::Compress(_), false) => {
                let mut name = path.as_os_str().to_owned();
                name.push(SUFFIX);
                Ok(name.into())
            }
            (Direction::Decompress(_), true) => Ok(path.with_extension("")),
            (Direction::Decompress(_), false) => bail!(Skipped(format!(
                "does not end in {SUFFIX}, skipped (name the output with -o, or use -c)"
            ))),
        }
    }

    fn open(&self, source: &Source, policy: Policy) -> Result<Opened> {
        if let (Source::Stdin, Direction::Decompress(_)) = (source, &self.direction)
            && source::stdin_is_terminal()
        {
            bail!("is a terminal, which gives no compressed data (name a file)");
        }
        source.open(policy)
    }

    fn sink(&self, target: Option<&Path>, source: &Source, opened: &Opened) -> Result<Sink> {
        let Some(target) = target else {
            return match (&self.target, &self.direction) {
                (Target::Nowhere, _) => Ok(Sink::nowhere()),
                (_, Direction::Compress(_)) if io::stdout().is_terminal() && !self.force => bail!(
                    "compressed data is not written to a terminal \
                     (redirect it, name a file with -o, or force it with -f)"
                ),
                _ => Sink::stdout(),
            };
        };
        if let Source::File(path) = source
            && same_file::is_same_file(path, target).unwrap_or(false)
        {
            bail!("is source and output at once (choose another name for -o)");
        }
        let attributes = opened.metadata.is_file().then(|| opened.metadata.clone());
        Sink::file(target, self.force, attributes)
    }

    fn report(&self, console: &Console, source: &Source, sizes: &Sizes, seconds: f64) {
        if !console.is_verbose() {
            return;
        }
        let (raw, coded) = (size::human(sizes.raw), size::human(sizes.coded));
        let sizes_text = match (&self.direction, &self.target) {
            (Direction::Compress(_), _) => format!("{raw} -> {coded}"),
            (_, Target::Nowhere) => format!("ok, {coded} -> {raw}"),
            _ => format!("{coded} -> {raw}"),
        };
        console.note(format_args!(
            "{}: {sizes_text}, ratio {}, {:.2} MB/s, {seconds:.2} s",
            source.name(),
            size::ratio(sizes.coded, sizes.raw),
            size::mb_per_s(sizes.raw, seconds),
        ));
    }
}

fn compress(
    options: &EncodeOptions,
    mut opened: Opened,
    sink: Sink,
    name: &str,
    console: &Console,
    durable: bool,
) -> Result<Sizes> {
    let mut encoder = Encoder::with_options(sink, options.clone())?;
    let _progress = Progress::start(console, name, encoder.progress(), opened.len());
    let raw = copy(&mut opened.file, &mut encoder)?;
    let sink = encoder.finish()?;
    let coded = sink.written();
    sink.finish(durable)?;
    Ok(Sizes { raw, coded })
}

fn decompress(
    options: &DecodeOptions,
    opened: Opened,
    mut sink: Sink,
    source: &Source,
    console: &Console,
    durable: bool,
) -> Result<Sizes> {
    let total = match source {
        Source::File(_) if console.shows_progress() => raw_len(&opened, options)?,
        _ => None,
    };
    let mut decoder = Decoder::with_options(&opened.file, options.clone());
    let _progress = Progress::start(console, &source.name(), decoder.progress(), total);
    let raw = copy(&mut decoder, &mut sink)?;
    let coded = decoder.archive_position();
    sink.finish(durable)?;
    Ok(Sizes { raw, coded })
}

/// Length of the content as the index tells it, for the progress bar only: errors wait for decoding.
fn raw_len(opened: &Opened, options: &DecodeOptions) -> Result<Option<u64>> {
    if !opened.is_seekable() {
        return Ok(None);
    }
    let mut file = &opened.file;
    let start = file.stream_position().context("cannot read")?;
    let len = Archive::open(file, options.clone()).map(|archive| archive.raw_len()).ok();
    file.seek(SeekFrom::Start(start)).context("cannot read")?;
    Ok(len)
}

/// Copies to the end and counts. (Not `io::copy`, which uses 8 KiB.)
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64> {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut copied = 0;
    loop {
        let len = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        to.write_all(&buffer[..len])?;
        copied += len as u64;
    }
}

/// The names and options of a transform that can be wrong together.
pub fn check_usage(target: &Target, sources: &[Source], remove_source: bool) -> Result<(), String> {
    match target {
        Target::Named(path) if sources.len() > 1 => Err(format!(
            "--output {} takes one FILE, here are {}",
            display_name(path),
            sources.len()
        )),
        Target::Stdout if remove_source => {
            Err("--rm needs an output file, as stdout may not be kept".into())
        }
        _ => Ok(()),
    }
}
