//! `lmic model fetch`: gets a model that a list names, checks its BLAKE3, and puts it into the model folder.
//!
//! The program `curl` is what speaks to servers, with the proxies and certificates that the user has set for it: lmic itself
//! makes no socket. What it sends goes through a pipe, so that not more is written than the list says. The file lies in a hidden
//! folder of the model folder, for its owner alone, until it is whole and right; if that is interrupted, the next run goes on
//! from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use lmic::models::is_plain;

use crate::args::ModelFetchArgs;
use crate::console::{Console, display_name};
use crate::models::{self, Added, finder};
use crate::progress::Progress;
use crate::size;

/// What can be fetched, as the program knows it.
const LIST: &str = include_str!("../../models.list");

/// The longest list in bytes, and the longest file that a list may name.
const MAX_LIST_LEN: u64 = 1 << 20;
const MAX_FILE_LEN: u64 = 8 << 30;

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    file: String,
    bytes: u64,
    blake3: blake3::Hash,
}

/// Where files are: an address that `/FILE` is added to, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Server(String),
    Folder(PathBuf),
}

/// Fetches the model of a name. `None` if the model folder has its file already.
pub fn run(args: &ModelFetchArgs, console: &Console) -> Result<Option<Added>> {
    let (list, beside) = match &args.list {
        None => (LIST.to_owned(), None),
        Some(list) => read_list(list)?,
    };
    let entry = entry_of(&list, &args.name)?;
    let from = args.from.as_deref().map(Place::of).or(beside).with_context(|| {
        format!("{}: the list that comes with lmic has no address yet (say where the file is: --from URL, or --from FOLDER)", entry.name)
    })?;
    let finder = finder();
    let folder = finder.folder().context("there is no model folder: set LMIC_MODELS")?;
    let target = folder.join(&entry.file);
    if target.exists() && !args.force {
        return match File::open(&target).and_then(|mut file| hash(&mut file)) {
            Ok(found) if found == entry.blake3 => Ok(None),
            _ => bail!("{}: is there, and is another file (-f replaces it)", display_name(&target)),
        };
    }
    let partial = Partial::open(folder, &entry)?;
    partial.fill(&entry, &from, console)?;
    let added =
        models::add(&partial.path, args.force).with_context(|| display_name(&partial.path))?;
    partial.remove()?;
    Ok(Some(added))
}

// ---- Lists --------------------------------------------------------------------------------------

/// A list, and the place that it lies in.
fn read_list(list: &str) -> Result<(String, Option<Place>)> {
    let place = Place::of(list);
    let mut bytes = Vec::new();
    let beside = match &place {
        Place::Server(url) => {
            let mut sent = Sent::start(url, 0, MAX_LIST_LEN)?;
            sent.read_to_end(&mut bytes)?;
            sent.end().map_err(|failure| failure.error(url))?;
            // Behind the last slash stands the name of the list, perhaps with a query.
            let path = url.split(['?', '#']).next().unwrap_or_default();
            Place::Server(path.rsplit_once('/').map_or(path, |(folder, _)| folder).into())
        }
        Place::Folder(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {list}"))?;
            file.take(MAX_LIST_LEN + 1)
                .read_to_end(&mut bytes)
                .with_context(|| format!("cannot read {list}"))?;
            Place::Folder(path.parent().unwrap_or(Path::new("")).to_owned())
        }
    };
    ensure!(bytes.len() as u64 <= MAX_LIST_LEN, "{list}: is longer than a list can be");
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{list}: is no text"))?;
    Ok((text, Some(beside)))
}

/// The line of a list that has this name.
fn entry_of(list: &str, name: &str) -> Result<Entry> {
    let mut names = Vec::new();
    for (i, line) in list.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        let entry = Entry::of(line)
            .with_context(|| format!("line {} of the list is not NAME FILE BYTES BLAKE3", i + 1))?;
        if entry.name == name {
            return Ok(entry);
        }
        names.push(entry.name);
    }
    let name = name.replace(char::is_control, "?");
    match names.is_empty() {
        true => bail!("{name}: the list names no models (name another with --list)"),
        false => bail!("{name}: not in the list, which has {}", names.join(", ")),
    }
}

impl Entry {
    fn of(line: &str) -> Option<Self> {
        let [name, file, bytes, blake3] =
            line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let bytes = bytes.parse().ok().filter(|bytes| (1..=MAX_FILE_LEN).contains(bytes))?;
        let blake3 = blake3::Hash::from_hex(blake3).ok()?;
        let plain = is_plain(name)
            && is_plain(file)
            && !line.contains(|c: char| c.is_control() && c != '\t');
        plain.then(|| Self { name: name.into(), file: file.into(), bytes, blake3 })
    }
}

