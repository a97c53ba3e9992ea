//! Codes one sample as a row of yes-or-no questions: "at or above this boundary?".
//!
//! A channel model ([`super::image`], [`super::audio`]) fills a [`Forecast`]. The first question is on which side of the
//! forecast's centre the sample lies. The next ones find how far away it lies: an exponent in unary that begins near the
//! expected spread. What is left of the range is then halved until one sample remains. The probability of an answer comes from
//! - the [`Bell`]s of the predictors, from which it follows without any learning,
//! - counters, one table for each context, in which (context, question) is hashed. A fresh counter starts at the
//!   opinion of the bells, so a context does no harm before it has seen anything.
//!
//! They are mixed in the logistic domain and corrected by adaptive maps. Questions whose answer is known from the
//! sample's range are not asked. Below three bits of mantissa only the first bell is asked, or the mixture if there is one.

use super::distribution::{Bell, Edge, FRACTION, Mixture, upper_share};
use super::mixer::{MAX_INPUTS, Mixer};
use crate::coder::Coder;
use crate::predict::cm::logistic::{squash, stretch};
use crate::quantize::BitProb;

/// Most bells of a forecast.
pub const MAX_BELLS: usize = 8; // frozen
/// Most contexts of a forecast.
pub const MAX_CONTEXTS: usize = 20; // frozen
/// How many values [`Forecast::activity`] can take: see [`super::error_step`].
pub const ERROR_STEPS: usize = 24; // frozen
/// How many values [`Forecast::gate`] can take.
pub const GATE_VALUES: usize = 64; // frozen

/// How many kinds of questions have counters and weights of their own. They differ in the side of the centre, in how far the
/// exponent is above the first one (up to 15), and in the place in the mantissa.
const NODES: usize = 256; // frozen
/// How many kinds of questions are told apart where [`NODES`] would be too many.
const NODE_CLASSES: usize = 16; // frozen
const SIDE_NODE: usize = 127; // frozen
/// From this place in the mantissa on, which wider samples than those of 16 bits have, a bell's edges are too near to each other to
/// say anything.
const DEEP: u64 = 1 << 16; // frozen
/// From this exponent on, all exponents share their counters.
const LAST_EXPONENT: u32 = 14; // frozen

/// What a channel model knows before a sample.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// (mean, scale) of each predictor, [`FRACTION`] bits. The first is the best one: the questions are laid around it.
    pub bells: [(i64, u64); MAX_BELLS],
    /// Bells in use.
    pub bell_count: usize,
    /// Context values, any number: hashed into each context's table.
    pub contexts: [u32; MAX_CONTEXTS],
    /// How large errors were around the sample, below [`ERROR_STEPS`].
    pub activity: usize,
    /// A number below [`GATE_VALUES`] by which the channel model chooses a row of weights.
    pub gate: usize,
    /// What a pretrained network expects of the sample, if one takes part.
    pub mixture: Option<Mixture>,
}

/// A counter is a probability in the upper 22 bits and uses in the lower 10.
const COUNT_BITS: u32 = 10; // frozen
const PROBABILITY_BITS: u32 = 22; // frozen
/// Uses after which a counter adapts at a steady rate.
const COUNT_LIMIT: u32 = 127; // frozen

/// Moves a counter towards `bit` by 1 / (uses + 1.6).
#[inline]
fn count(counter: &mut u32, bit: bool) {
    let uses = *counter & ((1 << COUNT_BITS) - 1);
    let p = *counter >> COUNT_BITS;
    let target = if bit { (1 << PROBABILITY_BITS) - 1 } else { 0 };
    let step = (i64::from(target) - i64::from(p)) * i64::from(RATES[uses as usize]);
    let p = p.wrapping_add_signed((step >> 16) as i32);
    *counter = p << COUNT_BITS | (uses + 1).min(COUNT_LIMIT);
}

