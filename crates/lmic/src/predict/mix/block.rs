//! A block under `mix`. Its lanes advance in lockstep and share all that context mixing learns.

use std::ops::Range;

use std::sync::Arc;

use super::groups::{FinishOnDrop, Groups, Strip};
use super::guide::{OfBoth, OfState};
use super::guided_mixer::{GuidedMixer, Lane};
use super::start::Start;
use crate::coder::Coder;
use crate::nn::{Engine, START_SYMBOL};
use crate::predict::cm::matcher::View;
use crate::predict::cm::primed::{Opinion, Past, Primed};
use crate::progress::Progress;
use crate::walk::Model;

/// Bytes that are worth a lane of their own. Fewer are not, because a lane begins without a past.
const BYTES_PER_LANE: usize = 16 << 10; // frozen

/// Rows of a product when the bytes are known: enough to use the kernels well, few enough for the caches.
const ROWS: usize = 128; // tunable

/// Lanes of a group, if there are enough. With fewer, products wait for weights to come from memory.
const GROUP_LANES: usize = 16; // tunable

/// Strips that go round for each group of an encoder: two are with the network and one is with the coder.
const STRIPS: usize = 3; // tunable

/// Blocks below this are not worth a thread.
const WORTH_A_THREAD: usize = 2048; // tunable

/// How a block is cut into lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    len: usize,
    /// Bytes of each lane but the last.
    lane_len: usize,
}

impl Division {
    /// A block of `len` bytes in at most `most` lanes.
    pub fn new(len: usize, most: u8) -> Self {
        Self::by(BYTES_PER_LANE, len, most)
    }

    fn by(bytes_per_lane: usize, len: usize, most: u8) -> Self {
        let lanes = len.div_ceil(bytes_per_lane).clamp(1, usize::from(most.max(1)));
        Self { len, lane_len: len.div_ceil(lanes).max(1) }
    }

    /// How many lanes there are.
    pub fn lanes(self) -> usize {
        self.len.div_ceil(self.lane_len)
    }

    /// Where lane `i` lies.
    fn lane(self, i: usize) -> Range<usize> {
        i * self.lane_len..((i + 1) * self.lane_len).min(self.len)
    }

    /// What lane `i` sees after `step` bytes.
    fn view(self, block: &[u8], i: usize, step: usize) -> View<'_> {
        let start = self.lane(i).start;
        let lane_len = if self.lanes() == 1 { usize::MAX } else { self.lane_len };
        View { block, past: &block[start..start + step], start, lane_len }
    }
}

/// One block under a network and `cm` together.
pub struct Mix<'a> {
    engine: &'a dyn Engine,
    /// What the mix has learned in advance, if the network brings it.
    start: Option<&'a Start>,
    /// A primed state, whose opinion on each bit is asked, too.
    primed: Option<&'a Arc<Primed>>,
    lanes: u8,
    bytes_per_lane: usize,
    /// Blocks below this are coded by one thread.
    worth_a_thread: usize,
    threads: usize,
    progress: &'a Progress,
}

impl<'a> Mix<'a> {
    /// A model of a block in at most `lanes` lanes, on up to `threads` threads; the threads change no bit.
    pub fn new(
        engine: &'a dyn Engine,
        start: Option<&'a Start>,
        primed: Option<&'a Arc<Primed>>,
        lanes: u8,
        threads: usize,
        progress: &'a Progress,
    ) -> Self {
        Self {
            engine,
            start,
            primed,
            lanes,
            bytes_per_lane: BYTES_PER_LANE,
            worth_a_thread: WORTH_A_THREAD,
            threads: threads.max(1),
            progress,
        }
    }

