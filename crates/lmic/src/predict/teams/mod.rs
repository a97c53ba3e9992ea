//! Teams: a long block in parts that are coded at the same time and learn from each other.
//!
//! Each team has a part of the block, a coder and a model of its own. All teams code some bytes, an epoch, with what is
//! shared by hash as it was when the epoch began ([`overlay`]); then they exchange what they have changed there, and every few
//! epochs also an average of what else they have learned ([`average`]). What a team codes depends on earlier epochs of all teams and on
//! its own past, and on nothing else, so threads can take teams as they come ([`phases`]) and change no bit.

mod average;
mod overlay;
mod phases;

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

pub use average::Part;
use average::{Average, Sums};
pub use overlay::Shared;
use overlay::{Common, MOST_KEYS, Overlay, SHARDS};

use crate::coder::Coder;
use crate::predict::cm::matcher::View;
use crate::predict::cm::store::Whole;
use crate::progress::Progress;

/// The most teams of a block.
pub const MOST_TEAMS: usize = 16; // frozen
/// The first epoch has this many bytes of each team. What is learned first is learned by all teams, so they exchange often.
const FIRST_EPOCH: usize = 16; // frozen
/// After this many epochs they are twice as long, up to the longest.
const EPOCHS_OF_A_LENGTH: usize = 64; // frozen
/// Averages are made after every this many epochs.
const AVERAGE_EVERY: usize = 64; // frozen
/// Lines that a team may touch in an epoch, which decides how long epochs get. Longer epochs take
/// no less time, and in shorter ones more bits are lost, as lines that several teams touch are the last team's more often.
const LINES: usize = 20480; // frozen
const _: () = assert!(LINES <= MOST_KEYS);

/// How a block is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub len: usize,
    /// Bytes of each lane but the last.
    pub lane_len: usize,
    /// Lanes of each team but the last.
    pub lanes: usize,
    /// Contexts that are looked up for each half byte.
    pub contexts: usize,
}

impl Cut {
    /// Bytes of each team but the last.
    fn part_len(self) -> usize {
        self.lane_len * self.lanes
    }

    /// How many teams there are.
    pub fn teams(self) -> usize {
        self.len.div_ceil(self.part_len())
    }

    /// The bytes of each lane that are coded in each epoch.
    fn epochs(self) -> Vec<Range<usize>> {
        // Each byte touches two lines a context.
        let most = LINES / (2 * self.contexts);
        let mut epochs: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while from < self.lane_len {
            let doublings = (epochs.len() / EPOCHS_OF_A_LENGTH).min(20);
            let bytes = (FIRST_EPOCH << doublings).min(most);
            let to = (from + (bytes / self.lanes).max(1)).min(self.lane_len);
            epochs.push(from..to);
            from = to;
        }
        epochs
    }

    /// Lines that a team touches at most while it codes `steps` bytes of each lane.
    fn lines(self, steps: usize) -> usize {
        2 * self.contexts * self.lanes * steps
    }

    /// Bytes that walking a block takes, beside the store and the teams' models.
    pub fn memory(self) -> u64 {
        let epochs = self.lane_len / (LINES / (2 * self.contexts) / self.lanes).max(1) + 1024;
        let averages = 16 << 20;
        self.len as u64
            + self.teams() as u64 * Overlay::memory(LINES)
            + (epochs * size_of::<Range<usize>>() * 2) as u64
            + averages
    }
}

/// The block around a team's part.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The block, of which `known` bytes of each lane may be read.
    pub block: &'a [u8],
    pub known: usize,
    /// Where the team's part starts.
    pub start: usize,
    pub lane_len: usize,
}

impl<'a> Around<'a> {
    /// What lane `lane` of the team sees of the block after `step` bytes. `part` is known in each lane up to there.
    #[inline(always)]
    pub fn view(self, part: &'a [u8], lane: usize, step: usize) -> View<'a> {
        let Self { block, known, start, lane_len } = self;
        let from = lane * lane_len;
        let past = &part[from..from + step];
        View { block, known, team: part, team_start: start, past, start: start + from, lane_len }
    }
}

/// The model of a team.
pub trait Team: Send {
    /// Bytes of each lane that [`begin`](Self::begin) and [`code`](Self::code) take at once.
    fn at_once<C: Coder>(&self) -> usize {
        usize::MAX
    }

    /// Begins with what `code` needs of the same `steps` and can wait for: what is computed elsewhere.
    fn begin(&mut self, part: &[u8], steps: Range<usize>) {
        let _ = (part, steps);
    }

