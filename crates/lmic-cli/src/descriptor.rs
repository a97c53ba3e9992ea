//! Names that stand for an open descriptor of this process: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, and links to them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::stdio;

/// The most links that are followed from a name to its file, as in Linux.
const MAX_LINKS: usize = 40;

/// What a name in a folder of descriptors stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor {
    /// One of this process.
    Own(u32),
    /// One of another process.
    Foreign,
}

/// Follows links from name to name, up to a descriptor or to what is no link, which need not exist.
pub fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(to) if of(&path).is_none() => {
                path = path.parent().unwrap_or(Path::new("")).join(to);
            }
            _ => break,
        }
    }
    path
}

/// The descriptor that a name stands for, if it is not the name of a link to one.
pub fn of(path: &Path) -> Option<Descriptor> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = fs::canonicalize(path.parent()?).ok()?;
    let parts: Vec<_> = folder.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    match parts[..] {
        // Of a process, or of one of its threads.
        ["/", "proc", process, "fd"] | ["/", "proc", process, "task", _, "fd"] => {
            match process == std::process::id().to_string() {
                true => Some(Descriptor::Own(number)),
                false => Some(Descriptor::Foreign),
            }
        }
        ["/", "dev", "fd"] => Some(Descriptor::Own(number)),
        _ => None,
    }
}

/// Another descriptor of the same open file. Opening the file by its name instead would write from its start, over what is there.
pub fn duplicate(number: u32, path: &Path) -> anyhow::Result<File> {
    stdio::check(number)?;
    Ok(duplicate_open(number, path)?)
}

#[cfg(target_os = "linux")]
fn duplicate_open(number: u32, path: &Path) -> io::Result<File> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let number = number.cast_signed();
    let duplicated = pidfd_open(getpid(), PidfdFlags::empty())
        .and_then(|this| pidfd_getfd(&this, number, PidfdGetfdFlags::empty()));
    match duplicated {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(rustix::io::Errno::BADF) => Err(rustix::io::Errno::BADF.into()),
        Err(_) => open_to_append(path), // an old system, or a container that forbids it
    }
}

#[cfg(not(target_os = "linux"))]
fn duplicate_open(_number: u32, path: &Path) -> io::Result<File> {
    open_to_append(path)
}

/// Opens what a descriptor of another process stands for: what is there stays.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}
