//! The models that archives name by a number, and the levels that ask for them: one table.
//!
//! A number stands in archives for a model and means it for ever: a better network gets a new number. To add one is to add a row
//! here, its two files, and a golden archive.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, ErrorKind, Result};
use crate::nn::{LIBRARY_ROWS, Recurrent, RecurrentWeights};
use crate::predict::mix::Start;

const MIB: usize = 1 << 20;

/// Bytes of content in a block that a network and context mixing code together: tables are learned anew in each block.
pub(crate) const MIXED_BLOCK_SIZE: usize = 16 * MIB;

/// A model of the library.
#[derive(Debug)]
pub(crate) struct Numbered {
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
    /// The identity of the network, which a test computes: to hash it would take longer than to unpack it.
    identity: [u8; 32],
    /// The most lanes of a team, which archives do not say. A step reads all weights, and more rows share them; but lanes cost bits, so
    /// networks whose weights stay in the caches have few.
    pub(crate) lanes: u8,
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

const fn profile(number: u8, block_size: usize) -> Numbered {
    Numbered { number, block_size, network: None }
}

const fn network(
    (model, start): (&'static [u8], &'static [u8]),
    identity: &str,
    lanes: u8,
    memory: u64,
) -> EmbeddedNetwork {
    let identity = bytes_of(identity);
    EmbeddedNetwork { model, start, identity, lanes, memory, unpacked: OnceLock::new() }
}

/// The bytes of 64 hexadecimal digits.
const fn bytes_of(hex: &str) -> [u8; 32] {
    let (hex, mut bytes, mut i) = (hex.as_bytes(), [0; 32], 0);
    assert!(hex.len() == 64);
    while i < 64 {
        let digit = match hex[i] {
            digit @ b'0'..=b'9' => digit - b'0',
            letter => letter - b'a' + 10,
        };
        bytes[i / 2] = bytes[i / 2] << 4 | digit;
        i += 1;
    }
    bytes
}

const fn mix(number: u8, network: &'static EmbeddedNetwork) -> Numbered {
    Numbered { number, block_size: MIXED_BLOCK_SIZE, network: Some(network) }
}

static NUMBERS: [Numbered; 8] = [
    profile(1, 16 * MIB),
    profile(2, 16 * MIB),
    profile(3, 32 * MIB),
    profile(4, 32 * MIB),
    profile(5, 64 * MIB),
    mix(6, &SMALL),
    mix(7, &DEFAULT),
    mix(8, &LARGE),
];

/// A network of the crate that holds them; without the feature `networks`, nothing.
macro_rules! held {
    ($name:ident) => {{
        #[cfg(feature = "networks")]
        {
            lmic_networks::$name
        }
        #[cfg(not(feature = "networks"))]
        {
            (&[], &[])
        }
    }};
}

static SMALL: EmbeddedNetwork = network(
    held!(SMALL),
    "388ebefab5fe6088cb35d43503972ffb87a2e2416fea1af5f7db7448cc293dc1",
    1, // frozen
    470_568_512,
);
static DEFAULT: EmbeddedNetwork = network(
    held!(DEFAULT),
    "171e5caf6fd32a5a0227ee602c6c11d613fb390946144fda56ff59a699e9c9f2",
    2, // frozen
    504_993_728,
);
static LARGE: EmbeddedNetwork = network(
    held!(LARGE),
    "5791162596cdd2a6d6e8eaef7bb9180bcfa67eb1230b071fd0bb2173ef8126fd",
    8, // frozen
    691_026_112,
);

/// The model of this number, if there is one.
pub(crate) fn number(number: u8) -> Option<&'static Numbered> {
    NUMBERS.iter().find(|row| row.number == number)
}

/// The level that is used when none is given.
pub const DEFAULT_LEVEL: u8 = 7;

/// The highest level. A level's number is that of its model.
pub const MAX_LEVEL: u8 = 8;

impl EmbeddedNetwork {
    /// The network and its start, ready for use. To unpack them takes some milliseconds, so it is done when they are first used.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if they were left out of this build.
    pub(crate) fn unpacked(&'static self) -> Result<&'static BuiltIn> {
        if self.model.is_empty() {
            let message = "this build of lmic has no networks (its feature `networks` is off): \
                           levels 1 to 5 code without, other archives need a build with them";
            return Err(Error::new(ErrorKind::WrongModel, message));
        }
        Ok(self.unpacked.get_or_init(|| {
            let weights = RecurrentWeights::from_bytes(self.model).expect("a test reads this file");
            BuiltIn {
                network: Arc::new(
                    Recurrent::known(weights, self.identity).expect("a test builds this network"),
                ),
                start: Start::from_bytes(self.start).expect("a test reads this file"),
            }
        }))
    }

    /// The files of the network, of its start and of its rows, as they are embedded in the program: together they are the model
    /// whose bytes an adjusted rate counts.
    pub(crate) fn files(&self) -> Vec<&'static [u8]> {
        [&[self.model, self.start], LIBRARY_ROWS].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_these_networks_and_starts() {
        let hashes = |n| {
            let network = number(n).unwrap().network.unwrap();
            let built_in = network.unpacked().unwrap();
            let weights = RecurrentWeights::from_bytes(network.model).unwrap();
            assert_eq!(crate::hex(&built_in.network.identity()), crate::hex(&weights.identity()));
            let start = blake3::hash(&built_in.start.to_bytes());
            let hex = crate::hex(&built_in.network.identity()[..8]);
            (hex, start.to_hex()[..16].to_string())
        };
        assert_eq!(hashes(6), ("388ebefab5fe6088".into(), "2399d82de6a6942f".into()));
        assert_eq!(hashes(7), ("171e5caf6fd32a5a".into(), "94191a3bfc11ae8c".into()));
        assert_eq!(hashes(8), ("5791162596cdd2a6".into(), "ff0dffd1f33750a7".into()));
        assert!(number(5).unwrap().network.is_none() && number(9).is_none() && number(0).is_none());
    }
}
