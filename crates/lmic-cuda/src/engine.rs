//! The engine of a network on a GPU, and what goes on when the GPU does not.

use std::sync::Arc;

use lmic::nn::{Engine, Feed, Recurrent, START_SYMBOL, Streams};

use crate::driver::{Failure, Memory, Pinned, Result};
use crate::gather::{Gather, Request, Row};

/// Rows that the CPU is fed at once when it takes over.
const REPLAYED: usize = 128; // tunable

/// A recurrent network on a GPU.
#[derive(Debug)]
pub struct CudaEngine {
    cpu: Arc<Recurrent>,
    gather: Gather,
}

impl CudaEngine {
    pub fn new(cpu: Arc<Recurrent>, gather: Gather) -> Self {
        Self { cpu, gather }
    }

    /// Compares the GPU with the CPU before anything is coded with it: the driver makes the machine code, and our tests have not seen
    /// every driver and GPU. If a bit differs, the GPU counts as failed.
    pub fn check(&self) {
        if differ(&*self.cpu, self) {
            self.gather.give_up(Failure("it computes other bits than the CPU".into()));
        }
    }

    /// What has gone wrong on the GPU, if anything has. Then the CPU computes.
    pub fn failure(&self) -> Option<String> {
        self.gather.failure().map(|failure| failure.0)
    }
}

impl Engine for CudaEngine {
    fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
        let gpu = match self.gather.failure() {
            None => OnGpu::new(&self.gather, count).ok(),
            Some(_) => None,
        };
        let run = gpu.map_or_else(|| Run::Cpu(self.cpu.streams(count)), Run::Gpu);
        Box::new(CudaStreams { engine: self, run, fed: vec![Vec::new(); count] })
    }

    fn stream_bytes(&self, len: usize) -> u64 {
        // If the CPU takes over, it needs all that was fed.
        self.cpu.stream_bytes(len) + 4 * len as u64
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        self.cpu.workspace_bytes(rows.max(REPLAYED)) + 1100 * rows as u64
    }

    fn computes_elsewhere(&self) -> bool {
        self.gather.failure().is_none()
    }
}

/// Whether two engines say something different of a short text, in strips and symbol by symbol.
fn differ(a: &dyn Engine, b: &dyn Engine) -> bool {
    let text = b"The cat sat on the mat, and the dog in the \xc3\x9cbergr\xc3\xb6\xc3\x9fe of 1789.\r\n\x00\xff";
    let symbols: Vec<u16> = [START_SYMBOL as u16].into_iter().chain(text.map(u16::from)).collect();
    let (mut a, mut b) = (a.streams(3), b.streams(3));
    let mut from = 0;
    for strip in [21, 16, 8, 1].into_iter().chain([1; 14]) {
        // The streams are at different places, of which each ends with another.
        let feeds = [0, 1, 2].map(|stream| {
            let symbols = &symbols[from..from + strip];
            Feed {
                symbols: &symbols[stream.min(strip - 1)..],
                wanted: strip.min(4) - stream.min(strip.min(4) - 1),
            }
        });
        from += strip;
        let bits = |weights: &[[f32; 256]]| -> Vec<u32> {
            weights.as_flattened().iter().map(|weight| weight.to_bits()).collect()
        };
        if bits(a.feed(&feeds)) != bits(b.feed(&feeds)) {
            return true;
        }
    }
    false
}

/// Streams on a GPU, or on the CPU after it has failed.
struct CudaStreams<'a> {
    engine: &'a CudaEngine,
    run: Run<'a>,
    /// All that each stream was fed.
    fed: Vec<Vec<u16>>,
}

enum Run<'a> {
    Gpu(OnGpu<'a>),
    Cpu(Box<dyn Streams + 'a>),
}

/// What streams on a GPU have there.
struct OnGpu<'a> {
    gather: &'a Gather,
    states: Memory,
    pasts: Vec<Past>,
    weights: Pinned<[f32; 256]>,
    request: Arc<Request>,
    /// What was fed last: symbols and rows wanted of each stream.
    last: Vec<(usize, usize)>,
    runs: Vec<usize>,
    in_flight: bool,
}

/// What the embedding and rows for contexts look at.
#[derive(Debug, Clone, Copy)]
struct Past {
    /// The last eight symbols, the newest in the lowest 16 bits.
    last: u128,
    /// The hash of the word so far.
    word: u64,
}

impl Past {
    fn new() -> Self {
        let last = (0..8).fold(0, |last, _| last << 16 | START_SYMBOL as u128);
        Self { last, word: 0 }
    }

    fn push(&mut self, symbol: u16) {
        self.last = self.last << 16 | u128::from(symbol);
        // The letters of docs/format/recurrent.md.
        let letter = match symbol {
            65..=90 => symbol - 64,
            97..=122 => symbol - 96,
            128..=255 => symbol - 101,
            _ => return self.word = 0,
        };
        self.word = self.word.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(letter.into());
    }
}

impl<'a> OnGpu<'a> {
    fn new(gather: &'a Gather, count: usize) -> Result<Self> {
        let device = gather.device();
        let states = Memory::new(device, count * gather.model().state_bytes)?;
        gather.reset(&states)?;
        Ok(Self {
            gather,
            states,
            pasts: vec![Past::new(); count],
            weights: Pinned::new(device, 128)?,
            request: Arc::default(),
            last: Vec::new(),
            runs: Vec::new(),
            in_flight: false,
        })
    }

