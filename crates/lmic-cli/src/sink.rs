//! Where the bytes go. A file appears under its name only when it is complete: until then it is a
//! temporary in the same directory, removed on any error, panic or signal.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::console::display_name;
use crate::{attributes, interrupt};

/// An open destination that counts what it takes.
#[derive(Debug)]
pub struct Sink {
    to: To,
    written: u64,
}

#[derive(Debug)]
enum To {
    /// Stdout, or a device or pipe that was named: written directly.
    Direct(File),
    /// A file that is not complete yet.
    Pending(Box<Pending>),
    /// Nowhere: the bytes were only to be decoded.
    Nowhere,
}

/// A temporary that becomes `target`.
#[derive(Debug)]
struct Pending {
    temporary: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
    source: Option<Metadata>,
}

impl Sink {
    /// Stdout without the line buffer of [`io::Stdout`].
    pub fn stdout() -> Result<Self> {
        #[cfg(unix)]
        let owned = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
        #[cfg(windows)]
        let owned = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
        Ok(Self::new(To::Direct(File::from(owned.context("cannot write to stdout")?))))
    }

    /// A sink that drops everything.
    pub fn nowhere() -> Self {
        Self::new(To::Nowhere)
    }

    fn new(to: To) -> Self {
        Self { to, written: 0 }
    }

    /// A file called `target`; an existing one is replaced if `overwrite`. It gets the attributes of
    /// `source`, the regular file that it is made from, if it is made from one.
    pub fn file(target: &Path, overwrite: bool, source: Option<Metadata>) -> Result<Self> {
        let context = || format!("cannot write {}", display_name(target));
        match fs::metadata(target) {
            Ok(old) if old.is_dir() => bail!("{}: is a directory (name a file)", context()),
            Ok(old) if !old.is_file() => {
                let device = OpenOptions::new().write(true).open(target).with_context(context)?;
                return Ok(Self::new(To::Direct(device)));
            }
            _ => {}
        }
        // A dangling link is something under that name, too.
        if !overwrite && fs::symlink_metadata(target).is_ok() {
            bail!("{} exists already (overwrite it with -f)", display_name(target));
        }
        let temporary = interrupt::create_temporary(directory_of(target), source.is_some())
            .with_context(context)?;
        let target = target.to_owned();
        let pending = Pending { temporary, target, overwrite, source };
        Ok(Self::new(To::Pending(Box::new(pending))))
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether the bytes end in a file of their own, so that the source may go.
    pub fn is_file(&self) -> bool {
        matches!(self.to, To::Pending(_))
    }

    /// Completes the output: a file gets its attributes and its name. `durable` waits for the disk,
    /// for a source that is about to be removed.
    pub fn finish(self, durable: bool) -> Result<()> {
        let To::Pending(pending) = self.to else { return Ok(()) };
        let context = format!("cannot write {}", display_name(&pending.target));
        pending.finish(durable).context(context)
    }
}

impl Pending {
    fn finish(self, durable: bool) -> io::Result<()> {
        let file = self.temporary.as_file();
        if let Some(source) = &self.source {
            attributes::copy(source, file)?;
        }
        if durable {
            file.sync_all()?;
        }
        interrupt::name_temporary(self.temporary, &self.target, self.overwrite)
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = match &mut self.to {
            To::Direct(file) => file.write(data),
            To::Pending(pending) => pending.temporary.as_file_mut().write(data),
            To::Nowhere => Ok(data.len()),
        };
        let written = written.map_err(while_writing)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // all of them are unbuffered
    }
}

/// Says that it was the output that failed, as this error passes through encoder or decoder.
fn while_writing(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("cannot write: {error}")),
    }
}

/// The directory that a temporary for `target` must be in, so that renaming it is atomic.
fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
