//! The network's half of `mix`: threads compute distributions for lanes, ahead of the coder as far as bytes are known.
//!
//! Lanes are in groups, and one thread at a time feeds a group with a strip: some symbols for each of its lanes. The thread
//! that codes fills strips and sends them, helpers turn the symbols into distributions, and the coding thread takes the
//! strips back in order. It does the work itself where no helper has begun. Which thread does what changes no bit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::nn::{Engine, Feed, Streams};
use crate::quantize::ByteTree;
use crate::simd::Level;

/// Symbols of the lanes of a group on their way to the network, and on the way back the distributions of what follows each of
/// them.
#[derive(Default)]
pub struct Strip {
    /// Symbols, lane after lane.
    pub symbols: Vec<u16>,
    /// How many of them each lane has; 0 for a lane that is done.
    pub counts: Vec<usize>,
    /// A distribution for each symbol.
    pub rows: Vec<ByteTree>,
}

/// Some lanes, a stream each.
struct Group<'e> {
    streams: Mutex<Box<dyn Streams + 'e>>,
    inbox: Mutex<VecDeque<Strip>>,
    outbox: Mutex<VecDeque<Strip>>,
    /// How many strips are in the inbox; the number may lag behind.
    waiting: AtomicUsize,
}

/// All groups of a block.
pub struct Groups<'e> {
    groups: Vec<Group<'e>>,
    level: Level,
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
        Self {
            groups: sizes.map(group).collect(),
            level: Level::detect(),
            finished: AtomicBool::new(false),
        }
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
            // A helper is at work on the strip that is wanted. Until it is done, this thread works on a strip of another
            // group, if nobody has begun it.
            if self.advance_any(index) {
                idle = Idle::default();
            } else {
                // If a helper panicked, its strip never comes.
                assert!(!self.groups[index].streams.is_poisoned(), "a thread of mix panicked");
                idle.wait();
            }
        }
    }

    /// Works for all groups, beginning with `first`, until [`Groups::finish`] is called.
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

    /// Makes [`Groups::help`] return.
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
        // In place: a tree has 2 KB.
        strip.rows.resize_with(weights.len(), ByteTree::default);
        for (row, weights) in strip.rows.iter_mut().zip(weights) {
            row.quantize(self.level, weights);
        }
        // This is done before the streams are free for the next strip, so that strips come out in the order in which they went in.
        lock(&group.outbox).push_back(strip);
        true
    }
}

/// Waits for another thread. At first it stays awake, because a step takes microseconds; but not for long, because the other thread
/// may be waiting for this CPU.
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

/// Ends the helpers when it is dropped, also if the coding thread panics, which otherwise would wait for them for ever.
pub struct FinishOnDrop<'g, 'e>(pub &'g Groups<'e>);

impl Drop for FinishOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