    fn reset(&mut self) -> Result<()> {
        self.finish()?;
        self.last.clear();
        self.pasts.fill(Past::new());
        self.gather.reset(&self.states)
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) -> Result<()> {
        assert!(!self.in_flight, "fed twice");
        self.last.clear();
        self.last.extend(feeds.iter().map(|feed| (feed.symbols.len(), feed.wanted)));
        self.runs.clear();
        self.runs.extend(feeds.iter().map(|feed| feed.symbols.len()).filter(|&rows| rows > 0));
        let wanted = self.last.iter().map(|fed| fed.1).sum::<usize>();
        if wanted > self.weights.len() {
            self.weights = Pinned::new(self.gather.device(), wanted.next_power_of_two())?;
        }
        if self.runs.is_empty() {
            return Ok(());
        }
        let state_bytes = self.gather.model().state_bytes;
        let (states, mut out) = (self.states.address(), self.weights.address());
        let rows = self.pasts.iter_mut().zip(feeds).enumerate().flat_map(|(i, (past, feed))| {
            let state = states + (i * state_bytes) as u64;
            let unwanted = feed.symbols.len() - feed.wanted;
            let first = out;
            out += 1024 * feed.wanted as u64;
            feed.symbols.iter().enumerate().map(move |(at, &symbol)| -> Row {
                past.push(symbol);
                let to = at.checked_sub(unwanted).map_or(0, |row| first + 1024 * row as u64);
                [state, to, past.last as u64, (past.last >> 64) as u64, past.word]
            })
        });
        self.in_flight = true;
        self.gather.submit(&self.request, &self.runs, rows);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if std::mem::take(&mut self.in_flight) {
            self.gather.wait(&self.request)?;
        }
        Ok(())
    }

    fn weights(&self) -> &[[f32; 256]] {
        &self.weights.get()[..self.last.iter().map(|fed| fed.1).sum()]
    }
}

impl Drop for OnGpu<'_> {
    fn drop(&mut self) {
        // A kernel may still write to what is freed now.
        let _ = self.finish();
    }
}

impl CudaStreams<'_> {
    /// The CPU goes on: it is fed what was fed to the GPU, up to before the last feed if that is to be answered.
    fn take_over(&mut self, last: &[(usize, usize)]) {
        let mut cpu = self.engine.cpu.streams(self.fed.len());
        let before: Vec<_> = self
            .fed
            .iter()
            .enumerate()
            .map(|(i, fed)| &fed[..fed.len() - last.get(i).map_or(0, |fed| fed.0)])
            .collect();
        let at_once = (REPLAYED / before.len().max(1)).max(1);
        let longest = before.iter().map(|fed| fed.len()).max().unwrap_or(0);
        for from in (0..longest).step_by(at_once) {
            let part = |fed: &&'_ [u16]| from.min(fed.len())..(from + at_once).min(fed.len());
            let feeds: Vec<_> =
                before.iter().map(|fed| Feed { symbols: &fed[part(fed)], wanted: 0 }).collect();
            cpu.feed(&feeds);
        }
        let feeds: Vec<_> = last
            .iter()
            .zip(&self.fed)
            .map(|(&(count, wanted), fed)| Feed { symbols: &fed[fed.len() - count..], wanted })
            .collect();
        cpu.begin(&feeds);
        self.run = Run::Cpu(cpu);
    }
}

impl Streams for CudaStreams<'_> {
    fn reset(&mut self) {
        self.fed.iter_mut().for_each(Vec::clear);
        match &mut self.run {
            Run::Cpu(cpu) => cpu.reset(),
            Run::Gpu(gpu) => {
                if gpu.reset().is_err() {
                    self.take_over(&[]);
                }
            }
        }
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) {
        assert!(feeds.len() <= self.fed.len(), "more feeds than streams");
        for feed in feeds {
            let (wanted, fed) = (feed.wanted, feed.symbols.len());
            assert!(wanted <= fed, "{wanted} rows wanted of {fed}");
            for &symbol in feed.symbols {
                assert!(usize::from(symbol) <= START_SYMBOL, "symbol {symbol}");
            }
        }
        match &mut self.run {
            Run::Cpu(cpu) => cpu.begin(feeds),
            Run::Gpu(gpu) => {
                for (fed, feed) in self.fed.iter_mut().zip(feeds) {
                    fed.extend_from_slice(feed.symbols);
                }
                if gpu.begin(feeds).is_err() {
                    let last = std::mem::take(&mut gpu.last);
                    self.take_over(&last);
                }
            }
        }
    }

    fn finish(&mut self) -> &[[f32; 256]] {
        if let Run::Gpu(gpu) = &mut self.run
            && gpu.finish().is_err()
        {
            let last = std::mem::take(&mut gpu.last);
            self.take_over(&last);
        }
        match &mut self.run {
            Run::Gpu(gpu) => gpu.weights(),
            Run::Cpu(cpu) => cpu.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lmic::nn::{RecurrentConfig, RecurrentWeights};

    use super::*;

    #[test]
    fn networks_are_told_apart_by_a_weight() {
        let config = RecurrentConfig {
            hidden_size: 32,
            state_size: 32,
            intermediate_size: 32,
            layers: 2,
            taps: 1,
            ngrams: None,
            weight_levels: 63,
        };
        let weights = RecurrentWeights::random(&config, 1).quantize().unwrap();
        let mut others = weights.clone();
        others.norm[5] *= 1.01;
        let of = |weights| Recurrent::new(weights).unwrap();
        assert!(!differ(&of(&weights), &of(&weights)));
        assert!(differ(&of(&weights), &of(&others)));
    }
}
