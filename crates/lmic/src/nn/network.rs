//! Networks of all kinds by one name, and transformers as networks for streams of any length.

use std::sync::Arc;

use super::format::MAX_MODEL_NAME;
use super::tokens::TokenModel;
use super::{
    AnyWeights, ByteNetwork, Cache, Feed, Recurrent, START_SYMBOL, Stream, Transformer, Windows,
    Workspace,
};
use crate::error::Result;

/// A transformer whose stream may be longer than its context: a window begins anew with the start symbol and the last
/// `overlap` bytes.
#[derive(Debug, Clone)]
pub struct Windowed {
    /// The transformer.
    pub model: Arc<Transformer>,
    /// Positions of a window, 2 to the model's context.
    pub context: usize,
    /// Bytes that a window repeats, 0 to half of `context`.
    pub overlap: usize,
}

/// A stream under a [`Windowed`] transformer.
pub struct WindowState {
    cache: Cache,
    /// At least the last `overlap` bytes, if there were as many.
    recent: Vec<u16>,
}

/// Buffers of a [`Windowed`] transformer.
#[derive(Default)]
pub struct WindowWorkspace {
    work: Workspace,
    weights: Vec<[f32; 256]>,
}

impl Windowed {
    /// Feeds one stream as far as its window goes, at the start of one the bytes that it repeats too. Returns how many of
    /// `symbols` were fed.
    fn advance(
        &self,
        state: &mut WindowState,
        symbols: &[u16],
        wanted: usize,
        work: &mut WindowWorkspace,
    ) -> usize {
        if state.cache.len() == self.context {
            // The first of `symbols` is the last of the bytes that are repeated.
            state.recent.push(symbols[0]);
            let repeated = &state.recent[state.recent.len() - self.overlap..];
            let window: Vec<u16> =
                std::iter::once(START_SYMBOL as u16).chain(repeated.iter().copied()).collect();
            state.recent.drain(..state.recent.len() - self.overlap);
            state.cache.reset();
            let wanted = usize::from(wanted == symbols.len());
            self.feed(&mut state.cache, &window, wanted, work);
            return 1;
        }
        let now = symbols.len().min(self.context - state.cache.len());
        let later = symbols.len() - now;
        self.feed(&mut state.cache, &symbols[..now], wanted.saturating_sub(later), work);
        let bytes = symbols[..now].iter().filter(|&&symbol| symbol < START_SYMBOL as u16);
        state.recent.extend(bytes);
        let old = state.recent.len().saturating_sub(self.overlap);
        state.recent.drain(..old);
        now
    }

    fn feed(&self, cache: &mut Cache, symbols: &[u16], wanted: usize, work: &mut WindowWorkspace) {
        self.model.forward(&mut [Stream { cache, symbols, wanted }], &mut work.work);
        work.weights.extend_from_slice(work.work.weights(&self.model));
    }

    /// Whether all streams go on within their windows, so that one call feeds them together.
    fn together(&self, streams: &[Feed<'_, WindowState>]) -> bool {
        streams.iter().all(|s| s.state.cache.len() + s.symbols.len() <= self.context)
    }
}

impl ByteNetwork for Windowed {
    type State = WindowState;
    type Workspace = WindowWorkspace;

    fn state(&self) -> WindowState {
        WindowState { cache: self.model.cache(), recent: Vec::new() }
    }

    fn reset(&self, state: &mut WindowState) {
        state.cache.reset();
        state.recent.clear();
    }

    fn weights<'w>(
        &self,
        streams: &mut [Feed<'_, WindowState>],
        work: &'w mut WindowWorkspace,
    ) -> &'w [[f32; 256]] {
        work.weights.clear();
        if self.together(streams) {
            let mut fed = Vec::with_capacity(streams.len());
            for stream in &mut *streams {
                let WindowState { cache, recent } = &mut *stream.state;
                let bytes = stream.symbols.iter().filter(|&&s| s < START_SYMBOL as u16);
                recent.extend(bytes);
                recent.drain(..recent.len().saturating_sub(self.overlap));
                fed.push(Stream { cache, symbols: stream.symbols, wanted: stream.wanted });
            }
            self.model.forward(&mut fed, &mut work.work);
            return work.work.weights(&self.model);
        }
        for stream in streams {
            let mut done = 0;
            while done < stream.symbols.len() {
                let left = &stream.symbols[done..];
                done += self.advance(stream.state, left, stream.wanted.min(left.len()), work);
            }
        }
        &work.weights
    }

    fn state_bytes(&self) -> u64 {
        // `recent` holds up to a window more before it is cut, and a vector's growth leaves up to as much again.
        self.model.cache_bytes(self.context) + 4 * (self.overlap + self.context) as u64
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        self.model.workspace_bytes(rows.max(self.overlap + 1)) + 2048 * rows as u64
    }
}

/// A network of any kind, by which streams name it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Network {
    /// A transformer, with windows of limited context.
    Transformer(Arc<Transformer>),
    /// A recurrent network, for streams of any length.
    Recurrent(Arc<Recurrent>),
    /// A model of tokens, from a crate above.
    Tokens(Arc<dyn TokenModel>),
}

impl Network {
    /// Packs weights of either kind.
    ///
    /// # Errors
    /// As [`Transformer::new`], [`Recurrent::new`].
    pub fn new(weights: &AnyWeights) -> Result<Self> {
        Ok(match weights {
            AnyWeights::Transformer(weights) => Arc::new(Transformer::new(weights)?).into(),
            AnyWeights::Recurrent(weights) => Arc::new(Recurrent::new(weights)?).into(),
        })
    }

    /// How a mix uses it: see [`Windows::mixed`]. A recurrent network has no windows: a context of 0. A model of tokens is
    /// never mixed: these are its own.
    pub fn mixed_windows(&self) -> Windows {
        match self {
            Self::Transformer(model) => Windows::mixed(model),
            Self::Recurrent(_) => Windows { context: 0, overlap: 0, lanes: Windows::MIXED_LANES },
            Self::Tokens(model) => model.windows(),
        }
    }

    /// The name in the file it came from, as far as archives have room for it.
    pub fn name(&self) -> &str {
        let name = match self {
            Self::Transformer(model) => model.name(),
            Self::Recurrent(model) => model.name(),
            Self::Tokens(model) => model.name(),
        };
        &name[..name.floor_char_boundary(MAX_MODEL_NAME)]
    }

    /// What it is: [`Weights::identity`](super::Weights::identity).
    pub fn identity(&self) -> [u8; 32] {
        match self {
            Self::Transformer(model) => model.identity(),
            Self::Recurrent(model) => model.identity(),
            Self::Tokens(model) => model.identity(),
        }
    }
}

impl From<Arc<Transformer>> for Network {
    fn from(model: Arc<Transformer>) -> Self {
        Self::Transformer(model)
    }
}

impl From<Arc<dyn TokenModel>> for Network {
    fn from(model: Arc<dyn TokenModel>) -> Self {
        Self::Tokens(model)
    }
}

impl From<Arc<Recurrent>> for Network {
    fn from(model: Arc<Recurrent>) -> Self {
        Self::Recurrent(model)
    }
}
