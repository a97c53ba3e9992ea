//! A block of bytes under a model of tokens. Its lanes advance in lockstep, and the model sees each through windows.
//!
//! The block is cut into lanes, contiguous parts of equal length, and each lane into tokens; a token ends within its lane. In each
//! step every lane that is not complete codes a token, in the order of the lanes. A window starts with the start token. The first
//! one codes `context` tokens; each later one repeats `overlap` tokens of the one before and codes that many less.
//! docs/format/tokens.md specifies all of this.

use lmic::coder::Coder;
use lmic::nn::Windows;
use lmic::progress::Progress;
use lmic::quantize::{AnyByte, Symbols};
use lmic::{Error, ErrorKind, Result};

use crate::model::{Cache, Model, Stream, Workspace};
use crate::tokens::Tokens;

/// Rows that go into a product at a time when the tokens are known: enough to use the kernels well.
const ROWS: usize = 128; // tunable

/// The most logits that are computed at a time: 64 MiB.
const MAX_LOGITS: usize = 16 << 20; // tunable

/// The least bytes of a lane. A lane starts without context, so short lanes cost bits. If windows repeat nothing of each other,
/// this costs less, and [`MIN_LANE_ALONE`] is the least.
const MIN_LANE: usize = 16 << 10; // frozen
const MIN_LANE_ALONE: usize = 2 << 10; // frozen

/// How a block is walked.
#[derive(Debug)]
pub struct Walk<'a> {
    pub model: &'a Model,
    pub tokens: &'a Tokens,
    pub windows: Windows,
    pub threads: usize,
    /// Whether tokens that stand for nothing get no probability, as is always so in codes.
    pub masked: bool,
    pub progress: &'a Progress,
}

/// A lane: a contiguous part of the block that is coded side by side with others.
struct Lane {
    /// All tokens of the lane; in a decoder, those decoded so far.
    tokens: Vec<u32>,
    cache: Cache,
    /// What to feed next.
    pending: Vec<u32>,
    /// Bytes of the lane that its tokens stand for, without the space before.
    bytes: Vec<u8>,
    len: usize,
    /// How many bytes of the first token to leave out, 0 or 1: it may begin with a space that the text does not have.
    to_skip: usize,
}

impl Lane {
    /// Whether the lane goes on at a step.
    fn goes_on<C: Coder>(&self, step: usize) -> bool {
        if C::TOLD { step < self.tokens.len() } else { self.bytes.len() < self.len }
    }

    /// Tokens that are known from a step on, up to an end.
    fn left(&self, step: usize, end: usize) -> usize {
        self.tokens.len().min(end).saturating_sub(step)
    }
}

/// Bytes of all lanes but the last.
fn lane_len(windows: Windows, len: usize) -> usize {
    let least = if windows.overlap == 0 { MIN_LANE_ALONE } else { MIN_LANE };
    len.div_ceil(windows.lanes.into()).max(least)
}

