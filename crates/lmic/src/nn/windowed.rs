//! A block under a transformer alone. Its lanes advance in lockstep, each with a stream of the transformer, and all of them
//! begin a new window at the same step.

use std::ops::Range;

use super::{Engine, Feed, START_SYMBOL, Streams, Transformer};
use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::quantize::Cdf;
use crate::walk::Model;

/// Rows that go into a product at a time when the bytes are known: enough to use the kernels well, few enough for the CPU's caches.
const ROWS: usize = 128; // tunable

/// How a block is walked: part of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Positions of a window, the start symbol included: 2 to the model's own context.
    pub context: u32,
    /// Bytes that a window repeats of the one before, 0 to half the context. With 0, each `context` bytes are
    /// coded alone, as the paper does with 2048.
    pub overlap: u32,
    /// Most lanes of a block, or of a team in a mix, 1 to [`Windows::MAX_LANES`]: contiguous parts that are coded side by side, so
    /// that the weights are read once for all of them.
    pub lanes: u8,
}

impl Windows {
    /// The most lanes that a block or a team may have.
    pub const MAX_LANES: u8 = 64; // frozen

    /// Most lanes of a team in a mix unless told otherwise; an archive says how many it has.
    pub const MIXED_LANES: u8 = 4; // tunable

    /// Lanes unless told otherwise. A decoder reads the keys and values of all lanes for each byte, so there are as many lanes
    /// as keep theirs in a CPU's cache together; and at most 8, which use the kernels nearly as well as more would.
    fn default_lanes(model: &Transformer) -> u8 {
        const TOGETHER: u64 = 16 << 20; // tunable
        (TOGETHER / model.cache_bytes(model.context())).clamp(1, 8) as u8
    }

    /// Windows of all of the model's context that repeat nothing of each other.
    pub fn chunks(model: &Transformer) -> Self {
        Self { context: model.context() as u32, overlap: 0, lanes: Self::default_lanes(model) }
    }

    /// Windows that overlap by a quarter: most of what half would save, for much less time (docs/design.md).
    pub fn sliding(model: &Transformer) -> Self {
        let context = model.context() as u32;
        Self { context, overlap: context / 4, lanes: Self::default_lanes(model) }
    }

    /// Windows for a transformer that is mixed with context mixing. They have at most 512 positions: attention over more costs
    /// time, and what lies further back is found by the match models.
    pub fn mixed(model: &Transformer) -> Self {
        let context = model.context().min(512) as u32;
        Self { context, overlap: context / 4, lanes: Self::MIXED_LANES }
    }

    /// Checks the documented ranges, but for the model's context.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`].
    pub fn validate(self) -> Result<()> {
        let Self { context, overlap, lanes } = self;
        let most = crate::simd::MAX_POSITIONS;
        let wrong = if !(2..=most as u32).contains(&context) {
            format!("a context of {context}; 2 to {most} allowed")
        } else if overlap > context / 2 {
            format!("an overlap of {overlap}; 0 to half the context of {context} allowed")
        } else if !(1..=Self::MAX_LANES).contains(&lanes) {
            format!("{lanes} lanes; 1 to {} allowed", Self::MAX_LANES)
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidArgument, wrong))
    }

    /// Bytes of each lane but the last of a block of `len` bytes.
    fn lane_len(self, len: usize) -> usize {
        // A lane is a multiple of whole windows, so that none is used in part only. If windows repeat bytes of each other, it is
        // at least four, because a lane begins without context.
        let unit = self.context as usize * if self.overlap == 0 { 1 } else { 4 };
        len.div_ceil(usize::from(self.lanes)).next_multiple_of(unit)
    }
}

/// One block under a transformer alone.
pub(crate) struct WindowedBlock<'a> {
    engine: &'a dyn Engine,
    windows: Windows,
    progress: &'a Progress,
}

impl<'a> WindowedBlock<'a> {
    /// A model of one block. `windows` must not be longer than the streams of `engine` may be.
    ///
    /// # Panics
    /// If the windows are out of range.
    pub(crate) fn new(engine: &'a dyn Engine, windows: Windows, progress: &'a Progress) -> Self {
        assert!(windows.validate().is_ok());
        Self { engine, windows, progress }
    }

    /// Bytes of memory to code a block of `len` bytes, beside block, code and weights.
    pub(crate) fn memory(engine: &dyn Engine, windows: Windows, len: usize) -> u64 {
        let lane = windows.lane_len(len);
        let lanes = len.div_ceil(lane.max(1)) as u64;
        let stream = engine.stream_bytes(lane.min(windows.context as usize));
        lanes * stream + engine.workspace_bytes(ROWS.min(len).max(lanes as usize))
    }
}

/// A lane: a contiguous part of the block that is coded side by side with others.
struct Lane {
    start: usize,
    len: usize,
    /// What to feed next.
    symbols: Vec<u16>,
}

