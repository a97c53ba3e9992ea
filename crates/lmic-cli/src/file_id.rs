//! Which file a name stands for: two names of one file have the same `FileId`. Nothing is opened, so that a pipe is not
//! waited for.

use std::fs::{self, Metadata};
use std::path::Path;

/// A file, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileId(Id);

#[cfg(unix)]
type Id = (u64, u64); // device, inode

/// On other systems hard links are taken for different files.
#[cfg(not(unix))]
type Id = std::path::PathBuf;

impl FileId {
    /// The file behind a name, through links; `None` if there is none.
    pub fn at(path: &Path) -> Option<Self> {
        Self::of(&fs::metadata(path).ok()?, path)
    }

    /// The file that has the name `path` itself. If that is a link, it is the link and not what it leads to.
    pub fn of_name(path: &Path) -> Option<Self> {
        Self::of(&fs::symlink_metadata(path).ok()?, path)
    }

    /// The file of which this is the metadata.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata, _path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self((metadata.dev(), metadata.ino())))
    }

    #[cfg(not(unix))]
    pub fn of(_metadata: &Metadata, path: &Path) -> Option<Self> {
        Some(Self(path.canonicalize().ok()?))
    }
}
