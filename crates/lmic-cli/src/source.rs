//! Where the bytes come from: stdin or files, with directories walked on request.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::console::{Skipped, display_name};
use crate::descriptor::{self, Descriptor};
use crate::file_id::FileId;
use crate::sink::Sink;
use crate::stdio;

/// The suffix of compressed files.
pub const SUFFIX: &str = ".lmic";

/// The suffix of those that are encrypted as well.
pub const ENCRYPTED_SUFFIX: &str = ".lmic.age";

/// A name from the command line, or found below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// `-` is stdin.
    pub fn new(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }

    /// The name for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "(stdin)".into(),
            Self::File(path) => display_name(path),
        }
    }

    /// Opens it for reading.
    pub fn open(&self, policy: Policy) -> Result<Opened> {
        match self {
            Self::Stdin => Opened::new(stdin()?),
            Self::File(path) => {
                policy.check(path)?;
                if let Some(Descriptor::Own(number)) = descriptor::of(&descriptor::resolve(path)) {
                    stdio::check(number)?;
                }
                Opened::new(File::open(path).context("cannot open")?)
            }
        }
    }
}

/// What is said of a directory.
pub const DIRECTORY: &str = "is a directory, skipped (go into it with -r)";

/// What a name may stand for. A directory is never opened.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Follow a symbolic link; otherwise it is skipped, since its target keeps its own name.
    pub links: bool,
    /// Read pipes and devices.
    pub special: bool,
}

impl Policy {
    /// Reads whatever can be read.
    pub const ANY: Self = Self { links: true, special: true };

    fn check(self, path: &Path) -> Result<()> {
        let skip = |why: &str| bail!(Skipped(why.into()));
        let link = fs::symlink_metadata(path).context("cannot open")?;
        if link.is_symlink() && !self.links {
            return skip("is a symbolic link, skipped (follow it with -f)");
        }
        let target = fs::metadata(path).context("cannot open")?;
        if target.is_dir() {
            return skip(DIRECTORY);
        }
        if !target.is_file() && !self.special {
            return skip("is not a regular file, skipped (write its content to stdout with -c)");
        }
        Ok(())
    }
}

/// Refuses an output that is one of `sources`: what is written would be read, or be lost.
pub fn check_apart(sources: &[Source], out: &Sink) -> Result<()> {
    let written = out.direct().and_then(|file| file.metadata().ok()).filter(Metadata::is_file);
    let Some(written) = written else { return Ok(()) };
    for source in sources {
        let id = match source {
            Source::File(path) => FileId::at(path),
            Source::Stdin => FileId::of(&stdin()?.metadata()?, Path::new("/dev/stdin")),
        };
        if id.is_some() && id == FileId::of(&written, Path::new("/dev/stdout")) {
            bail!("{}: is source and output at once (choose another output)", source.name());
        }
    }
    Ok(())
}

/// An open source.
#[derive(Debug)]
pub struct Opened {
    pub file: File,
    pub metadata: Metadata,
}

impl Opened {
    fn new(file: File) -> Result<Self> {
        let metadata = file.metadata().context("cannot open")?;
        Ok(Self { file, metadata })
    }

    /// Length in bytes from where it stands, if it is known before reading. (Stdin may have been read in part.)
    pub fn len(&self) -> Option<u64> {
        let position = (&self.file).stream_position().ok().filter(|_| self.metadata.is_file())?;
        Some(self.metadata.len().saturating_sub(position))
    }

    /// How many names the file has: hard links.
    pub fn links(&self) -> u64 {
        #[cfg(unix)]
        return std::os::unix::fs::MetadataExt::nlink(&self.metadata);
        #[cfg(not(unix))]
        1
    }

