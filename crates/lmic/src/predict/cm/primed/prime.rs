//! Priming: what the samples teach, and what of it is worth keeping.
//!
//! Histories are counted over all samples in a large table. What they are worth is learned as it will be used:
//! on samples that the (pruned) histories have not seen, each put back after itself.

use super::parameters::{Learn, Learner};
use super::record_mixer::RecordMixer;
use super::table::{Line, Table, WAYS, first_history};
use super::{MAX_LINE_BITS, MIN_LINE_BITS, Primed};
use crate::error::{Error, ErrorKind, Result};
use crate::walk::CodeLength;

/// How to learn from samples.
#[derive(Debug, Clone, Default)]
pub struct PrimeOptions {
    /// Lines of 64 bytes in the table of histories, as a power of two: 8 to 20. `None` goes by the samples' size.
    pub table_bits: Option<u8>,
}

/// Largest table while learning: 256 MiB.
const MAX_LEARNING_BITS: u32 = 22; // tunable
/// One of this many samples is held out of the histories to learn what those are worth.
const HELD: usize = 8; // tunable
/// Stretches of samples that are held out together.
const STRETCHES: usize = 8; // tunable
/// Histories of fewer bits are not worth keeping.
const LEAST: u8 = 3; // tunable

/// See [`Primed::learn`].
pub fn learn(samples: &[&[u8]], options: &PrimeOptions) -> Result<Primed> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    let bytes: usize = samples.iter().map(|sample| sample.len()).sum();
    if bytes == 0 {
        return invalid("there is nothing to learn from: no sample has any bytes".into());
    }
    let bits = options.table_bits.unwrap_or(table_bits(bytes));
    if !(MIN_LINE_BITS..=MAX_LINE_BITS).contains(&bits) {
        return invalid(format!(
            "a table of 2^{bits} lines; {MIN_LINE_BITS} to {MAX_LINE_BITS} allowed"
        ));
    }
    let (end, end_odds) = end_byte(samples);
    let samples = shuffled(samples);
    let mut learner = Learner::new();
    let mut table = Table::new(learning_bits(bytes));
    table.start_counting();
    let mut mixer = RecordMixer::new(table, false);
    for sample in stretch(&samples, false) {
        run(&mut mixer, &mut learner, sample, end);
    }
    let pruned = prune(&mixer.table, bits);
    let mut held = RecordMixer::new(Table::of(pruned.clone()), true);
    for rate in [224, 112] {
        learner.settle(rate);
        for sample in stretch(&samples, true) {
            run(&mut held, &mut learner, sample, end);
            held.restore(&pruned);
        }
    }
    for sample in stretch(&samples, true) {
        run(&mut mixer, &mut &learner.parameters, sample, end);
    }
    let mut primed = Primed::empty(bits, end, end_odds);
    primed.lines = prune(&mixer.table, bits);
    primed.parameters = learner.parameters;
    // What is stored is a little coarser: from here on, that is the state.
    Primed::from_bytes(&primed.to_bytes())
}

/// 16 bytes of table for a byte of samples, at most 4 MiB: that still fits into the caches.
fn table_bits(bytes: usize) -> u8 {
    (bytes.max(1 << 12).ilog2() as u8 - 2).min(16)
}

/// Enough for what `bytes` of samples bring.
fn learning_bits(bytes: usize) -> u32 {
    (bytes.max(1 << 12).next_power_of_two().ilog2() + 1).min(MAX_LEARNING_BITS)
}

/// The byte that samples have least, and the odds that it is the end where it comes.
fn end_byte(samples: &[&[u8]]) -> (u8, u16) {
    let mut counts = [0u64; 256];
    for &byte in samples.iter().copied().flatten() {
        counts[usize::from(byte)] += 1;
    }
    // Of equals the line feed, then the first.
    let (end, inside) = (0..=255u8)
        .map(|byte| (byte, counts[usize::from(byte)]))
        .min_by_key(|&(byte, n)| (n, byte != b'\n', byte))
        .expect("256 bytes");
    let ends = samples.len() as u64;
    let odds = (65536.0 * (ends as f64 + 0.5) / ((ends + inside) as f64 + 1.0)) as u64;
    (end, odds.min(65535) as u16)
}

/// In an order of no meaning: neighbours often repeat each other more than later records will.
fn shuffled<'a>(samples: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut samples = samples.to_vec();
    let mut x = 1u64;
    for i in (1..samples.len()).rev() {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        samples.swap(i, (x >> 33) as usize % (i + 1));
    }
    samples
}

/// The samples that are held out, or all others.
fn stretch<'a>(samples: &[&'a [u8]], held: bool) -> impl Iterator<Item = &'a [u8]> {
    let len = samples.len();
    // A few samples only: all are for both.
    let is_held = move |i: usize| (i * STRETCHES * HELD / len) % HELD == HELD - 1;
    let all = len < STRETCHES * HELD;
    samples
        .iter()
        .enumerate()
        .filter(move |&(i, _)| all || is_held(i) == held)
        .map(|(_, &sample)| sample)
}

fn run<L: Learn>(mixer: &mut RecordMixer, learn: &mut L, sample: &[u8], end: u8) {
    let mut coder = CodeLength::default();
    for &byte in sample {
        mixer.code(learn, &mut coder, byte);
    }
    mixer.code(learn, &mut coder, end);
    mixer.start();
}

/// The slots that were seen most, in a table of `1 << bits` lines: a line takes those of all that fold onto it.
fn prune(table: &Table, bits: u8) -> Vec<Line> {
    let mut kept = vec![(Line::default(), [0; WAYS]); 1 << bits];
    for (i, (line, counts)) in table.lines().iter().zip(table.counts()).enumerate() {
        let (target, worths) = &mut kept[i & ((1 << bits) - 1)];
        for (&slot, &worth) in line.0.iter().zip(counts) {
            // In falling order; the last one goes.
            let at = worths.partition_point(|&kept| kept >= worth);
            if first_history(slot) >= LEAST && at < WAYS {
                target.0[at..].rotate_right(1);
                target.0[at] = slot;
                worths[at..].rotate_right(1);
                worths[at] = worth;
            }
        }
    }
    kept.into_iter().map(|(line, _)| line).collect()
}
