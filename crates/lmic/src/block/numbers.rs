//! The models that archives name by a number, and the levels that ask for them: one table.
//!
//! A number stands in archives for a model and means it for ever: a better network gets a new number. To add one is to add a row
//! here, its two files, and a golden archive.

use std::sync::{Arc, OnceLock};

use crate::nn::{Recurrent, RecurrentWeights};
use crate::predict::mix::Start;

const MIB: usize = 1 << 20;

/// Bytes of content in a block that a network and context mixing code together: tables are learned anew in each block.
pub(crate) const MIXED_BLOCK_SIZE: usize = 16 * MIB;

/// A model of the library.
#[derive(Debug)]
pub(crate) struct Number {
    /// What stands in archives.
    pub(crate) number: u8,
    /// Bytes of content in a block, unless an encoder is told otherwise. Bigger ones compress better; smaller ones keep more
    /// threads busy and take less memory.
    pub(crate) block_size: usize,
    /// Without one, context mixing alone at the profile `number`.
    pub(crate) network: Option<&'static EmbeddedNetwork>,
}

/// A network of the library, mixed with context mixing.
#[derive(Debug)]
pub(crate) struct EmbeddedNetwork {
    model: &'static [u8],
    start: &'static [u8],
    /// Bytes of memory that a full block takes. The number stands here because computing it would mean to unpack the network,
    /// which takes longer than everything else that a program does when it starts.
    pub(crate) memory: u64,
    unpacked: OnceLock<BuiltIn>,
}

/// A network and what its mix begins with.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) network: Arc<Recurrent>,
    pub(crate) start: Start,
}

const fn profile(number: u8, block_size: usize) -> Number {
    Number { number, block_size, network: None }
}

const fn network(model: &'static [u8], start: &'static [u8], memory: u64) -> EmbeddedNetwork {
    EmbeddedNetwork { model, start, memory, unpacked: OnceLock::new() }
}

const fn mix(number: u8, network: &'static EmbeddedNetwork) -> Number {
    Number { number, block_size: MIXED_BLOCK_SIZE, network: Some(network) }
}

static NUMBERS: [Number; 7] = [
    profile(1, 16 * MIB),
    profile(2, 16 * MIB),
    profile(3, 32 * MIB),
    profile(4, 32 * MIB),
    profile(5, 64 * MIB),
    mix(6, &SMALL),
    mix(7, &DEFAULT),
];

static SMALL: EmbeddedNetwork = network(
    include_bytes!("../../models/recurrent-small.safetensors"),
    include_bytes!("../../models/mix-6.start"),
    467_714_752,
);

static DEFAULT: EmbeddedNetwork = network(
    include_bytes!("../../models/recurrent-default.safetensors"),
    include_bytes!("../../models/mix-7.start"),
    473_170_624,
);

/// The model of this number, if there is one.
pub(crate) fn number(number: u8) -> Option<&'static Number> {
    NUMBERS.iter().find(|row| row.number == number)
}

/// The level that is used when none is given.
pub const DEFAULT_LEVEL: u8 = 7;

/// The highest level. Levels 8 and 9 stand for larger networks than the library holds: without one in
/// [`EncodeOptions::model`](crate::EncodeOptions::model) they are level 7.
pub const MAX_LEVEL: u8 = 9;

/// The network that a level mixes with context mixing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LevelNetwork {
    /// None: context mixing alone.
    None,
    /// One of the library.
    BuiltIn,
    /// The one of this name from the model folder; without it, the largest of the library.
    Named(&'static str),
    /// The largest of the model folder; without any, the largest of the library.
    Largest,
}

/// The built-in model of a level, and the network that the level asks for. If that network is not there, the built-in model
/// is what codes.
pub(crate) fn of_level(level: u8) -> Option<(&'static Number, LevelNetwork)> {
    if !(1..=MAX_LEVEL).contains(&level) {
        return None;
    }
    let row = NUMBERS.iter().rev().find(|row| row.number <= level)?;
    let network = match level {
        MAX_LEVEL => LevelNetwork::Largest,
        8 => LevelNetwork::Named("recurrent-large"),
        _ if row.network.is_some() => LevelNetwork::BuiltIn,
        _ => LevelNetwork::None,
    };
    Some((row, network))
}

impl EmbeddedNetwork {
    /// The network and its start, ready for use. To unpack them takes some milliseconds, so it is done when they are first used.
    pub(crate) fn unpacked(&'static self) -> &'static BuiltIn {
        self.unpacked.get_or_init(|| {
            let weights = RecurrentWeights::from_bytes(self.model).expect("a test reads this file");
            BuiltIn {
                network: Arc::new(Recurrent::new(&weights).expect("a test builds this network")),
                start: Start::from_bytes(self.start).expect("a test reads this file"),
            }
        })
    }

    /// The files of the network and of its start, as they are embedded in the program: together they are the model whose
    /// bytes an adjusted rate counts.
    pub(crate) fn files(&self) -> [&'static [u8]; 2] {
        [self.model, self.start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_these_networks_and_starts_for_ever() {
        let hashes = |n| {
            let built_in = number(n).unwrap().network.unwrap().unpacked();
            let start = blake3::hash(&built_in.start.to_bytes());
            let hex = crate::hex(&built_in.network.identity()[..8]);
            (hex, start.to_hex()[..16].to_string())
        };
        assert_eq!(hashes(6), ("d05e815a70b9b4f7".into(), "31e5b3a2431d6d31".into()));
        assert_eq!(hashes(7), ("1dc8d407bf2a568f".into(), "156579a9583a4585".into()));
        assert!(number(5).unwrap().network.is_none() && number(8).is_none() && number(0).is_none());
    }

    #[test]
    fn levels_above_the_networks_of_the_library_have_its_largest() {
        let numbers: Vec<u8> = (1..=9).map(|level| of_level(level).unwrap().0.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 7, 7]);
        assert!(of_level(0).is_none() && of_level(10).is_none());
    }
}
