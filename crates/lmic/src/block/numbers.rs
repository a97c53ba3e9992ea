//! The models that archives name by a number, and the levels that ask for them: one table.
//!
//! A number stands in archives for a model and means it for ever: a better network gets a new number. To add one is to add a row
//! here, its two files, and a golden archive. The file of a network that is too large for the program is apart: models at hand have it.

use std::sync::{Arc, OnceLock};

use super::models::Models;
use super::stream::NamedNetwork;
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{LIBRARY_ROWS, Network, Recurrent, RecurrentWeights, Windows};
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
    pub(crate) network: Option<&'static NumberedNetwork>,
}

/// A network of the library, mixed with context mixing.
#[derive(Debug)]
pub(crate) struct NumberedNetwork {
    weights: Weights,
    start: &'static [u8],
    /// The identity of the network, which a test computes: to hash it would take longer than to unpack it.
    identity: [u8; 32],
    /// The most lanes of a team, which archives do not say. A step reads all weights, and more rows share them; but lanes cost bits, so
    /// networks whose weights stay in the caches have few.
    pub(crate) lanes: u8,
    /// Bytes of memory that a full block takes. The number stands here because computing it would mean to unpack the network,
    /// which takes longer than everything else that a program does when it starts.
    pub(crate) memory: u64,
    unpacked_network: OnceLock<Arc<Recurrent>>,
    unpacked_start: OnceLock<Start>,
}

/// Where the weights of a network are.
#[derive(Debug)]
enum Weights {
    /// They come with the program.
    Within(&'static [u8]),
    /// In a file of their own, which has so many bytes.
    Apart { level: u8, name: &'static str, bytes: u64 },
}

/// A network that a level needs and that does not come with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApartNetwork {
    /// The level, which is also the number that archives have.
    pub level: u8,
    /// What it is called, and its file in the model folder without `.safetensors`.
    pub name: &'static str,
    /// Bytes of its file.
    pub bytes: u64,
    /// What it is: [`RecurrentWeights::identity`](crate::nn::RecurrentWeights::identity).
    pub identity: [u8; 32],
}

const fn profile(number: u8, block_size: usize) -> Numbered {
    Numbered { number, block_size, network: None }
}

const fn network(
    (model, start): (&'static [u8], &'static [u8]),
    identity: &str,
    lanes: u8,
    memory: u64,
) -> NumberedNetwork {
    numbered(Weights::Within(model), start, identity, lanes, memory)
}

const fn numbered(
    weights: Weights,
    start: &'static [u8],
    identity: &str,
    lanes: u8,
    memory: u64,
) -> NumberedNetwork {
    NumberedNetwork {
        weights,
        start,
        identity: bytes_of(identity),
        lanes,
        memory,
        unpacked_network: OnceLock::new(),
        unpacked_start: OnceLock::new(),
    }
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

const fn mix(number: u8, network: &'static NumberedNetwork) -> Numbered {
    Numbered { number, block_size: MIXED_BLOCK_SIZE, network: Some(network) }
}

static NUMBERS: [Numbered; 9] = [
    profile(1, 16 * MIB),
    profile(2, 16 * MIB),
    profile(3, 32 * MIB),
    profile(4, 32 * MIB),
    profile(5, 64 * MIB),
    mix(6, &SMALL),
    mix(7, &DEFAULT),
    mix(8, &LARGE),
    mix(9, &APART),
];

/// A network or a start of the crate that holds them; without the feature `networks`, nothing.
macro_rules! held {
    ($name:ident, $else:expr) => {{
        #[cfg(feature = "networks")]
        {
            lmic_networks::$name
        }
        #[cfg(not(feature = "networks"))]
        {
            $else
        }
    }};
}

#[cfg(not(feature = "networks"))]
const NONE: (&[u8], &[u8]) = (&[], &[]);

static SMALL: NumberedNetwork = network(
    held!(SMALL, NONE),
    "388ebefab5fe6088cb35d43503972ffb87a2e2416fea1af5f7db7448cc293dc1",
    1, // frozen
    470_568_512,
);
static DEFAULT: NumberedNetwork = network(
    held!(DEFAULT, NONE),
    "171e5caf6fd32a5a0227ee602c6c11d613fb390946144fda56ff59a699e9c9f2",
    2, // frozen
    504_993_728,
);
static LARGE: NumberedNetwork = network(
    held!(LARGE, NONE),
    "5791162596cdd2a6d6e8eaef7bb9180bcfa67eb1230b071fd0bb2173ef8126fd",
    8, // frozen
    691_026_112,
);
static APART: NumberedNetwork = numbered(
    Weights::Apart { level: 9, name: "lmic-9", bytes: 37_904_520 },
    held!(APART_START, &[]),
    "98c44529ac43d5f916475e8981d92578d9fa96e4451b4a2a2c5e08abb178d802",
    8, // frozen
    730_806_464,
);

/// The model of this number, if there is one.
pub(crate) fn number(number: u8) -> Option<&'static Numbered> {
    NUMBERS.iter().find(|row| row.number == number)
}

/// The level that is used when none is given.
pub const DEFAULT_LEVEL: u8 = 7;

/// The highest level. A level's number is that of its model.
pub const MAX_LEVEL: u8 = 9;

/// The highest level of which everything comes with the program: the next one needs a file of its own, and wants a GPU.
pub const BEST_LEVEL: u8 = 8;

/// The network of a level that needs one beside the program.
pub fn apart_network(level: u8) -> Option<ApartNetwork> {
    number(level)?.network?.apart()
}

impl NumberedNetwork {
    /// The network, ready for use. To unpack one takes some milliseconds, so it is done when it is first used. One that is apart is
    /// found among `models`, which takes longer, and then kept as the others are.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if it was left out of this build, or is apart and not found.
    pub(crate) fn network(&'static self, models: &Models) -> Result<Arc<Recurrent>> {
        self.check_start()?;
        let model = match &self.weights {
            Weights::Within(model) => model,
            Weights::Apart { .. } => {
                if let Some(kept) = self.unpacked_network.get() {
                    return Ok(Arc::clone(kept));
                }
                let found = self.found(models)?;
                return Ok(Arc::clone(self.unpacked_network.get_or_init(|| found)));
            }
        };
        let unpack = || {
            let weights = RecurrentWeights::from_bytes(model).expect("a test reads this file");
            let network = Recurrent::known(weights, self.identity);
            Arc::new(network.expect("a test builds this network"))
        };
        Ok(Arc::clone(self.unpacked_network.get_or_init(unpack)))
    }

