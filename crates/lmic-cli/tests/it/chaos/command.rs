//! A random command: what it is asked, what it may do by that, and what happens to it while it runs.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::folder::{Allowed, Content, Folder, NAMES, STATE, Snapshot};
use super::random::Random;

/// What happened in a run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub done: u64,
    pub refused: u64,
    /// Ended by SIGKILL while they ran, and by a signal that can be caught.
    pub killed: u64,
    pub ended: u64,
    /// Sources that were modified while they were read.
    pub disturbed: u64,
    pub removed: u64,
    pub overwritten: u64,
    /// Names that SIGKILL left behind.
    pub leftovers: u64,
}

/// What a command is asked.
#[derive(Debug, Default)]
struct Plan {
    /// Level, threads, blocks.
    options: Vec<OsString>,
    decompress: bool,
    force: bool,
    remove: bool,
    with_state: bool,
    to: To,
    /// The name for -o.
    output: PathBuf,
    /// Names as the command finds them, with the name of what it makes of each.
    pairs: Vec<(PathBuf, PathBuf)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum To {
    #[default]
    Beside,
    /// -o
    Named,
    /// -c, which the test leads into a file.
    Stdout,
    /// -r: beside, in the folder `sub`.
    Folder,
}

/// Where the test leads stdout to; it is not a source.
const STDOUT: &str = "out";

/// What happens to a command while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Nothing,
    Signal(Signal),
    /// The source is modified.
    Disturb(Disturb),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Disturb {
    RenameOver,
    Append,
    Overwrite,
}

pub struct Runner {
    pub counts: Counts,
    /// How long a command takes that nothing happens to, averaged.
    usual: Duration,
    /// The last commands, for the message of a fault.
    recent: VecDeque<String>,
}

impl Runner {
    pub fn new() -> Self {
        let usual = Duration::from_millis(20);
        Self { counts: Counts::default(), usual, recent: VecDeque::new() }
    }