/// 65536 / (n + 1.6)
static RATES: [u16; COUNT_LIMIT as usize + 1] = {
    let mut table = [0; COUNT_LIMIT as usize + 1];
    let mut n = 0;
    while n < table.len() {
        table[n] = (655360 / (n as u32 * 10 + 16)) as u16;
        n += 1;
    }
    table
}; // frozen

/// Interpolating map from (context, probability) to probability.
#[derive(Debug)]
struct Map {
    cells: Vec<u16>,
    index: usize,
}

const MAP_STEPS: usize = 33; // frozen

impl Map {
    fn new(contexts: usize) -> Self {
        let row: Vec<u16> = (0..MAP_STEPS as i32).map(|i| squash((i - 16) * 128) as u16).collect();
        Self { cells: row.repeat(contexts), index: 0 }
    }

    #[inline]
    fn refine(&mut self, context: usize, stretched: i32) -> u32 {
        let position = (stretched.clamp(-2047, 2047) + 2048) as usize;
        let (low, fraction) = (position >> 7, (position & 127) as u32);
        let at = context * MAP_STEPS + low;
        self.index = at + usize::from(fraction >= 64);
        (u32::from(self.cells[at]) * (128 - fraction) + u32::from(self.cells[at + 1]) * fraction)
            >> 7
    }

    #[inline]
    fn update(&mut self, bit: bool) {
        let cell = &mut self.cells[self.index];
        let target = if bit { 65535 } else { 0 };
        *cell = (i32::from(*cell) + ((target - i32::from(*cell)) >> 6)) as u16;
    }
}

/// Codes the samples of one block, and holds what the questions have learned.
#[derive(Debug)]
pub struct ValueCoder {
    /// Counters of each context, in lines of 8 slots. Zero is "never used".
    tables: Vec<Vec<u32>>,
    table_bits: u32,
    mixer: Mixer,
    maps: [Map; 2],
    least: i64,
    most: i64,
    /// What the bells together say to the current question: where a fresh counter starts.
    guess: u32,
    // Of the sample being coded:
    bells: [Bell; MAX_BELLS],
    low: [Edge; MAX_BELLS],
    high: [Edge; MAX_BELLS],
    /// What the mixture sees: the edges below and above what is left.
    mixed: [Edge; 2],
}

impl ValueCoder {
    /// A coder for samples in `range`, least and most, with `contexts` tables of `2^table_bits` lines of 8 counters.
    ///
    /// With `mixed`, forecasts have a mixture, which is trusted from the start.
    pub fn new(
        range: [i64; 2],
        bells: usize,
        contexts: usize,
        table_bits: u32,
        mixed: bool,
    ) -> Self {
        let mut initial = [0; MAX_INPUTS];
        let [least, most] = range;
        if mixed {
            initial[bells] = 65536;
        } else {
            for (i, w) in initial.iter_mut().enumerate().take(bells + contexts) {
                *w = if i < bells { 45_000 / bells as i32 } else { 14_000 / contexts as i32 };
            }
        }
        let sizes = [NODES, ERROR_STEPS * NODE_CLASSES, GATE_VALUES * NODE_CLASSES];
        let mut mixer = Mixer::new(sizes, 256, initial);
        if mixed {
            mixer.take_time();
        }
        Self {
            tables: vec![vec![0; 8 << table_bits]; contexts],
            table_bits,
            mixer,
            maps: [Map::new(NODE_CLASSES * ERROR_STEPS), Map::new(NODE_CLASSES * GATE_VALUES)],
            least,
            most,
            guess: 0,
            bells: [Bell::default(); MAX_BELLS],
            low: [Edge::BOTTOM; MAX_BELLS],
            high: [Edge::TOP; MAX_BELLS],
            mixed: [Edge::BOTTOM, Edge::TOP],
        }
    }

    /// Bytes that [`ValueCoder::new`] takes, at most: the constant covers mixer and maps, and what a channel model
    /// holds beside its filters and rings (`tests/memory.rs`).
    pub fn memory(contexts: usize, table_bits: u32) -> u64 {
        ((contexts * 8 * 4) << table_bits) as u64 + (384 << 10)
    }

