//! Priming: what the examples teach, and what of it is worth keeping.
//!
//! Histories are counted over all examples in a large table, of which the most used slots are kept. What histories are worth is
//! learned as it will be used: on examples that the histories have not seen, after each of which the histories are put back.

use super::parameters::{Learn, Learner};
use super::record_mixer::RecordMixer;
use super::table::{Line, Table, WAYS, first_history};
use super::{MAX_LINE_BITS, MIN_LINE_BITS, Primed};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::check_available;
use crate::progress::Progress;
use crate::walk::CodeLength;

/// How to learn from examples.
#[derive(Debug, Clone, Default)]
pub struct PrimeOptions {
    /// Binary logarithm of the lines of 64 bytes in the table of histories, 8 to 20. `None` goes by the size of the examples.
    pub table_bits: Option<u8>,
}

/// Binary logarithm of the lines of the largest table while learning, which takes 256 MiB.
const MAX_LEARNING_BITS: u32 = 22; // tunable
/// One of this many examples is held out: histories are counted without it, and it serves to learn what they are worth.
const HELD: usize = 8; // tunable
/// Held-out examples stand together in this many stretches.
const STRETCHES: usize = 8; // tunable
/// Bytes that are learned from before it is asked whether they are still wanted.
const PIECE: usize = 16 << 10; // tunable
/// A slot is kept if the history of its first bit is at least this one: the lower ones have seen too little to be worth it.
const LEAST: u8 = 3; // tunable

/// See [`Primed::learn_watched`].
pub fn learn(examples: &[&[u8]], options: &PrimeOptions, progress: &Progress) -> Result<Primed> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    let bytes: usize = examples.iter().map(|example| example.len()).sum();
    if bytes == 0 {
        return invalid("there is nothing to learn from: no example has any bytes".into());
    }
    let bits = options.table_bits.unwrap_or(table_bits(bytes));
    if !(MIN_LINE_BITS..=MAX_LINE_BITS).contains(&bits) {
        return invalid(format!(
            "a table of 2^{bits} lines; {MIN_LINE_BITS} to {MAX_LINE_BITS} allowed"
        ));
    }
    let (end, end_odds) = end_byte(examples);
    let examples = shuffled(examples);
    let learning_bits = learning_bits(bytes);
    // The table that counts, and what it is pruned to, a few times.
    let lines = (1 << learning_bits) + (4u64 << bits);
    check_available(lines * size_of::<(Line, [u32; WAYS])>() as u64)?;
    let mut learner = Learner::new();
    let mut table = Table::new(learning_bits);
    table.start_counting();
    let mut mixer = RecordMixer::new(table, false);
    for example in stretch(&examples, false) {
        run(&mut mixer, &mut learner, example, end, progress);
    }
    let pruned = prune(&mixer.table, bits);
    let mut held = RecordMixer::new(Table::of(pruned.clone()), true);
    for rate in [224, 112] {
        learner.settle(rate);
        for example in stretch(&examples, true) {
            run(&mut held, &mut learner, example, end, progress);
            held.restore(&pruned);
        }
    }
    for example in stretch(&examples, true) {
        run(&mut mixer, &mut &learner.parameters, example, end, progress);
    }
    let mut primed = Primed::empty(bits, end, end_odds);
    primed.lines = prune(&mixer.table, bits);
    primed.parameters = learner.parameters;
    // What is written to a file is a little coarser. The state is what the file says, also if it is used at once.
    Primed::from_bytes(&primed.to_bytes())
}

/// Binary logarithm of the lines of the table, by the bytes of the examples: 16 bytes of table for each of them, and at most
/// 4 MiB, which still fits into the caches.
fn table_bits(bytes: usize) -> u8 {
    (bytes.max(1 << 12).ilog2() as u8 - 2).min(16)
}

/// Binary logarithm of the lines of the table in which priming counts, by the bytes of the examples: at least two lines of
/// 64 bytes for each of them, up to the maximum.
fn learning_bits(bytes: usize) -> u32 {
    (bytes.max(1 << 12).next_power_of_two().ilog2() + 1).min(MAX_LEARNING_BITS)
}

/// The byte that examples have least often, and the probability over 2^16 that it is the end of a record when it comes.
fn end_byte(examples: &[&[u8]]) -> (u8, u16) {
    let mut counts = [0u64; 256];
    for &byte in examples.iter().copied().flatten() {
        counts[usize::from(byte)] += 1;
    }
    // Of bytes that are equally rare the line feed is taken, and without it the lowest byte.
    let (end, inside) = (0..=255u8)
        .map(|byte| (byte, counts[usize::from(byte)]))
        .min_by_key(|&(byte, n)| (n, byte != b'\n', byte))
        .expect("256 bytes");
    let ends = examples.len() as u64;
    let odds = (65536.0 * (ends as f64 + 0.5) / ((ends + inside) as f64 + 1.0)) as u64;
    (end, odds.min(65535) as u16)
}

/// Shuffles the examples by a fixed generator. Neighbours in a file often repeat each other more than later records will, and
/// what is learned from them would be too sure.
fn shuffled<'a>(examples: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut examples = examples.to_vec();
    let mut x = 1u64;
    for i in (1..examples.len()).rev() {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        examples.swap(i, (x >> 33) as usize % (i + 1));
    }
    examples
}

/// The examples that are held out, or all others.
fn stretch<'a>(examples: &[&'a [u8]], held: bool) -> impl Iterator<Item = &'a [u8]> {
    let len = examples.len();
    // If there are few examples, all of them are used for both: the histories, and what those are worth.
    let is_held = move |i: usize| (i * STRETCHES * HELD / len) % HELD == HELD - 1;
    let all = len < STRETCHES * HELD;
    examples
        .iter()
        .enumerate()
        .filter(move |&(i, _)| all || is_held(i) == held)
        .map(|(_, &example)| example)
}

fn run<L: Learn>(
    mixer: &mut RecordMixer,
    learn: &mut L,
    example: &[u8],
    end: u8,
    progress: &Progress,
) {
    let mut coder = CodeLength::default();
    for piece in example.chunks(PIECE) {
        if progress.is_stopped() {
            return;
        }
        for &byte in piece {
            mixer.code(learn, &mut coder, byte);
        }
        progress.add(piece.len() as u64);
    }
    mixer.code(learn, &mut coder, end);
    mixer.start();
}

/// The slots that were used most often, in a table of `1 << bits` lines. Lines of the large table whose numbers agree in the
/// lower bits fold onto one line, which keeps the best of all their slots.
fn prune(table: &Table, bits: u8) -> Vec<Line> {
    let mut kept = vec![(Line::default(), [0; WAYS]); 1 << bits];
    for (i, (line, counts)) in table.lines().iter().zip(table.counts()).enumerate() {
        let (target, worths) = &mut kept[i & ((1 << bits) - 1)];
        for (&slot, &worth) in line.0.iter().zip(counts) {
            // The slots of a line stand in falling order of their count; a better one pushes the last one out.
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