impl Walk<'_> {
    /// Rows that are computed at a time where tokens are known, in all lanes together.
    fn rows(vocab: usize) -> usize {
        (MAX_LOGITS / vocab).clamp(1, ROWS)
    }

    /// Bytes of memory to code a block of `len` bytes.
    pub fn memory(model: &Model, tokens: &Tokens, windows: Windows, len: usize) -> u64 {
        let lane = lane_len(windows, len);
        let lanes = len.div_ceil(lane).max(1);
        // Nearly every token stands for at least one byte, so a lane has at most about as many tokens as bytes.
        let positions = (windows.context as usize).min(lane + 1);
        let rows = Self::rows(tokens.len()).max(lanes);
        lanes as u64 * model.cache_bytes(positions)
            + model.workspace_bytes(ROWS.max(lanes), rows)
            + 8 * tokens.len() as u64
            + 16 * len as u64
    }

    /// Codes all of `data`: an encoder reads it, a decoder fills it.
    ///
    /// # Errors
    /// `Corrupt` if a decoder finds tokens that cannot be.
    pub fn code<C: Coder>(&self, coder: &mut C, data: &mut [u8]) -> Result<()> {
        let lane_len = lane_len(self.windows, data.len());
        let mut lanes: Vec<Lane> = data.chunks(lane_len).map(|part| self.lane::<C>(part)).collect();
        let context = self.windows.context as usize;
        let overlap = self.windows.overlap as usize;
        let mut buffers = Buffers { work: Workspace::default(), symbols: Symbols::default() };
        let (mut step, mut window_end) = (0, 0);
        while lanes.iter().any(|lane| lane.goes_on::<C>(step)) {
            if step == window_end {
                let repeated = overlap.min(step);
                window_end = step + context - repeated;
                self.open_window::<C>(&mut lanes, step - repeated..step, &mut buffers);
            }
            let alive = lanes.iter().filter(|lane| lane.goes_on::<C>(step)).count();
            let rows = if C::TOLD { (Self::rows(self.tokens.len()) / alive).max(1) } else { 1 };
            let end = (step + rows).min(window_end);
            self.strip(&mut lanes, coder, step..end, &mut buffers)?;
            step = end;
            if self.progress.is_stopped() {
                return Ok(());
            }
        }
        if !C::TOLD {
            for (lane, part) in lanes.iter().zip(data.chunks_mut(lane_len)) {
                part.copy_from_slice(&lane.bytes);
            }
        }
        Ok(())
    }

    fn lane<C: Coder>(&self, part: &[u8]) -> Lane {
        Lane {
            tokens: if C::TOLD { self.tokens.encode(part) } else { Vec::new() },
            cache: self.model.cache(),
            pending: Vec::new(),
            bytes: Vec::new(),
            len: part.len(),
            to_skip: self.tokens.space_before().into(),
        }
    }

    /// Begins a new window in all lanes and feeds the start token and the tokens of `repeated`. The last one is not fed but left
    /// pending: what follows it is wanted, so it is fed with the first strip of the window.
    fn open_window<C: Coder>(
        &self,
        lanes: &mut [Lane],
        repeated: std::ops::Range<usize>,
        buffers: &mut Buffers,
    ) {
        for lane in &mut *lanes {
            lane.cache.reset();
            lane.pending.clear();
            lane.pending.push(self.tokens.start());
        }
        let alive = |lane: &Lane| lane.goes_on::<C>(repeated.end);
        for from in repeated.clone().step_by(ROWS) {
            let to = (from + ROWS).min(repeated.end);
            for lane in lanes.iter_mut().filter(|lane| alive(lane)) {
                let inputs = lane.tokens[from..to - 1].iter().map(|&t| self.tokens.input(t));
                lane.pending.extend(inputs);
            }
            self.feed(lanes, |lane| alive(lane).then_some(0), buffers);
            for lane in lanes.iter_mut().filter(|lane| alive(lane)) {
                lane.pending.push(self.tokens.input(lane.tokens[to - 1]));
            }
        }
    }

    /// Feeds the tokens that lanes have pending and clears them. `wanted` says for how many of them logits are wanted, or `None`
    /// for a lane that is left alone.
    fn feed(
        &self,
        lanes: &mut [Lane],
        wanted: impl Fn(&Lane) -> Option<usize>,
        buffers: &mut Buffers,
    ) {
        let mut streams = Vec::with_capacity(lanes.len());
        let mut fed = Vec::with_capacity(lanes.len());
        for lane in &mut *lanes {
            let wanted = wanted(lane);
            fed.push(wanted.is_some());
            let Some(wanted) = wanted else { continue };
            streams.push(Stream { cache: &mut lane.cache, tokens: &lane.pending, wanted });
        }
        self.model.forward(&mut streams, self.threads, &mut buffers.work);
        for (lane, fed) in lanes.iter_mut().zip(fed) {
            if fed {
                lane.pending.clear();
            }
        }
    }

    /// Codes the tokens of `steps` in all lanes.
    fn strip<C: Coder>(
        &self,
        lanes: &mut [Lane],
        coder: &mut C,
        steps: std::ops::Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        // Steps that each lane still has.
        let rows: Vec<usize> = lanes
            .iter()
            .map(|lane| match C::TOLD {
                true => lane.left(steps.start, steps.end),
                false => lane.goes_on::<C>(steps.start).into(),
            })
            .collect();
        for (lane, &rows) in lanes.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0) {
            let known = &lane.tokens[steps.start..steps.start + rows - 1];
            lane.pending.extend(known.iter().map(|&token| self.tokens.input(token)));
        }
        let Buffers { work, symbols } = buffers;
        let mut streams = Vec::with_capacity(lanes.len());
        for (lane, &wanted) in lanes.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0) {
            streams.push(Stream { cache: &mut lane.cache, tokens: &lane.pending, wanted });
        }
        let logits = self.model.forward(&mut streams, self.threads, work);
        for (lane, _) in lanes.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0) {
            lane.pending.clear();
        }
        let vocab = self.model.weights.shape.vocab;
        for step in steps.clone() {
            let mut first = 0;
            for (lane, &rows) in lanes.iter_mut().zip(&rows) {
                let at = step - steps.start;
                if at < rows {
                    let logits = &mut logits[(first + at) * vocab..][..vocab];
                    if self.masked {
                        let silent = self.tokens.silent().iter();
                        silent.for_each(|&token| logits[token as usize] = f32::NEG_INFINITY);
                    }
                    self.model.level().softmax(logits); // the likeliest has weight 1
                    symbols.quantize(logits, 1);
                    let token = self.token(coder, symbols, lane.tokens.get(step).copied());
                    self.take::<C>(lane, token)?;
                    if step + 1 == steps.end {
                        lane.pending.push(self.tokens.input(token));
                    }
                }
                first += rows;
            }
        }
        Ok(())
    }

    /// Codes a token, or the escape and a byte.
    fn token<C: Coder>(&self, coder: &mut C, symbols: &Symbols, known: Option<u32>) -> u32 {
        let escape = self.tokens.len();
        let known = known.unwrap_or(0);
        let symbol = coder.symbol(symbols, (known as usize).min(escape));
        if symbol < escape {
            return symbol as u32;
        }
        let known = self.tokens.escaped(known).unwrap_or(0);
        self.tokens.escape(coder.symbol(&AnyByte, known.into()) as u8)
    }

    /// Takes in a token of a lane: checks that it can be there, and keeps its bytes and, in a decoder, the token.
    fn take<C: Coder>(&self, lane: &mut Lane, token: u32) -> Result<()> {
        let corrupt = |what: &str| Err(Error::new(ErrorKind::Corrupt, what));
        if !C::TOLD {
            lane.tokens.push(token);
        }
        let before = lane.bytes.len();
        if !self.tokens.append(token, &mut lane.bytes) {
            return corrupt("the code has a token that stands for nothing");
        }
        if lane.to_skip > 0 {
            if lane.bytes[0] != b' ' {
                return corrupt("the code does not begin with the space before its text");
            }
            lane.bytes.remove(0);
            lane.to_skip = 0;
        }
        if lane.bytes.len() > lane.len {
            return corrupt("the code has a token that passes the end of its lane");
        }
        self.progress.add((lane.bytes.len() - before) as u64);
        Ok(())
    }
}

/// Buffers of a walk, kept from strip to strip.
struct Buffers {
    work: Workspace,
    symbols: Symbols,
}