    /// Codes a sample: `target` where it is known (see [`Coder::bit`]). Returns the sample.
    pub fn code<C: Coder>(&mut self, coder: &mut C, forecast: &Forecast, target: i64) -> i64 {
        for (bell, &(mean, scale)) in
            self.bells.iter_mut().zip(&forecast.bells[..forecast.bell_count])
        {
            *bell = Bell::new(mean, scale);
        }
        self.low = [Edge::BOTTOM; MAX_BELLS];
        self.high = [Edge::TOP; MAX_BELLS];
        self.mixed = [Edge::BOTTOM, Edge::TOP];
        let (mean, scale) = forecast.bells[0];
        let centre = ((mean + (1 << (FRACTION - 1))) >> FRACTION).clamp(self.least, self.most);
        let first = first_exponent(scale);
        let mut ask = Question { values: self, coder, forecast, target };
        ask.search(centre, first)
    }

    /// Adds the bells' opinions to the mixer; returns where each sees `boundary`.
    #[inline]
    fn add_bells(&mut self, boundary: i64, bells: usize) -> [Edge; MAX_BELLS] {
        let mut middle = [Edge::BOTTOM; MAX_BELLS];
        let mut sum = 0;
        for (i, middle) in middle.iter_mut().enumerate().take(bells) {
            *middle = self.bells[i].edge(boundary);
            let opinion = stretch(upper_share(self.low[i], *middle, self.high[i]));
            self.mixer.add(opinion);
            sum += opinion;
        }
        self.guess = squash(sum / bells as i32);
        middle
    }

    /// Adds the mixture's opinion, which is then the one that fresh counters start from; returns where it sees `boundary`.
    #[inline]
    fn add_mixture(&mut self, mixture: Option<&Mixture>, boundary: i64) -> Edge {
        let Some(mixture) = mixture else { return Edge::BOTTOM };
        let middle = mixture.edge(boundary);
        let [low, high] = self.mixed;
        self.guess = upper_share(low, middle, high);
        self.mixer.add(stretch(self.guess));
        middle
    }

    /// Adds the counters' opinions to the mixer; returns where they are.
    #[inline]
    fn add_counters(
        &mut self,
        forecast: &Forecast,
        node: usize,
        kind: usize,
    ) -> [usize; MAX_CONTEXTS] {
        let mut slots = [0; MAX_CONTEXTS];
        let group = ((node >> 3) as u32 * 4 + kind as u32 + 1).wrapping_mul(0x2545_f491);
        let contexts = self.tables.iter_mut().zip(&forecast.contexts);
        for ((table, context), slot) in contexts.zip(&mut slots) {
            let key = context.wrapping_mul(0x9e37_79b1).wrapping_add(group);
            let line = (key ^ (key >> 15)).wrapping_mul(0x85eb_ca6b) >> (32 - self.table_bits);
            *slot = (line as usize) << 3 | (node & 7);
            let counter = &mut table[*slot];
            if *counter == 0 {
                *counter = (self.guess << (PROBABILITY_BITS - 16)) << COUNT_BITS;
            }
            self.mixer.add(stretch(*counter >> (COUNT_BITS + PROBABILITY_BITS - 16)));
        }
        slots
    }
}

/// The exponent k for which a sample lies within 2^k of the centre about every other time.
fn first_exponent(scale: u64) -> u32 {
    // The median of |x - mean| is 1.1 scales; k = 0 up to a scale of 1.3.
    let scale = (scale * 3 / 4) >> FRACTION;
    u64::BITS - scale.leading_zeros()
}

/// The questions about one sample.
struct Question<'a, C> {
    values: &'a mut ValueCoder,
    coder: &'a mut C,
    forecast: &'a Forecast,
    target: i64,
}

