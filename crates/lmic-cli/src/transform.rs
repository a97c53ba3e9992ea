//! One file after the other through the encoder or the decoder: `compress`, `decompress` and `test`.
//!
//! Before any work: nothing that is still needed may be removed or written over. Then, file by file: check names, open the
//! source, open the sink (a temporary), code, complete the sink (attributes, name); only then, if that was asked for and the
//! source is still what was coded, remove it.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::{Archive, DecodeOptions, Decoder, EncodeOptions, Encoder};
use lmic_age::Writer;

use crate::attributes::NotSet;
use crate::console::{Console, Skipped, display_name};
use crate::descriptor;
use crate::file_id::FileId;
use crate::keys::{self, Encryption, Keys};
use crate::needed::Needed;
use crate::progress::Progress;
use crate::sink::Sink;
use crate::size;
use crate::source::{self, ENCRYPTED_SUFFIX, Opened, Policy, SUFFIX, Source};
use crate::stdio;

const BOTH: &str = "is source and output at once (choose another name for -o)";
const BUFFER_LEN: usize = 256 << 10;

/// The direction of the work, with its options.
#[derive(Debug)]
pub enum Direction {
    Compress(Box<EncodeOptions>, Option<Encryption>),
    Decompress(DecodeOptions, Keys),
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

/// Everything that was asked for, validated.
#[derive(Debug)]
pub struct Transform {
    pub direction: Direction,
    pub sources: Vec<Source>,
    pub recursive: bool,
    pub target: Target,
    pub force: bool,
    pub remove_source: bool,
    /// Several sources may go to one output, each as a stream of its own.
    pub isolate: bool,
    /// What must not be removed or written over.
    pub needed: Needed,
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
        if matches!(self.target, Target::Named(_)) && sources.len() > 1 && !self.isolate {
            bail!("--output takes one file, here are {} (leave it out)", sources.len());
        }
        self.check_needed(&sources)?;
        if let Direction::Compress(options, encryption) = &self.direction
            && let Target::Named(_) | Target::Stdout = self.target
            && (self.isolate || encryption.is_some())
            && sources.len() > 1
        {
            let sources = sources.into_iter().map(|(source, found)| found.map(|()| source));
            let sources = sources.collect::<Result<Vec<_>>>()?;
            return self.together(&sources, options, encryption.as_ref(), console);
        }
        for (source, found) in sources {
            let outcome = found.and_then(|()| self.one(&source, console));
            console.outcome(source.name(), outcome)?;
        }
        Ok(())
    }

    /// Whether a file found in a directory is one to work on.
    fn picks(&self, path: &Path) -> bool {
        source::has_suffix(path) == matches!(self.direction, Direction::Decompress(..))
    }

