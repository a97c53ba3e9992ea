//! Adaptive probabilities of a 1: they move fast at first, and ever less the more has been seen.

use super::history;

/// Bits of the count in an entry; the probability has the 22 bits above.
const COUNT_BITS: u32 = 10; // frozen

/// 2^12 / (n + 1.5): the step after `n` observations.
static RATE: [i32; 1 << COUNT_BITS] = {
    let mut table = [0; 1 << COUNT_BITS];
    let mut n = 0;
    while n < table.len() {
        table[n] = (2 * 4096 / (2 * n + 3)) as i32;
        n += 1;
    }
    table
}; // frozen

/// One adaptive probability: 22 bits of probability above 10 bits of count.
#[derive(Debug, Clone, Copy)]
pub struct Adaptive(u32);

impl Adaptive {
    /// Starts at `p / 2^16` as if seen `count` times.
    pub const fn new(p: u32, count: u32) -> Self {
        Self(p << 16 | count)
    }

    /// Probability of a 1 over 2^16.
    #[inline(always)]
    pub fn p(self) -> u32 {
        self.0 >> 16
    }

    /// Moves towards `bit`; the step never falls below `1 / (limit + 1.5)`.
    #[inline(always)]
    pub fn update(&mut self, bit: bool, limit: u32) {
        let count = self.0 & ((1 << COUNT_BITS) - 1);
        let p = (self.0 >> COUNT_BITS) as i32;
        let target = if bit { (1 << 22) - 1 } else { 0 };
        // 19 bits of error times 12 bits of rate fit in 31 bits.
        let step = (((target - p) >> 3) * RATE[count as usize]) >> 9;
        self.0 = ((p + step) as u32) << COUNT_BITS | if count < limit { count + 1 } else { count };
    }
}

/// What histories are worth drifts slowly: a step is `2^-RATE_BITS` of the error. Steps that are larger at first were no better
/// when measured (docs/design.md).
const RATE_BITS: u32 = 8; // frozen

/// The map of a context: for each bit history the probability of a 1 after it, over 2^32.
#[derive(Debug, Clone)]
pub struct HistoryMap([u32; 256]);

impl HistoryMap {
    /// A map of what the counts of each history say.
    pub fn new() -> Self {
        let mut map = [1 << 31; 256];
        for (state, entry) in map.iter_mut().enumerate().take(history::LEN) {
            let (n0, n1) = history::counts(state as u8);
            let (n0, n1) = (u64::from(n0), u64::from(n1));
            // (n1 + 0.4) / (n + 0.8)
            *entry = (((1u64 << 32) - 1) * (10 * n1 + 4) / (10 * (n0 + n1) + 8)) as u32;
        }
        Self(map)
    }

    /// Probabilities over 2^16, by history.
    pub fn probabilities(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|p| (p >> 16) as u16)
    }

    /// Sets the probabilities, over 2^16 and by history.
    pub fn start(&mut self, probabilities: &[u16]) {
        let middle = |p: u16| u32::from(p) << 16 | 1 << 15;
        self.0.iter_mut().zip(probabilities).for_each(|(own, &p)| *own = middle(p));
    }

    /// Probability of a 1 after this history, over 2^16.
    #[inline(always)]
    pub fn p(&self, state: u8) -> u32 {
        self.0[usize::from(state)] >> 16
    }

    /// Learns that `bit` came after `state`, and moves the history on.
    #[inline(always)]
    pub fn learn(&mut self, state: &mut u8, bit: bool) {
        let p = &mut self.0[usize::from(*state)];
        let flip = 0u32.wrapping_sub(u32::from(bit));
        let miss = *p ^ flip;
        *p = (miss - (miss >> RATE_BITS)) ^ flip;
        *state = history::NEXT[usize::from(*state)][usize::from(bit)];
    }
}
