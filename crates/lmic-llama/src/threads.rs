//! Threads for products and hashes. The pool is our own, because the one that rayon makes by itself panics if the system refuses a
//! thread.
//!
//! There are as many threads as cores, or as many as the system gives. Without any, the work is done by the caller. The results
//! are the same.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    let halves = std::iter::successors(Some(cores), |n| Some(n / 2));
    let built = |n: usize| ThreadPoolBuilder::new().num_threads(n).build().ok();
    // A pool of one thread would only add its waking.
    halves.take_while(|&n| n > 1).find_map(built)
});

/// Calls `work` with each of `parts`, on several threads if the pool has them.
pub fn for_each<T: Send>(parts: Vec<T>, work: impl Fn(T) + Send + Sync) {
    match &*POOL {
        Some(pool) if parts.len() > 1 => pool.install(|| parts.into_par_iter().for_each(work)),
        _ => parts.into_iter().for_each(work),
    }
}

/// Hashes `bytes`, on several threads if they are many.
pub fn hash(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    /// From here on it is worth while.
    const LARGE: usize = 1 << 20;
    match &*POOL {
        Some(pool) if bytes.len() >= LARGE => pool.install(|| hasher.update_rayon(bytes)),
        _ => hasher.update(bytes),
    };
}
