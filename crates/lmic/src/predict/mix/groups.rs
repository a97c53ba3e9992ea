//! The neural half of `mix`: distributions for lanes, by threads that run ahead as far as bytes are known.
//!
//! Lanes are in groups; a group is fed a strip (some symbols for each of its lanes) by one thread at a time. The thread that
//! codes fills strips and sends them, workers turn symbols into distributions, and the coding thread takes
//! them back in order, or does the work itself where nobody has begun. Which thread does what changes no bit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::nn::{Engine, Feed, Streams};
use crate::quantize::ByteTree;

/// Symbols of the lanes of a group, and then what follows each of them.
#[derive(Default)]
pub struct Strip {
    /// Symbols, lane after lane.
    pub symbols: Vec<u16>,
    /// How many of them each lane has; 0 for a lane that is done.
    pub counts: Vec<usize>,
    /// One for each symbol.
    pub rows: Vec<ByteTree>,
}

/// Some lanes, a stream each.
struct Group<'e> {
    streams: Mutex<Box<dyn Streams + 'e>>,
    inbox: Mutex<VecDeque<Strip>>,
    outbox: Mutex<VecDeque<Strip>>,
    /// Strips in the inbox; may lag behind.
    waiting: AtomicUsize,
}

/// All groups of a block.
pub struct Groups<'e> {
    groups: Vec<Group<'e>>,
    finished: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a thread of mix panicked")
}

impl<'e> Groups<'e> {
    /// Groups of as many lanes as `sizes` says.
    pub fn new(engine: &'e dyn Engine, sizes: impl Iterator<Item = usize>) -> Self {
        let group = |lanes| Group {
            streams: Mutex::new(engine.streams(lanes)),
            inbox: Mutex::default(),
            outbox: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        Self { groups: sizes.map(group).collect(), finished: AtomicBool::new(false) }
    }

    /// Hands a strip with symbols to group `index`.
    pub fn send(&self, index: usize, strip: Strip) {
        let group = &self.groups[index];
        lock(&group.inbox).push_back(strip);
        group.waiting.fetch_add(1, Ordering::Release);
    }

    /// The oldest strip sent to group `index`, with its rows.
    pub fn take(&self, index: usize) -> Strip {
        let mut idle = Idle::default();
        loop {
            if let Some(strip) = lock(&self.groups[index].outbox).pop_front() {
                return strip;
            }
            // While a helper is at the strip that is wanted, another group may have one that nobody has begun.
            if self.advance_any(index) {
                idle = Idle::default();
            } else {
                // A helper that panicked has taken its strip along.
                assert!(!self.groups[index].streams.is_poisoned(), "a thread of mix panicked");
                idle.wait();
            }
        }
    }

    /// Works for any group until [`Groups::finish`].
    pub fn help(&self, first: usize) {
        let mut idle = Idle::default();
        while !self.finished.load(Ordering::Acquire) {
            if self.advance_any(first) {
                idle = Idle::default();
            } else {
                idle.wait();
            }
        }
    }

    /// Sends helpers home.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// [`Groups::advance`] for the first group from `first` on that has something to do.
    fn advance_any(&self, first: usize) -> bool {
        let groups = self.groups.len();
        (0..groups).any(|i| self.advance((first + i) % groups))
    }

    /// Runs the network over the oldest strip of a group, if there is one and no other thread is at it.
    fn advance(&self, index: usize) -> bool {
        let group = &self.groups[index];
        if group.waiting.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut streams = match group.streams.try_lock() {
            Ok(streams) => streams,
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Poisoned(_)) => panic!("a thread of mix panicked"),
        };
        let Some(mut strip) = lock(&group.inbox).pop_front() else { return false };
        group.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut symbols = &strip.symbols[..];
        let feeds = strip.counts.iter().map(|&wanted| {
            let (now, later) = symbols.split_at(wanted);
            symbols = later;
            Feed { symbols: now, wanted }
        });
        let weights = streams.feed(&feeds.collect::<Vec<_>>());
        strip.rows.clear();
        strip.rows.extend(weights.iter().map(ByteTree::quantize));
        // Before the streams are free for the next strip: strips come out in the order in which they went in.
        lock(&group.outbox).push_back(strip);
        true
    }
}

/// Waiting for another thread: at first awake, as a step takes microseconds, but not for long, as the CPU
/// may be what the other one waits for.
#[derive(Default)]
struct Idle(u32);

impl Idle {
    fn wait(&mut self) {
        self.0 += 1;
        match self.0 {
            0..200 => std::hint::spin_loop(),
            200..2000 => std::thread::yield_now(),
            _ => std::thread::sleep(std::time::Duration::from_micros(50)),
        }
    }
}

/// Ends the helpers also when the coding thread panics: they would be waited for.
pub struct FinishOnDrop<'g, 'e>(pub &'g Groups<'e>);

impl Drop for FinishOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
