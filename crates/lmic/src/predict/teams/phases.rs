//! Work in phases: each has some tasks, which threads take as they come, and the next phase begins when all are done.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

struct State {
    phase: usize,
    tasks: usize,
    next: usize,
    running: usize,
}

struct Phases<P, W> {
    state: Mutex<State>,
    changed: Condvar,
    plan: P,
    work: W,
}

/// Runs `work(phase, task)` for phases 0, 1 .. with the number of tasks that `plan(phase)` says, until it says 0. Up to
/// `threads` threads take part, this one among them. A thread that finds no task sleeps.
pub fn run(
    threads: usize,
    plan: impl Fn(usize) -> usize + Sync,
    work: impl Fn(usize, usize) + Sync,
) {
    let state = State { phase: 0, tasks: plan(0), next: 0, running: 0 };
    let phases = Phases { state: Mutex::new(state), changed: Condvar::new(), plan, work };
    thread::scope(|scope| {
        for _ in 1..threads {
            // If the system gives no thread, the others do all the work.
            let builder = thread::Builder::new().name("lmic-team".into());
            let _ = builder.spawn_scoped(scope, || phases.help());
        }
        phases.help();
    });
}

impl<P: Fn(usize) -> usize, W: Fn(usize, usize)> Phases<P, W> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until all phases are done.
    fn help(&self) {
        let mut state = self.lock();
        while state.tasks > 0 {
            if state.next < state.tasks {
                let (phase, task) = (state.phase, state.next);
                state.next += 1;
                state.running += 1;
                drop(state);
                let end = EndOnPanic(self);
                (self.work)(phase, task);
                std::mem::forget(end);
                state = self.lock();
                state.running -= 1;
                if state.running == 0 && state.next >= state.tasks && state.tasks > 0 {
                    state.phase += 1;
                    state.tasks = (self.plan)(state.phase);
                    state.next = 0;
                    self.changed.notify_all();
                }
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Sends all threads home if a task panics: its phase would never be done.
struct EndOnPanic<'a, P: Fn(usize) -> usize, W: Fn(usize, usize)>(&'a Phases<P, W>);

impl<P: Fn(usize) -> usize, W: Fn(usize, usize)> Drop for EndOnPanic<'_, P, W> {
    fn drop(&mut self) {
        self.0.lock().tasks = 0;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_phase_begins_when_the_one_before_is_done() {
        for threads in [1, 2, 5] {
            let (done, right) = (AtomicUsize::new(0), AtomicUsize::new(0));
            run(
                threads,
                |phase| [3, 1, 7, 2, 0][phase],
                |phase, _| {
                    let before = done.load(Ordering::SeqCst);
                    right.fetch_add(usize::from(before >= [0, 3, 4, 11][phase]), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                },
            );
            assert_eq!((done.into_inner(), right.into_inner()), (13, 13));
        }
    }

    #[test]
    #[should_panic]
    fn a_panic_ends_all_threads() {
        run(
            3,
            |_| 3,
            |phase, task| {
                thread::sleep(std::time::Duration::from_millis(5));
                assert!(phase < 2 || task != 1 || thread::current().name() != Some("lmic-team"));
            },
        );
    }
}
