//! The ways to code a block. Each has a file of its own, which says what the way needs, how much memory it takes, and how
//! it walks a block; encoding and decoding both come from this walk.

mod codes;
mod guided;
mod lines;
mod mix;
mod plain;
mod primed;
mod tokens;
mod undone;
mod windowed;

pub(crate) use lines::{Codes, Lines, kind_of, line};

pub(super) use guided::Guided;
pub(super) use mix::Mix;
pub use plain::Plain;
pub(super) use primed::Primed;
pub(super) use tokens::Tokens;
pub(super) use undone::Undone;
pub(super) use windowed::Windowed;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::kind::{Content, Kind};
use super::models::Models;
use super::stream::StreamModel;
use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::nn::Windows;
use crate::predict::teams::{Run, Together};
use crate::progress::Progress;

/// A way to code a block that is one walk.
trait Walk {
    /// Bytes of memory that coding a block of `len` bytes takes in either direction, beside the block itself and its code.
    /// Computed without allocating, so that a decoder can refuse.
    fn memory(&self, len: usize) -> u64;

    /// Walks a block with any coder on the far side.
    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress);

    /// How many teams code a block of `len` bytes.
    fn teams(&self, len: usize) -> usize {
        let _ = len;
        1
    }

    /// Walks a block of several teams.
    fn walk_teams(&self, run: impl Run, data: &mut [u8], progress: &Progress) {
        let _ = (run, data, progress);
        unreachable!("a way without teams");
    }

    /// The code: raw, without length or check. `data` is left as it was. Several teams are coded on up to `threads` threads.
    fn encode(&self, data: &mut [u8], threads: usize, progress: &Progress) -> Vec<u8> {
        let teams = self.teams(data.len());
        if teams <= 1 {
            let mut coder = RangeEncoder::new();
            self.walk(&mut coder, data, progress);
            return coder.finish();
        }
        let coders: Vec<_> = (0..teams).map(|_| Mutex::new(RangeEncoder::new())).collect();
        self.walk_teams(Together { coders: &coders, threads }, data, progress);
        codes::join(coders.into_iter().map(|coder| into_inner(coder).finish()))
    }

    /// Fills `data` from `code`. A damaged code gives other bytes, never a panic.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the lengths of the teams' codes pass the end.
    fn decode(
        &self,
        code: &[u8],
        data: &mut [u8],
        threads: usize,
        progress: &Progress,
    ) -> Result<()> {
        let teams = self.teams(data.len());
        if teams <= 1 {
            self.walk(&mut RangeDecoder::new(code), data, progress);
            return Ok(());
        }
        let codes = codes::split(code, teams)?;
        let coders: Vec<_> =
            codes.into_iter().map(|code| Mutex::new(RangeDecoder::new(code))).collect();
        self.walk_teams(Together { coders: &coders, threads }, data, progress);
        Ok(())
    }
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How one block is coded, with the models that it needs. There is a file for each.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    Plain(Plain),
    Windowed(Windowed),
    Mix(Mix),
    Guided(Guided),
    Primed(Primed),
    Lines(Lines),
    Tokens(Tokens),
    Undone(Undone),
}

/// The samples profile for images and audio in a stream that names a network alone or a primed state. Those know text, so
/// samples are coded without them.
pub(super) const PROFILE_BESIDE_NETWORK: u8 = 5; // frozen

/// The samples profile in the stream of a mix: the one with networks for samples.
pub(super) const SAMPLES_BESIDE_MIX: u8 = 6; // frozen