    /// Codes the bytes of the first steps of each lane of `part`, with which was begun, and begins with the second ones, if there are
    /// any.
    fn code<C: Coder>(
        &mut self,
        store: &mut Shared<'_>,
        around: Around<'_>,
        part: &mut [u8],
        steps: [Range<usize>; 2],
        coder: &mut C,
    );

    /// What is averaged, of each lane. All lanes of all teams have the same parts.
    fn lanes(&mut self) -> Vec<Vec<Part<'_>>>;
}

impl<T: Team> Team for Box<T> {
    fn at_once<C: Coder>(&self) -> usize {
        (**self).at_once::<C>()
    }

    fn begin(&mut self, part: &[u8], steps: Range<usize>) {
        (**self).begin(part, steps);
    }

    fn code<C: Coder>(
        &mut self,
        store: &mut Shared<'_>,
        around: Around<'_>,
        part: &mut [u8],
        steps: [Range<usize>; 2],
        coder: &mut C,
    ) {
        (**self).code(store, around, part, steps, coder);
    }

    fn lanes(&mut self) -> Vec<Vec<Part<'_>>> {
        (**self).lanes()
    }
}

/// A block on its way.
pub struct Walk<'s, T> {
    cut: Cut,
    epochs: Vec<Range<usize>>,
    common: Common<'s>,
    members: Vec<Member<'s, T>>,
    /// The block up to the last epoch.
    block: RwLock<Vec<u8>>,
    averages: Vec<RwLock<Average>>,
    /// Whether teams wait for what is computed elsewhere.
    waits: bool,
    progress: &'s Progress,
}

struct Member<'s, T> {
    state: Mutex<(T, &'s mut [u8])>,
    overlay: RwLock<Overlay>,
}

/// Who runs a walk.
pub trait Run {
    /// Walks all of a block.
    fn run<T: Team>(self, walk: &Walk<'_, T>);
}

/// One thread, on which all teams code with one coder.
pub struct Alone<'a, C>(pub &'a mut C);

impl<C: Coder> Run for Alone<'_, C> {
    fn run<T: Team>(self, walk: &Walk<'_, T>) {
        for phase in 0.. {
            let tasks = walk.tasks(phase, 1);
            for task in 0..tasks {
                match phase % 2 {
                    0 => walk.code(phase / 2, task..task + 1, &mut [&mut *self.0]),
                    _ => walk.exchange(phase / 2, task),
                }
            }
            if tasks == 0 {
                return;
            }
        }
    }
}

/// Several threads, with a coder for each team.
pub struct Together<'a, C> {
    pub coders: &'a [Mutex<C>],
    pub threads: usize,
}