impl<C: Coder> Question<'_, C> {
    /// Narrows `least..=most` to one sample.
    fn search(&mut self, centre: i64, first: u32) -> i64 {
        let (least, most) = (self.values.least, self.values.most);
        let kind = first.min(3) as usize;
        let upper = centre > least && self.ask(SIDE_NODE, kind, centre) || centre == least;
        // Distances from the centre on the side found: `0..=far`.
        let far = if upper { most - centre } else { centre - 1 - least };
        let side = usize::from(upper) << 7;
        let boundary = |distance: i64| if upper { centre + distance } else { centre - distance };
        let (mut near, mut width, mut step) = (0, 1i64 << first, 0);
        while near + width <= far {
            let node = side | (step.min(LAST_EXPONENT) as usize) << 3;
            if self.ask(node, kind, boundary(near + width)) != upper {
                break;
            }
            near += width;
            width = near; // [0, 2^k), [2^k, 2^(k+1)), [2^(k+1), 2^(k+2)), ...
            step += 1;
        }
        let mut place = 1u64;
        while width > 1 {
            width /= 2;
            let mut farther = false;
            if near + width <= far {
                let middle = boundary(near + width);
                farther = upper
                    == if place < 8 {
                        let node = side | (step.min(LAST_EXPONENT) as usize) << 3 | place as usize;
                        self.ask(node, kind, middle)
                    } else {
                        self.ask_bell(place, middle)
                    };
            }
            near += if farther { width } else { 0 };
            place = place << 1 | u64::from(farther);
        }
        if upper { centre + near } else { centre - 1 - near }
    }

    /// Asks whether the sample is at or above `boundary`. Bells, mixture and counters all have a say.
    fn ask(&mut self, node: usize, kind: usize, boundary: i64) -> bool {
        let middle = self.values.add_bells(boundary, self.forecast.bell_count);
        let mixed_middle = self.values.add_mixture(self.forecast.mixture.as_ref(), boundary);
        let slots = self.values.add_counters(self.forecast, node, kind);
        let values = &mut *self.values;
        let class = node_class(node);
        let activity = self.forecast.activity * NODE_CLASSES + class;
        let gate = self.forecast.gate * NODE_CLASSES + class;
        let mixed = values.mixer.mix([node, activity, gate], node);
        let refined = values.maps[0].refine(activity, mixed) + values.maps[1].refine(gate, mixed);
        let p = (2 * squash(mixed) + refined) / 4;
        let bit = self.coder.bit(BitProb::new(p), self.target >= boundary);
        values.mixer.update(bit);
        values.maps.iter_mut().for_each(|map| map.update(bit));
        for (table, slot) in values.tables.iter_mut().zip(slots) {
            count(&mut table[slot], bit);
        }
        let narrowed = if bit { &mut values.low } else { &mut values.high };
        *narrowed = middle;
        values.mixed[usize::from(!bit)] = mixed_middle;
        bit
    }

    /// Asks the same, and only the mixture or the first bell has a say: for the low bits of a wide residue, which are noise.
    ///
    /// `place` has as many bits as the residue has been halved times.
    fn ask_bell(&mut self, place: u64, boundary: i64) -> bool {
        let values = &mut *self.values;
        if place >= DEEP {
            return self.coder.bit(BitProb::HALF, self.target >= boundary);
        }
        if let Some(mixture) = &self.forecast.mixture {
            let middle = mixture.edge(boundary);
            let p = upper_share(values.mixed[0], middle, values.mixed[1]);
            let bit = self.coder.bit(BitProb::new(p), self.target >= boundary);
            values.mixed[usize::from(!bit)] = middle;
            return bit;
        }
        let middle = values.bells[0].edge(boundary);
        let p = upper_share(values.low[0], middle, values.high[0]);
        let bit = self.coder.bit(BitProb::new(p), self.target >= boundary);
        let narrowed = if bit { &mut values.low } else { &mut values.high };
        narrowed[0] = middle;
        bit
    }
}

/// 16 classes of questions: the side, the exponents, the mantissas of either side.
fn node_class(node: usize) -> usize {
    if node == SIDE_NODE {
        return 15;
    }
    let side = node >> 7;
    let exponent = (node >> 3 & 15).min(2);
    let mantissa = usize::from(node & 7 != 0);
    side * 7 + exponent * 2 + mantissa
}
