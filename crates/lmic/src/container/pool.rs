//! Blocks in flight: run on worker threads, taken back in the order in which they were started.
//!
//! One thread is started per block: a block takes milliseconds to minutes, a thread some 20 µs, and a
//! thread that ends with its block needs no queue, no shutdown and no handling of panics of its own
//! (`join` reports them). Dropping the pool does not wait for what still runs, but
//! stops it: its threads end within milliseconds, and their results are gone.
//!
//! Work is started only if the system would give the memory for it, because a process that gets no memory in the middle of coding
//! is ended.
//!
//! Invariants: blocks in flight count as at most `threads` threads together (a block alone has its own number; several that wait for what is computed
//! elsewhere count as one), and the sum of their costs is within the memory limit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::error::{Error, ErrorKind, Result};
use crate::memory::{is_available, out_of_memory};
use crate::progress::Progress;

/// Ordered work in flight whose results are `T`.
#[derive(Debug)]
pub(super) struct Pool<T> {
    threads: usize,
    memory_limit: u64,
    cost: u64,
    in_flight: VecDeque<(Share, Slot<T>)>,
    progress: Progress,
}

/// What work takes while it is in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Bytes of memory.
    pub(super) cost: u64,
    /// Threads, of which the one that it is started on is the first.
    pub(super) threads: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Running(JoinHandle<T>),
    Done(thread::Result<T>),
}

impl<T: Send + 'static> Pool<T> {
    /// `threads` as in the options: 0 is one per core.
    pub(super) fn new(threads: usize, memory_limit: Option<u64>, progress: Progress) -> Self {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let memory_limit = memory_limit.unwrap_or(u64::MAX);
        Self { threads, memory_limit, cost: 0, in_flight: VecDeque::new(), progress }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Shared by all work of this pool.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Threads that are not at work.
    pub(super) fn idle_threads(&self) -> usize {
        let used: usize = self.in_flight.iter().map(|(share, _)| share.threads).sum();
        self.threads.saturating_sub(used)
    }

    /// All threads, at work or not.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn memory_limit(&self) -> u64 {
        self.memory_limit
    }

    /// Bytes of memory that are left beside what is in flight, `used` of what is not any more, and no other.
    pub(super) fn memory_left(&self, used: u64) -> u64 {
        self.memory_limit.saturating_sub(self.cost).saturating_sub(used)
    }

    /// Whether work may start now, beside what is in flight and `beside` bytes held by the caller. If not, take results until
    /// it may, or until the pool is empty.
    pub(super) fn has_room(&self, share: Share, beside: u64) -> bool {
        let total = self.cost.saturating_add(share.cost).saturating_add(beside);
        let with_spare = total.saturating_add(SPARE * (1 + self.in_flight.len()) as u64);
        self.idle_threads() >= share.threads
            && total <= self.memory_limit
            && is_available(with_spare)
    }

    /// Refuses work if the system does not give `more` bytes beyond what is held already. With other work in flight this was
    /// asked in `has_room`.
    pub(super) fn check_available(&self, more: u64) -> Result<()> {
        if !self.is_empty() || is_available(more) { Ok(()) } else { Err(out_of_memory(more)) }
    }

    /// Runs `work` on a thread of its own, or here if there is to be only one or no more can be had.
    pub(super) fn start(
        &mut self,
        share: Share,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) {
        if self.threads == 1 {
            return self.run_here(share, work);
        }
        // The work is shared with the thread, because a `spawn` that fails does not give its closure back, and the work must then
        // be done here.
        let work = Arc::new(Mutex::new(Some(work)));
        let (shared, progress) = (Arc::clone(&work), self.progress.clone());
        let spawned =
            thread::Builder::new().name("lmic-block".into()).spawn(move || run(&shared, &progress));
        match spawned {
            Ok(handle) => self.push(share, Slot::Running(handle)),
            Err(_) => self.run_here(share, move |progress| run(&work, progress)),
        }
    }

    /// Runs `work` before returning; its result takes its place in the order.
    pub(super) fn run_here(&mut self, share: Share, work: impl FnOnce(&Progress) -> T) {
        let result = catch_unwind(AssertUnwindSafe(|| work(&self.progress)));
        self.push(share, Slot::Done(result));
    }

    fn push(&mut self, share: Share, slot: Slot<T>) {
        self.cost += share.cost;
        self.in_flight.push_back((share, slot));
    }

    /// Whether [`Pool::take`] would return at once.
    pub(super) fn is_ready(&self) -> bool {
        match self.in_flight.front() {
            Some((_, Slot::Running(handle))) => handle.is_finished(),
            Some((_, Slot::Done(_))) => true,
            None => false,
        }
    }

    /// Waits for the oldest work in flight; `None` if there is none. What comes out after a stop means nothing, so that is an
    /// error.
    pub(super) fn take(&mut self) -> Option<Result<T>> {
        let (share, slot) = self.in_flight.pop_front()?;
        self.cost -= share.cost;
        let result = match slot {
            Slot::Running(handle) => handle.join(),
            Slot::Done(result) => result,
        };
        Some(match result {
            Err(panic) => Err(worker_failed(panic.as_ref())),
            Ok(result) => self.progress.check().map(|()| result),
        })
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.progress.stop();
    }
}

