//! Primed state: what context mixing has learned from examples, to code short records of their kind.
//!
//! A record starts with the histories that the examples left, and goes on from them; what it changes is put back after
//! it (`table`). What histories are worth and how they are weighed (`parameters`) was learned when the state was
//! primed (`prime`) and does not change any more, so that any number of threads share it.

mod block;
mod contexts;
pub(crate) mod integers;
mod opinion;
mod pack;
mod parameters;
mod prime;
mod record_mixer;
mod shared;
mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::quantize::BitProb;
use integers::{BitReader, BitWriter};
use parameters::Parameters;
use record_mixer::RecordMixer;
use table::{Line, Table};

pub use block::PrimedBlock;
pub use opinion::{Opinion, Past};
pub use prime::PrimeOptions;

/// First bytes of a primed state.
const MAGIC: [u8; 4] = [0xb1, b'L', b'M', b'P']; // frozen
/// The only version so far.
const VERSION: u8 = 1; // frozen
/// Bytes before the code: magic, version, table bits, end byte, odds of the end, lengths of all parts.
const HEADER_LEN: usize = 4 + 1 + 1 + 1 + 2 + 4 * PARTS; // frozen
/// Parts into which the table is divided, so that threads can decode them side by side.
const QUARTERS: usize = 4; // frozen
/// Parts of the file: the parameters, then the code and the raw bits of each quarter.
const PARTS: usize = 1 + 2 * QUARTERS; // frozen
/// Bytes of the identity at the end.
const IDENTITY_LEN: usize = 32; // frozen
/// Binary logarithm of the lines of the smallest table.
const MIN_LINE_BITS: u8 = 8; // frozen
/// The same of the largest table, which takes 64 MiB.
const MAX_LINE_BITS: u8 = 20; // frozen
/// The same of the largest table of a block, which takes 256 MiB.
const MAX_BLOCK_LINE_BITS: u8 = 22; // frozen

/// Bytes of a record that are coded before it is asked whether that is still wanted.
const STEP: usize = 16 << 10; // tunable

/// What was learned from examples. Immutable; share it in an [`Arc`].
#[derive(Debug, Clone)]
pub struct Primed {
    lines: Vec<Line>,
    parameters: Parameters,
    /// The byte that ends a record, rare inside of records.
    end: u8,
    /// Probability, over 2^16, that this byte ends the record when it comes.
    end_odds: u16,
    identity: [u8; 32],
}

impl Primed {
    /// Learns from examples: each is a record of its own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there are no examples, or an option is out of range.
    pub fn learn(examples: &[&[u8]], options: &PrimeOptions) -> Result<Self> {
        Self::learn_watched(examples, options, &Progress::default())
    }

    /// The same, seen from another thread: bytes of the examples count as often as they are gone over. After [`Progress::stop`] the state
    /// means nothing.
    ///
    /// # Errors
    /// As [`Primed::learn`].
    pub fn learn_watched(
        examples: &[&[u8]],
        options: &PrimeOptions,
        progress: &Progress,
    ) -> Result<Self> {
        prime::learn(examples, options, progress)
    }

    fn empty(line_bits: u8, end: u8, end_odds: u16) -> Self {
        let lines = vec![Line::default(); 1 << line_bits];
        Self { lines, parameters: Parameters::new(), end, end_odds, identity: [0; 32] }
    }

    /// BLAKE3 of all that is learned: what archives name the state by.
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Bytes of memory that the state takes. Each thread that codes records with it takes four times that at most.
    pub fn memory(&self) -> u64 {
        memory(self.lines.len())
    }