impl<C: Coder + Send> Run for Together<'_, C> {
    fn run<T: Team>(self, walk: &Walk<'_, T>) {
        let teams = walk.members.len();
        let threads = self.threads.clamp(1, teams);
        // Teams that wait for something are coded in turn by one thread.
        let together = if walk.waits { teams.div_ceil(threads) } else { 1 };
        let work = |phase: usize, task: usize| match phase % 2 {
            0 => {
                let teams = task * together..((task + 1) * together).min(teams);
                let mut coders: Vec<_> = self.coders[teams.clone()].iter().map(lock).collect();
                let mut coders: Vec<_> = coders.iter_mut().map(|coder| &mut **coder).collect();
                walk.code(phase / 2, teams, &mut coders);
            }
            _ => walk.exchange(phase / 2, task),
        };
        phases::run(threads, |phase| walk.tasks(phase, together), work);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! lock {
    ($lock:expr, $how:ident) => {
        $lock.$how().unwrap_or_else(PoisonError::into_inner)
    };
}

impl<'s, T: Team> Walk<'s, T> {
    /// A walk of `data` with a fresh `store` that has `models` match models.
    pub fn new(
        cut: Cut,
        store: &'s mut Whole,
        models: usize,
        data: &'s mut [u8],
        mut team: impl FnMut() -> T,
        progress: &'s Progress,
    ) -> Self {
        let averages =
            team().lanes()[0].iter().map(|part| RwLock::new(Average::new(part))).collect();
        Self {
            cut,
            epochs: cut.epochs(),
            common: Common::new(store),
            block: RwLock::new(vec![0; data.len()]),
            members: data
                .chunks_mut(cut.part_len())
                .map(|part| Member {
                    state: Mutex::new((team(), part)),
                    overlay: RwLock::new(Overlay::new(models)),
                })
                .collect(),
            averages,
            waits: false,
            progress,
        }
    }

    /// The same, whose teams wait for what is computed elsewhere if `waits` is true.
    pub fn waiting(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// How many tasks a phase has: in turn, an epoch, of so many teams `together`, and an exchange.
    fn tasks(&self, phase: usize, together: usize) -> usize {
        let left = self.epochs.len().saturating_sub(phase / 2);
        if left == 0 || self.progress.is_stopped() {
            return 0;
        }
        match phase % 2 {
            0 => self.members.len().div_ceil(together),
            _ if left == 1 => 0,
            _ if averages_after(phase / 2) => SHARDS + 1 + self.averages.len(),
            _ => SHARDS + 1,
        }
    }

    /// Codes an epoch of some teams, in turn: while one is coded, others wait for what they have begun with.
    fn code<C: Coder>(&self, epoch: usize, teams: Range<usize>, coders: &mut [&mut C]) {
        let Range { start: known, end } = self.epochs[epoch];
        let members = &self.members[teams.clone()];
        let mut states: Vec<_> = members.iter().map(|member| lock(&member.state)).collect();
        let mut overlays: Vec<_> =
            members.iter().map(|member| lock!(member.overlay, write)).collect();
        let snapshot = self.common.snapshot();
        let block = lock!(self.block, read);
        let mut stores = Vec::with_capacity(members.len());
        let mut at_once = usize::MAX;
        for (state, overlay) in states.iter_mut().zip(&mut overlays) {
            let (team, _) = &mut **state;
            if epoch > 0 && averages_after(epoch - 1) {
                for lane in &mut team.lanes() {
                    for (part, average) in lane.iter_mut().zip(&self.averages) {
                        lock!(average, read).give(part);
                    }
                }
            }
            overlay.clear(self.cut.lines(end - known), self.cut.lanes * (end - known));
            stores.push(Shared::new(&self.common, &snapshot, overlay));
            at_once = team.at_once::<C>();
        }
        let strip = |from: usize| from..from.saturating_add(at_once).min(end);
        for state in &mut states {
            let (team, part) = &mut **state;
            team.begin(part, strip(known));
        }
        for from in (known..end).step_by(at_once) {
            let all = states.iter_mut().zip(&mut stores).zip(&mut *coders);
            for (index, ((state, store), coder)) in teams.clone().zip(all) {
                let (team, part) = &mut **state;
                let start = index * self.cut.part_len();
                let around = Around { block: &block, known, start, lane_len: self.cut.lane_len };
                let next = strip(strip(from).end);
                team.code(store, around, part, [strip(from), next], *coder);
            }
        }
        let coded = states.iter().flat_map(|state| state.1.chunks(self.cut.lane_len));
        let coded = coded.map(|lane| lane.len().min(end) - lane.len().min(known));
        self.progress.add(coded.sum::<usize>() as u64);
    }

    /// One task of the exchange after an epoch: a shard of the store, the bytes of the block, or an average.
    fn exchange(&self, epoch: usize, task: usize) {
        match task {
            shard @ 0..SHARDS => {
                self.common.merge(shard, self.members.iter().map(|m| lock!(m.overlay, read)));
            }
            SHARDS => self.publish(self.epochs[epoch].clone()),
            _ => self.average(task - SHARDS - 1),
        }
    }

    /// Shows all teams the bytes that each has coded.
    fn publish(&self, steps: Range<usize>) {
        let block = &mut *lock!(self.block, write);
        for (member, shown) in self.members.iter().zip(block.chunks_mut(self.cut.part_len())) {
            let (_, part) = &*lock(&member.state);
            let lanes = part.chunks(self.cut.lane_len);
            for (lane, shown) in lanes.zip(shown.chunks_mut(self.cut.lane_len)) {
                let steps = steps.start.min(lane.len())..steps.end.min(lane.len());
                shown[steps.clone()].copy_from_slice(&lane[steps]);
            }
        }
    }

    fn average(&self, index: usize) {
        let average = &mut *lock!(self.averages[index], write);
        let mut sums = Sums::new(average);
        for member in &self.members {
            let (team, _) = &mut *lock(&member.state);
            team.lanes().iter().for_each(|lane| sums.add(&lane[index], average));
        }
        average.update(&sums);
    }
}

/// Whether averages are made after an epoch.
fn averages_after(epoch: usize) -> bool {
    epoch % AVERAGE_EVERY == AVERAGE_EVERY - 1
}