impl Way {
    /// The way to code a block of `kind` in a stream of `model`; `None` if it is stored as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NeedsNewer`] for a kind or a stream's model that is not known, [`ErrorKind::WrongModel`] if a network is
    /// needed and not found, [`ErrorKind::Corrupt`] for a kind that such a stream does not have.
    pub(crate) fn new(model: &StreamModel, kind: Kind, models: &Models) -> Result<Option<Self>> {
        Ok(Some(match (kind, model) {
            (Kind::Stored, _) => return Ok(None),
            (Kind::Unknown { tag, parameter }, _) => {
                return needs_newer(format_args!("kind {tag} with the parameter {parameter}"));
            }
            (_, StreamModel::Unknown(number)) => {
                return needs_newer(format_args!("model {number}"));
            }
            (Kind::Undone { len }, model) => Self::Undone(Undone::new(len, model, models)?),
            (Kind::Bytes, StreamModel::Profile(profile)) => Self::plain(*profile, Content::Bytes),
            (Kind::Bytes, StreamModel::BuiltIn(number)) => {
                Self::Mix(Mix::built_in(*number, None, models)?)
            }
            (Kind::Lanes { lanes }, StreamModel::BuiltIn(number)) => {
                Self::Mix(Mix::built_in(*number, None, models)?.with_lanes(lanes))
            }
            (Kind::Bytes, StreamModel::Mixed(named)) => Self::Mix(Mix::new(named, models)?),
            (Kind::Bytes, StreamModel::Network(named)) => {
                Self::Windowed(Windowed::new(named, models)?)
            }
            (Kind::Bytes, StreamModel::Tokens(named)) => {
                Self::Tokens(Tokens::new(models.get(named)?, named.windows)?)
            }
            (Kind::Bytes, StreamModel::Primed(named)) => {
                Self::Primed(Primed(models.get_primed(named)?))
            }
            (Kind::Guided { network: 5 }, StreamModel::Primed(named)) => {
                Self::Guided(Guided(models.get_primed(named)?))
            }
            (Kind::Guided { network }, StreamModel::Primed(named)) => {
                Self::Mix(Mix::built_in(network, Some(models.get_primed(named)?), models)?)
            }
            (Kind::Records { count, open }, StreamModel::Primed(named)) => {
                Self::Lines(Lines { primed: models.get_primed(named)?, count, open })
            }
            (Kind::Samples(format), StreamModel::Profile(profile)) => {
                Self::plain(*profile, format.into())
            }
            (Kind::Samples(format), model) if model.is_mixed() => {
                Self::plain(SAMPLES_BESIDE_MIX, format.into())
            }
            (Kind::Samples(format), _) => Self::plain(PROFILE_BESIDE_NETWORK, format.into()),
            (Kind::Program(machine), StreamModel::Profile(profile)) => {
                Self::plain(*profile, Content::Program(machine))
            }
            (Kind::Program(machine), _) => {
                Self::plain(PROFILE_BESIDE_NETWORK, Content::Program(machine))
            }
            (Kind::Unmixed, model) if model.is_mixed() => Self::unmixed(),
            (Kind::Unmixed, _) => return wrong_stream("kind 6 in a stream that is no mix"),
            (Kind::Lanes { .. }, _) => {
                return wrong_stream("kind 9 in a stream without a network of the library");
            }
            (Kind::Records { .. }, _) => {
                return wrong_stream("records in a stream without a primed state");
            }
            (Kind::Guided { .. }, _) => {
                return wrong_stream("kind 8 in a stream without a primed state");
            }
        }))
    }

    fn plain(profile: u8, content: Content) -> Self {
        Self::Plain(Plain { profile, content })
    }

    /// The way to code bytes of a mix without its network: context mixing at its strongest.
    pub(super) fn unmixed() -> Self {
        Self::plain(PROFILE_BESIDE_NETWORK, Content::Bytes)
    }

    /// Sets how many threads may work on one block of tokens, which decides how much memory it takes.
    pub(crate) fn set_threads(&mut self, most: usize) {
        if let Self::Tokens(Tokens { threads, .. }) = self {
            *threads = most.max(1);
        }
    }

    /// Bytes of memory that coding a block of `len` bytes takes, as [`Plain::memory`] counts them.
    pub(crate) fn memory(&self, len: usize) -> u64 {
        match self {
            Self::Plain(way) => Walk::memory(way, len),
            Self::Windowed(way) => way.memory(len),
            Self::Mix(way) => way.memory(len),
            Self::Guided(way) => way.memory(len),
            Self::Primed(way) => way.memory(len),
            Self::Lines(way) => way.memory(len),
            Self::Tokens(way) => way.memory(len),
            Self::Undone(way) => way.memory(len),
        }
    }

