//! A block under `mix`. The lanes of a team advance in lockstep and share the histories of contexts; a long block has several teams.

use std::ops::Range;
use std::sync::Arc;

use super::guide::{OfBoth, OfState};
use super::guided_mixer::GuidedMixer;
use super::start::Start;
use crate::coder::Coder;
use crate::nn::{Engine, Feed, START_SYMBOL, Streams};
use crate::predict::cm::byte::STRONGEST;
use crate::predict::cm::primed::{Opinion, Past, Primed};
use crate::predict::cm::store::Store;
use crate::predict::teams::{Around, Cut, MOST_TEAMS, Part, Run, Shared, Team, Walk};
use crate::progress::Progress;
use crate::quantize::ByteTree;
use crate::simd::Level;

/// Bytes that are worth a lane of their own. Fewer are not, because a lane begins without a past and learns from its own bytes
/// only, but for the histories of contexts.
const BYTES_PER_LANE: usize = 64 << 10; // frozen

/// Bytes that are worth a team of their own.
const BYTES_PER_TEAM: usize = 1_000_000; // frozen

/// Most teams with a primed state, because each has a copy of it.
const MOST_PRIMED_TEAMS: usize = 4; // frozen

/// Rows of a product when the bytes are known: enough to use the kernels well, few enough for the caches.
const ROWS: usize = 128; // tunable

/// The same if they are computed elsewhere, where a call takes long and many rows nearly as long as few.
const ROWS_ELSEWHERE: usize = 512; // tunable

/// A block of one team reports its progress after so many bytes.
const REPORT: usize = 4096; // tunable

/// One block under a network and `cm` together.
pub struct Mix<'a> {
    engine: &'a dyn Engine,
    /// What the mix has learned in advance, if the network brings it.
    start: Option<&'a Start>,
    /// A primed state, whose opinion on each bit is asked, too.
    primed: Option<&'a Arc<Primed>>,
    cut: Cut,
}

impl<'a> Mix<'a> {
    /// A model of a block that is cut as `cut` says.
    pub fn new(
        engine: &'a dyn Engine,
        start: Option<&'a Start>,
        primed: Option<&'a Arc<Primed>>,
        cut: Cut,
    ) -> Self {
        Self { engine, start, primed, cut }
    }

    /// How a block of `len` bytes is cut into teams of up to `lanes` lanes.
    pub fn cut(len: usize, lanes: u8, primed: bool) -> Cut {
        let most = if primed { MOST_PRIMED_TEAMS } else { MOST_TEAMS };
        Self::cut_by(BYTES_PER_LANE, BYTES_PER_TEAM, len, lanes, most)
    }

    fn cut_by(
        bytes_per_lane: usize,
        bytes_per_team: usize,
        len: usize,
        lanes: u8,
        most_teams: usize,
    ) -> Cut {
        let teams = (len / bytes_per_team).clamp(1, most_teams);
        let part = len.div_ceil(teams);
        let lanes = part.div_ceil(bytes_per_lane).clamp(1, lanes.max(1).into());
        Cut { len, lane_len: part.div_ceil(lanes).max(1), lanes, contexts: STRONGEST.len() }
    }

    /// Bytes of memory to code a block, beside block, code and weights.
    pub fn memory(engine: &dyn Engine, primed: Option<&Arc<Primed>>, cut: Cut) -> u64 {
        let Cut { len, lane_len, lanes, .. } = cut;
        let teams = cut.teams().max(1) as u64;
        let rows = rows_of(engine).max(lanes);
        let lanes = lanes as u64;
        let state =
            primed.map_or(0, |primed| Opinion::memory(primed) + lanes * size_of::<Past>() as u64);
        let team = state
            + lanes * (GuidedMixer::memory() + engine.stream_bytes(lane_len))
            + engine.workspace_bytes(rows)
            + rows as u64 * 2060
            + 4096;
        let shared = if teams > 1 { cut.memory() } else { 0 };
        GuidedMixer::store_memory(len) + teams * team + shared
    }

    /// Walks a block of several teams.
    pub fn walk_teams(&self, run: impl Run, data: &mut [u8], progress: &Progress) {
        let mut store = GuidedMixer::store(data.len());
        let models = GuidedMixer::MATCH_MODELS;
        let walk = Walk::new(self.cut, &mut store, models, data, || self.team(), progress);
        run.run(&walk.waiting(self.engine.computes_elsewhere()));
    }

