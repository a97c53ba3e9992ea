//! Codes one sample as a row of yes-or-no questions: "at or above this boundary?".
//!
//! A channel model ([`super::image`], [`super::audio`]) fills a [`Forecast`]; the engine asks first on which
//! side of the forecast's centre the sample lies, then how far away it lies (a unary exponent that begins
//! near the expected spread), then bisects what is left. Each question is answered by
//! - the [`Bell`]s of the predictors, from which its probability follows without any learning,
//! - counters, one table per context, indexed by (context, question); a fresh counter starts at the bells'
//!   opinion, so a context does no harm before it has seen anything,
//!
//! mixed in the logistic domain and corrected by adaptive probability maps. Questions whose answer is
//! known from the sample's range are not asked. Below three bits of mantissa only the first bell is asked.

use super::distribution::{Bell, Edge, FRACTION, upper_share};
use super::mixer::{MAX_INPUTS, Mixer};
use crate::coder::Coder;
use crate::predict::cm::logistic::{squash, stretch};
use crate::quantize::BitProb;

/// Most bells of a forecast.
pub const MAX_BELLS: usize = 8;
/// Most contexts of a forecast.
pub const MAX_CONTEXTS: usize = 20;
/// Values of [`Forecast::level`].
pub const LEVELS: usize = 24;
/// Values of [`Forecast::gate`].
pub const GATE_VALUES: usize = 64;

/// Questions told apart: side, exponent above the first (up to 15), place in the mantissa.
const NODES: usize = 256;
const SIDE_NODE: usize = 127;
/// Exponents that share counters from there on.
const LAST_EXPONENT: u32 = 14;

/// What a channel model knows before a sample.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// (mean, scale) of each predictor, [`FRACTION`] bits. The first is the best one: the questions are laid around it.
    pub bells: [(i32, u32); MAX_BELLS],
    /// Bells in use.
    pub bell_count: usize,
    /// Context values, any number: hashed into each context's table.
    pub contexts: [u32; MAX_CONTEXTS],
    /// Contexts in use.
    pub context_count: usize,
    /// Activity, below [`LEVELS`].
    pub level: usize,
    /// Free choice of a weight set, below [`GATE_VALUES`].
    pub gate: usize,
}

/// Counters of one context. Zero is "never used".
#[derive(Debug)]
struct Table {
    slots: Vec<u32>,
}

/// Probability in the upper 22 bits, uses in the lower 10.
const COUNT_BITS: u32 = 10;
const COUNT_LIMIT: u32 = 255;

#[inline]
fn slot_update(slot: &mut u32, bit: bool, limit: u32) {
    let count = *slot & ((1 << COUNT_BITS) - 1);
    let p = *slot >> COUNT_BITS;
    let target = if bit { (1 << 22) - 1 } else { 0 };
    let rate = RECIPROCAL[count as usize];
    let p = (i64::from(p) + (((i64::from(target) - i64::from(p)) * i64::from(rate)) >> 16)) as u32;
    *slot = p << COUNT_BITS | if count < limit { count + 1 } else { count };
}

/// 65536 / (n + 1.6)
static RECIPROCAL: [u16; 1 << COUNT_BITS] = {
    let mut table = [0; 1 << COUNT_BITS];
    let mut n = 0;
    while n < 1 << COUNT_BITS {
        table[n] = (655360 / (n as u32 * 10 + 16)) as u16;
        n += 1;
    }
    table
};

impl Table {
    fn new(bits: u32) -> Self {
        Self { slots: vec![0; 8 << bits] }
    }
}

/// Interpolating map from (context, probability) to probability.
#[derive(Debug)]
struct Map {
    cells: Vec<u16>,
    index: usize,
}

const MAP_STEPS: usize = 33;

impl Map {
    fn new(contexts: usize) -> Self {
        let row: Vec<u16> =
            (0..MAP_STEPS as i32).map(|i| squash((i - 16) * 128).min(65535) as u16).collect();
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
        *cell = (i32::from(*cell) + ((target - i32::from(*cell)) >> super::tune(14,6))) as u16;
    }
}

/// The state of the questions of one block.
#[derive(Debug)]
pub struct Engine {
    tables: Vec<Table>,
    table_bits: u32,
    mixer: Mixer,
    maps: [Map; 2],
    least: i32,
    most: i32,
    // Of the sample being coded:
    bells: [Bell; MAX_BELLS],
    low: [Edge; MAX_BELLS],
    high: [Edge; MAX_BELLS],
}

impl Engine {
    /// An engine for samples in `least..=most`, with `contexts` tables of `2^table_bits` contexts.
    pub fn new(least: i32, most: i32, bells: usize, contexts: usize, table_bits: u32) -> Self {
        let mut initial = [0; MAX_INPUTS];
        for (i, w) in initial.iter_mut().enumerate().take(bells + contexts) {
            *w = if i < bells { 40_000 / bells as i32 } else { 40_000 / contexts as i32 };
        }
        Self {
            tables: (0..contexts).map(|_| Table::new(table_bits)).collect(),
            table_bits,
            mixer: Mixer::new([NODES, LEVELS * 16, GATE_VALUES * 16], 256, initial),
            maps: [Map::new(NODES * LEVELS), Map::new(NODES * GATE_VALUES)],
            least,
            most,
            bells: [Bell::default(); MAX_BELLS],
            low: [Edge::BOTTOM; MAX_BELLS],
            high: [Edge::TOP; MAX_BELLS],
        }
    }

    /// Bytes that [`Engine::new`] takes.
    pub fn memory(contexts: usize, table_bits: u32) -> u64 {
        ((contexts * 8 * 4) << table_bits) as u64 + (1 << 20)
    }

