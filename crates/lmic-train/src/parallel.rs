//! How a batch is computed: its layout over the device, and its parts on several threads, their results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// How the sequences of a batch are laid out over the device.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    /// Threads that each compute sequences of their own. The tensor operations themselves use one thread.
    pub threads: usize,
    /// Sequences computed as one tensor.
    pub sequences: usize,
    /// Which operations.
    pub form: Form,
}

/// Two ways to compute the same.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Attention as one operation; on the CPU only.
    Cpu,
    /// Everything composed of operations that use many threads.
    Gpu {
        /// Query rows of attention computed at a time; keys after a block of rows are never touched, which
        /// saves nearly half of attention.
        attention_rows: usize,
    },
}

impl Runs {
    /// For the CPU: a sequence is a thread's work.
    pub fn cpu(threads: usize) -> Self {
        Self { threads, sequences: 1, form: Form::Cpu }
    }

    /// For a GPU: the whole batch at once, few large kernels.
    pub fn gpu(sequences: usize) -> Self {
        Self { threads: 1, sequences, form: Form::Gpu { attention_rows: 512 } }
    }
}

/// Computes `parts` on `threads` threads and hands the results over in the order of the parts.
pub(crate) fn in_order<P: Sync, T: Send>(
    threads: usize,
    parts: impl IntoIterator<Item = P>,
    compute: impl Fn(&P) -> T + Sync,
    mut take: impl FnMut(T),
) {
    let parts: Vec<P> = parts.into_iter().collect();
    let threads = threads.min(parts.len());
    if threads <= 1 {
        parts.iter().for_each(|part| take(compute(part)));
        return;
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, parts, compute) = (sender.clone(), &next, &parts, &compute);
            scope.spawn(move || {
                while let Some(part) = {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    parts.get(i).map(|part| (i, part))
                } {
                    // The receiver outlives all senders.
                    let _ = sender.send((part.0, compute(part.1)));
                }
            });
        }
        drop(sender);
        let mut waiting: Vec<Option<T>> = parts.iter().map(|_| None).collect();
        let mut done = 0;
        for (i, result) in receiver {
            waiting[i] = Some(result);
            while let Some(result) = waiting.get_mut(done).and_then(Option::take) {
                take(result);
                done += 1;
            }
        }
    });
}