    /// Walks a block of one team.
    pub fn walk_alone<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        let mut store = GuidedMixer::store(data.len());
        let mut team = self.team();
        let Cut { lane_len, lanes, .. } = self.cut;
        // A block of one lane is no lane among others.
        let around_len = if lanes == 1 { usize::MAX } else { lane_len };
        let around = Around { block: &[], known: 0, start: 0, lane_len: around_len };
        let report = (REPORT / lanes).max(1);
        for from in (0..data.len().min(lane_len)).step_by(report) {
            let steps = from..(from + report).min(lane_len);
            let coded = team.advance(&mut store, around, data, steps, coder);
            progress.add(coded as u64);
            if progress.is_stopped() {
                return;
            }
        }
    }

    fn team(&self) -> MixTeam<'a> {
        let Cut { lane_len, lanes, .. } = self.cut;
        let lane = || {
            let mut lane = match self.start {
                Some(start) => GuidedMixer::starting(start),
                None => GuidedMixer::new(),
            };
            if self.primed.is_some() {
                lane.expect_second();
            }
            lane
        };
        MixTeam {
            lane_len,
            state: self
                .primed
                .map(|primed| (Opinion::new(Arc::clone(primed)), vec![Past::default(); lanes])),
            lanes: (0..lanes).map(|_| lane()).collect(),
            streams: self.engine.streams(lanes),
            strip: Strip::default(),
            rows: rows_of(self.engine),
            elsewhere: self.engine.computes_elsewhere(),
            level: Level::detect(),
        }
    }
}

/// What a team of a mix has for itself.
struct MixTeam<'e> {
    lane_len: usize,
    lanes: Vec<GuidedMixer>,
    /// What a primed state says, and the past of each lane as it sees it.
    state: Option<(Opinion, Vec<Past>)>,
    streams: Box<dyn Streams + 'e>,
    strip: Strip,
    /// Rows of a product when the bytes are known, and whether they are computed while this thread goes on.
    rows: usize,
    elsewhere: bool,
    level: Level,
}

fn rows_of(engine: &dyn Engine) -> usize {
    if engine.computes_elsewhere() { ROWS_ELSEWHERE } else { ROWS }
}

/// Symbols for the network, and the distributions of what follows each of them.
#[derive(Default)]
struct Strip {
    /// Symbols, lane after lane.
    symbols: Vec<u16>,
    /// How many of them each lane has; 0 for a lane that has ended.
    counts: Vec<usize>,
    /// A distribution for each symbol.
    rows: Vec<ByteTree>,
}