    /// Codes a sample: `target` where it is known (see [`Coder::bit`]). Returns the sample.
    pub fn code<C: Coder>(&mut self, coder: &mut C, forecast: &Forecast, target: i32) -> i32 {
        for (bell, &(mean, scale)) in
            self.bells.iter_mut().zip(&forecast.bells[..forecast.bell_count])
        {
            *bell = Bell::new(mean, scale);
        }
        self.low = [Edge::BOTTOM; MAX_BELLS];
        self.high = [Edge::TOP; MAX_BELLS];
        let (mean, scale) = forecast.bells[0];
        let centre = ((mean + (1 << (FRACTION - 1))) >> FRACTION).clamp(self.least, self.most);
        let first = first_exponent(scale);
        let mut ask = Question { engine: self, coder, forecast, target };
        ask.search(centre, first)
    }
}

/// The exponent k for which a sample lies within 2^k of the centre about every other time.
fn first_exponent(scale: u32) -> u32 {
    // The median of |x - mean| is 1.1 scales; k = 0 up to a scale of 1.3.
    let scale = (scale * 3 / 4) >> FRACTION;
    32 - scale.leading_zeros()
}

struct Question<'a, C> {
    engine: &'a mut Engine,
    coder: &'a mut C,
    forecast: &'a Forecast,
    target: i32,
}

impl<C: Coder> Question<'_, C> {
    /// Narrows `least..=most` to one sample.
    fn search(&mut self, centre: i32, first: u32) -> i32 {
        let (least, most) = (self.engine.least, self.engine.most);
        let kind = first.min(3) as usize;
        let upper = centre > least && self.ask(SIDE_NODE, kind, centre) || centre == least;
        // Distances from the centre on the side found: `0..=far`.
        let far = if upper { most - centre } else { centre - 1 - least };
        let side = usize::from(upper) << 7;
        let boundary = |distance: i32| if upper { centre + distance } else { centre - distance };
        let (mut near, mut width, mut step) = (0, 1 << first, 0);
        while near + width <= far {
            let node = side | (step.min(LAST_EXPONENT) as usize) << 3;
            if self.ask(node, kind, boundary(near + width)) != upper {
                break;
            }
            near += width;
            width = near; // [0, 2^k), [2^k, 2^(k+1)), [2^(k+1), 2^(k+2)), ...
            step += 1;
        }
        let mut place = 1;
        while width > 1 {
            width /= 2;
            let mut farther = false;
            if near + width <= far {
                let middle = boundary(near + width);
                farther = upper
                    == if place < 8 {
                        let node = side | (step.min(LAST_EXPONENT) as usize) << 3 | place;
                        self.ask(node, kind, middle)
                    } else {
                        self.ask_bell(middle)
                    };
            }
            near += if farther { width } else { 0 };
            place = place << 1 | usize::from(farther);
        }
        if upper { centre + near } else { centre - 1 - near }
    }

    /// Asks whether the sample is at or above `boundary`, with all there is.
    fn ask(&mut self, node: usize, kind: usize, boundary: i32) -> bool {
        let engine = &mut *self.engine;
        let forecast = self.forecast;
        let mut middle = [Edge::BOTTOM; MAX_BELLS];
        let mut sum = 0;
        for i in 0..forecast.bell_count {
            middle[i] = engine.bells[i].edge(boundary);
            let s = stretch(upper_share(engine.low[i], middle[i], engine.high[i]));
            engine.mixer.add(s);
            sum += s;
        }
        let group = ((node >> 3) as u32 * 4 + kind as u32 + 1).wrapping_mul(0x2545_f491);
        let guess = squash(sum / forecast.bell_count as i32);
        let mut slots = [0; MAX_CONTEXTS];
        for i in 0..forecast.context_count {
            let key = forecast.contexts[i].wrapping_mul(0x9e37_79b1).wrapping_add(group);
            let line = (key ^ (key >> 15)).wrapping_mul(0x85eb_ca6b) >> (32 - engine.table_bits);
            let index = (line as usize) << 3 | (node & 7);
            slots[i] = index;
            let slot = &mut engine.tables[i].slots[index];
            if *slot == 0 {
                *slot = (guess << 6) << COUNT_BITS;
            }
            engine.mixer.add(stretch(*slot >> (COUNT_BITS + 6)));
        }
        let coarse = node_class(node);
        let mixed = engine
            .mixer
            .mix([node, forecast.level * 16 + coarse, forecast.gate * 16 + coarse], node);
        let p = squash(mixed);
        let p1 = engine.maps[0].refine(forecast.level * NODES + node, mixed);
        let p2 = engine.maps[1].refine(forecast.gate * NODES + node, mixed);
        let bit = self.coder.bit(BitProb::new(match super::tune(13,0) {0 =>(2 * p + p1 + p2) / 4, 1=>p, _=>(p1+p2)/2}), self.target >= boundary);
        engine.mixer.update(bit);
        engine.maps.iter_mut().for_each(|map| map.update(bit));
        for (table, &index) in engine.tables.iter_mut().zip(&slots[..forecast.context_count]) {
            slot_update(&mut table.slots[index], bit, super::tune(12,255) as u32);
        }
        let narrowed = if bit { &mut engine.low } else { &mut engine.high };
        *narrowed = middle;
        bit
    }

    /// Asks with the first bell alone: the low bits of a wide residue, which are noise.
    fn ask_bell(&mut self, boundary: i32) -> bool {
        let engine = &mut *self.engine;
        let middle = engine.bells[0].edge(boundary);
        let p = upper_share(engine.low[0], middle, engine.high[0]);
        let bit = self.coder.bit(BitProb::new(p), self.target >= boundary);
        let narrowed = if bit { &mut engine.low } else { &mut engine.high };
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
