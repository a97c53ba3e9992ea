//! The seam between a block and what computes its network: the kernels for this CPU, or an engine of another crate (a GPU).
//!
//! A block feeds symbols, and gets a distribution of what follows each of them. What an engine keeps of a stream is its own
//! affair. If the [`Engines`] of the options have one for a network, it is taken; otherwise the CPU's, which
//! [`Network::engine`](super::Network::engine) makes.

use std::fmt;
use std::sync::Arc;

use super::{Network, Windows};

/// What one stream is fed in a call.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    /// The next symbols: bytes, or [`START_SYMBOL`](super::START_SYMBOL) at the beginning. Empty if the stream is left alone.
    pub symbols: &'a [u16],
    /// For how many of the last symbols a distribution is wanted.
    pub wanted: usize,
}

/// Runs a network of bytes.
///
/// Contract: every bit of what an engine says depends on the symbols of the stream alone; not on other streams, on how many
/// symbols come at once, or on the machine. An archive that one engine wrote is read with any other of the same network.
pub trait Engine: fmt::Debug + Send + Sync {
    /// `count` streams to which nothing has been fed.
    fn streams(&self, count: usize) -> Box<dyn Streams + '_>;

    /// Bytes of memory that a stream takes to which up to `len` symbols are fed.
    fn stream_bytes(&self, len: usize) -> u64;

    /// Bytes of memory that all streams together take beside that, if up to `rows` symbols are fed in a call.
    fn workspace_bytes(&self, rows: usize) -> u64;

    /// Whether [`Streams::begin`] returns before the network has been computed, so that a thread gets more done that has several
    /// sets of streams and begins with all of them.
    fn computes_elsewhere(&self) -> bool {
        false
    }
}

/// Streams that an engine runs together, each with its own past.
pub trait Streams: Send {
    /// Forgets what was fed to all of them; keeps the memory.
    fn reset(&mut self);

    /// Feeds symbols, `feeds[i]` to stream `i`. What becomes of it is asked of [`finish`](Self::finish), before anything else.
    ///
    /// # Panics
    /// If there are more feeds than streams, a symbol is none, or more rows are wanted than fed.
    fn begin(&mut self, feeds: &[Feed<'_>]);

    /// Of the symbols fed last: weights in proportion to the probabilities of the 256 bytes, the largest about 1, in one row for
    /// each symbol wanted, stream after stream.
    fn finish(&mut self) -> &[[f32; 256]];

    /// [`begin`](Self::begin) and [`finish`](Self::finish) at once.
    fn feed(&mut self, feeds: &[Feed<'_>]) -> &[[f32; 256]] {
        self.begin(feeds);
        self.finish()
    }
}

/// Where a block looks for an engine before it takes the CPU's. The default has none.
#[derive(Clone, Default)]
pub struct Engines(Option<Arc<Find>>);

type Find = dyn Fn(&Network, Option<Windows>) -> Option<Arc<dyn Engine>> + Send + Sync;

impl Engines {
    /// Engines that `find` returns for a network. It is called for each block, so it should remember what it has made. With
    /// windows, a transformer must take streams of any length, which it sees through them; without, streams are not longer than
    /// its context.
    pub fn found_by(
        find: impl Fn(&Network, Option<Windows>) -> Option<Arc<dyn Engine>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(find)))
    }

    /// An engine for `network`: one that is found, or the CPU's. `None` for a model of tokens, which codes by itself.
    pub(crate) fn of(
        &self,
        network: &Network,
        windows: Option<Windows>,
    ) -> Option<Arc<dyn Engine>> {
        let found = self.0.as_ref().and_then(|find| find(network, windows));
        found.or_else(|| network.engine(windows))
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engines").field("any", &self.0.is_some()).finish()
    }
}