    pub fn log(&self) -> String {
        self.recent.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Runs a random command and checks what it did.
    pub fn step(&mut self, folder: &mut Folder, random: &mut Random) -> Result<(), String> {
        let before = folder.snapshot();
        let plan = plan(folder, &before, random);
        let sources = plan.contents(folder, &before);
        let mut allowed = plan.allowed(folder, &before);
        let event = match random.below(10) {
            0..4 => Event::Nothing,
            4..6 => Event::Signal(Signal::KILL),
            6..8 => Event::Signal(*random.pick(&[Signal::TERM, Signal::INT, Signal::HUP])),
            _ => Event::Disturb(*random.pick(&[
                Disturb::RenameOver,
                Disturb::Append,
                Disturb::Overwrite,
            ])),
        };
        self.note(format!("lmic {:?} ({:?}), {event:?}", plan.args(), plan.to));

        let started = Instant::now();
        let child = plan.command(folder).spawn().unwrap();
        let mut disturbed = false;
        if event != Event::Nothing {
            std::thread::sleep(self.usual.mul_f64(random.below(130) as f64 / 100.0));
        }
        match event {
            Event::Nothing => {}
            Event::Signal(signal) => send(signal, &child),
            Event::Disturb(how) => {
                send(Signal::STOP, &child);
                if is_stopped(&child) {
                    disturbed = plan.disturb(how, folder, &before, &mut allowed, random);
                }
                send(Signal::CONT, &child);
            }
        }
        let output = child.wait_with_output().unwrap();
        if event == Event::Nothing {
            self.usual = self.usual.mul_f64(0.9) + started.elapsed().mul_f64(0.1);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.note(format!("  {}, {said:?}, disturbed: {disturbed}", output.status));
        self.count(output.status, disturbed);
        allowed.leftovers = output.status.signal() == Some(9);
        let checked = folder.check(&before, &allowed)?;
        self.counts.overwritten += checked.overwritten;
        self.counts.leftovers += checked.leftovers;
        let gone = |name: &&PathBuf| !checked.after.contains_key(*name);
        self.counts.removed += before.keys().filter(gone).count() as u64;
        if !matches!(output.status.code(), None | Some(0..=2)) {
            return Err(format!("{}: {said}", output.status));
        }
        if disturbed {
            return Ok(()); // what it made of that may be anything
        }
        plan.check_outputs(folder, &sources, &before, &checked.after, output.status)
    }

    fn note(&mut self, line: String) {
        self.recent.push_back(line);
        if self.recent.len() > 24 {
            self.recent.pop_front();
        }
    }

    fn count(&mut self, status: ExitStatus, disturbed: bool) {
        let counts = &mut self.counts;
        counts.disturbed += u64::from(disturbed);
        match (status.code(), status.signal()) {
            (Some(0), _) => counts.done += 1,
            (_, Some(9)) => counts.killed += 1,
            (_, Some(_)) => counts.ended += 1,
            _ => counts.refused += 1,
        }
    }
}

/// A random command for what is there.
fn plan(folder: &mut Folder, before: &Snapshot, random: &mut Random) -> Plan {
    let mut plan = Plan {
        decompress: random.chance(45),
        force: random.chance(45),
        remove: random.chance(40),
        with_state: random.chance(15),
        ..Plan::default()
    };
    let sources = sources(&mut plan, before, random);
    match plan.decompress {
        true => plan.with_state = before.contains_key(Path::new(STATE)) && random.chance(70),
        false => plan.options.push(format!("-{}", random.below(3) + 1).into()),
    }
    if random.chance(30) {
        plan.options.push("-T2".into());
        let blocks = if plan.decompress { "-v" } else { "--block-size=2K" };
        plan.options.push(blocks.into());
    }
    plan.to = match random.below(100) {
        0..15 => To::Named,
        15..25 if !plan.remove => To::Stdout,
        25..35 => To::Folder,
        _ => To::Beside,
    };
    match plan.to {
        To::Named => {
            plan.output = plan.output(&sources[0], before, random);
            plan.pairs.push((sources[0].clone(), folder.resolve(&plan.output)));
        }
        To::Stdout => plan.pairs.push((sources[0].clone(), STDOUT.into())),
        To::Folder => plan.take_folder(before),
        To::Beside => {
            let pair = |name: &PathBuf| (name.clone(), beside(name, plan.decompress));
            plan.pairs = sources.iter().map(pair).collect();
        }
    }
    plan.force &= !plan.endangers_state(folder, before);
    plan
}

/// Mostly files that there is something to do with; sometimes the same one twice.
fn sources(plan: &mut Plan, before: &Snapshot, random: &mut Random) -> Vec<PathBuf> {
    let with_state = random.chance(10);
    let mut fitting = fitting(plan, with_state, before);
    if fitting.is_empty() {
        plan.decompress ^= true;
        fitting = self::fitting(plan, with_state, before);
    }
    let there = before.keys().filter(|name| *name != Path::new(STDOUT)).cloned();
    let any: Vec<PathBuf> = there.chain(NAMES.map(PathBuf::from)).collect();
    let mut sources: Vec<PathBuf> = Vec::new();
    for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
        let from = if random.chance(90) && !fitting.is_empty() { &fitting } else { &any };
        sources.push(random.pick(from).clone());
    }
    if random.chance(5) {
        sources.push(sources[0].clone());
    }
    sources
}

/// Files of which something can be made beside them.
fn fitting(plan: &Plan, with_state: bool, before: &Snapshot) -> Vec<PathBuf> {
    let Plan { decompress, force, .. } = *plan;
    let fits = |name: &&PathBuf| {
        let Some(bytes) = &before[*name].bytes else { return false };
        is_archive(name) == decompress
            && bytes.starts_with(b"\xb1LMC") == decompress
            && *name != Path::new(STDOUT)
            && (with_state || !name.to_string_lossy().starts_with(STATE))
            && (force || !before.contains_key(&beside(name, decompress)))
    };
    before.keys().filter(fits).cloned().collect()
}

fn is_archive(name: &Path) -> bool {
    name.as_os_str().as_bytes().ends_with(b".lmic")
}

/// The name that the command makes of `source`: that of nothing, if it does not fit.
fn beside(source: &Path, decompress: bool) -> PathBuf {
    let name = source.as_os_str().as_bytes();
    match (decompress, name.strip_suffix(b".lmic")) {
        (true, Some(stem)) => OsStr::from_bytes(stem).into(),
        (false, None) => OsString::from_vec([name, b".lmic"].concat()).into(),
        _ => source.into(),
    }
}

impl Plan {
    fn args(&self) -> Vec<OsString> {
        let mut args = self.options.clone();
        let flags = [
            ("-d", self.decompress),
            ("-f", self.force),
            ("--rm", self.remove),
            ("-k", !self.remove),
            ("-c", self.to == To::Stdout),
            ("-r", self.to == To::Folder),
        ];
        args.extend(flags.iter().filter(|(_, asked)| *asked).map(|(flag, _)| flag.into()));
        if self.with_state {
            args.extend(["-p".into(), STATE.into()]);
        }
        if self.to == To::Named {
            let mut output = OsString::from("--output=");
            output.push(&self.output);
            args.push(output);
        }
        args.push("--".into());
        match self.to {
            To::Folder => args.push("sub".into()),
            _ => args.extend(self.pairs.iter().map(|(source, _)| source.into())),
        }
        args
    }