impl MixTeam<'_> {
    /// Bytes of each lane that the network takes at once: several if they are known.
    fn strip_len<C: Coder>(&self) -> usize {
        if C::TOLD { (self.rows / self.lanes.len()).max(1) } else { 1 }
    }

    /// Codes the bytes `steps` of each lane; returns how many there were.
    fn advance<C: Coder, S: Store>(
        &mut self,
        store: &mut S,
        around: Around<'_>,
        part: &mut [u8],
        steps: Range<usize>,
        coder: &mut C,
    ) -> usize {
        let at_once = self.strip_len::<C>();
        let strip = |from: usize| from..(from + at_once).min(steps.end);
        let mut coded = 0;
        self.predict(part, strip(steps.start));
        for from in steps.clone().step_by(at_once) {
            let next = strip(strip(from).end);
            coded += self.code_strip(store, around, part, [strip(from), next], coder);
        }
        coded
    }

    /// Codes bytes `steps` for which the network was asked, and asks for those of `next`; returns how many there were.
    fn code_strip<C: Coder, S: Store>(
        &mut self,
        store: &mut S,
        around: Around<'_>,
        part: &mut [u8],
        [steps, next]: [Range<usize>; 2],
        coder: &mut C,
    ) -> usize {
        let weights = self.streams.finish();
        // In place: a tree has 2 KB.
        self.strip.rows.resize_with(weights.len(), ByteTree::default);
        for (row, weights) in self.strip.rows.iter_mut().zip(weights) {
            row.quantize(self.level, weights);
        }
        let counts = std::mem::take(&mut self.strip.counts);
        // What is known is computed elsewhere meanwhile.
        let early = C::TOLD && self.elsewhere;
        if early && !next.is_empty() {
            self.predict(part, next.clone());
        }
        for step in steps.clone() {
            self.code_step(store, coder, around, part, &counts, [step, step - steps.start]);
        }
        if !early && !next.is_empty() {
            self.predict(part, next);
        }
        self.strip.rows.len()
    }

    /// Where lane `lane` lies in a part of `len` bytes.
    fn lane(&self, lane: usize, len: usize) -> Range<usize> {
        (lane * self.lane_len).min(len)..((lane + 1) * self.lane_len).min(len)
    }

    /// Begins to ask the network for the distributions of the bytes `steps` of each lane.
    fn predict(&mut self, part: &[u8], steps: Range<usize>) {
        let mut strip = std::mem::take(&mut self.strip);
        strip.symbols.clear();
        strip.counts.clear();
        for lane in 0..self.lanes.len() {
            let Range { start, end } = self.lane(lane, part.len());
            let (from, to) = ((start + steps.start).min(end), (start + steps.end).min(end));
            strip.counts.push(to - from);
            if from < to {
                let first =
                    if steps.start == 0 { START_SYMBOL as u16 } else { part[from - 1].into() };
                strip.symbols.push(first);
                strip.symbols.extend(part[from..to - 1].iter().copied().map(u16::from));
            }
        }
        let mut symbols = &strip.symbols[..];
        let feeds = strip.counts.iter().map(|&wanted| {
            let (now, later) = symbols.split_at(wanted);
            symbols = later;
            Feed { symbols: now, wanted }
        });
        self.streams.begin(&feeds.collect::<Vec<_>>());
        self.strip = strip;
    }

    /// Codes the byte at `step` of each lane, which is at `row` of the `counts` of each lane in the strip.
    fn code_step<C: Coder, S: Store>(
        &mut self,
        store: &mut S,
        coder: &mut C,
        around: Around<'_>,
        part: &mut [u8],
        counts: &[usize],
        [step, row]: [usize; 2],
    ) {
        let mut first = 0;
        for (lane, &count) in counts.iter().enumerate() {
            if row < count {
                let at = lane * self.lane_len + step;
                let view = around.view(part, lane, step);
                let (mut guide, known) = (&self.strip.rows[first + row], part[at]);
                coder.begin(around.start + at);
                let mixer = &mut self.lanes[lane];
                part[at] = match &mut self.state {
                    Some((opinion, pasts)) => {
                        let state = OfState { opinion, past: &mut pasts[lane] };
                        mixer.code(store, coder, view, &mut OfBoth(guide, state), known)
                    }
                    None => mixer.code(store, coder, view, &mut guide, known),
                };
            }
            first += count;
        }
    }
}