    /// Bytes of memory to code a block of `len` bytes, beside block, code and weights.
    pub fn memory(
        engine: &dyn Engine,
        primed: Option<&Arc<Primed>>,
        most: u8,
        threads: usize,
        len: usize,
    ) -> u64 {
        let division = Division::new(len, most);
        let lanes = division.lanes() as u64;
        let rows = ROWS.max(division.lanes());
        let groups = group_count(division.lanes(), threads.max(1)) as u64;
        let state =
            primed.map_or(0, |primed| Opinion::memory(primed) + lanes * size_of::<Past>() as u64);
        GuidedMixer::memory(len)
            + state
            + lanes * (size_of::<Lane>() as u64 + engine.stream_bytes(division.lane_len))
            + groups * engine.workspace_bytes(rows)
            + groups * STRIPS as u64 * rows as u64 * 2060
            + 4096
    }
}

/// How many groups there are: one for one thread; otherwise as many as threads, up to twice as many so that one group is coded while
/// the network works on others, as long as each has [`GROUP_LANES`] lanes.
fn group_count(lanes: usize, threads: usize) -> usize {
    match threads {
        1 => 1,
        _ => (lanes / GROUP_LANES).clamp(threads, 2 * threads).min(lanes.max(1)),
    }
}

impl Model for Mix<'_> {
    /// Codes all of `next`. In each step every lane codes a byte, in the order of the lanes.
    fn code<C: Coder>(&mut self, coder: &mut C, _past: &[u8], next: &mut [u8]) -> usize {
        let division = Division::by(self.bytes_per_lane, next.len(), self.lanes);
        let lanes = division.lanes();
        let count = group_count(lanes, self.threads);
        let bounds: Vec<usize> = (0..=count).map(|g| g * lanes / count).collect();
        let groups = Groups::new(self.engine, bounds.windows(2).map(|w| w[1] - w[0]));
        // A decoder has nothing to do for a second thread if there is only one group.
        let useful = if C::TOLD { self.threads } else { self.threads.min(count) };
        let helpers = if next.len() < self.worth_a_thread { 0 } else { useful - 1 };
        std::thread::scope(|scope| {
            let _finish = FinishOnDrop(&groups);
            for i in 0..helpers {
                let groups = &groups;
                let work = move || groups.help(i + 1);
                // If the system gives no thread, the coding one does all the work.
                let _ =
                    std::thread::Builder::new().name("lmic-mix".into()).spawn_scoped(scope, work);
            }
            let mut cm = match self.start {
                Some(start) => GuidedMixer::starting(next.len(), start),
                None => GuidedMixer::new(next.len()),
            };
            if self.primed.is_some() {
                cm.expect_second();
            }
            let mut walk = Walk {
                division,
                bounds: &bounds,
                groups: &groups,
                cm,
                state: self
                    .primed
                    .map(|primed| (Opinion::new(Arc::clone(primed)), vec![Past::default(); lanes])),
                lanes: vec![Lane::new(); lanes],
                progress: self.progress,
            };
            if C::TOLD { walk.told(coder, next) } else { walk.step_by_step(coder, next) }
        });
        next.len()
    }
}

/// The walk of one block.
struct Walk<'a, 'e> {
    division: Division,
    /// First lane of each group, and the end.
    bounds: &'a [usize],
    groups: &'a Groups<'e>,
    cm: GuidedMixer,
    /// What a primed state says, and the past of each lane as it sees it.
    state: Option<(Opinion, Vec<Past>)>,
    lanes: Vec<Lane>,
    progress: &'a Progress,
}