    /// How many threads can work on a block of `len` bytes, which are known to an encoder only.
    pub(crate) fn most_threads(&self, len: usize, known: bool) -> usize {
        match self {
            Self::Plain(way) => way.teams(len),
            Self::Mix(way) => way.most_threads(len, known),
            Self::Tokens(way) => way.threads,
            Self::Undone(way) => way.most_threads(known),
            Self::Windowed(_) | Self::Guided(_) | Self::Primed(_) | Self::Lines(_) => 1,
        }
    }

    /// As how many threads those of a block count, of which some may wait for what is computed elsewhere.
    pub(crate) fn busy(&self, threads: usize) -> usize {
        match self {
            Self::Mix(way) => way.busy(threads),
            _ => threads,
        }
    }

    /// The code of a block, as this way has it.
    pub(super) fn encode(&self, data: &mut [u8], threads: usize, progress: &Progress) -> Vec<u8> {
        match self {
            Self::Plain(way) => {
                way.around(data, true, |data| Walk::encode(way, data, threads, progress))
            }
            Self::Windowed(way) => way.encode(data, threads, progress),
            Self::Mix(way) => way.encode(data, threads, progress),
            Self::Guided(way) => way.encode(data, threads, progress),
            Self::Primed(way) => way.encode(data, threads, progress),
            Self::Lines(way) => way.encode(data, progress),
            Self::Tokens(way) => way.encode(data, progress),
            Self::Undone(_) => unreachable!("parts are encoded one by one"),
        }
    }

    /// Fills `data` from `code`. A damaged code gives other bytes, never a panic.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a block of records or tokens is not as it should be.
    pub(crate) fn decode(
        &self,
        code: &[u8],
        data: &mut [u8],
        threads: usize,
        progress: &Progress,
    ) -> Result<()> {
        match self {
            Self::Plain(way) => {
                way.around(data, false, |data| Walk::decode(way, code, data, threads, progress))
            }
            Self::Windowed(way) => way.decode(code, data, threads, progress),
            Self::Mix(way) => way.decode(code, data, threads, progress),
            Self::Guided(way) => way.decode(code, data, threads, progress),
            Self::Primed(way) => way.decode(code, data, threads, progress),
            Self::Lines(way) => way.decode(code, data, progress),
            Self::Tokens(way) => way.decode(code, data, progress),
            Self::Undone(way) => way.decode(code, data, threads, progress),
        }
    }

    /// Walks a block with any coder on the far side.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for ways that are not one walk over bytes: records and tokens.
    pub(crate) fn walk<C: Coder>(
        &self,
        coder: &mut C,
        data: &mut [u8],
        progress: &Progress,
    ) -> Result<()> {
        match self {
            Self::Plain(way) => {
                way.around(data, C::TOLD, |data| Walk::walk(way, coder, data, progress));
            }
            Self::Windowed(way) => way.walk(coder, data, progress),
            Self::Mix(way) => way.walk(coder, data, progress),
            Self::Guided(way) => way.walk(coder, data, progress),
            Self::Primed(way) => way.walk(coder, data, progress),
            Self::Undone(_) => return no_walk("the parts of a block are walked one by one"),
            Self::Lines(_) => return no_walk("records are walked one by one"),
            Self::Tokens(_) => {
                return no_walk("a model of tokens codes bytes only in tokens of its own");
            }
        }
        Ok(())
    }
}

fn needs_newer<T>(what: impl fmt::Display) -> Result<T> {
    let message = format!("a block of {what} needs a newer lmic");
    Err(Error::new(ErrorKind::NeedsNewer, message))
}

fn wrong_stream<T>(what: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Corrupt, format!("a block of {what}")))
}

fn no_walk(message: &str) -> Result<()> {
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// The error for a network of another kind than the stream's model needs.
fn another<T>(wanted: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Corrupt, format!("another network where {wanted} must be")))
}

/// Checks that windows fit the network that the archive names.
fn check_context(has: usize, windows: Windows) -> Result<()> {
    let asked = windows.context as usize;
    if (1..=has).contains(&asked) {
        return Ok(());
    }
    let message = format!("windows of {asked} positions; the model has {has}");
    Err(Error::new(ErrorKind::Corrupt, message))
}
