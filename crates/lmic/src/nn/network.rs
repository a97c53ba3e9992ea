//! One type for networks of all kinds, and transformers as networks for streams of any length.

use std::sync::Arc;

use super::format::MAX_MODEL_NAME;
use super::tokens::TokenModel;
use super::{
    AnyWeights, Cache, Engine, Feed, Recurrent, START_SYMBOL, Stream, Streams, Transformer,
    Windows, Workspace,
};
use crate::error::Result;

/// A transformer whose streams may be longer than its context: when a window is full, a new one begins with the start symbol
/// and the last `overlap` bytes.
#[derive(Debug, Clone)]
struct Windowed {
    model: Arc<Transformer>,
    /// Positions of a window, 2 to the model's context.
    context: usize,
    /// Bytes that a window repeats, 0 to half of `context`.
    overlap: usize,
}

/// A stream under a [`Windowed`] transformer.
struct WindowState {
    cache: Cache,
    /// The last `overlap` bytes that were fed, or all if there were fewer: the next window repeats them.
    recent: Vec<u16>,
}

/// Streams under a [`Windowed`] transformer.
struct WindowStreams<'a> {
    windowed: &'a Windowed,
    states: Vec<WindowState>,
    work: Workspace,
    weights: Vec<[f32; 256]>,
}

impl Engine for Windowed {
    fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
        let state = || WindowState { cache: self.model.cache(), recent: Vec::new() };
        let states = (0..count).map(|_| state()).collect();
        let (work, weights) = (Workspace::default(), Vec::new());
        Box::new(WindowStreams { windowed: self, states, work, weights })
    }

    fn stream_bytes(&self, _len: usize) -> u64 {
        // `recent` holds up to a window more before it is cut, and a vector's growth leaves up to as much again.
        self.model.cache_bytes(self.context) + 4 * (self.overlap + self.context) as u64
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        self.model.workspace_bytes(rows.max(self.overlap + 1)) + 2048 * rows as u64
    }
}

impl Streams for WindowStreams<'_> {
    fn reset(&mut self) {
        for state in &mut self.states {
            state.cache.reset();
            state.recent.clear();
        }
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) {
        assert!(feeds.len() <= self.states.len(), "more feeds than streams");
        self.weights.clear();
        if self.goes_on(feeds) {
            return self.feed_together(feeds);
        }
        for (stream, feed) in feeds.iter().enumerate() {
            let mut done = 0;
            while done < feed.symbols.len() {
                let left = &feed.symbols[done..];
                done += self.advance(stream, left, feed.wanted.min(left.len()));
            }
        }
    }

    fn finish(&mut self) -> &[[f32; 256]] {
        &self.weights
    }
}