    /// A name for -o, also that of the source, of links to it, of other files, a directory, the state.
    fn output(&self, source: &Path, before: &Snapshot, random: &mut Random) -> PathBuf {
        let there: Vec<PathBuf> = before.keys().cloned().collect();
        match random.below(10) {
            0 => source.to_owned(),
            1 => "sub".into(),
            2 if self.with_state => STATE.into(),
            2..5 => random.pick(&there).clone(),
            _ => random.pick(&NAMES).into(),
        }
    }

    fn take_folder(&mut self, before: &Snapshot) {
        let fits = |name: &&PathBuf| {
            name.starts_with("sub")
                && is_archive(name) == self.decompress
                && before[*name].bytes.is_some()
        };
        let found = before.keys().filter(fits);
        self.pairs = found.map(|name| (name.clone(), beside(name, self.decompress))).collect();
    }

    /// Whether the command, as it is asked, could take the last copy of the state: that would be the user's own fault.
    /// Not so where it is asked to write over the very state that it codes with, which it must refuse.
    fn endangers_state(&self, folder: &mut Folder, before: &Snapshot) -> bool {
        let takes = |name: &PathBuf| self.pairs.iter().any(|(_, target)| target == name);
        let must_refuse = self.with_state && !self.decompress && takes(&STATE.into());
        let is_elsewhere = |name: &PathBuf| !takes(name) && folder.carries_state(before, name);
        !must_refuse && !before.keys().any(is_elsewhere)
    }

    /// All that its sources give.
    fn contents(&self, folder: &mut Folder, before: &Snapshot) -> BTreeSet<Content> {
        let root = fs::canonicalize(folder.path("")).unwrap();
        let real = |source| fs::canonicalize(root.join(source)).ok();
        let names = self.pairs.iter().filter_map(|(source, _)| real(source));
        names.flat_map(|name| folder.contents(before, name.strip_prefix(&root).unwrap())).collect()
    }

    fn allowed(&self, folder: &Folder, before: &Snapshot) -> Allowed {
        let mut allowed = Allowed::default();
        for (source, target) in &self.pairs {
            allowed.made.insert(target.clone());
            let real = |name: &Path| fs::canonicalize(folder.path(name)).ok();
            // With -o a link is followed; beside its source it is a name like any other, which is replaced.
            let name = |name: &Path| Some(real(name.parent()?)?.join(name.file_name()?));
            let written = if self.to == To::Named { real(target) } else { name(target) };
            let onto_itself = written.is_some() && real(source) == written;
            if self.force && !onto_itself && before.contains_key(target) {
                allowed.overwritten.insert(target.clone());
            }
            if self.remove {
                allowed.removed.insert(source.clone());
            }
        }
        if self.to == To::Stdout {
            allowed.overwritten.insert(STDOUT.into()); // by the test
        }
        allowed
    }