impl Place {
    fn of(place: &str) -> Self {
        let is_address = ["http://", "https://"].iter().any(|scheme| {
            place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        match is_address {
            true => Self::Server(place.trim_end_matches('/').into()),
            false => Self::Folder(place.into()),
        }
    }
}

// ---- Files that are not whole yet ----------------------------------------------------------------

/// A file in a folder of its own, locked against other runs.
struct Partial {
    file: File,
    path: PathBuf,
}

impl Partial {
    fn open(folder: &Path, entry: &Entry) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the model folder {}", display_name(folder)))?;
        // Another file of the same name, of another list, is not gone on with.
        let own = folder.join(format!(".fetch-{}", &entry.blake3.to_hex()[..16]));
        let path = own.join(&entry.file);
        let file = make_private(&own).and_then(|()| open_private(&path));
        let file = file.with_context(|| format!("cannot write {}", display_name(&path)))?;
        ensure!(file.try_lock().is_ok(), "{}: another lmic is fetching it", entry.name);
        Ok(Self { file, path })
    }

    /// Gets what is missing, or all of it once more if what is there turns out to be another file's.
    fn fill(&self, entry: &Entry, from: &Place, console: &Console) -> Result<()> {
        let mut file = &self.file;
        loop {
            let mut had = self.file.metadata()?.len();
            if had > entry.bytes {
                self.file.set_len(0)?;
                had = 0;
            }
            if had < entry.bytes {
                match self.receive(entry, from, had, console) {
                    Ok(()) => {}
                    Err(Failure::NoRanges) if had > 0 => {
                        self.file.set_len(0)?;
                        continue;
                    }
                    Err(failure) => return Err(self.failed(failure, &from.shown(&entry.file))),
                }
            }
            file.seek(SeekFrom::Start(0))?;
            let found = hash(&mut file)?;
            if found == entry.blake3 {
                return Ok(self.file.sync_all()?);
            }
            self.file.set_len(0)?;
            if had == 0 {
                self.remove()?;
                bail!(
                    "{}: its BLAKE3 is {found}, the list has {} (it is not kept)",
                    from.shown(&entry.file),
                    entry.blake3
                );
            }
        }
    }

    /// The error, of what was to come from `place`. What was received so far stays, if more can come.
    fn failed(&self, failure: Failure, place: &str) -> anyhow::Error {
        if matches!(failure, Failure::TooLong(_)) {
            let _ = self.file.set_len(0);
        }
        let error = failure.error(place);
        match self.file.metadata() {
            Ok(metadata) if metadata.len() == 0 => {
                let _ = self.remove();
                error
            }
            _ if error.to_string().ends_with(')') => error,
            _ => anyhow::anyhow!("{error:#} (what came is kept: the same command goes on)"),
        }
    }

    /// Appends what is missing.
    fn receive(
        &self,
        entry: &Entry,
        from: &Place,
        had: u64,
        console: &Console,
    ) -> Result<(), Failure> {
        let missing = entry.bytes - had;
        let done = Arc::new(AtomicU64::new(had));
        let _shown = Progress::start(console, &entry.name, Arc::clone(&done), Some(entry.bytes));
        let mut file = &self.file;
        file.seek(SeekFrom::Start(had)).map_err(Failure::Writing)?;
        let mut copy = |source: &mut dyn Read| {
            let mut buffer = vec![0; 1 << 16];
            let mut got = 0;
            loop {
                let len = match source.read(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    len => len.map_err(Failure::Reading)?,
                };
                got += len as u64;
                if got > missing {
                    return Err(Failure::TooLong(entry.bytes));
                }
                if len == 0 {
                    return Ok(got);
                }
                file.write_all(&buffer[..len]).map_err(Failure::Writing)?;
                done.fetch_add(len as u64, Ordering::Relaxed);
            }
        };
        let got = match from {
            Place::Folder(folder) => {
                let mut file = File::open(folder.join(&entry.file)).map_err(Failure::Reading)?;
                file.seek(SeekFrom::Start(had)).map_err(Failure::Reading)?;
                copy(&mut file)?
            }
            Place::Server(url) => {
                let mut sent = Sent::start(&format!("{url}/{}", entry.file), had, entry.bytes)
                    .map_err(Failure::Other)?;
                let got = copy(&mut sent)?;
                sent.end()?;
                got
            }
        };
        match got == missing {
            true => Ok(()),
            false => Err(Failure::TooShort(had + got, entry.bytes)),
        }
    }

    fn remove(&self) -> Result<()> {
        fs::remove_file(&self.path)?;
        // Nothing else is in it, unless somebody has put it there.
        let _ = fs::remove_dir(self.path.parent().unwrap_or(&self.path));
        Ok(())
    }
}

impl Place {
    /// The file of a name there, for messages.
    fn shown(&self, file: &str) -> String {
        match self {
            Self::Server(url) => format!("{url}/{file}").replace(char::is_control, "?"),
            Self::Folder(folder) => display_name(&folder.join(file)),
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn hash(file: &mut impl Read) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    io::copy(file, &mut hasher)?;
    Ok(hasher.finalize())
}

/// Why a file was not received.
#[derive(Debug)]
enum Failure {
    /// The server cannot go on from the middle.
    NoRanges,
    Reading(io::Error),
    Writing(io::Error),
    TooLong(u64),
    TooShort(u64, u64),
    /// What curl says.
    Curl(String),
    Other(anyhow::Error),
}

impl Failure {
    /// The error, of what was to come from `place`.
    fn error(self, place: &str) -> anyhow::Error {
        match self {
            Self::NoRanges => anyhow::anyhow!("{place}: the server cannot go on from the middle"),
            Self::Reading(error) => {
                anyhow::Error::from(error).context(format!("cannot read {place}"))
            }
            Self::Writing(error) if error.kind() == ErrorKind::StorageFull => {
                anyhow::anyhow!(
                    "the model folder's disk is full (free some space; then the same command goes on)"
                )
            }
            Self::Writing(error) => {
                anyhow::Error::from(error).context("cannot write into the model folder")
            }
            Self::TooLong(bytes) => anyhow::anyhow!(
                "{place}: is longer than the {} that the list says",
                size::human(bytes)
            ),
            Self::TooShort(got, bytes) => {
                anyhow::anyhow!("{place}: ended after {got} of {bytes} bytes")
            }
            Self::Curl(message) => anyhow::anyhow!("{place}: {message}"),
            Self::Other(error) => error,
        }
    }
}

// ---- curl ---------------------------------------------------------------------------------------

/// What curl gets of an address. Dropped before the end, it is stopped.
struct Sent {
    curl: Child,
    said: Option<thread::JoinHandle<String>>,
}

impl Sent {
    /// Starts behind the first `had` of at most `limit` bytes.
    fn start(url: &str, had: u64, limit: u64) -> Result<Self> {
        let mut curl = Command::new("curl");
        // No more than http and https, wherever a server leads to; brackets in an address mean themselves.
        curl.args(["--fail", "--location", "--silent", "--show-error", "--globoff"]);
        curl.args([
            "--proto",
            "=http,https",
            "--proto-redir",
            "=http,https",
            "--connect-timeout",
            "30",
        ]);
        // One that stops sending is given up.
        curl.args([
            "--speed-limit",
            "1",
            "--speed-time",
            "60",
            "--max-filesize",
            &limit.to_string(),
        ]);
        if had > 0 {
            curl.args(["--continue-at", &had.to_string()]);
        }
        curl.args(["--output", "-", "--url", url]);
        let child = curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut curl = match child {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "the program curl is needed, which is not here (install it; or get the file otherwise, then `lmic model add FILE`)"
            ),
            child => child.context("cannot start curl")?,
        };
        let stderr = curl.stderr.take();
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            if let Some(stderr) = stderr {
                let _ = stderr.take(4096).read_to_end(&mut said);
            }
            String::from_utf8_lossy(&said).into_owned()
        });
        Ok(Self { curl, said: Some(said) })
    }