    /// Refuses to remove or write over what this run, or an archive of it, needs.
    fn check_needed(&self, sources: &[(Source, Result<()>)]) -> Result<()> {
        let mut last_use = HashMap::new();
        for (i, (source, _)) in sources.iter().enumerate() {
            let (Source::File(path), Ok(_)) = (source, self.target_of(source)) else { continue };
            for id in [FileId::at(path), FileId::of_name(path)].into_iter().flatten() {
                if let (true, Some(why)) = (self.remove_source, self.needed.why(&id)) {
                    bail!(
                        "{}: is {why}, it cannot be coded and removed (leave it out)",
                        source.name()
                    );
                }
                last_use.insert(id, i);
            }
        }
        for (i, (source, _)) in sources.iter().enumerate() {
            let Ok(target) = self.target_of(source) else { continue };
            // What exists is written over with -f, or added to if it is open already; otherwise it is an error of that file.
            let (target, found, is_direct) = match (&target, &self.target) {
                (_, Target::Nowhere) => return Ok(()),
                (None, _) => (
                    Path::new("/dev/stdout"),
                    stdio::stdout().and_then(|stdout| stdout.metadata()).ok(),
                    true,
                ),
                (Some(target), Target::Named(_)) => {
                    (target.as_path(), target.metadata().ok(), Sink::is_direct(target))
                }
                // A link beside the source is replaced, not followed.
                (Some(target), _) => (target.as_path(), target.symlink_metadata().ok(), false),
            };
            let found = found.filter(|found| found.is_file() || found.is_symlink());
            let found = found.filter(|_| self.force || is_direct);
            let Some(id) = found.and_then(|found| FileId::of(&found, target)) else { continue };
            let name = display_name(target);
            if let Some(why) = self.needed.why(&id) {
                bail!("{name}: is {why}, it cannot be written over (name another output with -o)");
            }
            match last_use.get(&id).map(|&last| (last, sources[last].0.name())) {
                Some((_, input)) if is_direct => {
                    bail!("{input}: is source and output at once (choose another output)");
                }
                Some((last, input)) if last > i => bail!(
                    "{name}: would be written over with {} before it is read as {input} (code one after the other)",
                    source.name()
                ),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses, for `--rm`, a source that is more, or less, than one name of one file.
    fn check_removable(&self, source: &Source, opened: &Opened) -> Result<()> {
        let Source::File(path) = source else { return Ok(()) };
        let skip = |why: &str| bail!(Skipped(format!("{why}, skipped")));
        if !opened.metadata.is_file() || descriptor::of(&descriptor::resolve(path)).is_some() {
            return skip("is not a regular file, which --rm could remove");
        }
        if self.force {
            return Ok(());
        }
        if path.is_symlink() {
            return skip("is a symbolic link (with -f its file is coded, and the link removed)");
        }
        match opened.links() {
            0 | 1 => Ok(()),
            names => skip(&format!(
                "has {names} names, which are hard links (with -f it is coded, and this name removed)"
            )),
        }
    }

    fn one(&self, source: &Source, console: &Console) -> Result<()> {
        let target = self.target_of(source)?;
        let explicit = !matches!(self.target, Target::Beside);
        let policy = Policy { links: explicit || self.force, special: explicit };
        let opened = self.open(source, policy)?;
        let sink = self.sink(target.as_deref(), source, &opened)?;
        let removes = self.remove_source && sink.is_file();
        if removes {
            self.check_removable(source, &opened)?;
        }

        let started = Instant::now();
        let (sizes, not_set) = match &self.direction {
            Direction::Compress(options, encryption) => {
                let mut out = keys::writer(sink, encryption.as_ref())?;
                let raw = compress(options, &opened, &mut out, source, console)?;
                let sink = out.finish()?;
                let coded = sink.written();
                (Sizes { raw, coded }, sink.finish(removes)?)
            }
            Direction::Decompress(options, keys) => {
                decompress(options, keys, &opened, sink, source, console, removes)?
            }
        };
        for attribute in not_set {
            let name = target.as_deref().map_or_else(|| source.name(), display_name);
            console.warn(name, &attribute, attribute.counts());
        }
        if removes && let Source::File(path) = source {
            opened.check_unchanged(path)?;
            fs::remove_file(path).context("cannot remove it")?;
        }
        self.report(console, &source.name(), &sizes, started.elapsed().as_secs_f64());
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
        if path.is_dir() {
            bail!(Skipped(source::DIRECTORY.into()));
        }
        match (&self.direction, source::suffix(path)) {
            (Direction::Compress(..), Some(suffix)) => bail!(Skipped(format!(
                "ends in {suffix} already, skipped (name the output with -o)"
            ))),
            (Direction::Compress(_, encryption), None) => {
                let mut name = path.as_os_str().to_owned();
                name.push(if encryption.is_some() { ENCRYPTED_SUFFIX } else { SUFFIX });
                Ok(name.into())
            }
            (Direction::Decompress(..), Some(suffix)) => {
                let name = path.with_extension("");
                Ok(if suffix == SUFFIX { name } else { name.with_extension("") })
            }
            (Direction::Decompress(..), None) => bail!(Skipped(format!(
                "does not end in {SUFFIX} or {ENCRYPTED_SUFFIX}, skipped (name the output with -o, or use -c)"
            ))),
        }
    }

    fn open(&self, source: &Source, policy: Policy) -> Result<Opened> {
        if let (Source::Stdin, Direction::Decompress(..)) = (source, &self.direction)
            && source::stdin_is_terminal()
        {
            bail!("is a terminal, which gives no compressed data (name a file)");
        }
        source.open(policy)
    }

    fn sink(&self, target: Option<&Path>, source: &Source, opened: &Opened) -> Result<Sink> {
        let path = match source {
            Source::File(path) => path,
            Source::Stdin => Path::new("/dev/stdin"),
        };
        let id = FileId::of(&opened.metadata, path).filter(|_| opened.metadata.is_file());
        let is_target = |target: &Path| match self.target {
            Target::Named(_) => FileId::at(target) == id,
            // With -f another hard link of the source may be replaced. If the source is a symbolic link, the name that it leads to
            // may not.
            _ => FileId::of_name(target) == id && is_same_name(path, target),
        };
        if id.is_some() && target.is_some_and(is_target) {
            bail!(BOTH);
        }
        let attributes = opened.metadata.is_file().then(|| opened.metadata.clone());
        let sink = match (target, &self.target) {
            (Some(target), Target::Named(_)) => Sink::named(target, self.force, attributes)?,
            (Some(target), _) => Sink::file(target, self.force, attributes)?,
            (None, Target::Nowhere) => Sink::nowhere(),
            (None, _) => Sink::stdout()?,
        };
        self.check_terminal(&sink)?;
        // Redirected into the source: what is written would be read again.
        let written = sink.direct().and_then(|file| FileId::of(&file.metadata().ok()?, path));
        if id.is_some() && written == id {
            bail!(BOTH);
        }
        Ok(sink)
    }

    fn check_terminal(&self, sink: &Sink) -> Result<()> {
        let is_encoded = matches!(self.direction, Direction::Compress(..));
        if is_encoded && !self.force && sink.is_terminal() {
            bail!(
                "compressed data is not written to a terminal \
                 (redirect it, name a file with -o, or force it with -f)"
            );
        }
        Ok(())
    }

    /// Several sources to one output: all of them, or nothing.
    fn together(
        &self,
        sources: &[Source],
        options: &EncodeOptions,
        encryption: Option<&Encryption>,
        console: &Console,
    ) -> Result<()> {
        let started = Instant::now();
        let sink = match &self.target {
            Target::Named(target) => {
                let id = FileId::at(target);
                for source in sources {
                    if let Source::File(path) = source
                        && id.is_some()
                        && FileId::at(path) == id
                    {
                        bail!("{}: {BOTH}", source.name());
                    }
                }
                Sink::named(target, self.force, None)?
            }
            _ => Sink::stdout()?,
        };
        self.check_terminal(&sink)?;
        source::check_apart(sources, &sink)?;
        let mut out = keys::writer(sink, encryption)?;
        let mut raw = 0;
        for source in sources {
            let opened = self.open(source, Policy::ANY);
            let done =
                opened.and_then(|opened| compress(options, &opened, &mut out, source, console));
            raw += done.with_context(|| source.name())?;
        }
        let sink = out.finish()?;
        let sizes = Sizes { raw, coded: sink.written() };
        sink.finish(false)?;
        let seconds = started.elapsed().as_secs_f64();
        self.report(console, &format!("{} files", sources.len()), &sizes, seconds);
        Ok(())
    }

    fn report(&self, console: &Console, name: &str, sizes: &Sizes, seconds: f64) {
        if !console.is_verbose() {
            return;
        }
        let (raw, coded) = (size::human(sizes.raw), size::human(sizes.coded));
        let sizes_text = match (&self.direction, &self.target) {
            (Direction::Compress(..), _) => format!("{raw} -> {coded}"),
            (_, Target::Nowhere) => format!("ok, {coded} -> {raw}"),
            _ => format!("{coded} -> {raw}"),
        };
        console.note(format_args!(
            "{name}: {sizes_text}, ratio {}, {:.2} MB/s, {seconds:.2} s",
            size::ratio(sizes.coded, sizes.raw),
            size::mb_per_s(sizes.raw, seconds),
        ));
    }
}

/// Writes the content of a file to `out` as a stream of its own; returns how many bytes the content has.
fn compress(
    options: &EncodeOptions,
    opened: &Opened,
    out: &mut Writer<Sink>,
    source: &Source,
    console: &Console,
) -> Result<u64> {
    let mut encoder = Encoder::with_options(out, options.clone())?;
    let progress = encoder.progress().done();
    let _bar = Progress::start(console, &source.name(), progress, opened.len());
    let raw = copy(&mut &opened.file, &mut encoder)?;
    encoder.finish()?;
    Ok(raw)
}

fn decompress(
    options: &DecodeOptions,
    keys: &Keys,
    opened: &Opened,
    mut sink: Sink,
    source: &Source,
    console: &Console,
    durable: bool,
) -> Result<(Sizes, Vec<NotSet>)> {
    let total = match source {
        Source::File(_) if console.shows_progress() => raw_len(opened, options)?,
        _ => None,
    };
    let len = opened.len();
    let archive = keys.open(&opened.file)?;
    let len = len.filter(|_| archive.is_encrypted());
    if archive.is_encrypted() {
        sink.keep_private();
    }
    let mut decoder = Decoder::with_options(archive, options.clone());
    let _progress = Progress::start(console, &source.name(), decoder.progress().done(), total);
    let raw = copy(&mut decoder, &mut sink)?;
    let coded = len.unwrap_or(decoder.archive_position());
    Ok((Sizes { raw, coded }, sink.finish(durable)?))
}

/// Length of the content as the index tells it, for the progress bar only: errors wait for decoding. Of an encrypted archive it
/// is not looked for.
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

/// Whether a path, with all links followed, leads to the very name that `target` is.
fn is_same_name(path: &Path, target: &Path) -> bool {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    let name = target.file_name().unwrap_or_default();
    matches!((path.canonicalize(), folder), (Ok(path), Ok(folder)) if path == folder.join(name))
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
pub fn check_usage(
    target: &Target,
    sources: &[Source],
    remove_source: bool,
    isolate: bool,
) -> Result<(), String> {
    match target {
        Target::Named(path) if sources.len() > 1 && !isolate => Err(format!(
            "--output {} takes one FILE, here are {} (with --isolate, each becomes a stream of it)",
            display_name(path),
            sources.len()
        )),
        Target::Stdout if remove_source => {
            Err("--rm needs an output file, as stdout may not be kept".into())
        }
        _ => Ok(()),
    }
}
