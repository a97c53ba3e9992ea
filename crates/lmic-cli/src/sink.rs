//! Where the bytes go. A file appears under its name only when it is complete: see `Temporary`. What is no plain file is
//! written as it is, and never read or replaced.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::attributes::{self, NotSet};
use crate::console::display_name;
use crate::descriptor::{self, Descriptor};
use crate::temporary::Temporary;
use crate::{interrupt, stdio};

/// An open destination that counts what it takes.
#[derive(Debug)]
pub struct Sink {
    to: To,
    written: u64,
}

#[derive(Debug)]
enum To {
    /// Stdout. Its reader may leave before the end.
    Stdout(File),
    /// A device, a pipe or an open descriptor that was named, with its name: written directly.
    Direct(File, String),
    /// A file that is not complete yet.
    Pending(Box<Pending>),
    /// Nowhere: the bytes were only to be decoded.
    Nowhere,
}

/// A temporary that becomes `target`.
#[derive(Debug)]
struct Pending {
    temporary: Temporary,
    target: PathBuf,
    overwrite: bool,
    source: Option<Metadata>,
    /// Without a source: whether it stays for its owner alone.
    private: bool,
}

impl Sink {
    /// Stdout.
    pub fn stdout() -> Result<Self> {
        stdio::check_stdout()?;
        Ok(Self::new(To::Stdout(stdio::stdout().context("cannot write to stdout")?)))
    }

    /// A sink that drops everything.
    pub fn nowhere() -> Self {
        Self::new(To::Nowhere)
    }

    fn new(to: To) -> Self {
        interrupt::install();
        Self { to, written: 0 }
    }

    /// What the user called `target`: a file as [`Sink::file`] has it, where `overwrite` also follows links; or an open
    /// descriptor (`/dev/stdout`, `/dev/fd/3`).
    pub fn named(target: &Path, overwrite: bool, source: Option<Metadata>) -> Result<Self> {
        let resolved = descriptor::resolve(target);
        let context = || cannot_write(target);
        let opened = match descriptor::of(&resolved) {
            Some(Descriptor::Own(1)) => return Self::stdout(),
            Some(Descriptor::Own(number)) => {
                descriptor::duplicate(number, &resolved).with_context(context)?
            }
            Some(Descriptor::Foreign) => {
                descriptor::open_to_append(&resolved).with_context(context)?
            }
            None => match fs::metadata(target) {
                // A disk device has content that would be lost, so it takes `overwrite`. A pipe or another device has none.
                Ok(found) if is_special(&found) && (overwrite || !is_disk(&found)) => {
                    OpenOptions::new().write(true).open(target).with_context(context)?
                }
                _ => {
                    let target = if overwrite { &resolved } else { target };
                    return Self::file(target, overwrite, source);
                }
            },
        };
        Ok(Self::new(To::Direct(opened, display_name(target))))
    }

    /// Whether what is called `target` is written as it is: a pipe, a device, an open descriptor.
    pub fn is_direct(target: &Path) -> bool {
        descriptor::of(&descriptor::resolve(target)).is_some()
            || fs::metadata(target).is_ok_and(|found| is_special(&found))
    }