impl Model for WindowedBlock<'_> {
    /// Codes all of `next`.
    ///
    /// In each step every lane codes a byte, in the order of the lanes. Where the coder is told the bytes, the
    /// distributions of several steps are computed at once: these have the same bits, and the coder sees the
    /// same calls.
    fn code<C: Coder>(&mut self, coder: &mut C, _past: &[u8], next: &mut [u8]) -> usize {
        let Windows { context, overlap, .. } = self.windows;
        let (context, overlap) = (context as usize, overlap as usize);
        let lane_len = self.windows.lane_len(next.len());
        let lane = |start| {
            let len = lane_len.min(next.len() - start);
            Lane { start, len, symbols: Vec::new() }
        };
        let mut lanes: Vec<Lane> = (0..next.len()).step_by(lane_len).map(lane).collect();
        let mut streams = self.engine.streams(lanes.len());
        let rows = (ROWS / lanes.len()).max(1);
        let (mut step, mut window_end) = (0, 0);
        while step < lanes[0].len {
            if step == window_end {
                // The first window codes `context` bytes; the others repeat `overlap` of them.
                let repeated = overlap.min(step);
                window_end = step + context - repeated;
                open_window(&mut lanes, &mut *streams, next, step - repeated..step, rows);
            }
            let end = (step + if C::TOLD { rows } else { 1 }).min(window_end);
            let coded = strip(&mut lanes, &mut *streams, coder, next, step..end);
            step = end;
            self.progress.add(coded as u64);
            if self.progress.is_stopped() {
                break;
            }
        }
        next.len()
    }
}

/// Begins a new window in all lanes and feeds the start symbol and the bytes of `repeated`, at most `rows` at a time. The last
/// symbol is not fed but left in `symbols`: what follows it is wanted, so it is fed with the first strip of the window.
fn open_window(
    lanes: &mut [Lane],
    streams: &mut dyn Streams,
    data: &[u8],
    repeated: Range<usize>,
    rows: usize,
) {
    streams.reset();
    for lane in &mut *lanes {
        lane.symbols.clear();
        lane.symbols.push(START_SYMBOL as u16);
    }
    let alive = |lane: &Lane| lane.len > repeated.end;
    for from in repeated.clone().step_by(rows) {
        let to = (from + rows).min(repeated.end);
        for lane in lanes.iter_mut().filter(|lane| alive(lane)) {
            let bytes = &data[lane.start + from..lane.start + to - 1];
            lane.symbols.extend(bytes.iter().copied().map(u16::from));
        }
        feed(lanes, streams, |lane| alive(lane).then_some(0));
        for lane in lanes.iter_mut().filter(|lane| alive(lane)) {
            lane.symbols.push(data[lane.start + to - 1].into());
        }
    }
}

/// Feeds the symbols that lanes hold and clears them; returns the distributions that are wanted. `wanted` says of how many of a
/// lane's last symbols, or `None` for a lane that is left alone.
fn feed<'s>(
    lanes: &mut [Lane],
    streams: &'s mut dyn Streams,
    wanted: impl Fn(&Lane) -> Option<usize>,
) -> &'s [[f32; 256]] {
    let feeds = lanes.iter().map(|lane| match wanted(lane) {
        Some(wanted) => Feed { symbols: &lane.symbols, wanted },
        None => Feed { symbols: &[], wanted: 0 },
    });
    let weights = streams.feed(&feeds.collect::<Vec<_>>());
    lanes.iter_mut().filter(|lane| wanted(lane).is_some()).for_each(|l| l.symbols.clear());
    weights
}

/// Codes the bytes of `steps` in all lanes; returns how many.
fn strip<C: Coder>(
    lanes: &mut [Lane],
    streams: &mut dyn Streams,
    coder: &mut C,
    data: &mut [u8],
    steps: Range<usize>,
) -> usize {
    // Steps that each lane still has.
    let left = |lane: &Lane| lane.len.min(steps.end).saturating_sub(steps.start);
    for lane in lanes.iter_mut().filter(|lane| left(lane) > 0) {
        let first = lane.start + steps.start;
        let known = &data[first..first + left(lane) - 1];
        lane.symbols.extend(known.iter().copied().map(u16::from));
    }
    let weights = feed(lanes, streams, |lane| Some(left(lane)).filter(|&left| left > 0));
    for step in steps.clone() {
        let mut row = step - steps.start;
        for lane in lanes.iter_mut().take_while(|lane| left(lane) > 0) {
            if step < lane.len {
                let byte = &mut data[lane.start + step];
                coder.begin(lane.start + step);
                *byte = coder.byte(&Cdf::quantize(&weights[row]), *byte);
                if step + 1 == steps.end {
                    lane.symbols.push(u16::from(*byte));
                }
            }
            row += left(lane);
        }
    }
    weights.len()
}