impl Team for MixTeam<'_> {
    fn at_once<C: Coder>(&self) -> usize {
        self.strip_len::<C>()
    }

    fn begin(&mut self, part: &[u8], steps: Range<usize>) {
        self.predict(part, steps);
    }

    fn code<C: Coder>(
        &mut self,
        store: &mut Shared<'_>,
        around: Around<'_>,
        part: &mut [u8],
        steps: [Range<usize>; 2],
        coder: &mut C,
    ) {
        self.code_strip(store, around, part, steps, coder);
    }

    fn lanes(&mut self) -> Vec<Vec<Part<'_>>> {
        self.lanes.iter_mut().map(GuidedMixer::parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use crate::coder::{RangeDecoder, RangeEncoder};
    use crate::predict::teams::{Alone, Together};
    use crate::walk::CodeLength;

    /// An engine from outside: expects a byte that depends on the last one and on how many were fed.
    #[derive(Debug)]
    struct Toy {
        /// Whether threads code several teams in turn.
        elsewhere: bool,
    }

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

        fn computes_elsewhere(&self) -> bool {
            self.elsewhere
        }
    }

    impl Streams for ToyStreams {
        fn reset(&mut self) {
            self.fed.fill(0);
        }

        fn begin(&mut self, feeds: &[Feed<'_>]) {
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
        }

        fn finish(&mut self) -> &[[f32; 256]] {
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

    /// A block in small lanes and teams.
    fn mix(len: usize, lanes: u8, elsewhere: bool) -> Mix<'static> {
        let engine: &'static Toy =
            if elsewhere { &Toy { elsewhere: true } } else { &Toy { elsewhere: false } };
        Mix::new(engine, None, None, Mix::cut_by(64, 300, len, lanes, 16))
    }

    fn encode(data: &mut [u8], lanes: u8, threads: usize, elsewhere: bool) -> Vec<Vec<u8>> {
        let (mix, progress) = (mix(data.len(), lanes, elsewhere), Progress::default());
        if mix.cut.teams() <= 1 {
            let mut coder = RangeEncoder::new();
            mix.walk_alone(&mut coder, data, &progress);
            return vec![coder.finish()];
        }
        let coders: Vec<_> =
            (0..mix.cut.teams()).map(|_| Mutex::new(RangeEncoder::new())).collect();
        mix.walk_teams(Together { coders: &coders, threads }, data, &progress);
        coders.into_iter().map(|coder| coder.into_inner().unwrap().finish()).collect()
    }

    fn decode(
        codes: &[Vec<u8>],
        len: usize,
        lanes: u8,
        threads: usize,
        elsewhere: bool,
    ) -> Vec<u8> {
        let (mix, progress) = (mix(len, lanes, elsewhere), Progress::default());
        let mut data = vec![0; len];
        if mix.cut.teams() <= 1 {
            mix.walk_alone(&mut RangeDecoder::new(&codes[0]), &mut data, &progress);
            return data;
        }
        let coders: Vec<_> = codes.iter().map(|code| Mutex::new(RangeDecoder::new(code))).collect();
        mix.walk_teams(Together { coders: &coders, threads }, &mut data, &progress);
        data
    }

    #[test]
    fn any_length_round_trips_with_any_number_of_threads() {
        for len in [0, 1, 2, 63, 64, 65, 127, 128, 129, 191, 192, 193, 500, 599, 600, 1000, 5000] {
            let data = data(len);
            for lanes in [1, 3, 16] {
                let codes = encode(&mut data.clone(), lanes, 1, false);
                assert_eq!(codes.len(), (len / 300).clamp(1, 16), "{len} bytes, {lanes} lanes");
                for (threads, elsewhere) in
                    [1, 2, 3, 5, 16].into_iter().flat_map(|n| [(n, false), (n, true)])
                {
                    let again = encode(&mut data.clone(), lanes, threads, elsewhere);
                    assert!(again == codes, "{len} bytes, {lanes} lanes, {threads} threads");
                    let restored = decode(&codes, len, lanes, threads, elsewhere);
                    assert!(restored == data, "{len} bytes, {lanes} lanes, {threads} threads");
                }
            }
        }
    }

    #[test]
    fn a_code_is_as_long_as_its_probabilities_say() {
        let mut data = data(3000);
        let codes = encode(&mut data, 4, 2, false);
        let mut length = CodeLength::default();
        mix(3000, 4, false).walk_teams(Alone(&mut length), &mut data, &Progress::default());
        let bits: usize = codes.iter().map(|code| 8 * code.len()).sum();
        let bound = 32.0 * codes.len() as f64;
        assert!((bits as f64 - length.bits()).abs() < bound, "{}", length.bits());
    }

    #[test]
    fn damaged_code_gives_other_bytes_without_panic() {
        let mut codes = encode(&mut data(1000), 4, 2, true);
        for team in 0..codes.len() {
            for at in (0..codes[team].len()).step_by(7) {
                codes[team][at] ^= 0x5a;
                decode(&codes, 1000, 4, 2, true);
            }
        }
    }

    #[test]
    fn lanes_and_teams_fill_the_block() {
        for len in [1, 2, 65535, 65536, 65537, 131_072, 1_000_000, 2_000_000, 1 << 22, 100_000_000]
        {
            for most in [1, 2, 16, 32, 64] {
                let cut = Mix::cut(len, most, false);
                assert_eq!(cut.teams(), (len / BYTES_PER_TEAM).clamp(1, MOST_TEAMS));
                assert!(cut.lanes <= usize::from(most));
                assert!(cut.lane_len * cut.lanes * cut.teams() >= len);
                assert!(cut.lane_len <= BYTES_PER_LANE || cut.lanes == usize::from(most));
            }
        }
    }
}