    /// What its mix begins with.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if it was left out of this build.
    pub(crate) fn start(&'static self) -> Result<&'static Start> {
        self.check_start()?;
        let unpack = || Start::from_bytes(self.start).expect("a test reads this file");
        Ok(self.unpacked_start.get_or_init(unpack))
    }

    fn check_start(&self) -> Result<()> {
        if self.start.is_empty() {
            let message = "this build of lmic has no networks (its feature `networks` is off): \
                           levels 1 to 5 code without, other archives need a build with them";
            return Err(Error::new(ErrorKind::WrongModel, message));
        }
        Ok(())
    }

    /// The network that is apart, among `models`.
    fn found(&self, models: &Models) -> Result<Arc<Recurrent>> {
        let Some(ApartNetwork { level, name, bytes, identity }) = self.apart() else {
            unreachable!("the network comes with the program");
        };
        let windows = Windows { context: 0, overlap: 0, lanes: self.lanes };
        match models.find(&NamedNetwork { name: name.into(), identity, windows })? {
            Some(Network::Recurrent(found)) => Ok(found),
            _ => {
                let message = format!(
                    "level {level} needs its network {name} ({} MB), which is not in the model folder \
                     (`lmic model fetch {name}`, or `lmic model add FILE`)",
                    (bytes + 500_000) / 1_000_000
                );
                Err(Error::new(ErrorKind::WrongModel, message))
            }
        }
    }

    fn apart(&self) -> Option<ApartNetwork> {
        match self.weights {
            Weights::Apart { level, name, bytes } => {
                Some(ApartNetwork { level, name, bytes, identity: self.identity })
            }
            Weights::Within(_) => None,
        }
    }

    /// The files of the network, of its start and of its rows, as they are embedded in the program: with the file of a network that is
    /// apart they are the model whose bytes an adjusted rate counts.
    pub(crate) fn files(&self) -> Vec<&'static [u8]> {
        let model: &'static [u8] = match self.weights {
            Weights::Within(model) => model,
            Weights::Apart { .. } => &[],
        };
        [&[model, self.start], LIBRARY_ROWS].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_these_networks_and_starts() {
        let hashes = |n| {
            let network = number(n).unwrap().network.unwrap();
            let found = network.network(&Models::default()).unwrap();
            let Weights::Within(model) = network.weights else { panic!("apart") };
            let weights = RecurrentWeights::from_bytes(model).unwrap();
            assert_eq!(crate::hex(&found.identity()), crate::hex(&weights.identity()));
            (crate::hex(&found.identity()[..8]), start(n))
        };
        assert_eq!(hashes(6), ("388ebefab5fe6088".into(), "2399d82de6a6942f".into()));
        assert_eq!(hashes(7), ("171e5caf6fd32a5a".into(), "94191a3bfc11ae8c".into()));
        assert_eq!(hashes(8), ("5791162596cdd2a6".into(), "ff0dffd1f33750a7".into()));
        assert!(number(5).unwrap().network.is_none());
        assert!(number(10).is_none() && number(0).is_none());
    }

    fn start(n: u8) -> String {
        let start = number(n).unwrap().network.unwrap().start().unwrap();
        blake3::hash(&start.to_bytes()).to_hex()[..16].to_string()
    }

    #[test]
    fn a_network_that_is_apart_is_found_by_its_identity_or_named() {
        let apart = apart_network(9).unwrap();
        assert_eq!((apart.name, apart_network(8)), ("lmic-9", None));
        let network = number(9).unwrap().network.unwrap();
        assert_eq!((start(9).as_str(), network.lanes), ("d2ee3b5191fd06b9", 8));
        let refused = |models: &Models| {
            let error = network.found(models).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongModel);
            assert!(error.to_string().contains("lmic model fetch lmic-9"), "{error}");
        };
        refused(&Models::default());
        let another = number(6).unwrap().network.unwrap().network(&Models::default()).unwrap();
        refused(&Models::of(vec![Network::Recurrent(another)]));
    }
}