impl Walk<'_, '_> {
    /// Codes bytes that are known: strips of several steps at once, and one strip ahead.
    fn told<C: Coder>(&mut self, coder: &mut C, block: &mut [u8]) {
        let count = self.bounds.len() - 1;
        let widest = self.bounds.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(1);
        let steps = (ROWS / widest).max(1);
        let end = self.division.lane_len;
        let mut spare: Vec<Strip> = (0..count).map(|_| Strip::default()).collect();
        for ahead in 0..STRIPS - 1 {
            for g in 0..count {
                self.send(g, Strip::default(), block, ahead * steps, steps);
            }
        }
        for from in (0..end).step_by(steps) {
            for (g, spare) in spare.iter_mut().enumerate() {
                let old = std::mem::replace(spare, self.groups.take(g));
                self.send(g, old, block, from + (STRIPS - 1) * steps, steps);
            }
            for step in from..(from + steps).min(end) {
                for (g, strip) in spare.iter().enumerate() {
                    self.code_step(coder, block, g, strip, step, step - from);
                }
            }
            self.progress.add(spare.iter().map(|s| s.rows.len() as u64).sum());
            if self.progress.is_stopped() {
                return;
            }
        }
    }

    /// Codes bytes that are found out one by one: a group's next symbols are known when its lanes are coded.
    fn step_by_step<C: Coder>(&mut self, coder: &mut C, block: &mut [u8]) {
        let count = self.bounds.len() - 1;
        for g in 0..count {
            self.send(g, Strip::default(), block, 0, 1);
        }
        let mut pending = 0;
        for step in 0..self.division.lane_len {
            for g in 0..count {
                let strip = self.groups.take(g);
                self.code_step(coder, block, g, &strip, step, 0);
                pending += strip.rows.len() as u64;
                self.send(g, strip, block, step + 1, 1);
            }
            if pending >= 1024 {
                self.progress.add(std::mem::take(&mut pending));
                if self.progress.is_stopped() {
                    return;
                }
            }
        }
        self.progress.add(pending);
    }

    /// Sends the symbols before the bytes of `steps` steps from `step` to group `g`, unless its lanes have ended.
    fn send(&self, g: usize, mut strip: Strip, block: &[u8], step: usize, steps: usize) {
        strip.symbols.clear();
        strip.counts.clear();
        for lane in self.bounds[g]..self.bounds[g + 1] {
            let Range { start, end } = self.division.lane(lane);
            let from = (start + step).min(end);
            let count = steps.min(end - from);
            strip.counts.push(count);
            if count > 0 {
                let first = if step == 0 { START_SYMBOL as u16 } else { block[from - 1].into() };
                strip.symbols.push(first);
                strip.symbols.extend(block[from..from + count - 1].iter().copied().map(u16::from));
            }
        }
        self.groups.send(g, strip);
    }

    /// Codes the byte at `step` of each lane of group `g`, which is at `row` of each lane in `strip`.
    fn code_step<C: Coder>(
        &mut self,
        coder: &mut C,
        block: &mut [u8],
        g: usize,
        strip: &Strip,
        step: usize,
        row: usize,
    ) {
        let mut first = 0;
        for (lane, &count) in (self.bounds[g]..).zip(&strip.counts) {
            if row < count {
                let at = self.division.lane(lane).start + step;
                let view = self.division.view(block, lane, step);
                let (mut guide, known) = (&strip.rows[first + row], block[at]);
                coder.begin(at);
                let own = &mut self.lanes[lane];
                block[at] = match &mut self.state {
                    Some((opinion, pasts)) => {
                        let state = OfState { opinion, past: &mut pasts[lane] };
                        self.cm.code(coder, own, view, &mut OfBoth(guide, state), known)
                    }
                    None => self.cm.code(coder, own, view, &mut guide, known),
                };
            }
            first += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Feed, Streams};
    use crate::walk::{CodeLength, decode_model, encode_model, walk};

    /// An engine from outside: expects a byte that depends on the last one and on how many were fed.
    #[derive(Debug)]
    struct Toy;

    struct ToyStreams {
        fed: Vec<usize>,
        weights: Vec<[f32; 256]>,
    }

    impl Engine for Toy {
        fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
            Box::new(ToyStreams { fed: vec![0; count], weights: Vec::new() })
        }

        fn stream_bytes(&self, _len: usize) -> u64 {
            8
        }

        fn workspace_bytes(&self, rows: usize) -> u64 {
            2048 * rows as u64
        }
    }