    fn command(&self, folder: &Folder) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lmic"));
        command
            .args(self.args())
            .current_dir(folder.path(""))
            .env("LMIC_MODELS", folder.path("none"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if self.to == To::Stdout {
            let _ = fs::remove_file(folder.path(STDOUT)); // it may be a link
            command.stdout(File::create(folder.path(STDOUT)).unwrap());
        }
        command
    }

    /// Modifies a source of a command that is stopped, as long as what it makes has not its name yet: from then on
    /// the command may be about to remove the source, and no program can do that in one step with a last look at it.
    fn disturb(
        &self,
        how: Disturb,
        folder: &mut Folder,
        before: &Snapshot,
        allowed: &mut Allowed,
        random: &mut Random,
    ) -> bool {
        let Some((source, target)) = self.pairs.first() else { return false };
        let now = folder.snapshot();
        let inode = |snapshot: &Snapshot, name: &Path| snapshot.get(name).map(|entry| entry.inode);
        let same = |name: &PathBuf| inode(before, name) == inode(&now, name);
        let is_file = before.get(source).is_some_and(|entry| entry.bytes.is_some());
        let is_target = self.pairs.iter().any(|(_, target)| target == source);
        if !is_file || is_target || !same(source) || !same(target) {
            return false;
        }
        if folder.carries_state(before, source) {
            return false;
        }
        // Some systems count time in steps of this length: what happens within one looks like nothing.
        std::thread::sleep(Duration::from_millis(12));
        let content = random.content();
        let path = folder.path(source);
        let changed: Vec<PathBuf> = match how {
            Disturb::RenameOver => {
                fs::write(folder.path("new"), content).unwrap();
                fs::rename(folder.path("new"), &path).unwrap();
                vec![source.clone()]
            }
            _ => {
                let append = how == Disturb::Append;
                let mut file = File::options().write(true).append(append).open(&path).unwrap();
                file.write_all(&content).unwrap();
                // All hard links show it.
                let is_it = |name: &&PathBuf| inode(before, name) == inode(before, source);
                before.keys().filter(is_it).cloned().collect()
            }
        };
        folder.owe(fs::read(path).unwrap().into());
        allowed.overwritten.extend(changed);
        true
    }

    /// Whatever has a new name is whole, and there if the command says so.
    fn check_outputs(
        &self,
        folder: &mut Folder,
        sources: &BTreeSet<Content>,
        before: &Snapshot,
        after: &Snapshot,
        status: ExitStatus,
    ) -> Result<(), String> {
        for (_, target) in &self.pairs {
            let changed = after.get(target) != before.get(target);
            let finished = match self.to {
                To::Stdout => status.success(), // else there may be a part of it
                _ => changed && after.contains_key(target),
            };
            if status.success() && !after.contains_key(target) && !self.remove {
                return Err(format!("{target:?} is not there, though the command says so"));
            }
            let contents = folder.contents(after, target);
            let made = if self.decompress { contents.first() } else { contents.get(1) };
            if finished && !made.is_some_and(|made| sources.contains(made)) {
                return Err(format!("{target:?} is not what its source gives"));
            }
        }
        Ok(())
    }
}

/// The child has not been waited for, so its number is still its own.
fn send(signal: Signal, child: &Child) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until the process is stopped; false if it ended before.
fn is_stopped(child: &Child) -> bool {
    loop {
        let status = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        match status.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('T') => return true,
            Some('Z') | None => return false,
            _ => std::thread::yield_now(),
        }
    }
}
