//! The folder: what is on the disk, what of it can be restored, and what must be restorable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use lmic::block::Models;
use lmic::records::{PrimeOptions, Primed};
use lmic::{DecodeOptions, EncodeOptions, ErrorKind};

use super::random::Random;

/// Names that files get; beside them there are those that commands make of them.
pub const NAMES: [&str; 10] =
    ["a", "b.txt", "sub/c", "sub/d.log", "-x y", "naïve\n.txt", "e", "sub/link", "link", "h.lmic"];

/// The primed state for -p. It is one of the contents: without it others could not be restored.
pub const STATE: &str = "state.lmicp";

pub type Content = Rc<[u8]>;

/// All names below the folder, but for those of directories.
pub type Snapshot = BTreeMap<PathBuf, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub inode: u64,
    /// `None` for a symbolic link: it holds nothing itself.
    pub bytes: Option<Content>,
}

/// What a step may do to names.
#[derive(Debug, Default, Clone)]
pub struct Allowed {
    /// What was in them may go: overwritten as asked with -f, or by the test itself.
    pub overwritten: BTreeSet<PathBuf>,
    /// They may appear.
    pub made: BTreeSet<PathBuf>,
    /// They may go, if what was in them is elsewhere.
    pub removed: BTreeSet<PathBuf>,
    /// A process was killed and could not clear up.
    pub leftovers: bool,
}

/// What a check found, when all is well.
#[derive(Debug)]
pub struct Checked {
    pub after: Snapshot,
    /// Names left behind by a killed process, cleared away.
    pub leftovers: u64,
    /// Contents that went as asked.
    pub overwritten: u64,
}

/// A content that can be had from a file, and whether that takes the state.
type Chain = Rc<[(Content, bool)]>;

pub struct Folder {
    root: tempfile::TempDir,
    state: Content,
    primed: Arc<Primed>,
    /// Each of these must be restorable.
    owed: BTreeSet<Content>,
    /// What the bytes of files give: decoding each archive once is enough.
    chains: HashMap<Content, Chain>,
}

