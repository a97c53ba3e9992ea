//! Permissions, owner and times of a file, carried over to the one made from it.

use std::fmt;
use std::fs::{File, FileTimes, Metadata};
use std::io;

/// An attribute that the file system, or the lack of a right, keeps from being set.
#[derive(Debug)]
pub struct NotSet {
    what: &'static str,
    why: io::Error,
}

impl NotSet {
    /// Whether it counts in the exit status. As in xz, times do not.
    pub fn counts(&self) -> bool {
        self.what != TIMES
    }
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.to_string();
        let why = why.split(" (os error").next().unwrap_or_default();
        write!(f, "cannot set the {}: {why} (the content is whole)", self.what)
    }
}

const TIMES: &str = "times";

/// Gives `to` the times, permissions and, where allowed, the owner of `from`. What cannot be set is no reason to throw a
/// finished file away.
pub fn copy(from: &Metadata, to: &File) -> Vec<NotSet> {
    let mut not_set = copy_access(from, to);
    let times = || -> io::Result<()> {
        let times = FileTimes::new().set_accessed(from.accessed()?).set_modified(from.modified()?);
        to.set_times(times)
    };
    not_set.extend(times().map_err(|why| NotSet { what: TIMES, why }).err());
    not_set
}

/// Gives `to`, which is for its owner alone, the permissions of any new file. Where that cannot be done (FAT), they are not the file's,
/// but those of the whole file system.
pub fn set_default(to: &File) {
    #[cfg(unix)]
    {
        use rustix::fs::{Mode, fchmod};
        use rustix::process::umask;
        // There is no other way to read it. Whatever another thread creates meanwhile is for its owner alone.
        let mask = umask(Mode::RWXG | Mode::RWXO);
        umask(mask);
        let _ = fchmod(to, Mode::from_raw_mode(0o666) & !mask);
    }
    #[cfg(not(unix))]
    let _ = to;
}

/// Does what xz does. Only root can give files away, so if others fail to, nothing is said. But if the group cannot be kept, the new
/// group must not be able to read more than others could. Setuid bits are never set.
#[cfg(unix)]
fn copy_access(from: &Metadata, to: &File) -> Vec<NotSet> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let mut not_set = Vec::new();
    let mut set = |what, done: io::Result<()>| {
        let done = done.map_err(|why| NotSet { what, why });
        let is_set = done.is_ok();
        not_set.extend(done.err());
        is_set
    };
    if let Err(why) = fchown(to, Some(from.uid()), None)
        && rustix::process::geteuid().is_root()
    {
        set("owner", Err(why));
    }
    let has_group = to.metadata().is_ok_and(|to| to.gid() == from.gid());
    let mode = match has_group || set("group", fchown(to, None, Some(from.gid()))) {
        true => from.mode() & 0o777,
        false => restrict_group(from.mode()),
    };
    set("permissions", to.set_permissions(Permissions::from_mode(mode)));
    not_set
}

#[cfg(not(unix))]
fn copy_access(from: &Metadata, to: &File) -> Vec<NotSet> {
    let done = to.set_permissions(from.permissions());
    done.map_err(|why| NotSet { what: "permissions", why }).err().into_iter().collect()
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