    /// Whether `path` is still the file that was opened, as it was then; otherwise what happened to it.
    pub fn check_unchanged(&self, path: &Path) -> Result<()> {
        let kept = |why: &str| bail!("{why} while it was coded, so it is not removed");
        let (before, after) = (&self.metadata, self.file.metadata().context("cannot look at it")?);
        let named = match fs::symlink_metadata(path).and_then(|_| fs::metadata(path)) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return kept("was removed or renamed");
            }
            Err(error) => {
                return Err(error).context("cannot look at it again, so it is not removed");
            }
        };
        if FileId::of(&named, path) != FileId::of(before, path) {
            return kept("was replaced by another file");
        }
        if last_change(&after) != last_change(before) || after.len() != before.len() {
            return kept("was changed");
        }
        Ok(())
    }

    /// Whether it can be read from any position.
    pub fn is_seekable(&self) -> bool {
        self.metadata.is_file()
    }
}

/// When content or attributes were last changed, as exactly as the file system knows. (The time of modification alone can be
/// set back, as programs that synchronize folders do.)
fn last_change(metadata: &Metadata) -> impl PartialEq {
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        (metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = ();
    (metadata.modified().ok(), changed)
}

/// Stdin without the lock and the second buffer of [`io::Stdin`].
fn stdin() -> Result<File> {
    stdio::check_stdin()?;
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned();
    Ok(File::from(owned.context("cannot open")?))
}

/// Whether someone would have to type the input.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The names of the command line as sources; none at all is stdin.
pub fn from_names(names: Vec<PathBuf>) -> Vec<Source> {
    if names.is_empty() {
        vec![Source::Stdin]
    } else {
        names.into_iter().map(Source::new).collect()
    }
}

/// `sources` with directories replaced by the regular files below them that `wanted` picks, in
/// order of name. Symbolic links found on the way are not followed.
///
/// A directory that cannot be read becomes an error in its place.
pub fn walk(sources: Vec<Source>, wanted: impl Fn(&Path) -> bool) -> Vec<(Source, Result<()>)> {
    let mut found = Vec::new();
    for source in sources {
        match &source {
            Source::File(path) if path.is_dir() => walk_directory(path, &wanted, &mut found),
            _ => found.push((source, Ok(()))),
        }
    }
    found
}

fn walk_directory(
    path: &Path,
    wanted: &impl Fn(&Path) -> bool,
    found: &mut Vec<(Source, Result<()>)>,
) {
    let entries = match sorted_entries(path) {
        Ok(entries) => entries,
        Err(error) => {
            let error = Err(error).context("cannot read the directory");
            return found.push((Source::File(path.into()), error));
        }
    };
    for (path, kind) in entries {
        if kind.is_dir() {
            walk_directory(&path, wanted, found);
        } else if kind.is_file() && wanted(&path) {
            found.push((Source::File(path), Ok(())));
        }
    }
}

fn sorted_entries(path: &Path) -> io::Result<Vec<(PathBuf, fs::FileType)>> {
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.and_then(|e| Ok((e.path(), e.file_type()?))))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// The suffix that a name has behind something else: of a compressed file, encrypted or not.
pub fn suffix(path: &Path) -> Option<&'static str> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let has = |suffix: &&str| name.len() > suffix.len() && name.ends_with(suffix.as_bytes());
    [SUFFIX, ENCRYPTED_SUFFIX].into_iter().find(has)
}

/// Whether the name is that of a compressed file, encrypted or not.
pub fn has_suffix(path: &Path) -> bool {
    suffix(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_needs_a_name_before_it() {
        for name in ["a.lmic", "dir/.a.lmic", "a.lmic/"] {
            assert_eq!(suffix(Path::new(name)), Some(".lmic"), "{name}");
        }
        for name in ["a.lmic.age", "dir/.a.lmic.age"] {
            assert_eq!(suffix(Path::new(name)), Some(".lmic.age"), "{name}");
        }
        for name in [".lmic", "dir/.lmic", "a.lmi", "lmic", "a.age", ".lmic.age", "a.lmic.agee"] {
            assert_eq!(suffix(Path::new(name)), None, "{name}");
        }
    }
}
