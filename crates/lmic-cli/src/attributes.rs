//! Permissions, owner and times of a file, carried over to the one made from it.

use std::fs::{File, FileTimes, Metadata};
use std::io;

/// Gives `to` the times, permissions and, where allowed, the owner of `from`.
pub fn copy(from: &Metadata, to: &File) -> io::Result<()> {
    copy_access(from, to)?;
    let times = FileTimes::new().set_accessed(from.accessed()?).set_modified(from.modified()?);
    to.set_times(times)
}

/// As xz does it: only root can give files away, which is fine; but if the group cannot be kept,
/// the new group must not read more than others could. Never setuid bits.
#[cfg(unix)]
fn copy_access(from: &Metadata, to: &File) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let _ = fchown(to, Some(from.uid()), None);
    let mode = match fchown(to, None, Some(from.gid())) {
        Ok(()) => from.mode() & 0o777,
        Err(_) => restrict_group(from.mode()),
    };
    to.set_permissions(Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn copy_access(from: &Metadata, to: &File) -> io::Result<()> {
    to.set_permissions(from.permissions())
}

/// The mode with what group and others both may do for either of them.
#[cfg(unix)]
fn restrict_group(mode: u32) -> u32 {
    let both = (mode >> 3) & mode & 0o7;
    (mode & 0o700) | (both << 3) | both
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lost_group_gains_nobody_access() {
        assert_eq!(restrict_group(0o640), 0o600);
        assert_eq!(restrict_group(0o664), 0o644);
        assert_eq!(restrict_group(0o604), 0o600);
        assert_eq!(restrict_group(0o4755), 0o755);
    }
}