impl WindowStreams<'_> {
    /// Whether all streams go on within their windows, so that one call feeds them together.
    fn goes_on(&self, feeds: &[Feed<'_>]) -> bool {
        let positions =
            |(state, feed): (&WindowState, &Feed<'_>)| state.cache.len() + feed.symbols.len();
        self.states.iter().zip(feeds).map(positions).all(|end| end <= self.windowed.context)
    }

    fn feed_together(&mut self, feeds: &[Feed<'_>]) {
        let Windowed { model, overlap, .. } = self.windowed;
        let mut streams = Vec::with_capacity(feeds.len());
        for (state, &Feed { symbols, wanted }) in self.states.iter_mut().zip(feeds) {
            if !symbols.is_empty() {
                let WindowState { cache, recent } = state;
                keep(recent, symbols, *overlap);
                streams.push(Stream { cache, symbols, wanted });
            }
        }
        model.forward(&mut streams, &mut self.work);
        self.weights.extend_from_slice(self.work.weights(model));
    }

    /// Feeds symbols to one stream up to the end of its window. If the window is full, a new one begins with the start symbol
    /// and the bytes that it repeats. Returns how many of `symbols` were fed.
    fn advance(&mut self, stream: usize, symbols: &[u16], wanted: usize) -> usize {
        let Windowed { context, overlap, .. } = *self.windowed;
        let state = &mut self.states[stream];
        if state.cache.len() == context {
            // The first of `symbols` is the last of the bytes that are repeated.
            keep(&mut state.recent, &symbols[..1], overlap);
            let repeated = state.recent.iter().copied();
            let window: Vec<u16> = std::iter::once(START_SYMBOL as u16).chain(repeated).collect();
            state.cache.reset();
            self.feed_one(stream, &window, usize::from(wanted == symbols.len()));
            return 1;
        }
        let now = symbols.len().min(context - state.cache.len());
        let later = symbols.len() - now;
        self.feed_one(stream, &symbols[..now], wanted.saturating_sub(later));
        keep(&mut self.states[stream].recent, &symbols[..now], overlap);
        now
    }

    fn feed_one(&mut self, stream: usize, symbols: &[u16], wanted: usize) {
        let (model, cache) = (&self.windowed.model, &mut self.states[stream].cache);
        model.forward(&mut [Stream { cache, symbols, wanted }], &mut self.work);
        self.weights.extend_from_slice(self.work.weights(model));
    }
}

/// Adds the bytes among `symbols` to the `recent` ones, of which the last `overlap` are kept.
fn keep(recent: &mut Vec<u16>, symbols: &[u16], overlap: usize) {
    recent.extend(symbols.iter().filter(|&&symbol| symbol < START_SYMBOL as u16));
    recent.drain(..recent.len().saturating_sub(overlap));
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
    /// The network of these weights, of either kind, packed for this CPU.
    ///
    /// # Errors
    /// As [`Transformer::new`], [`Recurrent::new`].
    pub fn new(weights: &AnyWeights) -> Result<Self> {
        Ok(match weights {
            AnyWeights::Transformer(weights) => Arc::new(Transformer::new(weights)?).into(),
            AnyWeights::Recurrent(weights) => Arc::new(Recurrent::new(weights)?).into(),
        })
    }

    /// How a mix uses the network: see [`Windows::mixed`]. For a recurrent network the context is 0, because it has no windows.
    /// A model of tokens is never mixed; for it these are the windows that it uses alone.
    pub fn mixed_windows(&self) -> Windows {
        match self {
            Self::Transformer(model) => Windows::mixed(model),
            Self::Recurrent(_) => Windows { context: 0, overlap: 0, lanes: Windows::MIXED_LANES },
            Self::Tokens(model) => model.windows(),
        }
    }

    /// How the network is used, `alone` or in a mix, with what was asked for of it: see [`Windows`]. If no overlap was, a quarter of
    /// each window is repeated.
    pub fn windows(
        &self,
        alone: bool,
        context: Option<u32>,
        overlap: Option<u32>,
        lanes: Option<u8>,
    ) -> Windows {
        let usual = match self {
            Self::Transformer(model) if alone => Windows::sliding(model),
            network => network.mixed_windows(),
        };
        let context = context.unwrap_or(usual.context);
        Windows {
            context,
            overlap: overlap.unwrap_or(context / 4),
            lanes: lanes.unwrap_or(usual.lanes),
        }
    }

    /// The engine of this CPU. With `windows`, a transformer takes streams of any length; without, they must not be longer than
    /// its context. `None` for a model of tokens, which codes by itself.
    pub fn engine(&self, windows: Option<Windows>) -> Option<Arc<dyn Engine>> {
        match (self, windows) {
            (Self::Recurrent(model), _) => Some(Arc::clone(model) as _),
            (Self::Transformer(model), None) => Some(Arc::clone(model) as _),
            (Self::Transformer(model), Some(windows)) => {
                let (context, overlap) = (windows.context as usize, windows.overlap as usize);
                Some(Arc::new(Windowed { model: Arc::clone(model), context, overlap }))
            }
            (Self::Tokens(_), _) => None,
        }
    }

    /// The name in the file that it came from, cut to what archives have room for.
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