    impl Streams for ToyStreams {
        fn reset(&mut self) {
            self.fed.fill(0);
        }

        fn feed(&mut self, feeds: &[Feed<'_>]) -> &[[f32; 256]] {
            self.weights.clear();
            for (fed, feed) in self.fed.iter_mut().zip(feeds) {
                let unwanted = feed.symbols.len() - feed.wanted;
                for (i, &symbol) in feed.symbols.iter().enumerate() {
                    assert_eq!(symbol == START_SYMBOL as u16, *fed == 0);
                    *fed += 1;
                    if i >= unwanted {
                        let mut weights = [0.001; 256];
                        weights[(usize::from(symbol) * 7 + *fed) & 255] = 1.0;
                        self.weights.push(weights);
                    }
                }
            }
            &self.weights
        }
    }

    /// Bytes that the toy foresees every other time, with repeats for the match models across lanes.
    fn data(len: usize) -> Vec<u8> {
        let line = b"a line that comes again and again, ";
        let mut data = Vec::new();
        while data.len() < len {
            let last = usize::from(data.last().copied().unwrap_or(0));
            data.push(((last * 7 + data.len() + 1) & 255) as u8);
            if data.len() % 40 == 0 {
                data.extend_from_slice(line);
            }
        }
        data.truncate(len);
        data
    }

    fn mix(progress: &Progress, lanes: u8, threads: usize) -> Mix<'_> {
        let mix = Mix::new(&Toy, None, None, lanes, threads, progress);
        Mix { bytes_per_lane: 64, worth_a_thread: 0, ..mix }
    }

    #[test]
    fn any_length_round_trips_with_any_number_of_threads() {
        let progress = Progress::default();
        for len in [0, 1, 2, 63, 64, 65, 127, 128, 129, 191, 192, 193, 500, 1000] {
            let data = data(len);
            for lanes in [1, 3, 16] {
                let code = encode_model(&mut mix(&progress, lanes, 1), &mut data.clone());
                for threads in [1, 2, 5] {
                    let again =
                        encode_model(&mut mix(&progress, lanes, threads), &mut data.clone());
                    assert!(again == code, "{len} bytes, {lanes} lanes, {threads} threads");
                    let mut restored = vec![0; len];
                    decode_model(&mut mix(&progress, lanes, threads), &code, &mut restored);
                    assert!(restored == data, "{len} bytes, {lanes} lanes, {threads} threads");
                }
            }
        }
    }

    #[test]
    fn a_code_is_as_long_as_its_probabilities_say() {
        let progress = Progress::default();
        let mut data = data(3000);
        let code = encode_model(&mut mix(&progress, 4, 1), &mut data);
        let mut length = CodeLength::default();
        walk(&mut mix(&progress, 4, 1), &mut length, &mut data);
        assert!((code.len() as f64 * 8.0 - length.bits()).abs() < 32.0, "{}", length.bits());
    }

    #[test]
    fn damaged_code_gives_other_bytes_without_panic() {
        let progress = Progress::default();
        let mut code = encode_model(&mut mix(&progress, 4, 1), &mut data(1000));
        for at in (0..code.len()).step_by(7) {
            code[at] ^= 0x5a;
            decode_model(&mut mix(&progress, 4, 2), &code, &mut vec![0; 1000]);
        }
    }

    #[test]
    fn lanes_fill_the_block() {
        for len in [0, 1, 2, 32767, 32768, 32769, 65536, 65537, 1 << 20, 100_000_000] {
            for most in [1, 2, 16, 64] {
                let division = Division::new(len, most);
                assert!(division.lanes() <= usize::from(most));
                let ends = (0..division.lanes()).map(|i| division.lane(i));
                assert_eq!(
                    ends.fold(0, |end, lane| {
                        assert!(lane.start == end && lane.end > end);
                        lane.end
                    }),
                    len
                );
            }
        }
    }
}