    /// Waits for the end, and says if it was none.
    fn end(mut self) -> Result<(), Failure> {
        /// What curl ends with where a server knows no ranges, or says that the range is not there.
        const NO_RANGES: i32 = 33;
        const TOO_LONG: i32 = 63;
        let status = self.curl.wait().map_err(Failure::Reading)?;
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        let said = said.lines().next().unwrap_or_default().replace(char::is_control, "?");
        match status.code() {
            Some(0) => Ok(()),
            Some(NO_RANGES) => Err(Failure::NoRanges),
            Some(TOO_LONG) => Err(Failure::Curl("is longer than it may be".into())),
            _ if said.is_empty() => Err(Failure::Curl(format!("curl failed ({status})"))),
            _ => Err(Failure::Curl(said)),
        }
    }
}

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.curl.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buffer))
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // It has ended already, unless what it sent was not wanted any more.
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"; // of nothing

    #[test]
    fn lists_are_names_files_lengths_and_hashes() {
        let list =
            format!("# a list\n\n a  a.safetensors\t12 {HASH} # the first\nb b.lmicp 1 {HASH}\n");
        let b = entry_of(&list, "b").unwrap();
        assert_eq!((&*b.file, b.bytes, b.blake3.to_hex().as_str()), ("b.lmicp", 1, HASH));
        assert_eq!(entry_of(&list, "a").unwrap().bytes, 12);
        assert!(entry_of(&list, "c").unwrap_err().to_string().ends_with("has a, b"));
        for wrong in [
            format!("a ../a 1 {HASH}"),
            format!("a .a 1 {HASH}"),
            format!("a a/b 1 {HASH}"),
            format!("../a a 1 {HASH}"),
            format!("a a 0 {HASH}"),
            format!("a a -1 {HASH}"),
            format!("a a 99999999999999 {HASH}"),
            format!("a a 1 {}", &HASH[1..]),
            format!("a a 1 {HASH} b"),
            "a".into(),
        ] {
            let error = entry_of(&wrong, "a").unwrap_err();
            assert!(error.to_string().contains("line 1"), "{wrong}: {error}");
        }
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            assert!(Entry::of(line).is_some(), "{line}");
        }
    }

    #[test]
    fn places_are_servers_or_folders() {
        assert_eq!(Place::of("HTTPS://a.org/b/"), Place::Server("HTTPS://a.org/b".into()));
        assert_eq!(Place::of("models/lmic-9"), Place::Folder("models/lmic-9".into()));
        assert_eq!(Place::of("file:///a"), Place::Folder("file:///a".into()));
        assert_eq!(Place::of("-o/etc/passwd"), Place::Folder("-o/etc/passwd".into()));
    }
}