    /// The state as the content of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut coder = RangeEncoder::new();
        pack::code_parameters(&mut coder, &mut self.parameters.clone());
        let mut parts = vec![coder.finish()];
        for quarter in self.lines.chunks(self.lines.len() / QUARTERS) {
            let (mut coder, mut raw) = (RangeEncoder::new(), BitWriter::default());
            pack::code_lines(&mut coder, &mut raw, &mut quarter.to_vec());
            parts.extend([coder.finish(), raw.finish()]);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, self.lines.len().ilog2() as u8, self.end]);
        bytes.extend(self.end_odds.to_le_bytes());
        bytes.extend(parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes()));
        bytes.extend(parts.concat());
        let identity = blake3::hash(&bytes);
        bytes.extend(identity.as_bytes());
        bytes
    }

    /// Reads what [`Primed::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Truncated`] or [`ErrorKind::NeedsNewer`], as each says.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(match bytes.starts_with(&MAGIC[..bytes.len().min(4)]) {
                true => Error::new(ErrorKind::Truncated, "the primed state ends in its header"),
                false => not_primed(),
            });
        };
        let [m0, m1, m2, m3, version, line_bits, end, o0, o1, lens @ ..] = header;
        if [*m0, *m1, *m2, *m3] != MAGIC {
            return Err(not_primed());
        }
        if *version != VERSION {
            return Err(match version {
                0 => corrupt("primed state of version 0, which does not exist".into()),
                _ => Error::new(
                    ErrorKind::NeedsNewer,
                    format!(
                        "a primed state of version {version} needs a newer lmic; this one reads {VERSION}"
                    ),
                ),
            });
        }
        let (lens, _) = lens.as_chunks();
        let parts = check_parts(bytes, rest, lens)?;
        if !(MIN_LINE_BITS..=MAX_LINE_BITS).contains(line_bits) {
            return Err(corrupt(format!(
                "a table of 2^{line_bits} lines; 2^{MIN_LINE_BITS} to 2^{MAX_LINE_BITS} allowed"
            )));
        }
        let mut primed = Self::empty(*line_bits, *end, u16::from_le_bytes([*o0, *o1]));
        primed.fill(parts);
        primed.identity = bytes[bytes.len() - IDENTITY_LEN..].try_into().expect("32 bytes");
        Ok(primed)
    }

    /// Decodes the parts, on several threads if the CPU has several cores.
    fn fill(&mut self, [parameters, table @ ..]: [&[u8]; PARTS]) {
        let quarter = self.lines.len() / QUARTERS;
        let quarters = self.lines.chunks_mut(quarter).zip(table.as_chunks().0);
        let quarters: Mutex<Vec<_>> = Mutex::new(quarters.collect());
        let work = || {
            loop {
                let next = quarters.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some((lines, &[code, raw])) = next else { return };
                let (mut coder, mut raw) = (RangeDecoder::new(code), BitReader::new(raw));
                pack::code_lines(&mut coder, &mut raw, lines);
            }
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 1..cores.min(QUARTERS) {
                // If the system gives no thread, this one does all the work.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            pack::code_parameters(&mut RangeDecoder::new(parameters), &mut self.parameters);
            work();
        });
    }
}

/// The parts in `rest`, after the identity that follows them was found to be that of the bytes.
fn check_parts<'a>(bytes: &[u8], rest: &'a [u8], lens: &[[u8; 4]]) -> Result<[&'a [u8]; PARTS]> {
    let lens = lens.iter().map(|len| u32::from_le_bytes(*len) as usize);
    let whole = lens.clone().fold(IDENTITY_LEN, usize::saturating_add);
    if rest.len() < whole {
        return Err(Error::new(
            ErrorKind::Truncated,
            format!("the primed state has {} bytes of {whole} behind its header", rest.len()),
        ));
    }
    if rest.len() > whole {
        return Err(corrupt(format!("{} bytes after the primed state", rest.len() - whole)));
    }
    let (content, identity) = bytes.split_at(bytes.len() - IDENTITY_LEN);
    if blake3::hash(content).as_bytes() != identity {
        return Err(corrupt("the primed state does not match its identity".into()));
    }
    let mut parts = [&[][..]; PARTS];
    let mut rest = rest;
    for (part, len) in parts.iter_mut().zip(lens) {
        (*part, rest) = rest.split_at(len);
    }
    Ok(parts)
}

fn not_primed() -> Error {
    corrupt("no primed state starts here (wrong magic number)".into())
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

fn memory(lines: usize) -> u64 {
    (lines * size_of::<Line>() + Parameters::MEMORY) as u64
}

/// What one thread needs to code records: a copy of the histories, to write to.
#[derive(Debug, Clone)]
pub struct Scratch {
    primed: Arc<Primed>,
    mixer: RecordMixer,
}

impl Scratch {
    /// Bytes that a scratch takes: a table of its own, and a journal of what is to be put back into it. The journal has the
    /// table's size at most, and three times that while its vector grows.
    pub fn memory(primed: &Primed) -> u64 {
        4 * size_of_val(primed.lines.as_slice()) as u64
    }

    /// A scratch for records of the kind that `primed` has learned.
    pub fn new(primed: Arc<Primed>) -> Self {
        let mixer = RecordMixer::new(Table::of(primed.lines.clone()), true);
        Self { primed, mixer }
    }

    /// Codes one record and its end. An encoder gives the record, a decoder an empty vector that is filled. `None` if more
    /// than `max_len` bytes come without an end, or it is stopped.
    pub fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        record: &mut Vec<u8>,
        max_len: usize,
        progress: &Progress,
    ) -> Option<()> {
        let ended = self.code_until_end(coder, record, max_len, progress);
        self.mixer.restore(&self.primed.lines);
        ended
    }

    fn code_until_end<C: Coder>(
        &mut self,
        coder: &mut C,
        record: &mut Vec<u8>,
        max_len: usize,
        progress: &Progress,
    ) -> Option<()> {
        let Primed { parameters, end, end_odds, .. } = &*self.primed;
        let odds = BitProb::new((*end_odds).into());
        let mut done = 0;
        loop {
            let known = if C::TOLD { record.get(done).copied() } else { None };
            let byte = self.mixer.code(&mut &*parameters, coder, known.unwrap_or(*end));
            if byte == *end && coder.bit(odds, known.is_none()) {
                return Some(());
            }
            if done == max_len || (done.is_multiple_of(STEP) && progress.is_stopped()) {
                return None;
            }
            if !C::TOLD {
                record.push(byte);
            }
            done += 1;
        }
    }
}
