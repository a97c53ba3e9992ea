//! Priming: what the examples teach, and what of it is worth keeping.
//!
//! Histories are counted over all examples in a large table, of which the most used slots are kept. What histories are worth is
//! learned as it will be used: on examples that the histories have not seen, after each of which the histories are put back.
//!
//! A state holds what the examples have, secrets among it. With [`PrimeOptions::private`] it learns from what so many different
//! examples have in common only ([`shared`]), and holds no number that fewer have moved.

use std::collections::HashSet;

use super::parameters::{Counted, Learn, Learner, Moved};
use super::record_mixer::RecordMixer;
use super::shared;
use super::table::{Line, Samples, Table, WAYS, first_history};
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
    /// Keeps only what at least this many different examples have in common, 2 to 255. Bytes that do not stand in a piece of six
    /// bytes which so many examples have are exchanged for random ones of their kind (digit, letter, mark) before anything is
    /// learned: their values have no influence at all. Of what is left, a side of a bit in a context that fewer examples
    /// have had is not in its history, and weights, worths and curve points that fewer have moved are as in a state that has seen nothing.
    /// Equal examples count as one. Not kept secret are how many examples there are, their lengths, and what that many do share.
    /// Learning takes up to 1 GiB, and twice the examples.
    pub private: Option<u8>,
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
    if options.private.is_some_and(|least| least < 2) {
        return invalid(
            "a private state keeps what at least 2 to 255 examples have in common".into(),
        );
    }
    let learned_from = match options.private {
        Some(least) => {
            check_available(shared::memory(bytes))?;
            shared::only_shared(&distinct(examples), least.into(), progress)
        }
        None => Vec::new(),
    };
    let learned_from: Vec<&[u8]> = learned_from.iter().map(Vec::as_slice).collect();
    let examples = if options.private.is_some() { &learned_from } else { examples };
    let (end, end_odds) = end_byte(examples);
    let examples = shuffled(examples);
    let learning_bits = learning_bits(bytes);
    // The table that counts, and what it is pruned to, a few times.
    let lines = (1 << learning_bits) + (4u64 << bits);
    let samples = if options.private.is_some() { size_of::<[Samples; WAYS]>() as u64 } else { 0 };
    let needed = lines * size_of::<(Line, [u32; WAYS])>() as u64;
    check_available(needed + (samples << learning_bits))?;
    let mut priming = Priming {
        learner: Learner::new(),
        moved: options.private.map(|least| (least, Moved::new())),
        end,
        progress,
    };
    let mut table = Table::new(learning_bits);
    table.start_counting();
    if options.private.is_some() {
        table.start_counting_samples();
    }
    let mut mixer = RecordMixer::new(table, false);
    for (number, example) in stretch(&examples, false) {
        mixer.table.set_sample(Some(number));
        priming.learn(&mut mixer, example, Some(number));
    }
    let pruned = prune(&mixer.table, bits, options.private);
    let mut held = RecordMixer::new(Table::of(pruned.clone()), true);
    // Those that come a second time, in another pass or because they are few, are not counted again.
    let is_new = |number| (!is_both(examples.len())).then_some(number);
    for rate in [224, 112] {
        priming.learner.settle(rate);
        for (number, example) in stretch(&examples, true) {
            let number = is_new(number).filter(|_| rate == 224);
            priming.learn(&mut held, example, number);
            held.restore(&pruned);
        }
    }
    let Priming { learner: Learner { mut parameters, .. }, moved, .. } = priming;
    for (number, example) in stretch(&examples, true) {
        mixer.table.set_sample(is_new(number));
        run(&mut mixer, &mut &parameters, example, end, progress);
    }
    if let Some((least, moved)) = moved {
        moved.forget_rare(&mut parameters, least);
    }
    let mut primed = Primed::empty(bits, end, end_odds);
    primed.lines = prune(&mixer.table, bits, options.private);
    primed.parameters = parameters;
    // What is written to a file is a little coarser. The state is what the file says, also if it is used at once.
    Primed::from_bytes(&primed.to_bytes())
}

/// What learns from one example after the other.
struct Priming<'a> {
    learner: Learner,
    /// For a private state: how many examples a number needs, and how many have moved it.
    moved: Option<(u8, Moved)>,
    end: u8,
    progress: &'a Progress,
}

impl Priming<'_> {
    /// Learns from an example; `number` is its number, if it is to be counted.
    fn learn(&mut self, mixer: &mut RecordMixer, example: &[u8], number: Option<u32>) {
        let Self { learner, moved, end, progress } = self;
        match (moved, number) {
            (Some((_, moved)), Some(sample)) => {
                let mut learner = Counted { learner, moved, sample };
                run(mixer, &mut learner, example, *end, progress);
            }
            _ => run(mixer, learner, example, *end, progress),
        }
    }
}

/// Each example once.
fn distinct<'a>(examples: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut seen = HashSet::new();
    examples.iter().copied().filter(|example| seen.insert(*example)).collect()
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

/// Whether there are so few examples that all of them are used for both: the histories, and what those are worth.
fn is_both(examples: usize) -> bool {
    examples < STRETCHES * HELD
}

/// The examples that are held out, or all others, with their numbers.
fn stretch<'a>(examples: &[&'a [u8]], held: bool) -> impl Iterator<Item = (u32, &'a [u8])> {
    let len = examples.len();
    let is_held = move |i: usize| (i * STRETCHES * HELD / len) % HELD == HELD - 1;
    examples
        .iter()
        .enumerate()
        .filter(move |&(i, _)| is_both(len) || is_held(i) == held)
        .map(|(i, &example)| (i as u32, example))
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
/// lower bits fold onto one line, which keeps the best of all their slots. With `private`, only histories of so many samples.
fn prune(table: &Table, bits: u8, private: Option<u8>) -> Vec<Line> {
    let mut kept = vec![(Line::default(), [0; WAYS]); 1 << bits];
    for (i, (line, counts)) in table.lines().iter().zip(table.counts()).enumerate() {
        let (target, worths) = &mut kept[i & ((1 << bits) - 1)];
        for (way, (&slot, &worth)) in line.0.iter().zip(counts).enumerate() {
            let slot = private.map_or(slot, |least| table.samples()[i][way].common(slot, least));
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
