//! Parts of a batch on several threads, their results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

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
