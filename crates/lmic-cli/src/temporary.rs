//! A file that gets its name when it is complete.
//!
//! Where the system can, it has no name at all until then, so that even `kill -9` leaves nothing behind; elsewhere it is a
//! hidden `.lmic-*.part`, removed on any error, panic or signal.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::{attributes, interrupt};

/// Its permissions.
#[cfg(unix)]
const MODE: u32 = 0o600;

/// An open file, readable and writable, in the directory of its name to be.
#[derive(Debug)]
pub struct Temporary {
    file: File,
    /// Its name for now, if it has one.
    path: Option<TempPath>,
    directory: PathBuf,
}

impl Temporary {
    /// A new file in `directory`, which nobody but its owner can read until it gets its final permissions.
    pub fn create(directory: &Path) -> io::Result<Self> {
        interrupt::install();
        if let Ok(file) = unnamed(directory) {
            return Ok(Self { file, path: None, directory: directory.to_owned() });
        }
        let mut slot = interrupt::slot();
        let (file, path) = named(directory)?.into_parts();
        *slot = Some(path.to_path_buf());
        Ok(Self { file, path: Some(path), directory: directory.to_owned() })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name. What has that name already is replaced if `overwrite`, and otherwise an error.
    pub fn name(self, target: &Path, overwrite: bool) -> io::Result<()> {
        let Self { mut file, path, directory } = self;
        let mut slot = interrupt::slot();
        let path = match path {
            Some(path) => path,
            None => {
                match link(&file, target) {
                    Ok(()) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists && !overwrite => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
                match builder().make_in(&directory, |path| link(&file, path)) {
                    Ok(named) => named.into_temp_path(),
                    // Whatever the reason is, the content has been written and must not be lost.
                    Err(_) => copied(&mut file, &directory)?.into_temp_path(),
                }
            }
        };
        *slot = Some(path.to_path_buf());
        let named = rename(path, target, overwrite);
        *slot = None;
        named
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lmic-").suffix(".part");
    builder
}

fn named(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = builder();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE));
    builder.tempfile_in(directory).map_err(without_path)
}

/// A file without a name, as Linux has it on most of its own file systems.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(flags).mode(MODE).open(directory)?;
    fs::metadata(path_of(&file))?; // without /proc it could not be named later
    Ok(file)
}

/// The name under which the system knows an open file.
#[cfg(target_os = "linux")]
fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file))
}

/// Names a file that has no name; an error if something has the name already.
#[cfg(target_os = "linux")]
fn link(file: &File, target: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    Ok(linkat(CWD, path_of(file), CWD, target, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_directory: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _target: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// The same file with a name.
fn copied(file: &mut File, directory: &Path) -> io::Result<NamedTempFile> {
    let mut copy = named(directory)?;
    file.rewind()?;
    io::copy(file, &mut copy)?;
    attributes::copy(&file.metadata()?, copy.as_file());
    copy.as_file().sync_all()?;
    Ok(copy)
}

fn rename(path: TempPath, target: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return path.persist(target).map_err(|error| error.error);
    }
    let Err(error) = path.persist_noclobber(target) else { return Ok(()) };
    if matches!(error.error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) {
        return Err(error.error);
    }
    // The file system (exFAT, some network ones) can neither rename without replacing nor link: an empty file takes the name,
    // which fails if something has it, and is replaced.
    File::create_new(target)?;
    error.path.persist(target).map_err(|error| {
        let _ = fs::remove_file(target);
        error.error
    })
}

/// The system's error below the one of tempfile, whose random name says nothing to the user.
fn without_path(error: io::Error) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(this) = cause {
        if let Some(code) = this.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = this.source();
    }
    error
}