fn run<T>(work: &Mutex<Option<impl FnOnce(&Progress) -> T>>, progress: &Progress) -> T {
    let work = work.lock().ok().and_then(|mut work| work.take());
    work.expect("only one of spawn and its fallback gets to run the work")(progress)
}

/// Bytes for the stack and the buffers of a thread, beside what its block costs.
const SPARE: u64 = 8 << 20;

fn worker_failed(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown cause");
    Error::new(ErrorKind::Corrupt, format!("coding a block failed, which is a bug in lmic: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(cost: u64) -> Share {
        Share { cost, threads: 1 }
    }

    #[test]
    fn results_come_in_the_order_of_start() {
        let mut pool = Pool::new(4, None, Progress::default());
        for i in 0..4u64 {
            pool.start(share(1), move |_| {
                thread::sleep(std::time::Duration::from_millis(20 - 5 * i));
                i
            });
        }
        assert!(!pool.has_room(share(1), 0), "four of four threads are in use");
        let results: Vec<_> = std::iter::from_fn(|| pool.take()).map(Result::unwrap).collect();
        assert_eq!(results, [0, 1, 2, 3]);
    }

    #[test]
    fn the_limit_counts_what_is_in_flight() {
        let mut pool = Pool::new(4, Some(100), Progress::default());
        assert!(pool.has_room(share(60), 40));
        pool.start(share(60), |_| ());
        assert!(!pool.has_room(share(60), 0));
        assert!(pool.has_room(share(40), 0));
        pool.take().unwrap().unwrap();
        assert!(pool.has_room(share(100), 0));
    }

    #[test]
    fn work_of_several_threads_takes_the_place_of_several() {
        let mut pool = Pool::new(4, None, Progress::default());
        pool.start(Share { cost: 1, threads: 3 }, |_| ());
        assert!(!pool.has_room(Share { cost: 1, threads: 2 }, 0));
        assert!(pool.has_room(share(1), 0));
    }

    #[test]
    fn a_panic_is_an_error_on_either_path() {
        for threads in [1, 2] {
            let mut pool: Pool<()> = Pool::new(threads, None, Progress::default());
            pool.start(share(0), |_| panic!("on purpose"));
            let error = pool.take().unwrap().unwrap_err();
            assert!(error.to_string().contains("on purpose"), "{error}");
        }
    }

    #[test]
    fn dropping_the_pool_stops_its_work() {
        let (send, receive) = std::sync::mpsc::channel();
        let mut pool = Pool::new(2, None, Progress::default());
        pool.start(share(0), move |progress| {
            while !progress.is_stopped() {
                thread::yield_now();
            }
            send.send(()).ok();
        });
        drop(pool);
        receive.recv_timeout(std::time::Duration::from_secs(30)).expect("the work ended");
    }
}