impl Folder {
    /// With a state and nothing else.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("sub")).unwrap();
        let samples: [&[u8]; 2] = [b"to be or not to be that is", b"the question that is not"];
        let primed = Primed::learn(
            &samples,
            &PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() },
        )
        .unwrap();
        let state: Content = primed.to_bytes().into();
        fs::write(root.path().join(STATE), &state).unwrap();
        let owed = [state.clone()].into();
        Self { root, state, primed: Arc::new(primed), owed, chains: HashMap::new() }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// The name at the end of the links that begin at `name`; there need not be a file.
    pub fn resolve(&self, name: &Path) -> PathBuf {
        let mut name = name.to_owned();
        for _ in 0..10 {
            let Ok(to) = fs::read_link(self.path(&name)) else { break };
            name = match to.strip_prefix("..") {
                Ok(above) => above.to_owned(),
                Err(_) => name.with_file_name(to),
            };
        }
        name
    }

    /// Leaves the folder on the disk, to be looked at.
    pub fn keep(self) -> PathBuf {
        self.root.keep()
    }

    /// How many contents must be restorable.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    pub fn state(&self) -> Content {
        self.state.clone()
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut found = Snapshot::new();
        for folder in ["", "sub"] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    continue;
                }
                let bytes = kind.is_file().then(|| fs::read(entry.path()).unwrap().into());
                let inode = entry.metadata().unwrap().ino();
                found.insert(Path::new(folder).join(entry.file_name()), Entry { inode, bytes });
            }
        }
        found
    }

    /// Writes a new content that is owed from now on.
    pub fn put(&mut self, name: &Path, random: &mut Random) {
        let content = random.content();
        fs::write(self.path(name), &content).unwrap();
        self.owe(content.into());
    }

    /// From now on what `bytes` hold must be restorable: of an archive, that is its content.
    pub fn owe(&mut self, bytes: Content) {
        let chain = self.chain(&bytes);
        self.owed.insert(chain[chain.len() - 1].0.clone());
    }

    /// Makes a link to one of the files in the folder itself.
    pub fn link(&self, name: &Path, hard: bool, random: &mut Random) {
        let to = ["a", "b.txt", "e", "a.lmic", "sub/c", STATE][random.below(6)];
        let up = if name.starts_with("sub") { "../" } else { "" };
        let is_file = fs::symlink_metadata(self.path(to)).is_ok_and(|found| found.is_file());
        match hard && is_file {
            true => fs::hard_link(self.path(to), self.path(name)).unwrap(),
            false => symlink(format!("{up}{to}"), self.path(name)).unwrap(),
        }
    }

    /// Whether the state can be had from `name`, without itself.
    pub fn carries_state(&mut self, snapshot: &Snapshot, name: &Path) -> bool {
        let bytes = snapshot.get(name).and_then(|entry| entry.bytes.clone());
        let state = (self.state.clone(), false);
        bytes.is_some_and(|bytes| self.chain(&bytes).contains(&state))
    }

    /// All that can be had from `name`: its bytes, what they decode to, and so on.
    pub fn contents(&mut self, snapshot: &Snapshot, name: &Path) -> Vec<Content> {
        let bytes = snapshot.get(name).and_then(|entry| entry.bytes.clone());
        let chain = bytes.map(|bytes| self.chain(&bytes));
        chain.iter().flat_map(|chain| chain.iter()).map(|(content, _)| content.clone()).collect()
    }

    fn chain(&mut self, bytes: &Content) -> Chain {
        if let Some(known) = self.chains.get(bytes) {
            return known.clone();
        }
        let mut chain = vec![(bytes.clone(), false)];
        while let Some((content, took_state)) = self.decode(&chain[chain.len() - 1].0) {
            let needs_state = took_state || chain[chain.len() - 1].1;
            chain.push((content.into(), needs_state));
        }
        self.chains.insert(bytes.clone(), chain.into());
        self.chains[bytes].clone()
    }

    fn decode(&self, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
        match lmic::decompress(bytes) {
            Ok(content) => Some((content, false)),
            Err(error) if error.kind() == ErrorKind::WrongModel => {
                let primed = self.primed.clone();
                let models = Models::default().with_primed(move |_| Ok(Some(primed.clone())));
                let options = DecodeOptions { models, ..DecodeOptions::default() };
                Some((lmic::decompress_with(bytes, &options).ok()?, true))
            }
            Err(_) => None,
        }
    }

    pub fn compress_with_state(&self, content: &[u8]) -> Vec<u8> {
        let primed = Some(("state".into(), self.primed.clone()));
        let options = EncodeOptions { level: 1, primed, ..EncodeOptions::default() };
        lmic::compress_with(content, &options).unwrap()
    }

    /// All that can be had from the disk. What takes the state counts only if that can be had without itself.
    fn restorable(&mut self, snapshot: &Snapshot) -> BTreeSet<Content> {
        let (mut direct, mut by_state) = (BTreeSet::new(), BTreeSet::new());
        for bytes in snapshot.values().filter_map(|entry| entry.bytes.as_ref()) {
            for (content, needs_state) in self.chain(bytes).iter() {
                if *needs_state { &mut by_state } else { &mut direct }.insert(content.clone());
            }
        }
        if direct.contains(&self.state) {
            direct.extend(by_state);
        }
        direct
    }

    /// Compares the disk with what was there before a step and with what the step was allowed.
    ///
    /// # Errors
    /// What the step did beyond that: in the first place, a content that was lost.
    pub fn check(&mut self, before: &Snapshot, allowed: &Allowed) -> Result<Checked, String> {
        let mut after = self.snapshot();
        let leftovers = self.check_names(before, &mut after, allowed)?;
        let restorable = self.restorable(&after);
        let missing: Vec<Content> = self.owed.difference(&restorable).cloned().collect();
        for content in &missing {
            let carriers: Vec<&PathBuf> = before
                .keys()
                .filter(|name| self.contents(before, name).contains(content))
                .collect();
            let asked = carriers.iter().all(|name| allowed.overwritten.contains(*name));
            // Without the state all that is coded with it would be lost, too, so no step may ask for that.
            if carriers.is_empty() || !asked || *content == self.state {
                return Err(format!(
                    "lost: {:?}.. of {} bytes, which was in {carriers:?} and is in none of {:?}",
                    String::from_utf8_lossy(&content[..content.len().min(20)]),
                    content.len(),
                    after.keys()
                ));
            }
            self.owed.remove(content);
        }
        let on_disk: BTreeSet<&Content> =
            after.values().filter_map(|entry| entry.bytes.as_ref()).collect();
        self.chains.retain(|bytes, _| on_disk.contains(bytes));
        Ok(Checked { leftovers, overwritten: missing.len() as u64, after })
    }

    fn check_names(
        &self,
        before: &Snapshot,
        after: &mut Snapshot,
        allowed: &Allowed,
    ) -> Result<u64, String> {
        if let Some(name) = before
            .keys()
            .find(|name| !after.contains_key(*name) && !allowed.removed.contains(*name))
        {
            return Err(format!("{name:?} was removed"));
        }
        let is_stray = |name: &PathBuf| !before.contains_key(name) && !allowed.made.contains(name);
        let stray: Vec<PathBuf> = after.keys().filter(|name| is_stray(name)).cloned().collect();
        if !stray.is_empty() && !allowed.leftovers {
            return Err(format!("{stray:?} appeared"));
        }
        for name in &stray {
            fs::remove_file(self.path(name)).unwrap();
            after.remove(name);
        }
        let changed = |name: &PathBuf| before.get(name).is_some_and(|old| *old != after[name]);
        match after.keys().find(|name| changed(name) && !allowed.overwritten.contains(*name)) {
            Some(name) => Err(format!("{name:?} was changed")),
            None => Ok(stray.len() as u64),
        }
    }
}