    /// A file called `target`; an existing one, or a link of that name, is replaced if `overwrite`. It gets the attributes of
    /// `source`, the regular file that it is made from, if it is made from one.
    pub fn file(target: &Path, overwrite: bool, source: Option<Metadata>) -> Result<Self> {
        let context = || cannot_write(target);
        let exists = match fs::metadata(target) {
            Ok(old) if old.is_dir() => bail!("{}: is a directory (name a file)", context()),
            Ok(old) if is_special(&old) && overwrite => {
                let device = OpenOptions::new().write(true).open(target).with_context(context)?;
                return Ok(Self::new(To::Direct(device, display_name(target))));
            }
            Ok(_) => true,
            // A link that leads nowhere has the name, too.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::symlink_metadata(target).is_ok()
            }
            // The name is too long, or may not be looked at: better now than when all is coded.
            Err(error) => return Err(error).with_context(context),
        };
        if exists && !overwrite {
            bail!("{} exists already (overwrite it with -f)", display_name(target));
        }
        let temporary = Temporary::create(directory_of(target)).with_context(context)?;
        let target = target.to_owned();
        let pending = Pending { temporary, target, overwrite, source, private: false };
        Ok(Self::new(To::Pending(Box::new(pending))))
    }

    /// Keeps what is written from everybody but its owner, also once it has its name, unless it gets the permissions of a source.
    pub fn keep_private(&mut self) {
        if let To::Pending(pending) = &mut self.to {
            pending.private = true;
        }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether the bytes end in a file of their own, so that the source may go.
    pub fn is_file(&self) -> bool {
        matches!(self.to, To::Pending(_))
    }

    /// Whether the bytes go to a screen.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.to, To::Stdout(file) | To::Direct(file, _) if file.is_terminal())
    }

    /// The open file that bytes go to at once, if that is what they do.
    pub fn direct(&self) -> Option<&File> {
        match &self.to {
            To::Stdout(file) | To::Direct(file, _) => Some(file),
            To::Pending(_) | To::Nowhere => None,
        }
    }

    /// Completes the output: a file gets its attributes and its name. `durable` waits for the disk,
    /// for a source that is about to be removed. Returns what could not be set.
    pub fn finish(self, durable: bool) -> Result<Vec<NotSet>> {
        match self.to {
            To::Stdout(file) => close(&file).context("cannot write to stdout")?,
            To::Direct(file, name) => {
                close(&file).with_context(|| format!("cannot write {name}"))?;
            }
            To::Nowhere => {}
            To::Pending(pending) => {
                let context = cannot_write(&pending.target);
                return pending.finish(durable).context(context);
            }
        }
        Ok(Vec::new())
    }
}

impl Pending {
    fn finish(self, durable: bool) -> io::Result<Vec<NotSet>> {
        let file = self.temporary.file();
        let not_set = match &self.source {
            Some(from) => attributes::copy(from, file),
            None if self.private => Vec::new(),
            None => {
                attributes::set_default(file);
                Vec::new()
            }
        };
        if durable {
            synchronized(file.sync_all())?;
        }
        close(file)?;
        self.temporary.name(&self.target, self.overwrite)?;
        if durable {
            sync_directory(directory_of(&self.target))?;
        }
        Ok(not_set)
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = match &mut self.to {
            To::Stdout(file) => file.write(data).map_err(|e| while_writing(e, "stdout")),
            To::Direct(file, name) => file.write(data).map_err(|error| match error.kind() {
                ErrorKind::Interrupted => error,
                // A reader of stdout that leaves is no error. A reader of another pipe that leaves is one, and gets a message.
                ErrorKind::BrokenPipe => {
                    io::Error::other(format!("cannot write {name}: whoever read it has left"))
                }
                // What helps with a file, as to free some space, does not help here.
                _ => io::Error::other(format!("cannot write {name}: {error}")),
            }),
            To::Pending(pending) => {
                let written = pending.temporary.file().write(data);
                written.map_err(|e| while_writing(e, &display_name(&pending.target)))
            }
            To::Nowhere => Ok(data.len()),
        };
        let written = written?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // all of them are unbuffered
    }
}

/// Adds to an error that it was the output that failed. The error passes through encoder or decoder, which cannot tell.
fn while_writing(error: io::Error, name: &str) -> io::Error {
    match error.kind() {
        ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("cannot write {name}: {error}")),
    }
}

fn cannot_write(target: &Path) -> String {
    format!("cannot write {}", display_name(target))
}

/// The directory that a temporary for `target` must be in, so that renaming it is atomic.
fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Closes a second descriptor of a file: some network file systems say only then that they could not keep what was written.
fn close(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    nix::unistd::close(file.try_clone()?)?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Waits until a new name in `directory` is on the disk.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory).map_or(Ok(()), |directory| synchronized(directory.sync_all()))
}

/// Not all file systems can be asked to wait for the disk.
fn synchronized(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// A pipe, a device or a socket.
fn is_special(metadata: &Metadata) -> bool {
    !metadata.is_file() && !metadata.is_dir()
}

#[cfg(unix)]
fn is_disk(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_disk(_metadata: &Metadata) -> bool {
    false
}
